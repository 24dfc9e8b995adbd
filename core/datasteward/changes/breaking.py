"""What would newly fail after a change: checks of contracts, and views that could no longer be read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb

from datasteward.changes.carrying_out import Measured
from datasteward.changes.catalog import ObjectKey
from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import CheckEffect, TableName
from datasteward.changes.names import qualify
from datasteward.changes.rows import read_row
from datasteward.changes.session import Session

MOST_VIEWS = 500
_BROKEN = frozenset({"binder", "catalog"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBefore:
    """A check, and how many rows break it as committed; None when it cannot be run."""

    check: CheckQuery
    breaks: int | None


def run_checks(session: Session, checks: Sequence[CheckQuery]) -> tuple[CheckBefore, ...]:
    """The checks on the committed state."""
    found = []
    for check in checks:
        try:
            breaks: int | None = _count(session.probe, check)
        except duckdb.Error:
            breaks = None
        found.append(CheckBefore(check=check, breaks=breaks))
    return tuple(found)


def find_broken(session: Session, measured: Measured, checks: Sequence[CheckBefore]) -> tuple[CheckEffect, ...]:
    """What holds and can be read as committed, and would not in the open transaction.

    Everything is bound before anything runs: an error of a statement that runs ends the transaction's use, so this must
    be the last question that is put to it.
    """
    found = list(_find_broken_views(session, measured))
    holding = [c.check for c in checks if c.breaks == 0]
    runnable = []
    for check in holding:
        fault = _binding_fault(session.work, check.query)
        if fault is None:
            runnable.append(check)
        else:
            found.append(CheckEffect(name=check.name, detail=f"it could no longer be run: {fault}"))
    for number, check in enumerate(runnable):
        try:
            breaks = _count(session.work, check)
        except duckdb.Error as error:
            fault = str(error).splitlines()[0]
            found.append(CheckEffect(name=check.name, detail=f"it could no longer be run: {fault}"))
            found += [CheckEffect(name=c.name, detail="it was not tried after that") for c in runnable[number + 1 :]]
            break
        if breaks:
            rows = "row would break it; none does" if breaks == 1 else "rows would break it; none does"
            found.append(CheckEffect(name=check.name, detail=f"{breaks} {rows} now"))
    return tuple(found)


def _count(connection: duckdb.DuckDBPyConnection, check: CheckQuery) -> int | None:
    row = read_row(connection, check.query)
    return int(row[0]) if row and row[0] is not None else None


def _find_broken_views(session: Session, measured: Measured) -> Iterator[CheckEffect]:
    if not measured.changed_objects:
        return
    stay = [k for k in measured.objects_before if k[0] == "view" and k in measured.objects_after]
    for key in stay[:MOST_VIEWS]:
        query = f"SELECT * FROM {qualify(session.catalog, _name(key))}"
        fault = _binding_fault(session.work, query)
        if fault is not None and _binding_fault(session.probe, query) is None:
            yield CheckEffect(name=f"view {_name(key).label}", detail=f"it could no longer be read: {fault}")


def _name(key: ObjectKey) -> TableName:
    return TableName(schema_name=key[1], name=key[2])


def _binding_fault(connection: duckdb.DuckDBPyConnection, query: str) -> str | None:
    """Why the query cannot be bound, or None; told as a value, so that the transaction stays usable."""
    row = read_row(connection, "SELECT system.main.json_serialize_plan(?)", [query])
    assert row is not None
    told = json.loads(row[0])
    if not told.get("error") or told.get("error_type") not in _BROKEN:
        return None
    return str(told.get("error_message", "")).splitlines()[0]
