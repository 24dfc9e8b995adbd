"""Applying approved changes one at a time in a workspace, and settling what an interruption left open."""

import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from datasteward.changes.claims import release_apply_lock, try_hold_apply_lock
from datasteward.changes.crash import crash_point
from datasteward.changes.digest import digest_of
from datasteward.changes.history import JournalWriter
from datasteward.changes.jobs import (
    OUTCOME,
    Applied,
    ApplyJob,
    Body,
    CheckQuery,
    Failed,
    Measurement,
    Moved,
    NotApplied,
    PreviewJob,
    ReceiptJob,
    WriterPlace,
)
from datasteward.changes.model import ChangeStatus, ColumnLabel, Proposal, TableCounts
from datasteward.changes.policy import PolicySettings, facts_of, judge
from datasteward.changes.ports import Hooks, Inspector, WriterHost
from datasteward.changes.reports import wrong_state
from datasteward.changes.signatures import refuse_unsigned
from datasteward.changes.staging import drop_staged
from datasteward.changes.store import ChangeRow, ChangeStore
from datasteward.changes.threads import in_thread
from datasteward.errors import EngineFault, ErrorCode, ToolError

logger = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.05
_ATTEMPT = re.compile(r"c\d+-[0-9a-z]+")
RETRYABLE = frozenset({"busy", "disk_full", "timeout", "cancelled", "unavailable"})


