"""The inbox: every proposal of the workspace in the state database, moved from state to state by one winner each."""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from pydantic import ValidationError

from datasteward.changes.digest import digest_of
from datasteward.changes.jobs import Applied
from datasteward.changes.model import Approval, ChangeStatus, Fingerprint, ObjectPrint, Preview, Proposal
from datasteward.changes.policy import PolicySettings
from datasteward.changes.signatures import is_policy_signed, needs_signature
from datasteward.errors import ToolError
from datasteward.state import StateDatabase

SCRIPTS = (
    """
CREATE TABLE changes (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  status TEXT NOT NULL,
  created_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  requested_by TEXT NOT NULL,
  title TEXT NOT NULL,
  digest TEXT NOT NULL,
  proposal TEXT NOT NULL,
  stamp TEXT NOT NULL,
  staging TEXT NOT NULL,
  verdict TEXT NOT NULL,
  attempt TEXT,
  approval TEXT,
  approved_until REAL,
  applied TEXT,
  applied_at REAL,
  undo_of INTEGER,
  undone_by INTEGER,
  replaced_by INTEGER,
  earlier_preview TEXT,
  message TEXT NOT NULL DEFAULT ''
);
CREATE INDEX changes_status ON changes (status, number);
CREATE TABLE change_objects (
  object TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (object, number)
) WITHOUT ROWID;
CREATE TABLE change_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  number INTEGER NOT NULL,
  at REAL NOT NULL,
  event TEXT NOT NULL,
  fields TEXT NOT NULL,
  entry_hash TEXT
);
CREATE INDEX change_events_number ON change_events (number, id);
CREATE INDEX change_events_waiting ON change_events (id) WHERE entry_hash IS NULL;
CREATE TABLE change_clock (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), highest REAL NOT NULL);
CREATE TABLE change_approver (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), public_key TEXT NOT NULL);
CREATE TABLE change_policy_signatures (digest TEXT PRIMARY KEY, signature TEXT NOT NULL);
""",
    "CREATE TABLE change_prints (object TEXT PRIMARY KEY, stamp TEXT NOT NULL, engine TEXT NOT NULL, print TEXT NOT NULL);",
)


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


_SUMMARY = (
    "number, status, created_at, expires_at, requested_by, title, digest, undo_of, undone_by, replaced_by, message"
)
_REST = "proposal, stamp, staging, verdict, attempt, approval, approved_until, applied, applied_at, earlier_preview"


