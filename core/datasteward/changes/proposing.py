"""Proposals on their way into the inbox: measured by the writer, judged by the policy, stored with their digest."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from datasteward.changes.applying import body_of
from datasteward.changes.crash import crash_point
from datasteward.changes.digest import digest_of
from datasteward.changes.history import JournalWriter
from datasteward.changes.jobs import OUTCOME, Body, Failed, Measurement, PreviewJob, WriterPlace
from datasteward.changes.model import Preview, Proposal, StatementWork, UndoWork
from datasteward.changes.policy import PolicySettings, PolicyVerdict, facts_of, judge
from datasteward.changes.ports import Hooks, WriterHost
from datasteward.changes.reports import TITLE_CHARACTERS, describe_state
from datasteward.changes.risk import assess_risk
from datasteward.changes.staging import drop_staged
from datasteward.changes.stamps import stamp_database
from datasteward.changes.store import ChangeRow, ChangeStore
from datasteward.changes.threads import in_thread
from datasteward.errors import EngineFault, ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is proposed before it is measured."""

    body: Body
    title: str
    requested_by: str
    purpose: str = ""
    undo: UndoWork | None = None
    undo_of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposing:
    """Measures drafts and stores them as changes."""

    store: ChangeStore
    history: JournalWriter
    writer: WriterHost
    place: WriterPlace
    hooks: Hooks
    policy: Callable[[], PolicySettings]
    timeout_seconds: float

    async def propose(self, draft: Draft) -> int:
        """The number under which the draft is stored; raises `ToolError` when it fails, and stores nothing then."""
        staging = secrets.token_hex(8)
        try:
            proposal, verdict = await self._judge(draft, await self._measure(draft, staging))
        except BaseException:
            drop_staged(Path(self.place.state_folder), staging)
            raise
        return await in_thread(lambda: self._store(draft, proposal, verdict, staging))

    async def _measure(self, draft: Draft, staging: str) -> Measurement:
        checks = await self.hooks.checks_for(draft.body.statements)
        stamp = await in_thread(lambda: stamp_database(Path(self.place.database)))
        job = PreviewJob(
            place=self.place,
            body=draft.body,
            staging_name=staging,
            checks=checks,
            labels=await self.hooks.labels(),
            known_stamp=stamp,
            known=await in_thread(lambda: self.store.known_prints(stamp, version("duckdb"))),
        )
        try:
            text = await self.writer.run(job.model_dump_json(), timeout_seconds=self.timeout_seconds)
        except EngineFault as fault:
            raise ToolError(
                f"The change could not be measured: {fault.message}", code="runtime", hint="Nothing was changed."
            ) from fault
        outcome = OUTCOME.validate_json(text)
        if isinstance(outcome, Failed):
            raise ToolError(outcome.message, code=outcome.code, hint=outcome.hint, position=outcome.position)
        assert isinstance(outcome, Measurement)
        return outcome

    async def propose_again(self, row: ChangeRow, reason: str, now: Measurement) -> int:
        """The number of the change that takes the place of one which has moved, and is decided on anew."""
        earlier = row.proposal
        draft = Draft(
            body=body_of(earlier, None),
            title=row.summary.title,
            requested_by=earlier.requested_by,
            purpose=earlier.purpose,
            undo=earlier.undo,
            undo_of=row.summary.undo_of,
        )
        proposal, verdict = await self._judge(draft, now)
        return await in_thread(
            lambda: self._store(draft, proposal, verdict, row.staging, predecessor=row, message=reason)
        )

    async def _judge(self, draft: Draft, measured: Measurement) -> tuple[Proposal, PolicyVerdict]:
        statements = draft.body.statements
        proposal = Proposal(
            nonce=secrets.token_hex(16),
            database=self.place.database,
            statements=statements,
            parameters=draft.body.parameters,
            sources=draft.body.sources,
            undo=draft.undo,
            frozen_at=draft.body.frozen_at,
            stamp=measured.stamp,
            base=measured.base,
            expected=measured.expected,
            preview=await self._complete(statements, measured.preview),
            requested_by=draft.requested_by,
            purpose=draft.purpose,
        )
        return proposal, judge(self.policy(), facts_of(proposal))

    async def _complete(self, statements: tuple[StatementWork, ...], preview: Preview) -> Preview:
        downstream = await self.hooks.downstream_of(statements, preview)
        preview = preview.model_copy(update={"downstream": downstream})
        return preview.model_copy(update={"risk": assess_risk(preview)})

    def _store(
        self,
        draft: Draft,
        proposal: Proposal,
        verdict: PolicyVerdict,
        staging: str,
        *,
        predecessor: ChangeRow | None = None,
        message: str = "",
    ) -> int:
        is_denied = verdict.verdict == "deny"
        crash_point("propose.before_record")
        with self.store.transaction() as moves:
            number = moves.add(
                proposal,
                status="denied" if is_denied else "waiting",
                title=draft.title,
                stamp=proposal.stamp,
                staging=staging,
                verdict=verdict.to_text(),
                lifetime_seconds=self.policy().proposal_hours * 3600,
                undo_of=draft.undo_of,
                message=f"denied by {verdict.rule}" if is_denied else message,
                earlier_preview=predecessor.proposal.preview if predecessor else None,
            )
            moves.note(number, "change.proposed", _proposed_fields(proposal, verdict))
            moves.keep_prints(proposal.stamp, proposal.base)
            if predecessor is not None:
                moves.replace(predecessor.summary.number, number, "moved", message)
                fields = {"reason": message, "successor": f"c{number}"}
                moves.note(predecessor.summary.number, "change.moved", fields)
        if is_denied:
            drop_staged(Path(self.place.state_folder), staging)
        crash_point("propose.after_record")
        self.history.flush()
        return number