@dataclass(slots=True, kw_only=True)
class Applying:
    """The one place that turns an approval into a committed change."""

    store: ChangeStore
    history: JournalWriter
    writer: WriterHost
    place: WriterPlace
    hooks: Hooks
    inspector: Inspector
    policy: Callable[[], PolicySettings]
    timeout_seconds: float

    @property
    def state_folder(self) -> Path:
        """`.steward`."""
        return Path(self.place.state_folder)

    async def apply(self, number: int) -> Moved | None:
        """Apply the change if it is approved; returns the new measurement when what it touches has moved.

        A change in another state is left alone. Raises `ToolError` when it could not be applied now.
        """
        crash_point("apply.before_claim")
        lock = await self._hold_lock()
        try:
            row = await in_thread(lambda: self.store.get(number))
            if row.summary.status in {"applying", "unknown"} and row.attempt is not None:
                await self._settle_interrupted(row)
                row = await in_thread(lambda: self.store.get(number))
            if row.summary.status != "approved":
                return None
            await self._reread(row)
            checks = await self.hooks.checks_for(row.proposal.statements)
            labels = await self.hooks.labels()
            attempt = await in_thread(lambda: self._claim(number))
            crash_point("apply.after_claim")
            return await self._run(number, row, attempt, checks, labels)
        finally:
            release_apply_lock(lock)
            await in_thread(self.history.flush)

    async def _reread(self, row: ChangeRow) -> None:
        """What no person has read, and the approver's signature only covers by the policy, is judged as it reads now."""
        approval, proposal = row.approval, row.proposal
        if approval is None or approval.channel != "policy":
            return
        if not await in_thread(lambda: self.store.needs_signature(self.state_folder)):
            return
        if proposal.statements:
            found = await self.inspector.inspect(";\n".join(s.sql for s in proposal.statements))
            if found.statements != proposal.statements or proposal.undo is not None:
                raise _not_as_asked(row)
        measured = await self._measure(row)
        if measured is None or judge(self.policy(), facts_of(measured)).verdict != "allow":
            raise _not_as_asked(row)

    async def _measure(self, row: ChangeRow) -> Proposal | None:
        """The proposal with its effect measured anew; None when that is not to be had."""
        proposal, staging = row.proposal, f"{row.staging}-again"
        job = PreviewJob(
            place=self.place,
            body=body_of(proposal, await in_thread(lambda: self._record_path(row))),
            staging_name=staging,
            checks=await self.hooks.checks_for(proposal.statements),
            labels=await self.hooks.labels(),
        )
        try:
            text = await self.writer.run(job.model_dump_json(), timeout_seconds=self.timeout_seconds)
        except EngineFault:
            return None
        finally:
            await in_thread(lambda: drop_staged(self.state_folder, staging))
        outcome = OUTCOME.validate_json(text)
        return proposal.model_copy(update={"preview": outcome.preview}) if isinstance(outcome, Measurement) else None

    async def recover(self) -> tuple[int, ...]:
        """Settle every change whose applying was interrupted; leaves them alone while a live process applies."""
        open_rows = await in_thread(lambda: self.store.summaries(("applying", "unknown"), limit=1000))
        if not open_rows:
            return ()
        lock = await in_thread(lambda: try_hold_apply_lock(self.state_folder))
        if lock is None:
            return ()
        settled = []
        try:
            for summary in open_rows:
                number = summary.number
                row = await in_thread(partial(self.store.get, number))
                if row.summary.status in {"applying", "unknown"} and row.attempt is not None:
                    await self._settle_interrupted(row)
                    settled.append(number)
        finally:
            release_apply_lock(lock)
        return tuple(settled)

    async def _hold_lock(self) -> int:
        with anyio.move_on_after(LOCK_WAIT_SECONDS):
            while True:
                lock = await in_thread(lambda: try_hold_apply_lock(self.state_folder))
                if lock is not None:
                    return lock
                await anyio.sleep(LOCK_POLL_SECONDS)
        raise ToolError(
            f"Another change was still being applied after {LOCK_WAIT_SECONDS:.0f} seconds.",
            code="busy",
            hint="Ask for the state again; the approval is kept.",
        )

    def _claim(self, number: int) -> str:
        with self.store.transaction() as moves:
            moves.expire()
            row = moves.get(number)
            if row.summary.status != "approved":
                raise wrong_state(row)
            self._verify(moves.connection, row)
            attempt = moves.claim(number)
            moves.note(number, "change.applying", {"attempt": attempt, "digest": row.summary.digest})
        return attempt

    def _verify(self, connection: sqlite3.Connection, row: ChangeRow) -> None:
        approval, digest = row.approval, digest_of(row.proposal)
        sound = (
            approval is not None
            and approval.verdict == "approve"
            and approval.change == row.summary.handle
            and approval.digest == digest == row.summary.digest
        )
        if not sound:
            raise ToolError(
                f"The approval of {row.summary.handle} is not for this change; it is not applied.", code="forbidden"
            )
        assert approval is not None
        refuse_unsigned(connection, self.state_folder, self.policy(), approval, row.proposal)

    async def _run(
        self,
        number: int,
        row: ChangeRow,
        attempt: str,
        checks: tuple[CheckQuery, ...],
        labels: tuple[ColumnLabel, ...],
    ) -> Moved | None:
        job = _make_job(row, attempt, checks, labels, self.place, await in_thread(lambda: self._record_path(row)))
        crash_point("apply.before_writer")
        try:
            text = await self.writer.run(job.model_dump_json(), timeout_seconds=self.timeout_seconds)
        except EngineFault:
            row = await in_thread(lambda: self.store.get(number))
            await self._settle_interrupted(row)
            return None
        except ToolError as error:
            failed = Failed(code=error.code, message=error.message)
            await in_thread(lambda: self._settle_failed(number, attempt, failed))
            raise
        crash_point("apply.after_writer")
        outcome = OUTCOME.validate_json(text)
        match outcome:
            case Applied():
                await in_thread(lambda: self._settle_applied(number, attempt, row.proposal, outcome))
            case Moved():
                await in_thread(lambda: self._settle(number, attempt, "moved", outcome.reason))
                return outcome
            case Failed():
                if outcome.is_settled:
                    await in_thread(lambda: self._settle_failed(number, attempt, outcome))
                else:
                    await self._settle_interrupted(await in_thread(lambda: self.store.get(number)))
                    status = (await in_thread(lambda: self.store.get(number))).summary.status
                    if status == "applied":
                        return None
                    if status == "unknown":
                        raise ToolError(
                            outcome.message,
                            code=outcome.code,
                            hint=outcome.hint if outcome.is_committed else "Ask for its state once that is mended.",
                        )
                raise ToolError(outcome.message, code=outcome.code, hint=outcome.hint)
            case _:
                raise EngineFault(f"the writer answered {outcome.outcome} to an apply job")
        return None

    def _record_path(self, row: ChangeRow) -> str | None:
        if row.summary.undo_of is None:
            return None
        original = self.store.get(row.summary.undo_of).applied
        return original.record_path if original else None

    def _settle_applied(self, number: int, attempt: str, proposal: Proposal, applied: Applied) -> None:
        crash_point("apply.before_settle")
        with self.store.transaction() as moves:
            moves.settle_applied(number, attempt, applied, touched_objects(proposal))
            moves.carry_prints(applied)
            moves.note(
                number,
                "change.applied",
                {
                    "attempt": applied.attempt,
                    "record_hash": applied.record_hash,
                    "proven": applied.proven,
                    "seconds": applied.seconds,
                    "was_interrupted": not applied.is_new,
                },
            )
        crash_point("apply.after_settle")

    def _settle(
        self, number: int, attempt: str, status: ChangeStatus, message: str, *, code: ErrorCode | None = None
    ) -> None:
        """Leave `applying`; the message may quote data, so the journal gets the error's code instead of it."""
        with self.store.transaction() as moves:
            staging = moves.staging_of(number)
            moves.settle_other(number, attempt, status, message, keeps_claim=status == "unknown")
            moves.note(number, f"change.{'interrupted' if status == 'approved' else status}", {"code": code or status})
        if status == "failed":
            drop_staged(self.state_folder, staging)

    def _settle_failed(self, number: int, attempt: str, failed: Failed) -> None:
        self._settle(
            number, attempt, "approved" if failed.code in RETRYABLE else "failed", failed.message, code=failed.code
        )

    async def _settle_interrupted(self, row: ChangeRow) -> None:
        """Take the claim away first, then look for the receipt: what did not commit by then never will."""
        number, attempt = row.summary.number, row.attempt
        assert attempt is not None

        def revoke() -> str:
            with self.store.transaction() as moves:
                return moves.revoke(number, attempt)

        owner = await in_thread(revoke)
        job = ReceiptJob(
            place=self.place,
            change=row.summary.handle,
            attempt=attempt,
            digest=row.summary.digest,
            files=row.proposal.preview.files,
        )
        try:
            text = await self.writer.run(job.model_dump_json(), timeout_seconds=self.timeout_seconds)
            outcome = OUTCOME.validate_json(text)
        except (EngineFault, ToolError) as error:
            reason = f"whether it was applied is not known yet: {error.message}"
            await in_thread(lambda: self._settle(number, owner, "unknown", reason))
            return
        match outcome:
            case Applied():
                await in_thread(lambda: self._settle_applied(number, owner, row.proposal, outcome))
            case NotApplied():
                reason = "an attempt was interrupted before it changed anything"
                await in_thread(lambda: self._settle(number, owner, "approved", reason))
            case _:
                detail = outcome.message if isinstance(outcome, Failed) else outcome.outcome
                is_committed = isinstance(outcome, Failed) and outcome.is_committed
                reason = detail if is_committed else f"whether it was applied is not known yet: {detail}"
                await in_thread(lambda: self._settle(number, owner, "unknown", reason))

    def prune(self) -> None:
        """Remove undo records beyond age and quota, and staged files of changes that are closed."""
        self._prune_staging()
        folder = self.state_folder / "undo"
        if not folder.is_dir():
            return
        oldest = self.store.now() - self.policy().undo_days * 86400
        total = 0
        for position, record in enumerate(_stored_records(folder)):
            total += record.size
            if position and (record.made_at < oldest or total > self.policy().undo_bytes):
                record.remove()

    def _prune_staging(self) -> None:
        folder = self.state_folder / "staging"
        if not folder.is_dir():
            return
        open_rows = self.store.summaries(("waiting", "approved", "applying", "unknown"), limit=100_000)
        try:
            kept = {self.store.get(s.number).staging for s in open_rows}
        except ToolError:
            logger.warning("staged files stay: a change of another version cannot be read")
            return
        newest = self.store.now() - 3600
        for path in folder.iterdir():
            if path.name not in kept and path.stat().st_mtime < newest:
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredRecord:
    """The undo record of one attempt with the files that it keeps, which may be older than the change by years."""

    record: Path
    files: tuple[Path, ...]
    made_at: float
    size: int

    def remove(self) -> None:
        """Remove the record before its files, for without them it is of no use."""
        for path in (self.record, *self.files):
            path.unlink(missing_ok=True)


