"""Which rows a lone UPDATE, DELETE or INSERT can touch, read from DuckDB's own syntax tree.

Only a saving: when the answer is None, or does not match the count that the statement reports, every row is compared.
"""

import json
from dataclasses import dataclass
from typing import Any

import duckdb

from datasteward.changes.model import StatementWork
from datasteward.changes.rows import read_row

_WRAP = "WITH __steward AS ({}) SELECT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A query giving the column `rid` of the rows a statement matches, and the columns it sets (None for all)."""

    rows_query: str
    set_columns: tuple[str, ...] | None
    tail: str | None
    """`FROM … WHERE …` when the rows come from the table alone, so that they can be read in the same scan."""
    matches_exactly: bool
    """True when the query gives each matched row once, so that its count must equal the statement's."""
    rows_at_most: int | None = None
    """About how many rows match, when that is known beforehand."""
    takes_all: bool = False
    """True for a DELETE of everything, whose effect follows from the table's own print."""
    is_row_local: bool = True
    """Whether a row's own values decide; a subquery, or a macro that holds one, may give other rows when asked again."""


def narrow(parser: duckdb.DuckDBPyConnection, statement: StatementWork) -> Narrowing | None:
    """What the statement can touch, or None when that cannot be told from its tree."""
    try:
        node = _tree(parser, statement.sql)
        match node.get("type"):
            case "UPDATE_QUERY_NODE":
                info = node["set_info"]
                extra = [node["from_table"]] if node.get("from_table") else []
                rows = _rows_query(parser, node, info["condition"], extra)
                columns = tuple(str(c) for c in info["columns"])
                return Narrowing(
                    rows_query=rows,
                    set_columns=columns,
                    tail=_tail(rows, node, extra),
                    matches_exactly=True,
                    is_row_local=not extra and not _may_ask_others(info["condition"]),
                )
            case "DELETE_QUERY_NODE":
                extra = list(node.get("using_clauses") or ())
                rows = _rows_query(parser, node, node.get("condition"), extra)
                return Narrowing(
                    rows_query=rows,
                    set_columns=(),
                    tail=_tail(rows, node, extra),
                    matches_exactly=True,
                    takes_all=not extra and node.get("condition") is None,
                )
            case "INSERT_QUERY_NODE" if not node.get("on_conflict_info"):
                none = "SELECT 0::BIGINT AS rid WHERE false"
                return Narrowing(rows_query=none, set_columns=(), tail=None, matches_exactly=False)
            case _:
                return None
    except (KeyError, TypeError, ValueError, duckdb.Error):
        return None


def _tree(parser: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    wrapped = _WRAP.format(sql.strip().rstrip(";"))
    document = _serialize(parser, wrapped)
    entries = document["statements"][0]["node"]["cte_map"]["map"]
    if len(entries) != 1:
        raise ValueError("more than one common table expression")
    node: dict[str, Any] = entries[0]["value"]["query_node"]
    return node


def _rows_query(
    parser: duckdb.DuckDBPyConnection, node: dict[str, Any], condition: Any, extra: list[dict[str, Any]]
) -> str:
    target = node["table"]
    name = target["alias"] or target["table_name"]
    frame = _serialize(parser, "SELECT DISTINCT a.rowid AS rid FROM a, b WHERE true" if extra else _LONE)
    select = frame["statements"][0]["node"]
    select["cte_map"] = node["cte_map"]
    select["select_list"][0]["column_names"] = [name, "rowid"]
    if extra:
        join = select["from_table"]
        combined = target
        for other in extra:
            combined = {**join, "left": combined, "right": other}
        select["from_table"] = combined
    else:
        select["from_table"] = target
    select["where_clause"] = condition
    row = read_row(parser, "SELECT system.main.json_deserialize_sql(?::JSON)", [json.dumps(frame)])
    assert row is not None
    return str(row[0]).rstrip().rstrip(";")


def _may_ask_others(part: Any) -> bool:
    if isinstance(part, list):
        return any(_may_ask_others(item) for item in part)
    if not isinstance(part, dict):
        return False
    is_call = part.get("class") == "FUNCTION" and not part.get("is_operator")
    return is_call or part.get("class") == "SUBQUERY" or any(_may_ask_others(value) for value in part.values())


def _tail(rows_query: str, node: dict[str, Any], extra: list[dict[str, Any]]) -> str | None:
    if extra or node["cte_map"]["map"]:
        return None
    _, mark, rest = rows_query.partition(" AS rid ")
    return rest if mark else None


_LONE = "SELECT a.rowid AS rid FROM a WHERE true"


def _serialize(parser: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    row = read_row(parser, "SELECT system.main.json_serialize_sql(?)", [sql])
    assert row is not None
    document: dict[str, Any] = json.loads(row[0])
    if document.get("error"):
        raise ValueError(str(document.get("error_message")))
    return document
