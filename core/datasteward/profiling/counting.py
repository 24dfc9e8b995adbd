"""Exact distinct counts in bounded memory."""

import duckdb

_VALUES_AT_ONCE = 8_000_000


def count_distinct(
    connection: duckdb.DuckDBPyConnection, table_sql: str, value_sql: str, *, rows: int, condition: str = "true"
) -> int:
    """How many distinct values `value_sql` has where `condition` holds.

    Of more than eight million `rows`, the values are counted in as many passes as keep each below that, told apart by
    their hash, so that memory does not grow with the table.
    """
    passes = max(1, -(-rows // _VALUES_AT_ONCE))
    total = 0
    for turn in range(passes):
        part = f"{condition} AND hash({value_sql}) % {passes} = {turn}" if passes > 1 else condition
        row = connection.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT {value_sql} AS v FROM {table_sql} WHERE {part})"
        ).fetchone()
        total += int(row[0]) if row else 0
    return total
