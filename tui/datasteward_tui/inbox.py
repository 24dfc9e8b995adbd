"""Keeps the approval panel in step with the workspace's proposals, and carries the person's decisions out."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from datasteward.changes.stopping import word_stop
from datasteward.errors import ConfigError, DatastewardError, ToolError
from datasteward.workspace import Workspace
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.change_lines import ChangeCase
from datasteward_tui.change_words import describe_seconds, summarise_effect
from datasteward_tui.decisions import Decision
from datasteward_tui.ports import ApprovalDesk
from datasteward_tui.tool_link import Held

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from datasteward.changes.policy import PolicySettings
    from datasteward.changes.service import ChangeReport
    from datasteward.changes.store import ChangeSummary

POLL_SECONDS = 1.0
HISTORY_LENGTH = 200
PROVEN = " The tables are proven to be as they were before."
SETTLING_SECONDS = 3.0
"""An approval that is older and was not applied is taken for interrupted: a person has to see to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits now, whether some of it was not there at the last look, and whether approving takes a passphrase."""

    changes: "tuple[ChangeSummary, ...]"
    risks: Mapping[str, str]
    """Levels by digest."""
    is_new: bool
    needs_passphrase: bool


@dataclass(slots=True)
class Inbox:
    """The proposals as last read."""

    desk: "Held[ApprovalDesk]"
    workspace: Workspace
    person: str
    say: Callable[[NoticeBlock], None]
    waiting: "tuple[ChangeSummary, ...]" = ()
    _known: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    _undo_queue: list[str] = field(default_factory=list)
    _under_way: set[str] = field(default_factory=set)
    _risks: dict[str, str] = field(default_factory=dict)

    async def look(self) -> Waiting:
        """Read what waits; raises `DatastewardError` when the desk is out of reach."""
        desk = await self.desk.get()
        found = tuple([c for c in await desk.summaries(only_open=True) if await self._needs_person(desk, c)])
        keys = frozenset((c.handle, c.digest) for c in found)
        is_new = bool(keys - self._known)
        self._known = keys
        self.waiting = found
        for change in found:
            if change.digest not in self._risks:
                self._risks[change.digest] = (await desk.show(change.handle)).proposal.preview.risk.level
        needs = await asyncio.to_thread(desk.needs_signature)
        return Waiting(changes=found, risks=self._risks, is_new=is_new, needs_passphrase=needs)

    async def _needs_person(self, desk: ApprovalDesk, change: "ChangeSummary") -> bool:
        """Whether it waits for a decision, or was approved before and nobody applies it."""
        if change.status != "approved" or change.handle in self._under_way:
            return change.status == "waiting"
        approval = (await desk.show(change.handle)).approval
        return approval is None or time.time() - datetime.fromisoformat(approval.at).timestamp() > SETTLING_SECONDS

    async def everything(self) -> "tuple[ChangeSummary, ...]":
        """The latest changes, whatever became of them."""
        return await (await self.desk.get()).summaries(limit=HISTORY_LENGTH)

    async def read(self, change: str) -> ChangeCase:
        """A change and those it belongs with; raises `ToolError`."""
        desk = await self.desk.get()
        row = await desk.show(change)
        pair = row.summary.undo_of or row.summary.undone_by
        earlier = [c for c in await self.everything() if c.replaced_by == row.summary.number and c.status == "replaced"]
        return ChangeCase(
            row=row,
            undo_pair=await desk.show(f"c{pair}") if pair else None,
            edited_from=await desk.show(earlier[0].handle) if earlier else None,
            allow_counts=await asyncio.to_thread(self._allow_counts, desk),
        )

    def _allow_counts(self, desk: ApprovalDesk) -> bool:
        """Whether the `allow` rules of the policy as it is now count."""
        try:
            policy = read_policy(self.workspace)
        except ConfigError:
            policy = desk.policy
        return desk.may_allow(policy)

    async def suggest_rule(self, change: str) -> str:
        """The narrowest policy rule that would allow the change; raises `ToolError` when none can."""
        from datasteward.changes.rules import rule_for

        row = await (await self.desk.get()).show(change)
        return rule_for(row.proposal, await asyncio.to_thread(read_policy, self.workspace))

    async def may_allow(self, policy: "PolicySettings") -> bool:
        """Whether the `allow` rules of a policy count."""
        return await asyncio.to_thread((await self.desk.get()).may_allow, policy)

    async def decide(self, decision: Decision) -> str | None:
        """Carry a decision out and say what came of it; gives the change that waits because of it, if one does."""
        self._under_way.add(decision.change)
        try:
            desk = await self.desk.get()
            match decision.verb:
                case "approve":
                    report = await self._approve(desk, decision)
                case "apply":
                    report = await desk.apply(decision.change)
                case "stop":
                    await self._stop(desk, decision)
                    return None
                case "reject":
                    report = await desk.reject(
                        decision.change,
                        by=self.person,
                        channel="app",
                        comment=decision.comment,
                        digest=decision.digest,
                    )
                case _:
                    report = await desk.postpone(decision.change, by=self.person)
        except DatastewardError as error:
            self.say(NoticeBlock(_name(decision.change, error.message), "error", error.hint))
            return None
        finally:
            self._under_way.discard(decision.change)
        self.say(_tell(decision, report))
        if report.status == "applied" and report.undo_of and self._undo_queue:
            return await self._propose_next()
        return report.successor

    async def approve_by_rule(self, decision: Decision, rule: str) -> str | None:
        """Write the rule, then approve the change that suggested it; without the first not the second."""
        from datasteward.changes.rules import add_rule

        try:
            desk = await self.desk.get()
            await self._unlock(desk, decision.passphrase)
            added = await asyncio.to_thread(add_rule, self.workspace, rule)
            desk.policy = await asyncio.to_thread(read_policy, self.workspace)
            if decision.passphrase is not None:
                await asyncio.to_thread(desk.sign_policy, decision.passphrase)
        except DatastewardError as error:
            self.say(NoticeBlock(f"No rule was written: {error.message}", "error", error.hint))
            return None
        self.say(NoticeBlock(f"steward.toml now has the rule “{added.name}”.", "good", "/rules shows all of them."))
        return await self.decide(decision)

    async def edit(self, change: str, sql: str) -> str | None:
        """Put another text in the change's place; gives the new change, which waits, or None with the reason told."""
        try:
            desk = await self.desk.get()
            report = await desk.edit(change, sql, requested_by=f"tui:{self.person}", comment=f"edited by {self.person}")
        except DatastewardError as error:
            self.say(NoticeBlock(f"{change} stays as it is: {error.message}", "error", error.hint))
            return None
        self.say(
            NoticeBlock(f"{report.change} takes the place of {change}: {summarise_effect(report.preview)}.", "info")
        )
        return report.change

    async def propose_undo(self, changes: list[str]) -> str | None:
        """Propose to take changes back, newest first; those that build on each other follow one by one.

        Gives the first proposal that waits for a decision, None when there is none.
        """
        self._undo_queue = list(changes)
        return await self._propose_next()

    async def _propose_next(self) -> str | None:
        first: str | None = None
        while self._undo_queue:
            change = self._undo_queue[0]
            try:
                desk = await self.desk.get()
                report = await desk.propose_undo(change, requested_by=f"tui:{self.person}")
            except DatastewardError as error:
                if first is not None and isinstance(error, ToolError) and error.code == "conflict":
                    return first
                self._undo_queue.clear()
                self.say(NoticeBlock(_name(change, error.message), "error", error.hint))
                return first
            self._undo_queue.pop(0)
            waits = report.change if report.status == "waiting" else report.successor
            first = first or waits
            if report.status != "applied" and waits is None:
                self._undo_queue.clear()
            self.say(_tell_undo(change, report, self._undo_queue))
        return first

    async def _approve(self, desk: ApprovalDesk, decision: Decision) -> "ChangeReport":
        key = await self._unlock(desk, decision.passphrase)
        return await desk.approve(
            decision.change,
            digest=decision.digest,
            by=self.person,
            channel="app",
            comment=decision.comment,
            key=key,
        )

    async def _unlock(self, desk: ApprovalDesk, passphrase: str | None) -> "Ed25519PrivateKey | None":
        return None if passphrase is None else await asyncio.to_thread(desk.unlock_approver, passphrase)

    async def _stop(self, desk: ApprovalDesk, decision: Decision) -> None:
        """Reject all that whoever asked for the change has waiting, and tell them to stop."""
        asker = (await desk.show(decision.change)).proposal.requested_by
        theirs = [c for c in self.waiting if c.requested_by == asker and c.status == "waiting"]
        for summary in theirs:
            await desk.reject(
                summary.handle,
                by=self.person,
                channel="app",
                comment=word_stop(decision.comment),
                digest=summary.digest,
            )
        names = ", ".join(c.handle for c in theirs)
        self.say(NoticeBlock(f"{asker} is told to stop; {names} rejected.", "info"))