def _stored_records(folder: Path) -> list[_StoredRecord]:
    """The records in `.steward/undo`, newest first."""
    attempts: dict[str, dict[Path, os.stat_result]] = {}
    for path in folder.glob("c*-*"):
        match = _ATTEMPT.match(path.name)
        with suppress(FileNotFoundError):
            if match is not None:
                attempts.setdefault(match[0], {})[path] = path.stat()
    found = []
    for attempt, facts in attempts.items():
        record = folder / f"{attempt}.duckdb"
        made_at = facts[record].st_mtime if record in facts else max(f.st_ctime for f in facts.values())
        size = sum(f.st_size for f in facts.values())
        found.append(_StoredRecord(record=record, files=tuple(facts), made_at=made_at, size=size))
    return sorted(found, key=lambda r: r.made_at, reverse=True)


def _make_job(
    row: ChangeRow,
    attempt: str,
    checks: tuple[CheckQuery, ...],
    labels: tuple[ColumnLabel, ...],
    place: WriterPlace,
    record_path: str | None,
) -> ApplyJob:
    return ApplyJob(
        place=place,
        body=body_of(row.proposal, record_path),
        change=row.summary.handle,
        attempt=attempt,
        digest=row.summary.digest,
        base=row.proposal.base,
        expected=row.proposal.expected,
        counts=shown_counts(row.proposal),
        broken=tuple(c.name for c in row.proposal.preview.checks),
        stamp=row.proposal.stamp,
        files=row.proposal.preview.files,
        staging_name=row.staging,
        checks=checks,
        labels=labels,
    )


