"""Judging what was built: checks, thresholds, quarantine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from datasteward.changes.crash import crash_point
from datasteward.engine.carriers import quote_name, quote_text
from datasteward.errors import ToolError
from datasteward.pipelines.build_model import Build, kept_columns, within
from datasteward.pipelines.checks import Check
from datasteward.pipelines.state_model import CheckResult, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found, and how many rows stayed."""

    rows: int
    quarantined: int
    results: tuple[CheckResult, ...]
    null_shares: Mapping[str, float]


class CheckFailed(ToolError):
    """A blocking check failed, or a threshold was passed; nothing was published."""

    def __init__(self, message: str, results: Sequence[CheckResult]) -> None:
        super().__init__(message, code="runtime", hint="Mend the data or the check; the published table is untouched.")
        self.results = tuple(results)


def audit_view(cursor: duckdb.DuckDBPyConnection, build: Build) -> Audit:
    """Judge a view; raises `CheckFailed`."""
    results = []
    for check in build.node.checks:
        bad = _count(cursor, check.count_query(build.target))
        results.append(_judge(check, bad, 0))
    _raise_blocked(build, results)
    return Audit(rows=0, quarantined=0, results=tuple(results), null_shares={})


def audit_rows(cursor: duckdb.DuckDBPyConnection, build: Build, table: str, *, replaces: bool) -> Audit:
    """Judge the rows of `table`, move bad ones to quarantine, and (when it is the whole asset) judge the table."""
    checks = [c for c in build.node.checks if c.scope == "row"]
    names = [c.name for c in kept_columns(build)]
    total, bads, nulls = _count_all(cursor, table, checks, names)
    results = [_judge(check, bad, total) for check, bad in zip(checks, bads, strict=True)]
    _raise_blocked(build, results)
    moving = [c for c, r in zip(checks, results, strict=True) if c.on_fail == "quarantine" and r.bad]
    moved = _quarantine(cursor, build, table, moving, replaces=replaces)
    if replaces:
        results += judge_tables(cursor, build, table)
    crash_point(f"step.checked:{build.step.key}")
    shares = {n: round(v / total, 6) for n, v in nulls.items()} if total else {}
    return Audit(rows=total - moved, quarantined=moved, results=tuple(results), null_shares=shares)


def _count_all(
    cursor: duckdb.DuckDBPyConnection, table: str, checks: Sequence[Check], names: Sequence[str]
) -> tuple[int, list[int], dict[str, int]]:
    parts = [
        "count(*)",
        *(f"count(*) FILTER (WHERE {c.sql})" for c in checks),
        *(f"count({quote_name(n)})" for n in names),
    ]
    row = cursor.execute(f"SELECT {', '.join(parts)} FROM {table}").fetchone()
    assert row is not None
    total = int(row[0])
    bads = [int(v) for v in row[1 : 1 + len(checks)]]
    nulls = {n: total - int(v) for n, v in zip(names, row[1 + len(checks) :], strict=True)}
    return total, bads, nulls


def judge_tables(cursor: duckdb.DuckDBPyConnection, build: Build, table: str) -> list[CheckResult]:
    """Judge a table as a whole; raises `CheckFailed`."""
    checks = [c for c in build.node.checks if c.scope == "table"]
    results = [_judge(c, _count(cursor, c.count_query(table)), 0) for c in checks]
    _raise_blocked(build, results)
    return results


def _count(cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = cursor.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0


def _judge(check: Check, bad: int, total: int) -> CheckResult:
    if not bad:
        return CheckResult(name=check.name, bad=0, action="passed")
    if check.on_fail == "quarantine":
        within = check.limit is None or check.limit.allows(bad, total)
        return CheckResult(name=check.name, bad=bad, action="quarantined" if within else f"over {check.limit}")
    return CheckResult(name=check.name, bad=bad, action="warned" if check.on_fail == "warn" else "blocked")


def _raise_blocked(build: Build, results: Sequence[CheckResult]) -> None:
    stopped = [r for r in results if r.action == "blocked" or r.action.startswith("over ")]
    if stopped:
        words = "; ".join(f"{r.name}: {r.bad:,} bad{'' if r.action == 'blocked' else f', {r.action}'}" for r in stopped)
        raise CheckFailed(f"{build.step.name} was not published: {words}.", results)


def _quarantine(
    cursor: duckdb.DuckDBPyConnection, build: Build, table: str, checks: Sequence[Check], *, replaces: bool
) -> int:
    exists = build.has_quarantine
    if not checks:
        if exists and replaces:
            cursor.execute(f"DROP TABLE {build.quarantine}")
        elif exists:
            _clear_quarantine(cursor, build, table)
        return 0
    bad = " OR ".join(f"({c.sql})" for c in checks)
    reasons = ", ".join(f"CASE WHEN {c.sql} THEN {quote_text(c.name)} END" for c in checks)
    moment = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    rows = (
        f"SELECT {quote_text(build.run)} AS _run, TIMESTAMP {quote_text(moment)} AS _at,"
        f" list_filter([{reasons}], lambda r: r IS NOT NULL) AS _reasons, * FROM {table} WHERE {bad}"
    )
    if replaces or not exists:
        cursor.execute(f"CREATE OR REPLACE TABLE {build.quarantine} AS {rows}")
    else:
        _clear_quarantine(cursor, build, table)
        have = {str(r[0]).casefold() for r in cursor.execute(f"DESCRIBE SELECT * FROM {build.quarantine}").fetchall()}
        for column in build.node.columns:
            if column.name.casefold() not in have:
                cursor.execute(f"ALTER TABLE {build.quarantine} ADD COLUMN {quote_name(column.name)} {column.type}")
        cursor.execute(f"INSERT INTO {build.quarantine} BY NAME {rows}")
    return _count(cursor, f"DELETE FROM {table} WHERE {bad}")


def _clear_quarantine(cursor: duckdb.DuckDBPyConnection, build: Build, table: str) -> None:
    """Forget earlier bad rows of what is built again, so that the same input leaves the same quarantine."""
    options = build.node.asset.options
    if build.step.action == "fill":
        column = quote_name(options.time or "")
        windows = [Window(start=w.start, end=w.end) for w in build.step.windows]
        cursor.execute(f"DELETE FROM {build.quarantine} WHERE {within(column, windows)} OR {column} IS NULL")
    elif build.step.action == "merge":
        cursor.execute(f"DELETE FROM {build.quarantine}")
