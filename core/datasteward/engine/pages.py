"""Pages of a stored result: some of its rows and columns, filtered and sorted, without storing anything new."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import duckdb

from datasteward.engine.carriers import choose_carrier, quote_name
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.heads import take_head
from datasteward.engine.operations import Tell
from datasteward.engine.query import unique_names
from datasteward.engine.result_files import column_types, result_path
from datasteward.engine.session import Session
from datasteward.errors import ToolError


def read_page(session: Session, arguments: Mapping[str, Any], tell: Tell) -> Any:
    """The page's head as JSON and the number of rows that pass the filter.

    Arguments: handle, offset, limit, columns (names or None), where (an SQL condition or None), order_by (SQL or None),
    characters. Raises `ToolError` for an unknown column, a condition the gate refuses, or a result that is gone.
    """
    handle = str(arguments["handle"])
    known = [name for name, _ in column_types(result_path(session.settings.results_folder, handle))]
    columns = _check_columns(arguments["columns"], known, handle)
    body = _body(handle, arguments["where"], arguments["order_by"])
    page = f"SELECT {columns} {body}\nLIMIT {int(arguments['limit'])} OFFSET {int(arguments['offset'])}"
    session.prepare(page)
    cursor = session.cursor()
    try:
        total = _count(cursor, session, handle, arguments["where"])
        relation = cursor.sql(page)
        names, notes = unique_names(relation.columns)
        carriers = tuple(choose_carrier(n, t) for n, t in zip(names, relation.types, strict=True))
        shown = relation.project(
            ", ".join(
                f"#{i} AS {quote_name(c.name)}"
                if c.is_native
                else f"CAST(#{i} AS {c.stored_type}) AS {quote_name(c.name)}"
                for i, c in enumerate(carriers, 1)
            )
        )
        head = take_head(shown.to_arrow_reader(1000).read_all(), carriers, int(arguments["characters"]), notes)
    except duckdb.Error as error:
        raise explain_duckdb_error(error, page, names=known, is_cancelled=session.is_cancelled) from error
    finally:
        session.close_cursor(cursor)
    return {"head": asdict(head), "matching_rows": total}


def _body(handle: str, where: str | None, order_by: str | None) -> str:
    """FROM, WHERE and ORDER BY; a line break ends a trailing comment, and the gate judges the whole."""
    body = f"FROM results.{handle}"
    if where:
        body += f"\nWHERE (\n{where}\n)"
    if order_by:
        body += f"\nORDER BY {order_by}"
    return body


def _count(cursor: duckdb.DuckDBPyConnection, session: Session, handle: str, where: str | None) -> int:
    sql = f"SELECT count(*) {_body(handle, where, None)}"
    session.prepare(sql)
    return int(cursor.execute(sql).fetchall()[0][0])


def _check_columns(names: list[str] | None, known: list[str], handle: str) -> str:
    if not names:
        return "*"
    folded = {k.casefold(): k for k in known}
    unknown = [n for n in names if n.casefold() not in folded]
    if unknown:
        raise ToolError(
            f"{handle} has no column {', '.join(repr(n) for n in unknown)}.",
            code="not_found",
            hint=f"Columns: {', '.join(known[:50])}.",
        )
    return ", ".join(quote_name(folded[n.casefold()]) for n in names)
