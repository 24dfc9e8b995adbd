"""The lineage of one SQL statement: bound by DuckDB where possible, parsed otherwise, by table where neither works."""

from collections.abc import Mapping
from dataclasses import replace

from datasteward.errors import ToolError
from datasteward.lineage.edges import StatementLineage
from datasteward.lineage.plan_types import BindError, UnknownPlan
from datasteward.lineage.schemas import Catalog, Column, ColumnRef, DatasetKey
from datasteward.lineage.statements import split_statements

MAX_SQL_CHARACTERS = 1_000_000


def resolve(
    sql: str,
    catalog: Catalog,
    *,
    files: Mapping[str, tuple[Column, ...]] | None = None,
    dialect: str = "duckdb",
    expand_views: bool = False,
) -> StatementLineage:
    """The lineage of the one statement in `sql`; nothing is executed and no file is touched.

    `files` gives the columns of the files the statement reads, by path as written (`find_files` lists them).
    Raises `ToolError`: `syntax` when the statement cannot be read at all, `invalid_arguments` for none or several
    statements, `too_large` above a million characters.
    """
    if len(sql) > MAX_SQL_CHARACTERS:
        raise ToolError(
            f"The statement has {len(sql):,} characters; lineage reads up to {MAX_SQL_CHARACTERS:,}.", code="too_large"
        )
    statements = split_statements(sql)
    if len(statements) != 1:
        raise ToolError(
            f"Received {len(statements)} statements where one is expected.",
            code="invalid_arguments",
            hint="Split them with split_statements and ask for each.",
        )
    text = statements[0].sql
    known = _known_files(catalog, files or {})
    if dialect != "duckdb":
        return _fall_back(text, catalog, dialect, f"read as {dialect}, which DuckDB does not bind", is_sure=False)
    from datasteward.lineage.bound import bind_statement

    try:
        return bind_statement(text, catalog, known, expand_views=expand_views)
    except BindError as error:
        if error.kind == "parser":
            raise ToolError(
                str(error), code="syntax", hint="Mend the statement; nothing was run.", position=error.position
            ) from error
        return _fall_back(text, catalog, dialect, str(error), is_sure=True)
    except UnknownPlan as error:
        return _fall_back(text, catalog, dialect, f"the bound plan holds an unknown {error}", is_sure=True)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        return _fall_back(text, catalog, dialect, f"the bound plan has another shape ({error!r})", is_sure=True)


def _fall_back(sql: str, catalog: Catalog, dialect: str, reason: str, *, is_sure: bool) -> StatementLineage:
    """By the second parser, or by table. `is_sure` tells that DuckDB itself could read the statement."""
    from datasteward.lineage.parsed import ParseFailure, parse_statement, parse_tables

    note = f"not bound: {reason}"
    try:
        found = parse_statement(sql, catalog, dialect)
    except ParseFailure as failure:
        if not (is_sure or failure.is_readable):
            raise ToolError(
                f"Not readable as {dialect}: {failure}", code="syntax", hint="Mend the statement or name its dialect."
            ) from failure
        found = parse_tables(sql, catalog, dialect)
        return replace(found, notes=(note, f"columns not told: {failure}"))
    return replace(found, notes=(note, *found.notes))


def retarget(lineage: StatementLineage, target: DatasetKey) -> StatementLineage:
    """The same lineage with the target named `target`, such as the result that keeps a query's answer."""
    edges = [
        replace(e, target=ColumnRef(target, e.target.column)) if e.target.dataset == lineage.target else e
        for e in lineage.edges
    ]
    return replace(lineage, target=target, edges=tuple(edges))


def read_dialects() -> tuple[str, ...]:
    """The dialects `resolve` takes, `duckdb` first."""
    from sqlglot.dialects.dialect import Dialects

    return ("duckdb", *(d.value for d in Dialects if d.value and d.value != "duckdb"))


def _known_files(catalog: Catalog, files: Mapping[str, tuple[Column, ...]]) -> Mapping[str, tuple[Column, ...]]:
    listed = {d.name: d.columns for d in catalog.datasets if d.kind == "file" and d.columns}
    return {**listed, **files}
