"""Days missing from a daily series."""

import math
from datetime import date, timedelta

import duckdb

from datasteward.profiling.column_facts import ColumnFacts
from datasteward.profiling.model import Finding

_MOST_DAYS = 20_000


def find_gaps(connection: duckdb.DuckDBPyConnection, table: str, facts: ColumnFacts) -> Finding | None:
    """A finding when at most a fifth of the days between the first and the last have no row.

    A series that has no Sundays, say, is complete without them.
    """
    if not facts.scanned.min or not facts.scanned.max:
        return None
    texts = list(facts.scanned.days) if facts.scanned.days is not None else _read_days(connection, table, facts)
    texts = [t for t in texts if t[:1].isdigit()]
    if not 30 <= len(texts) <= _MOST_DAYS or any(len(t) != 10 for t in texts):
        return None
    days = sorted(date.fromisoformat(t) for t in texts)
    missing, expected = _missing_days(days)
    if not missing or len(missing) > 0.2 * expected or not _is_series(facts, len(days), len(missing), expected):
        return None
    first, last = days[0], days[-1]
    show = (
        f"SELECT CAST(day AS DATE) AS day FROM range(DATE '{first}', DATE '{last}' + 1, INTERVAL 1 DAY) AS r(day) "
        f"WHERE CAST(day AS DATE) NOT IN (SELECT CAST({facts.name} AS DATE) FROM {facts.source.shown_sql} WHERE {facts.name} IS NOT NULL)"
    )
    return facts.make(
        "gaps",
        "low",
        f"has no row for {len(missing):,} of {expected:,} days",
        len(missing),
        example=str(missing[0]),
        show=show,
    )


def _missing_days(days: list[date]) -> tuple[list[date], int]:
    """The days without a row, and how many days there should be.

    The outer hundredth at either end is left alone, where rows peter out, and so are weekdays that never have one.
    """
    first, last = days[len(days) // 100], days[-1 - len(days) // 100]
    span = (last - first).days + 1
    if span > _MOST_DAYS:
        return [], span
    worked = {d.weekday() for d in days}
    every = {first + timedelta(days=i) for i in range(span)}
    every = {d for d in every if d.weekday() in worked}
    return sorted(every - set(days)), len(every)


def _is_series(facts: ColumnFacts, days: int, missing: int, expected: int) -> bool:
    """Whether there is a row for each day, or so many that days without one are no chance (as many by Poisson's law)."""
    if facts.scanned.filled == days:
        return True
    by_chance = expected * math.exp(-facts.scanned.filled / max(1, expected))
    return missing > 5 * by_chance


def _read_days(connection: duckdb.DuckDBPyConnection, table: str, facts: ColumnFacts) -> list[str]:
    query = f"SELECT CAST(d AS VARCHAR) FROM (SELECT DISTINCT CAST({facts.name} AS DATE) AS d FROM {table} WHERE {facts.name} IS NOT NULL) WHERE isfinite(d) ORDER BY d LIMIT {_MOST_DAYS + 1}"
    return [str(r[0]) for r in connection.execute(query).fetchall()]
