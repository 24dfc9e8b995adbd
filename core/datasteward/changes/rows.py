"""Reading the few rows of our own queries; a result is always read to its end, or the connection stays in use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


def read_row(
    connection: "duckdb.DuckDBPyConnection", sql: str, values: Sequence[object] | dict[str, object] | None = None
) -> tuple[Any, ...] | None:
    """The first row of the result, or None when it is empty."""
    rows: list[tuple[Any, ...]] = connection.execute(sql, values).fetchall()
    return rows[0] if rows else None


def read_number(connection: "duckdb.DuckDBPyConnection", sql: str) -> int:
    """The one integer that the query gives."""
    row = read_row(connection, sql)
    assert row is not None and isinstance(row[0], int)
    return row[0]