def read_policy(workspace: Workspace) -> "PolicySettings":
    """The policy as `steward.toml` has it now; raises `ConfigError` when the file is wrong."""
    from datasteward.settings import load_settings

    return load_settings(workspace).policy


def _name(change: str, message: str) -> str:
    """The message with its change named, once."""
    return message if message.startswith(f"{change} ") else f"{change}: {message}"


def _tell_undo(change: str, report: "ChangeReport", left: list[str]) -> NoticeBlock:
    """What became of the proposal to take `change` back, and which changes come after it."""
    undo = report.change
    match report.status:
        case "waiting":
            then = f" Then come {', '.join(left)}." if left else ""
            return NoticeBlock(
                f"{undo} would take back {change}: it waits for your decision.{then}", "info", "F2 shows it."
            )
        case "applied":
            proof = PROVEN if report.proven else ""
            words = f"{undo} has taken back {change}: the policy allows it without asking.{proof}"
            return NoticeBlock(words, "good", f"/changes {undo} shows the fingerprints.")
        case "denied":
            rule = report.message.removeprefix("denied by ")
            words = f"Nothing is changed: {undo}, which would take back {change}, is denied by the policy, {rule}."
            return NoticeBlock(words, "warning", "/rules shows its rules.")
        case _:
            now = f" It waits anew as {report.successor}." if report.successor else ""
            return NoticeBlock(
                f"{undo}, which would take back {change}, is {report.status}: {report.message}.{now}", "warning"
            )


