"""Days missing from a daily series."""

from datetime import date, timedelta

import duckdb

from datasteward.profiling.findings import ColumnFacts
from datasteward.profiling.model import Finding

_MOST_DAYS = 20_000


def find_gaps(connection: duckdb.DuckDBPyConnection, table: str, facts: ColumnFacts) -> Finding | None:
    """A finding when at most a fifth of the days between the first and the last have no row.

    A series without weekends counts as complete when only weekends are missing.
    """
    if not facts.scanned.min or not facts.scanned.max:
        return None
    texts = list(facts.scanned.days) if facts.scanned.days is not None else _read_days(connection, table, facts)
    texts = [t for t in texts if t[:1].isdigit()]
    if not 30 <= len(texts) <= _MOST_DAYS or any(len(t) != 10 for t in texts):
        return None
    days = {date.fromisoformat(t) for t in texts}
    first, last = min(days), max(days)
    span = (last - first).days + 1
    if span > _MOST_DAYS:
        return None
    every = {first + timedelta(days=i) for i in range(span)}
    if not any(d.weekday() >= 5 for d in days):
        every = {d for d in every if d.weekday() < 5}
    missing = sorted(every - days)
    if not missing or len(missing) > 0.2 * len(every):
        return None
    show = (
        f"SELECT CAST(day AS DATE) AS day FROM range(DATE '{first}', DATE '{last}' + 1, INTERVAL 1 DAY) AS r(day) "
        f"WHERE CAST(day AS DATE) NOT IN (SELECT CAST({facts.name} AS DATE) FROM {facts.source.shown_sql} WHERE {facts.name} IS NOT NULL)"
    )
    return facts.make(
        "gaps",
        "low",
        f"has no row for {len(missing):,} of {len(every):,} days",
        len(missing),
        example=str(missing[0]),
        show=show,
    )


def _read_days(connection: duckdb.DuckDBPyConnection, table: str, facts: ColumnFacts) -> list[str]:
    query = f"SELECT CAST(d AS VARCHAR) FROM (SELECT DISTINCT CAST({facts.name} AS DATE) AS d FROM {table} WHERE {facts.name} IS NOT NULL) WHERE isfinite(d) ORDER BY d LIMIT {_MOST_DAYS + 1}"
    return [str(r[0]) for r in connection.execute(query).fetchall()]