def _not_as_asked(row: ChangeRow) -> ToolError:
    return ToolError(
        f"{row.summary.handle} is not what the policy was asked about; it is not applied.",
        code="forbidden",
        hint="Reject it and propose it again.",
    )


def body_of(proposal: Proposal, record_path: str | None) -> Body:
    """What the writer carries out for a proposal."""
    return Body(
        statements=proposal.statements,
        parameters=proposal.parameters,
        sources=proposal.sources,
        record_path=record_path,
        record_hash=proposal.undo.record_hash if proposal.undo else None,
        frozen_at=proposal.frozen_at,
    )


def shown_counts(proposal: Proposal) -> tuple[TableCounts, ...] | None:
    """The rows that the preview tells of, which applying must meet; None when they are estimates."""
    effects = proposal.preview.tables
    if any(t.is_estimated for t in effects):
        return None
    return tuple(TableCounts(table=t.table, inserted=t.inserted, updated=t.updated, deleted=t.deleted) for t in effects)


def touched_objects(proposal: Proposal) -> tuple[str, ...]:
    """Names of everything a change alters, by which later changes are found to build on it."""
    before = {(p.kind, p.schema_name, p.name): p for p in proposal.base.objects}
    changed = [
        f"{p.schema_name}.{p.name}"
        for p in proposal.expected.objects
        if before.get((p.kind, p.schema_name, p.name)) != p
    ]
    return (*changed, *(f"file:{f.path}" for f in proposal.preview.files))
