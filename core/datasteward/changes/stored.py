"""Changes as the state database holds them, read from its rows."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from pydantic import ValidationError

from datasteward.changes.jobs import Applied
from datasteward.changes.model import Approval, ChangeStatus, Preview, Proposal
from datasteward.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSummary:
    """One line of the inbox; times are seconds since 1970."""

    number: int
    status: ChangeStatus
    created_at: float
    expires_at: float
    requested_by: str
    title: str
    digest: str
    undo_of: int | None
    undone_by: int | None
    replaced_by: int | None
    message: str

    @property
    def handle(self) -> str:
        """`c8`."""
        return f"c{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change with everything stored about it."""

    summary: ChangeSummary
    proposal: Proposal
    stamp: str
    staging: str
    verdict: str
    attempt: str | None
    approval: Approval | None
    approved_until: float | None
    applied: Applied | None
    applied_at: float | None
    earlier_preview: Preview | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEvent:
    """One step in a change's history, and the hash of its journal entry once it is written."""

    id: int
    number: int
    at: float
    event: str
    fields: Mapping[str, object]
    entry_hash: str | None


SUMMARY_COLUMNS = (
    "number, status, created_at, expires_at, requested_by, title, digest, undo_of, undone_by, replaced_by, message"
)
_REST = "proposal, stamp, staging, verdict, attempt, approval, approved_until, applied, applied_at, earlier_preview"


def read_change(connection: sqlite3.Connection, number: int) -> ChangeRow:
    """The change on an open connection; raises `ToolError`: not_found, or conflict for one of another version."""
    try:
        return _read_change(connection, number)
    except ValidationError as error:
        raise ToolError(
            f"c{number} was recorded by another version of datasteward and cannot be read.",
            code="conflict",
            hint="Propose it again.",
        ) from error


def _read_change(connection: sqlite3.Connection, number: int) -> ChangeRow:
    row = connection.execute(f"SELECT {SUMMARY_COLUMNS}, {_REST} FROM changes WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise no_such_change(connection, number)
    rest = row[11:]
    return ChangeRow(
        summary=read_summary(row[:11]),
        proposal=Proposal.model_validate_json(rest[0]),
        stamp=str(rest[1]),
        staging=str(rest[2]),
        verdict=str(rest[3]),
        attempt=rest[4],
        approval=Approval.model_validate_json(rest[5]) if rest[5] else None,
        approved_until=rest[6],
        applied=Applied.model_validate_json(rest[7]) if rest[7] else None,
        applied_at=rest[8],
        earlier_preview=Preview.model_validate_json(rest[9]) if rest[9] else None,
    )


def no_such_change(connection: sqlite3.Connection, number: int) -> ToolError:
    """The error for a number that no change has."""
    newest = connection.execute("SELECT max(number) FROM changes").fetchone()[0]
    hint = "None was proposed in this workspace yet." if newest is None else f"The newest is c{newest}."
    return ToolError(f"There is no change c{number}.", code="not_found", hint=hint)


def read_summary(row: Sequence[object]) -> ChangeSummary:
    """The line of the inbox in a row of `SUMMARY_COLUMNS`."""
    number, status, created, expires, requested, title, digest, undo_of, undone_by, replaced_by, message = row
    assert status in get_args(ChangeStatus)
    return ChangeSummary(
        number=cast(int, number),
        status=cast(ChangeStatus, status),
        created_at=cast(float, created),
        expires_at=cast(float, expires),
        requested_by=str(requested),
        title=str(title),
        digest=str(digest),
        undo_of=cast("int | None", undo_of),
        undone_by=cast("int | None", undone_by),
        replaced_by=cast("int | None", replaced_by),
        message=str(message),
    )


def read_event(row: Sequence[object]) -> ChangeEvent:
    """The step in a row of id, number, at, event, fields and entry_hash."""
    return ChangeEvent(
        id=cast(int, row[0]),
        number=cast(int, row[1]),
        at=cast(float, row[2]),
        event=str(row[3]),
        fields=json.loads(str(row[4])),
        entry_hash=cast("str | None", row[5]),
    )
