"""The inbox: every proposal of the workspace in the state database, with its history and what was learnt of tables."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datasteward.changes.model import ChangeStatus, ObjectPrint
from datasteward.changes.moves import Moves
from datasteward.changes.policy import PolicySettings
from datasteward.changes.signatures import is_policy_signed, needs_signature
from datasteward.changes.stored import (
    SUMMARY_COLUMNS,
    ChangeEvent,
    ChangeRow,
    ChangeSummary,
    no_such_change,
    read_change,
    read_event,
    read_summary,
)
from datasteward.state import StateDatabase

__all__ = ["ChangeEvent", "ChangeRow", "ChangeStore", "ChangeSummary"]

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


class ChangeStore:
    """Reads and moves changes; every move is one transaction that checks the state it moves from."""

    def __init__(self, state: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self.state = state
        self._clock = clock
        state.migrate("changes", SCRIPTS)

    @contextmanager
    def transaction(self) -> Iterator[Moves]:
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
                f"SELECT {SUMMARY_COLUMNS} FROM changes {where} ORDER BY number DESC LIMIT ?", (*statuses, limit)
            ).fetchall()
        return tuple(read_summary(r) for r in rows)

    def summary(self, number: int) -> ChangeSummary:
        """The change's line; raises `ToolError` (not_found)."""
        with self.state.connection(write=False) as connection:
            row = connection.execute(f"SELECT {SUMMARY_COLUMNS} FROM changes WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise no_such_change(connection, number)
        return read_summary(row)

    def events(self, number: int) -> tuple[ChangeEvent, ...]:
        """The change's history, oldest first."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                "SELECT id, number, at, event, fields, entry_hash FROM change_events WHERE number = ? ORDER BY id",
                (number,),
            ).fetchall()
        return tuple(read_event(r) for r in rows)

    def unwritten_events(self) -> tuple[ChangeEvent, ...]:
        """Steps that the journal does not hold yet."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                "SELECT id, number, at, event, fields, entry_hash FROM change_events WHERE entry_hash IS NULL"
                " ORDER BY id"
            ).fetchall()
        return tuple(read_event(r) for r in rows)

    def later_changes(self, number: int) -> tuple[ChangeSummary, ...]:
        """Applied changes that stand and that touch, directly or through each other, what this one touched; newest
        first. An undo and what it took back cancel out and are left out."""
        with self.state.connection(write=False) as connection:
            rows = connection.execute(
                f"WITH RECURSIVE live AS (SELECT number FROM changes WHERE status = 'applied' AND undone_by IS NULL"
                " AND undo_of IS NULL AND number > :n), reach (number) AS (SELECT :n UNION SELECT b.number FROM reach"
                " JOIN change_objects AS a ON a.number = reach.number JOIN change_objects AS b ON b.object = a.object"
                " AND b.number > reach.number JOIN live ON live.number = b.number)"
                f" SELECT {SUMMARY_COLUMNS} FROM changes WHERE number IN (SELECT number FROM reach) AND number <> :n"
                " ORDER BY number DESC",
                {"n": number},
            ).fetchall()
        return tuple(read_summary(r) for r in rows)

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
