"""The owner's side of changes: propose, decide, apply, undo, and answer what became of each.

Everything lasting is in the state database, so several processes may use services on one workspace at once; each step
has one winner. The journal gets every step after its transaction, at the latest when the next service starts.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datasteward.changes.applying import Applying
from datasteward.changes.approver import unlock_key
from datasteward.changes.deciding import Channel, Deciding, Decision
from datasteward.changes.history import JournalWriter
from datasteward.changes.jobs import Body, Moved, WriterPlace
from datasteward.changes.model import ChangeStatus, Parameter
from datasteward.changes.policy import PolicySettings, PolicyVerdict, facts_of, judge
from datasteward.changes.ports import Hooks, Inspector, JournalLike, NoHooks, WriterHost
from datasteward.changes.proposing import Draft, Proposing, draft_undo
from datasteward.changes.reports import ChangeReport, parse_handle, report_of, shorten, show_instant, wrong_state
from datasteward.changes.store import ChangeEvent, ChangeRow, ChangeStore, ChangeSummary
from datasteward.changes.threads import in_thread
from datasteward.state import StateDatabase

__all__ = ["LONGEST_WAIT_SECONDS", "ChangeReport", "ChangeService", "Channel"]

LONGEST_WAIT_SECONDS = 40.0
POLL_SECONDS = 0.15
OPEN: tuple[ChangeStatus, ...] = ("waiting", "approved", "applying", "unknown")


class ChangeService:
    """All that can be done with changes in one workspace; `policy` may be replaced at any time."""

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
        self.policy = policy
        self.state_folder = Path(place.state_folder)
        """Where keys, undo records and staged files are."""
        self.workspace_root = Path(place.workspace_root)
        self._inspector = inspector
        self._hooks: Hooks = hooks or NoHooks()
        self._listeners: list[Callable[[str], None]] = []
        self._history = JournalWriter(self.store, journal)
        self._deciding = Deciding(
            store=self.store, history=self._history, state_folder=self.state_folder, policy=lambda: self.policy
        )
        self._proposing = Proposing(
            store=self.store,
            history=self._history,
            writer=writer,
            place=place,
            hooks=self._hooks,
            policy=lambda: self.policy,
            timeout_seconds=timeout_seconds,
        )
        self._applying = Applying(
            store=self.store,
            history=self._history,
            writer=writer,
            place=place,
            hooks=self._hooks,
            inspector=inspector,
            policy=lambda: self.policy,
            timeout_seconds=timeout_seconds,
        )

    def on_settled(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the handle of every change that was to be applied here; it must return at once."""
        self._listeners.append(listener)

    async def recover(self) -> tuple[str, ...]:
        """Settle what a crash interrupted, write what the journal misses, and clear away what is too old.

        Returns the handles that were settled. Safe to call at any time and from several processes.
        """
        await in_thread(self._deciding.expire)
        settled = await self._applying.recover()
        await in_thread(self._applying.prune)
        await in_thread(self._history.flush)
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
        number, now = parse_handle(change), self._instant()
        return await self._propose(
            await in_thread(
                lambda: draft_undo(self.store, number, requested_by=requested_by, purpose=purpose, frozen_at=now)
            )
        )

    async def edit(self, change: str, sql: str, *, requested_by: str, comment: str = "") -> ChangeReport:
        """Put another text in a waiting change's place: a new proposal with a digest of its own, to be decided on."""
        number = parse_handle(change)
        row = await in_thread(lambda: self.store.get(number))
        if row.summary.status != "waiting":
            raise wrong_state(row)
        report = await self.propose(sql, requested_by=requested_by, purpose=row.proposal.purpose)

        def link() -> None:
            with self.store.transaction() as moves:
                if moves.get(number).summary.status != "waiting":
                    return
                moves.replace(number, parse_handle(report.change), "replaced", comment or f"edited by {requested_by}")
                moves.note(number, "change.edited", {"by": requested_by, "successor": report.change})

        await in_thread(link)
        await in_thread(self._history.flush)
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
        number, decision = parse_handle(change), Decision(by=by, channel=channel, comment=comment, key=key)
        await in_thread(lambda: self._deciding.approve(number, digest, decision))
        return await self.apply(change)

    async def reject(
        self, change: str, *, by: str, channel: Channel, comment: str = "", digest: str | None = None
    ) -> ChangeReport:
        """Reject a waiting change, or an approved one that nobody is applying; whoever proposed it is told the comment."""
        number, decision = parse_handle(change), Decision(by=by, channel=channel, comment=comment)
        await in_thread(lambda: self._deciding.reject(number, digest, decision))
        return await self.status(change)

    async def postpone(self, change: str, *, by: str) -> ChangeReport:
        """Leave a waiting change for later: it waits anew."""
        number = parse_handle(change)
        await in_thread(lambda: self._deciding.postpone(number, by))
        return await self.status(change)

    async def apply(self, change: str) -> ChangeReport:
        """Apply an approved change and report; asked again, it reports what became of it. Never applies twice."""
        await self._apply(parse_handle(change))
        return await self.status(change)

    async def status(self, change: str, *, wait_seconds: float = 0.0) -> ChangeReport:
        """The state of a change, waiting up to `wait_seconds` (at most 40) for a decision and its outcome.

        An approved change that nobody is applying, as after a crash, is applied by this call, and what an applied one
        lacks is done.
        """
        number = parse_handle(change)
        deadline = anyio.current_time() + min(max(wait_seconds, 0.0), LONGEST_WAIT_SECONDS)
        while True:
            await in_thread(self._deciding.expire)
            summary = await in_thread(lambda: self.store.summary(number))
            if summary.status not in OPEN or anyio.current_time() >= deadline:
                return await in_thread(lambda: self._report(number))
            if summary.status == "unknown" and wait_seconds > 0:
                await self._apply(number)
                return await in_thread(lambda: self._report(number))
            if summary.status == "approved" and wait_seconds > 0:
                await self._apply(number)
                continue
            await anyio.sleep(min(POLL_SECONDS, max(0.0, deadline - anyio.current_time())))

    async def summaries(self, *, only_open: bool = False, limit: int = 100) -> tuple[ChangeSummary, ...]:
        """The inbox: newest first."""
        await in_thread(self._deciding.expire)
        return await in_thread(lambda: self.store.summaries(OPEN if only_open else (), limit=limit))

    async def show(self, change: str) -> ChangeRow:
        """Everything stored about a change."""
        await in_thread(self._deciding.expire)
        return await in_thread(lambda: self.store.get(parse_handle(change)))

    async def history(self, change: str) -> tuple[ChangeEvent, ...]:
        """Every step of a change, oldest first, with the hashes of its journal entries."""
        return await in_thread(lambda: self.store.events(parse_handle(change)))

    async def explain(self, change: str) -> PolicyVerdict:
        """What the policy of now says to a change, and why."""
        row = await self.show(change)
        return judge(self.policy, facts_of(row.proposal))

    async def explain_unsigned(self) -> str | None:
        """Why the `allow` rules of the policy do not count and what to do, or None when they do or there are none."""
        return await in_thread(self._deciding.explain_unsigned)

    def can_elicit(self, report: ChangeReport) -> bool:
        """Whether the user of an MCP client may decide this in the client."""
        return self._deciding.can_elicit(report)

    def needs_signature(self) -> bool:
        """Whether an approver's key was made, so that approvals count only with its signature."""
        return self._deciding.needs_signature()

    def make_approver(self, passphrase: str) -> str:
        """Make the approver's key and return its public half; from now on nothing is approved without it."""
        return self._deciding.make_approver(passphrase)

    def unlock_approver(self, passphrase: str) -> Ed25519PrivateKey:
        """The approver's key, to be handed to `approve`; raises `ToolError` for a wrong passphrase."""
        return unlock_key(self.state_folder, passphrase)

    def sign_policy(self, passphrase: str) -> str:
        """Sign the policy as it is now, so that its `allow` rules count; returns its digest."""
        return self._deciding.sign_policy(passphrase)

    def may_allow(self, policy: PolicySettings) -> bool:
        """Whether the `allow` rules of a policy count: there is no approver's key, or the policy is signed with it."""
        return self.store.may_allow_by_policy(self.state_folder, policy)

    async def _propose(self, draft: Draft) -> ChangeReport:
        number = await self._proposing.propose(draft)
        row = await in_thread(lambda: self.store.get(number))
        is_allowed = row.summary.status == "waiting" and row.verdict.startswith("allow:")
        if is_allowed and await in_thread(self._deciding.may_allow_by_policy):
            by = row.verdict.splitlines()[0].removeprefix("allow: decided by ")
            return await self.approve(f"c{number}", digest=row.summary.digest, by=by, channel="policy")
        return report_of(row)

    async def _apply(self, number: int) -> None:
        """Apply the change if it is approved; when what it touches has moved, propose it anew in its place."""
        try:
            outcome: Moved | None = await self._applying.apply(number)
        finally:
            self._tell(number)
        if outcome is not None:
            row = await in_thread(lambda: self.store.get(number))
            await self._proposing.propose_again(row, outcome.reason, outcome.now)

    def _report(self, number: int) -> ChangeReport:
        row = self.store.get(number)
        successor = row.summary.replaced_by
        return report_of(row, None if successor is None else self.store.get(successor))

    def _tell(self, number: int) -> None:
        for listener in self._listeners:
            listener(f"c{number}")

    def _instant(self) -> str:
        return show_instant(self.store.now())