def draft_undo(store: ChangeStore, number: int, *, requested_by: str, purpose: str, frozen_at: str) -> Draft:
    """The draft that takes an applied change back; waits on files.

    Raises `ToolError` (conflict, not_found) with the reason when it cannot be taken back, or not yet.
    """
    row = store.get(number)
    change = row.summary.handle
    if row.summary.undone_by is not None:
        raise ToolError(f"{change} was already taken back by c{row.summary.undone_by}.", code="conflict")
    if row.summary.status != "applied" or row.applied is None:
        raise ToolError(f"{describe_state(row)} There is nothing to take back.", code="conflict")
    if later := store.later_changes(number):
        raise ToolError(
            f"{change} cannot be taken back yet: later changes to the same things are"
            f" {', '.join(s.handle for s in later)}.",
            code="conflict",
            hint=f"Take back in this order: {', then '.join([*(s.handle for s in later), change])}.",
        )
    if not row.proposal.preview.is_reversible:
        reason = row.proposal.preview.irreversible_because
        raise ToolError(f"{change} cannot be taken back: {reason}.", code="conflict")
    path, record_hash = row.applied.record_path, row.applied.record_hash
    if path is None or record_hash is None or not Path(path).is_file():
        raise ToolError(
            f"{change} can no longer be taken back: its undo record was removed.",
            code="not_found",
            hint="policy.undo_days and policy.undo_bytes say how long records stay.",
        )
    return Draft(
        body=Body(record_path=path, record_hash=record_hash, frozen_at=frozen_at),
        title=f"take back {change}: {row.summary.title}"[:TITLE_CHARACTERS],
        requested_by=requested_by,
        purpose=purpose,
        undo=UndoWork(change=change, record_hash=record_hash),
        undo_of=number,
    )


def _proposed_fields(proposal: Proposal, verdict: PolicyVerdict) -> dict[str, object]:
    return {
        "digest": digest_of(proposal),
        "requested_by": proposal.requested_by,
        "sql_sha256": [hashlib.sha256(s.sql.encode()).hexdigest() for s in proposal.statements],
        "undo_of": proposal.undo.change if proposal.undo else None,
        "policy": verdict.verdict,
        "rule": verdict.rule,
        "effects": [
            {"table": t.table.label, "inserted": t.inserted, "updated": t.updated, "deleted": t.deleted}
            for t in proposal.preview.tables
        ],
    }
