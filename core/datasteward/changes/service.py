"""The owner's side of changes: propose, decide, apply, undo, and answer what became of each.

Everything lasting is in the state database, so several processes may use services on one workspace at once; each step
has one winner. The journal gets every step after its transaction, at the latest when the next service starts.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeVar

import anyio
import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datasteward.changes.applying import Applying
from datasteward.changes.approver import make_key, sign_approval, sign_text, unlock_key
from datasteward.changes.crash import crash_point
from datasteward.changes.digest import digest_of
from datasteward.changes.history import JournalWriter
from datasteward.changes.jobs import OUTCOME, Body, Failed, Measurement, Moved, PreviewJob, WriterPlace
from datasteward.changes.model import (
    Approval,
    ChangeStatus,
    ObjectPrint,
    Parameter,
    Preview,
    Proposal,
    UndoWork,
    Verdict,
)
from datasteward.changes.policy import PolicySettings, PolicyVerdict, facts_of, judge
from datasteward.changes.ports import Hooks, Inspector, JournalLike, NoHooks, WriterHost
from datasteward.changes.prints import stamp_database
from datasteward.changes.risk import assess_risk
from datasteward.changes.signatures import refuse_unsigned
from datasteward.changes.store import ChangeEvent, ChangeRow, ChangeStore, ChangeSummary
from datasteward.errors import EngineFault, ToolError
from datasteward.state import StateDatabase

LONGEST_WAIT_SECONDS = 40.0
POLL_SECONDS = 0.15
TITLE_CHARACTERS = 80
OPEN: tuple[ChangeStatus, ...] = ("waiting", "approved", "applying", "unknown")

Channel = Literal["terminal", "app", "elicitation", "policy", "headless"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What became of a change: its state, what to say about it, and its preview."""

    change: str
    status: ChangeStatus
    message: str
    digest: str
    preview: Preview
    comment: str = ""
    successor: str | None = None
    undo_of: str | None = None
    undone_by: str | None = None
    earlier_preview: Preview | None = None
    seconds: float | None = None
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is proposed before it is measured."""

    body: Body
    title: str
    requested_by: str
    purpose: str = ""
    undo: UndoWork | None = None
    undo_of: int | None = None


class ChangeService:
    """All that can be done with changes in one workspace."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        journal: JournalLike,
        writer: WriterHost,
        inspector: Inspector,
        place: WriterPlace,
        policy: PolicySettings,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.time,
        timeout_seconds: float = 600.0,
    ) -> None:
        self.store = ChangeStore(state, clock=clock)
        self._writer = writer
        self._inspector = inspector
        self._place = place
        self._hooks: Hooks = hooks or NoHooks()
        self._timeout_seconds = timeout_seconds
        self._listeners: list[Callable[[str], None]] = []
        self._history = JournalWriter(self.store, journal)
        self._applying = Applying(
            store=self.store,
            history=self._history,
            writer=writer,
            place=place,
            policy=policy,
            timeout_seconds=timeout_seconds,
        )

    @property
    def policy(self) -> PolicySettings:
        """What is decided without asking; may be set anew at any time, and holds for what is applied from then on."""
        return self._applying.policy

    @policy.setter
    def policy(self, policy: PolicySettings) -> None:
        self._applying.policy = policy

    def on_settled(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the handle of every change that was to be applied here; it must return at once."""
        self._listeners.append(listener)

    @property
    def state_folder(self) -> Path:
        """Where keys, undo records and staged files are."""
        return Path(self._place.state_folder)

    async def recover(self) -> tuple[str, ...]:
        """Settle what a crash interrupted, write what the journal misses, and clear away what is too old.

        Returns the handles that were settled. Safe to call at any time and from several processes.
        """
        await _in_thread(self._expire)
        settled = await self._applying.recover()
        await _in_thread(self._applying.prune)
        await _in_thread(self._history.flush)
        for number in settled:
            self._tell(number)
        return tuple(f"c{n}" for n in settled)

    async def propose(
        self,
        sql: str,
        *,
        requested_by: str,
        purpose: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> ChangeReport:
        """Measure and record a change; the policy may approve it, and then it is applied at once.

        Raises `ToolError` when the text may not be proposed or fails; nothing is recorded then.
        """
        inspected = await self._inspector.inspect(sql)
        draft = Draft(
            body=Body(
                statements=inspected.statements,
                parameters=tuple(parameters),
                sources=inspected.sources,
                frozen_at=self._instant(),
            ),
            title=shorten(sql),
            requested_by=requested_by,
            purpose=purpose,
        )
        return await self._propose(draft)

    async def propose_undo(self, change: str, *, requested_by: str, purpose: str = "") -> ChangeReport:
        """Propose to take an applied change back.

        Raises `ToolError` (conflict) when it is not applied, or when later changes build on it: the message gives the
        order in which to take them back.
        """
        number = parse_handle(change)
        row = await _in_thread(lambda: self.store.get(number))
        if row.summary.undone_by is not None:
            raise ToolError(f"{change} was already taken back by c{row.summary.undone_by}.", code="conflict")
        if row.summary.status != "applied" or row.applied is None:
            raise ToolError(f"{change} is {row.summary.status}, so there is nothing to take back.", code="conflict")
        later = await _in_thread(lambda: self.store.later_changes(number))
        if later:
            order = ", then ".join([s.handle for s in later] + [change])
            raise ToolError(
                f"{change} cannot be taken back yet: later changes to the same things are"
                f" {', '.join(s.handle for s in later)}.",
                code="conflict",
                hint=f"Take back in this order: {order}.",
            )
        if not row.proposal.preview.is_reversible:
            raise ToolError(
                f"{change} cannot be taken back: {row.proposal.preview.irreversible_because}.", code="conflict"
            )
        if row.applied.record_path is None or not await _in_thread(Path(row.applied.record_path).is_file):
            raise ToolError(
                f"{change} can no longer be taken back: its undo record was removed.",
                code="not_found",
                hint="policy.undo_days and policy.undo_bytes say how long records stay.",
            )
        assert row.applied.record_hash is not None
        draft = Draft(
            body=Body(
                record_path=row.applied.record_path, record_hash=row.applied.record_hash, frozen_at=self._instant()
            ),
            title=f"take back {change}: {row.summary.title}"[:TITLE_CHARACTERS],
            requested_by=requested_by,
            purpose=purpose,
            undo=UndoWork(change=change, record_hash=row.applied.record_hash),
            undo_of=number,
        )
        return await self._propose(draft)

    async def edit(self, change: str, sql: str, *, requested_by: str, comment: str = "") -> ChangeReport:
        """Put another text in a waiting change's place: a new proposal with a digest of its own, to be decided on."""
        number = parse_handle(change)
        row = await _in_thread(lambda: self.store.get(number))
        if row.summary.status != "waiting":
            raise ToolError(f"{change} is {row.summary.status}, so it cannot be edited.", code="conflict")
        report = await self.propose(sql, requested_by=requested_by, purpose=row.proposal.purpose)

        def link() -> None:
            with self.store.transaction() as moves:
                if moves.get(number).summary.status != "waiting":
                    return
                moves.replace(number, parse_handle(report.change), "replaced", comment or f"edited by {requested_by}")
                moves.note(number, "change.edited", {"by": requested_by, "successor": report.change})

        await _in_thread(link)
        await _in_thread(self._history.flush)
        return report

    async def approve(
        self,
        change: str,
        *,
        digest: str,
        by: str,
        channel: Channel,
        comment: str = "",
        key: Ed25519PrivateKey | None = None,
    ) -> ChangeReport:
        """Approve exactly the digest that was shown, then apply.

        Raises `ToolError`: `conflict` when someone decided first, it expired, or the digest is another one;
        `forbidden` when the channel may not decide this or the approver's signature is missing.
        """
        number = parse_handle(change)
        await _in_thread(lambda: self._approve(number, digest, by=by, channel=channel, comment=comment, key=key))
        return await self.apply(change)

    async def reject(
        self, change: str, *, by: str, channel: Channel, comment: str = "", digest: str | None = None
    ) -> ChangeReport:
        """Reject a waiting change; whoever proposed it is told the comment."""
        number = parse_handle(change)

        def decide() -> None:
            self._expire()
            crash_point("decide.before_record")
            with self.store.transaction() as moves:
                row = moves.get(number)
                if digest is not None and digest != row.summary.digest:
                    raise _other_digest(change)
                approval = _make_approval(row, moves.now, "reject", by=by, channel=channel, comment=comment)
                moves.reject(number, approval)
                moves.note(
                    number,
                    "change.rejected",
                    {"by": by, "channel": channel, "comment": comment, "digest": row.summary.digest},
                )
            crash_point("decide.after_record")
            self._history.flush()

        await _in_thread(decide)
        return await self.status(change)

    async def postpone(self, change: str, *, by: str) -> ChangeReport:
        """Leave a waiting change for later: it waits anew."""
        number = parse_handle(change)

        def decide() -> None:
            self._expire()
            with self.store.transaction() as moves:
                moves.postpone(number, self.policy.proposal_hours * 3600)
                moves.note(number, "change.postponed", {"by": by})
            self._history.flush()

        await _in_thread(decide)
        return await self.status(change)

    async def apply(self, change: str) -> ChangeReport:
        """Apply an approved change and report; asked again, it reports what became of it. Never applies twice."""
        number = parse_handle(change)
        outcome = await self._apply(number)
        if outcome is not None:
            await self._ask_again(number, outcome.reason, outcome.now)
        return await self.status(change)

    async def status(self, change: str, *, wait_seconds: float = 0.0) -> ChangeReport:
        """The state of a change, waiting up to `wait_seconds` (at most 40) for a decision and its outcome.

        An approved change that nobody is applying, as after a crash, is applied by this call.
        """
        number = parse_handle(change)
        deadline = anyio.current_time() + min(max(wait_seconds, 0.0), LONGEST_WAIT_SECONDS)
        while True:
            await _in_thread(self._expire)
            summary = await _in_thread(lambda: self.store.summary(number))
            if summary.status not in OPEN or anyio.current_time() >= deadline:
                row = await _in_thread(lambda: self.store.get(number))
                return _report(row)
            if summary.status == "approved" and wait_seconds > 0:
                outcome = await self._apply(number)
                if outcome is not None:
                    await self._ask_again(number, outcome.reason, outcome.now)
                continue
            await anyio.sleep(min(POLL_SECONDS, max(0.0, deadline - anyio.current_time())))

    async def summaries(self, *, only_open: bool = False, limit: int = 100) -> tuple[ChangeSummary, ...]:
        """The inbox: newest first."""
        await _in_thread(self._expire)
        return await _in_thread(lambda: self.store.summaries(OPEN if only_open else (), limit=limit))

    async def show(self, change: str) -> ChangeRow:
        """Everything stored about a change."""
        await _in_thread(self._expire)
        return await _in_thread(lambda: self.store.get(parse_handle(change)))

    async def history(self, change: str) -> tuple[ChangeEvent, ...]:
        """Every step of a change, oldest first, with the hashes of its journal entries."""
        return await _in_thread(lambda: self.store.events(parse_handle(change)))

    async def explain(self, change: str) -> PolicyVerdict:
        """What the policy of now says to a change, and why."""
        row = await self.show(change)
        pii = await self._hooks.touches_pii(row.proposal.statements, row.proposal.preview)
        return judge(self.policy, facts_of(row.proposal, touches_pii=pii))

    def can_elicit(self, report: ChangeReport) -> bool:
        """Whether the user of an MCP client may decide this in the client."""
        return (
            report.status == "waiting"
            and self.policy.elicit == "reversible"
            and report.preview.is_reversible
            and not report.preview.checks
            and not self.needs_signature()
        )

    def needs_signature(self) -> bool:
        """Whether an approver's key was made, so that approvals count only with its signature."""
        return self.store.needs_signature(self.state_folder)

    def make_approver(self, passphrase: str) -> str:
        """Make the approver's key and return its public half; from now on nothing is approved without it."""
        public = make_key(self.state_folder, passphrase)
        with self.store.transaction() as moves:
            moves.record_approver(public)
            moves.note(0, "approver.made", {"public_key": public})
        self._history.flush()
        return public

    def unlock_approver(self, passphrase: str) -> Ed25519PrivateKey:
        """The approver's key, to be handed to `approve`; raises `ToolError` for a wrong passphrase."""
        return unlock_key(self.state_folder, passphrase)

    def sign_policy(self, passphrase: str) -> str:
        """Sign the policy as it is now, so that its `allow` rules count; returns its digest."""
        digest = digest_of(self.policy)
        signature = sign_text(unlock_key(self.state_folder, passphrase), f"policy:{digest}")
        with self.store.transaction() as moves:
            moves.record_policy_signature(digest, signature)
            moves.note(0, "policy.signed", {"digest": digest})
        self._history.flush()
        return digest

    async def _propose(self, draft: Draft) -> ChangeReport:
        staging = secrets.token_hex(8)
        checks = await self._hooks.checks_for(draft.body.statements)
        stamp, known = await _in_thread(self._known_prints)
        job = PreviewJob(
            place=self._place,
            body=draft.body,
            staging_name=staging,
            checks=checks,
            known_stamp=stamp,
            known=known,
        )
        try:
            text = await self._writer.run(job.model_dump_json(), timeout_seconds=self._timeout_seconds)
        except EngineFault as fault:
            raise ToolError(
                f"The change could not be measured: {fault.message}", code="runtime", hint="Nothing was changed."
            ) from fault
        outcome = OUTCOME.validate_json(text)
        if isinstance(outcome, Failed):
            raise ToolError(outcome.message, code=outcome.code, hint=outcome.hint, position=outcome.position)
        assert isinstance(outcome, Measurement)
        number = await self._record(draft, outcome, staging)
        return await self._decide_by_policy(number)

    async def _record(
        self,
        draft: Draft,
        measured: Measurement,
        staging: str,
        *,
        predecessor: int | None = None,
        message: str = "",
    ) -> int:
        statements = draft.body.statements
        downstream = await self._hooks.downstream_of(statements, measured.preview)
        pii = await self._hooks.touches_pii(statements, measured.preview)
        preview = measured.preview.model_copy(update={"downstream": downstream})
        preview = preview.model_copy(update={"risk": assess_risk(preview, touches_pii=pii)})
        proposal = Proposal(
            nonce=secrets.token_hex(16),
            database=self._place.database,
            statements=statements,
            parameters=draft.body.parameters,
            sources=draft.body.sources,
            undo=draft.undo,
            frozen_at=draft.body.frozen_at,
            stamp=measured.stamp,
            base=measured.base,
            expected=measured.expected,
            preview=preview,
            requested_by=draft.requested_by,
            purpose=draft.purpose,
        )
        verdict = judge(self.policy, facts_of(proposal, touches_pii=pii))

        def store() -> int:
            crash_point("propose.before_record")
            with self.store.transaction() as moves:
                earlier = moves.get(predecessor).proposal.preview if predecessor is not None else None
                number = moves.add(
                    proposal,
                    status="denied" if verdict.verdict == "deny" else "waiting",
                    title=draft.title,
                    stamp=measured.stamp,
                    staging=staging,
                    verdict=verdict.to_text(),
                    lifetime_seconds=self.policy.proposal_hours * 3600,
                    undo_of=draft.undo_of,
                    message=f"denied by {verdict.rule}" if verdict.verdict == "deny" else message,
                    earlier_preview=earlier,
                )
                moves.note(number, "change.proposed", _proposed_fields(proposal, verdict))
                moves.keep_prints(measured.stamp, measured.base)
                if predecessor is not None:
                    moves.replace(predecessor, number, "moved", message)
                    moves.note(predecessor, "change.moved", {"reason": message, "successor": f"c{number}"})
            crash_point("propose.after_record")
            self._history.flush()
            return number

        return await _in_thread(store)

    def _known_prints(self) -> tuple[str, tuple[ObjectPrint, ...]]:
        stamp = stamp_database(Path(self._place.database))
        return stamp, self.store.known_prints(stamp, version("duckdb"))

    async def _decide_by_policy(self, number: int) -> ChangeReport:
        handle = f"c{number}"
        row = await _in_thread(lambda: self.store.get(number))
        if row.summary.status != "waiting" or not row.verdict.startswith("allow:"):
            return _report(row)
        if await _in_thread(lambda: self.store.may_allow_by_policy(self.state_folder, self.policy)):
            by = row.verdict.splitlines()[0].removeprefix("allow: decided by ")
            return await self.approve(handle, digest=row.summary.digest, by=by, channel="policy")
        return _report(row)

    def _approve(
        self, number: int, digest: str, *, by: str, channel: Channel, comment: str, key: Ed25519PrivateKey | None
    ) -> None:
        self._expire()
        earlier = _report(self.store.get(number))
        if channel == "elicitation" and earlier.status == "waiting" and not self.can_elicit(earlier):
            raise ToolError(f"c{number} has to be decided in the inbox, not in the client.", code="forbidden")
        crash_point("decide.before_record")
        with self.store.transaction() as moves:
            row = moves.get(number)
            if row.summary.status != "waiting":
                decided = f" by {row.approval.by}" if row.approval else ""
                raise ToolError(f"c{number} is {row.summary.status}{decided}; it no longer waits.", code="conflict")
            if digest != row.summary.digest or digest_of(row.proposal) != digest:
                raise _other_digest(f"c{number}")
            approval = _make_approval(row, moves.now, "approve", by=by, channel=channel, comment=comment)
            if key is not None:
                approval = sign_approval(key, approval)
            refuse_unsigned(moves.connection, self.state_folder, self.policy, approval)
            moves.approve(number, approval, lifetime_seconds=self.policy.approval_minutes * 60)
            moves.note(
                number,
                "change.approved",
                {"by": by, "channel": channel, "comment": comment, "digest": digest, "nonce": approval.nonce},
            )
        crash_point("decide.after_record")
        self._history.flush()

    async def _apply(self, number: int) -> Moved | None:
        try:
            return await self._applying.apply(number)
        finally:
            self._tell(number)

    def _tell(self, number: int) -> None:
        for listener in self._listeners:
            listener(f"c{number}")

    async def _ask_again(self, number: int, reason: str, now: Measurement) -> None:
        row = await _in_thread(lambda: self.store.get(number))
        proposal = row.proposal
        draft = Draft(
            body=Body(
                statements=proposal.statements,
                parameters=proposal.parameters,
                sources=proposal.sources,
                frozen_at=proposal.frozen_at,
            ),
            title=row.summary.title,
            requested_by=proposal.requested_by,
            purpose=proposal.purpose,
            undo=proposal.undo,
            undo_of=row.summary.undo_of,
        )
        await self._record(draft, now, row.staging, predecessor=number, message=reason)

    def _expire(self) -> None:
        with self.store.transaction() as moves:
            expired = moves.expire()
        if expired:
            self._history.flush()

    def _instant(self) -> str:
        return _instant(self.store.now())


async def _in_thread(function: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(function)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _make_approval(
    row: ChangeRow, now: float, verdict: Literal["approve", "reject"], *, by: str, channel: Channel, comment: str
) -> Approval:
    return Approval(
        change=row.summary.handle,
        digest=row.summary.digest,
        verdict=verdict,
        by=by,
        channel=channel,
        comment=comment,
        at=_instant(now),
        nonce=secrets.token_hex(16),
    )


def parse_handle(change: str) -> int:
    """The number of `c8`; raises `ToolError` (invalid_arguments)."""
    digits = change.strip().lower().removeprefix("c")
    if not digits.isdigit():
        raise ToolError(
            f"'{change}' is not a change.",
            code="invalid_arguments",
            hint="A change is written c8; changes list shows them.",
        )
    return int(digits)


def shorten(sql: str) -> str:
    """The text on one line, cut to a title."""
    line = " ".join(sql.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1]}…"


def _other_digest(change: str) -> ToolError:
    return ToolError(
        f"{change} is not what was shown: its digest is another one.", code="conflict", hint=f"Look at {change} again."
    )


def _proposed_fields(proposal: Proposal, verdict: PolicyVerdict) -> dict[str, object]:
    verdict_name: Verdict = verdict.verdict
    return {
        "digest": digest_of(proposal),
        "requested_by": proposal.requested_by,
        "sql_sha256": [hashlib.sha256(s.sql.encode()).hexdigest() for s in proposal.statements],
        "undo_of": proposal.undo.change if proposal.undo else None,
        "policy": verdict_name,
        "rule": verdict.rule,
        "effects": [
            {"table": t.table.label, "inserted": t.inserted, "updated": t.updated, "deleted": t.deleted}
            for t in proposal.preview.tables
        ],
    }


def _report(row: ChangeRow) -> ChangeReport:
    summary = row.summary
    return ChangeReport(
        change=summary.handle,
        status=summary.status,
        message=summary.message,
        digest=summary.digest,
        preview=row.proposal.preview,
        comment=row.approval.comment if row.approval else "",
        successor=f"c{summary.replaced_by}" if summary.replaced_by else None,
        undo_of=f"c{summary.undo_of}" if summary.undo_of else None,
        undone_by=f"c{summary.undone_by}" if summary.undone_by else None,
        earlier_preview=row.earlier_preview,
        seconds=row.applied.seconds if row.applied else None,
        proven=row.applied.proven if row.applied else False,
    )
