"""What moves a change from state to state: each step checks the state it starts from, so that it has one winner."""

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasteward.changes.digest import digest_of
from datasteward.changes.jobs import Applied
from datasteward.changes.model import Approval, ChangeStatus, Fingerprint, Preview, Proposal
from datasteward.changes.reports import wrong_state
from datasteward.changes.stored import ChangeRow, read_change
from datasteward.errors import ToolError


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

    def staging_of(self, number: int) -> str:
        """The name of the folder for what the change stages, also of one that an earlier version recorded."""
        row = self.connection.execute("SELECT staging FROM changes WHERE number = ?", (number,)).fetchone()
        return str(row[0])

    def approve(self, number: int, approval: Approval, *, lifetime_seconds: float) -> None:
        """Move a waiting change to approved."""
        self._move(
            number,
            ("waiting",),
            "status = 'approved', approval = ?, approved_until = ?",
            (approval.model_dump_json(), self.now + lifetime_seconds),
        )

    def reject(self, number: int, approval: Approval) -> None:
        """Move a waiting change, or an approved one that nobody is applying, to rejected."""
        self._move(
            number,
            ("waiting", "approved"),
            "status = 'rejected', approval = ?, approved_until = NULL, message = ?",
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
            "status = 'applied', applied = ?, applied_at = ?, attempt = NULL, message = ''",
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

    def carry_prints(self, applied: Applied) -> None:
        """Remember what the tables are after a change, those that it left alone included."""
        if applied.result is None or not applied.stamp:
            return
        self.connection.execute(
            "UPDATE change_prints SET stamp = ? WHERE stamp = ? AND engine = ?",
            (applied.stamp, applied.stamp_before, applied.result.engine),
        )
        self.connection.executemany(
            "DELETE FROM change_prints WHERE object = ?",
            [(f"{p.schema_name}.{p.name}",) for p in applied.result.objects if p.kind == "table"],
        )
        self.keep_prints(applied.stamp, applied.result)

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
            raise wrong_state(read_change(self.connection, number))