def _tell(decision: Decision, report: "ChangeReport") -> NoticeBlock:
    change = decision.change
    if decision.verb == "later":
        return NoticeBlock(f"{change} stays in the inbox.", "info")
    match report.status:
        case "applied":
            took = f" in {describe_seconds(report.seconds)}" if report.seconds is not None else ""
            proof = PROVEN if report.proven else ""
            can_undo = report.preview.is_reversible and not report.undo_of
            undo = f"/undo {change} proposes to take it back." if can_undo else None
            if report.proven:
                undo = f"/changes {change} shows the fingerprints."
            effect = summarise_effect(report.preview, applied_as=change)
            return NoticeBlock(f"{change} applied{took}: {effect}.{proof}", "good", undo)
        case "rejected":
            return NoticeBlock(f"{change} rejected.{f' “{report.comment}”' if report.comment else ''}", "info")
        case "waiting" | "moved" if report.successor or report.status == "waiting":
            now = f" It waits anew as {report.successor}." if report.successor else ""
            return NoticeBlock(f"{change} was not applied: {report.message}.{now}", "warning", "F2 shows it anew.")
        case "approved":
            words = f"{change} is approved, and was not applied: {report.message}."
            return NoticeBlock(words, "warning", "F2 shows it; a applies it.")
        case _:
            return NoticeBlock(f"{change} is {report.status}: {report.message}", "warning")
