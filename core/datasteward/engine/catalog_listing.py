"""What the database holds: tables and views with their columns and sizes where that costs nothing."""

from collections.abc import Mapping
from typing import Any

import duckdb

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.operations import Tell
from datasteward.engine.session import Session
from datasteward.errors import ToolError

_COUNTED = 10_000_000
_COUNTED_TABLES = 300
_TABLES = """
SELECT schema_name, table_name, 'table' AS kind, estimated_size, comment FROM system.main.duckdb_tables()
WHERE database_name = {database} AND NOT internal AND NOT temporary
UNION ALL
SELECT schema_name, view_name, 'view', NULL, comment FROM system.main.duckdb_views()
WHERE database_name = {database} AND NOT internal AND NOT temporary
ORDER BY 1, 2
"""
_COLUMNS = """
SELECT schema_name, table_name, column_name, data_type, is_nullable FROM system.main.duckdb_columns()
WHERE database_name = {database} AND NOT internal ORDER BY schema_name, table_name, column_index
"""


def list_catalog(session: Session, arguments: Mapping[str, Any], tell: Tell) -> Any:
    """`{"database": name or None, "tables": [...], "sources": [...]}`.

    Tables carry schema, name, kind, rows (exact up to ten million, else the engine's estimate) and columns.
    With `sources` in the arguments (names of files or results), their columns are described too, each with an error
    text instead when it cannot be read.
    """
    cursor = session.cursor()
    try:
        name = session.database_name
        tables = _tables(cursor, name) if name else []
        described = [_describe(session, cursor, item) for item in arguments.get("sources", [])]
    except duckdb.Error as error:
        raise explain_duckdb_error(error, "", is_cancelled=session.is_cancelled) from error
    finally:
        session.close_cursor(cursor)
    return {"database": name, "tables": tables, "sources": described}


def _tables(cursor: duckdb.DuckDBPyConnection, database: str) -> list[dict[str, Any]]:
    literal = quote_text(database)
    columns: dict[tuple[str, str], list[list[Any]]] = {}
    for schema, table, column, kind, nullable in cursor.execute(_COLUMNS.format(database=literal)).fetchall():
        columns.setdefault((schema, table), []).append([column, kind, nullable])
    rows = cursor.execute(_TABLES.format(database=literal)).fetchall()
    counts = _count(cursor, database, [(s, t) for s, t, kind, size, _ in rows if size is not None and size <= _COUNTED])
    return [
        {
            "schema": schema,
            "name": table,
            "kind": kind,
            "rows": counts.get((schema, table), size),
            "comment": comment,
            "columns": columns.get((schema, table), []),
        }
        for schema, table, kind, size, comment in rows
        if schema != "_steward"
    ]


def _count(
    cursor: duckdb.DuckDBPyConnection, database: str, tables: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """The exact rows of tables; the engine's own estimate still counts rows that are gone."""
    if not tables:
        return {}
    counted = " UNION ALL ".join(
        f"SELECT {i}, count(*) FROM {quote_name(database)}.{quote_name(schema)}.{quote_name(table)}"
        for i, (schema, table) in enumerate(tables[:_COUNTED_TABLES])
    )
    return {tables[i]: n for i, n in cursor.execute(counted).fetchall()}


def _describe(session: Session, cursor: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    session.raise_if_cancelled()
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        sql = f"FROM {quoted}"
        session.prepare(sql)
        relation = cursor.sql(sql)
        pairs = zip(relation.columns, relation.types, strict=True)
        return {"name": name, "columns": [[column, str(kind), True] for column, kind in pairs], "error": None}
    except ToolError as error:
        return {"name": name, "columns": [], "error": error.message}
    except duckdb.Error as error:
        return {"name": name, "columns": [], "error": str(error).splitlines()[0][:300]}