class ChangeStore:
    """Reads and moves changes; every move is one transaction that checks the state it moves from."""

    def __init__(self, state: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self.state = state
        self._clock = clock
        state.migrate("changes", SCRIPTS)

    @contextmanager
    def transaction(self) -> Iterator["Moves"]:
        """The moves that one writing transaction makes; all of them happen or none."""
        with self.state.connection() as connection:
            yield Moves(connection=connection, now=self._advance(connection))

    def _advance(self, connection: sqlite3.Connection) -> float:
        row = connection.execute("SELECT highest FROM change_clock").fetchone()
        now = max(self._clock(), float(row[0]) if row else 0.0)
        connection.execute(
            "INSERT INTO change_clock VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET highest = excluded.highest",
            (now,),
        )
        return now

    def now(self) -> float:
        """The time that expiry goes by: the clock, but never earlier than any time seen before."""
        with self.state.connection(write=False) as connection:
            row = connection.execute("SELECT highest FROM change_clock").fetchone()
        return max(self._clock(), float(row[0]) if row else 0.0)

    def get(self, number: int) -> ChangeRow:
        """The change; raises `ToolError` (not_found)."""
        with self.state.connection(write=False) as connection:
            return read_change(connection, number)

    def summaries(self, statuses: Sequence[ChangeStatus] = (), *, limit: int = 100) -> tuple[ChangeSummary, ...]:
        """The newest changes first, only those in `statuses` when given."""
        where = f"WHERE status IN ({', '.join('?' * len(statuses))})" if statuses else ""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                f"SELECT {_SUMMARY} FROM changes {where} ORDER BY number DESC LIMIT ?", (*statuses, limit)
            ).fetchall()
        return tuple(_summary(r) for r in rows)

    def summary(self, number: int) -> ChangeSummary:
        """The change's line; raises `ToolError` (not_found)."""
        with self.state.connection(write=False) as connection:
            row = connection.execute(f"SELECT {_SUMMARY} FROM changes WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise _not_found(number)
        return _summary(row)

    def events(self, number: int) -> tuple[ChangeEvent, ...]:
        """The change's history, oldest first."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                "SELECT id, number, at, event, fields, entry_hash FROM change_events WHERE number = ? ORDER BY id",
                (number,),
            ).fetchall()
        return tuple(_event(r) for r in rows)

    def unwritten_events(self) -> tuple[ChangeEvent, ...]:
        """Steps that the journal does not hold yet."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                "SELECT id, number, at, event, fields, entry_hash FROM change_events WHERE entry_hash IS NULL"
                " ORDER BY id"
            ).fetchall()
        return tuple(_event(r) for r in rows)

    def later_changes(self, number: int) -> tuple[ChangeSummary, ...]:
        """Applied changes that stand and that touch, directly or through each other, what this one touched; newest
        first. An undo and what it took back cancel out and are left out."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                f"WITH RECURSIVE live AS (SELECT number FROM changes WHERE status = 'applied' AND undone_by IS NULL"
                " AND undo_of IS NULL AND number > :n), reach (number) AS (SELECT :n UNION SELECT b.number FROM reach"
                " JOIN change_objects AS a ON a.number = reach.number JOIN change_objects AS b ON b.object = a.object"
                " AND b.number > reach.number JOIN live ON live.number = b.number)"
                f" SELECT {_SUMMARY} FROM changes WHERE number IN (SELECT number FROM reach) AND number <> :n"
                " ORDER BY number DESC",
                {"n": number},
            ).fetchall()
        return tuple(_summary(r) for r in rows)

    def known_prints(self, stamp: str, engine: str) -> tuple[ObjectPrint, ...]:
        """Exact prints of tables taken when the database file had this stamp."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                "SELECT print FROM change_prints WHERE stamp = ? AND engine = ?", (stamp, engine)
            ).fetchall()
        return tuple(ObjectPrint.model_validate_json(r[0]) for r in rows)

    def needs_signature(self, state_folder: Path) -> bool:
        """Whether an approver's key was made."""
        with self.state.connection(write=False) as connection:
            return needs_signature(connection, state_folder)

    def may_allow_by_policy(self, state_folder: Path, policy: PolicySettings) -> bool:
        """Whether an `allow` of the policy counts: there is no key, or the approver has signed this policy."""
        with self.state.connection(write=False) as connection:
            return not needs_signature(connection, state_folder) or is_policy_signed(connection, policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What can be done inside one transaction at time `now`."""

    connection: sqlite3.Connection
    now: float

    def add(
        self,
        proposal: Proposal,
        *,
        status: ChangeStatus,
        title: str,
        stamp: str,
        staging: str,
        verdict: str,
        lifetime_seconds: float,
        undo_of: int | None = None,
        message: str = "",
        earlier_preview: Preview | None = None,
    ) -> int:
        """Store a new change and return its number."""
        cursor = self.connection.execute(
            "INSERT INTO changes (status, created_at, expires_at, requested_by, title, digest, proposal, stamp,"
            " staging, verdict, undo_of, message, earlier_preview) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                status,
                self.now,
                self.now + lifetime_seconds,
                proposal.requested_by,
                title,
                digest_of(proposal),
                proposal.model_dump_json(),
                stamp,
                staging,
                verdict,
                undo_of,
                message,
                earlier_preview.model_dump_json() if earlier_preview else None,
            ),
        )
        number = cursor.lastrowid
        assert number is not None
        return number

    def get(self, number: int) -> ChangeRow:
        """The change as this transaction sees it; raises `ToolError` (not_found)."""
        return read_change(self.connection, number)

    def approve(self, number: int, approval: Approval, *, lifetime_seconds: float) -> None:
        """Move a waiting change to approved."""
        self._move(
            number,
            ("waiting",),
            "status = 'approved', approval = ?, approved_until = ?",
            (approval.model_dump_json(), self.now + lifetime_seconds),
        )

    def reject(self, number: int, approval: Approval) -> None:
        """Move a waiting change to rejected."""
        self._move(
            number,
            ("waiting",),
            "status = 'rejected', approval = ?, message = ?",
            (approval.model_dump_json(), approval.comment),
        )

    def claim(self, number: int) -> str:
        """Move an approved change to applying and return the attempt that owns it; raises when another one won."""
        attempt = secrets.token_hex(8)
        self._move(number, ("approved",), "status = 'applying', attempt = ?", (attempt,))
        return attempt

    def revoke(self, number: int, attempt: str) -> str:
        """Take the claim of an interrupted attempt away, so that it can no longer commit; returns the new owner."""
        owner = secrets.token_hex(8)
        changed = self.connection.execute(
            "UPDATE changes SET status = 'applying', attempt = ? WHERE number = ? AND attempt = ?"
            " AND status IN ('applying', 'unknown')",
            (owner, number, attempt),
        ).rowcount
        if changed != 1:
            raise ToolError(f"c{number} is being settled by another process.", code="conflict")
        return owner

    def settle_applied(self, number: int, attempt: str, applied: Applied, objects: Sequence[str]) -> None:
        """Move an applying change to applied."""
        self._move(
            number,
            ("applying", "unknown"),
            "status = 'applied', applied = ?, applied_at = ?, attempt = NULL",
            (applied.model_dump_json(), self.now),
            attempt=attempt,
        )
        self.connection.executemany(
            "INSERT OR IGNORE INTO change_objects VALUES (?, ?)", [(name, number) for name in objects]
        )
        row = self.connection.execute("SELECT undo_of FROM changes WHERE number = ?", (number,)).fetchone()
        if row[0] is not None:
            self._take_back(int(row[0]), number)

    def _take_back(self, number: int, by: int | None) -> None:
        """Record that a change no longer stands, or does again; what it took back itself is then the other way round."""
        target: int | None = number
        while target is not None:
            self.connection.execute("UPDATE changes SET undone_by = ? WHERE number = ?", (by, target))
            by = target if by is None else None
            row = self.connection.execute("SELECT undo_of FROM changes WHERE number = ?", (target,)).fetchone()
            target = row[0]

    def settle_other(
        self, number: int, attempt: str, status: ChangeStatus, message: str, *, keeps_claim: bool = False
    ) -> None:
        """Move an applying change elsewhere: back to approved, failed, moved or unknown."""
        claim = "attempt" if keeps_claim else "NULL"
        self._move(
            number,
            ("applying", "unknown"),
            f"status = ?, message = ?, attempt = {claim}",
            (status, message),
            attempt=attempt,
        )

    def replace(self, number: int, successor: int, status: ChangeStatus, message: str) -> None:
        """Point a change at the one that takes its place."""
        self.connection.execute(
            "UPDATE changes SET status = ?, replaced_by = ?, message = ? WHERE number = ?",
            (status, successor, message, number),
        )

    def record_approver(self, public_key: str) -> None:
        """Record the approver's public key; raises `ToolError` (conflict) when one is recorded."""
        try:
            self.connection.execute("INSERT INTO change_approver VALUES (1, ?)", (public_key,))
        except sqlite3.IntegrityError as error:
            raise ToolError("An approver's key is recorded already.", code="conflict") from error

    def record_policy_signature(self, digest: str, signature: str) -> None:
        """Keep the approver's signature over a policy."""
        self.connection.execute("INSERT OR REPLACE INTO change_policy_signatures VALUES (?, ?)", (digest, signature))

    def keep_prints(self, stamp: str, taken: Fingerprint) -> None:
        """Remember prints of tables, so that the next preview on the unchanged file need not scan them."""
        self.connection.executemany(
            "INSERT OR REPLACE INTO change_prints VALUES (?, ?, ?, ?)",
            [
                (f"{p.schema_name}.{p.name}", stamp, taken.engine, p.model_dump_json())
                for p in taken.objects
                if p.kind == "table" and p.exists
            ],
        )

    def expire(self) -> tuple[int, ...]:
        """Move what has waited too long to expired, and return the numbers."""
        rows = self.connection.execute(
            "SELECT number FROM changes WHERE (status = 'waiting' AND expires_at <= ?)"
            " OR (status = 'approved' AND approved_until <= ?)",
            (self.now, self.now),
        ).fetchall()
        for (number,) in rows:
            self.connection.execute("UPDATE changes SET status = 'expired' WHERE number = ?", (number,))
            self.note(int(number), "change.expired", {})
        return tuple(int(r[0]) for r in rows)

    def postpone(self, number: int, lifetime_seconds: float) -> None:
        """Let a waiting change wait anew."""
        self._move(number, ("waiting",), "expires_at = ?", (self.now + lifetime_seconds,))

    def note(self, number: int, event: str, fields: Mapping[str, object]) -> None:
        """Add a step to the change's history; the journal gets it after the commit."""
        self.connection.execute(
            "INSERT INTO change_events (number, at, event, fields) VALUES (?, ?, ?, ?)",
            (number, self.now, event, json.dumps(dict(fields), sort_keys=True)),
        )

    def mark_written(self, event_id: int, entry_hash: str) -> None:
        """Remember the journal entry of a step."""
        self.connection.execute("UPDATE change_events SET entry_hash = ? WHERE id = ?", (entry_hash, event_id))

    def _move(
        self,
        number: int,
        origins: Sequence[ChangeStatus],
        assignments: str,
        values: Sequence[object],
        *,
        attempt: str | None = None,
    ) -> None:
        marks = ", ".join("?" * len(origins))
        owner = " AND attempt = ?" if attempt is not None else ""
        extra = (attempt,) if attempt is not None else ()
        changed = self.connection.execute(
            f"UPDATE changes SET {assignments} WHERE number = ? AND status IN ({marks}){owner}",
            (*values, number, *origins, *extra),
        ).rowcount
        if changed != 1:
            raise ToolError(
                f"c{number} is {read_change(self.connection, number).summary.status}, not {' or '.join(origins)}.",
                code="conflict",
                hint="Someone else was first. Ask for its state.",
            )


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
    row = connection.execute(f"SELECT {_SUMMARY}, {_REST} FROM changes WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise _not_found(number)
    rest = row[11:]
    return ChangeRow(
        summary=_summary(row[:11]),
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


def _not_found(number: int) -> ToolError:
    return ToolError(f"There is no change c{number}.", code="not_found", hint="steward changes list shows them.")


def _summary(row: Sequence[object]) -> ChangeSummary:
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


def _event(row: Sequence[object]) -> ChangeEvent:
    return ChangeEvent(
        id=cast(int, row[0]),
        number=cast(int, row[1]),
        at=cast(float, row[2]),
        event=str(row[3]),
        fields=json.loads(str(row[4])),
        entry_hash=cast("str | None", row[5]),
    )
