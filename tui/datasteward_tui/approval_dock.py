"""Holds the approval panel above the prompt: looks for proposals, shows the panel when some wait, carries decisions out."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from datasteward.errors import DatastewardError
from datasteward.workspace import Workspace
from datasteward_tui.approval_panel import ApprovalPanel
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.decisions import Decision
from datasteward_tui.inbox import POLL_SECONDS, Inbox
from datasteward_tui.ports import ApprovalDesk
from datasteward_tui.tool_link import Held


class ApprovalDock(Vertical):
    """Nothing is mounted and nothing is asked when there is no desk."""

    DEFAULT_CSS = "ApprovalDock { height: auto; }"

    class Counted(Message):
        """How many proposals wait; `is_new` when one was not there before."""

        def __init__(self, waiting: int, *, is_new: bool) -> None:
            super().__init__()
            self.waiting = waiting
            self.is_new = is_new

    class Said(Message):
        """A word for the conversation."""

        def __init__(self, block: NoticeBlock) -> None:
            super().__init__()
            self.block = block

    class Left(Message):
        """The keys go back to the prompt."""

    def __init__(
        self,
        open_desk: Callable[[], AbstractAsyncContextManager[ApprovalDesk]] | None,
        person: str,
        workspace: Workspace,
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._desk = Held(open_desk) if open_desk is not None else None
        self._inbox = Inbox(self._desk, workspace, person, self._say) if self._desk else None
        self._is_hidden = False
        self._is_looking = False
        self._is_look_due = False
        self._has_complained = False

    def _say(self, block: NoticeBlock) -> None:
        self.post_message(self.Said(block))

    def compose(self) -> ComposeResult:
        """The panel, hidden until something waits."""
        if self._inbox is not None:
            yield ApprovalPanel(id="approvals")

    @property
    def panel(self) -> ApprovalPanel:
        """The panel; only there with a desk."""
        return self.query_one(ApprovalPanel)

    @property
    def inbox(self) -> Inbox:
        """The proposals; only there with a desk."""
        assert self._inbox is not None
        return self._inbox

    @property
    def has_keys(self) -> bool:
        """Whether the panel has the keys."""
        return self._inbox is not None and self.panel.has_keys

    def begin(self) -> None:
        """Look for proposals from now on."""
        if self._inbox is not None:
            self.set_interval(POLL_SECONDS, self._poll)
            self.look_soon()

    def _poll(self) -> None:
        if not self._is_looking:
            self.look_soon()

    def look_soon(self) -> None:
        """Look now; a look that is under way is done anew, since something has happened since."""
        self._is_look_due = True
        if self._inbox is not None and not self._is_looking:
            self._is_looking = True
            self._start(self._look, "inbox")

    def _start(self, work: Callable[[], Awaitable[None]], group: str, *, exclusive: bool = False) -> None:
        self.run_worker(work, group=group, exclusive=exclusive, exit_on_error=False)

    async def _look(self) -> None:
        try:
            is_new = False
            while self._is_look_due:
                self._is_look_due = False
                waiting = await self.inbox.look()
                is_new = is_new or waiting.is_new
            self._has_complained = False
            panel = self.panel
            if is_new:
                self._is_hidden = False
            panel.needs_passphrase = waiting.needs_passphrase
            panel.display = panel.has_keys or (bool(waiting.changes) and not self._is_hidden)
            panel.show_list(waiting.changes, waiting.risks)
            self.post_message(self.Counted(len(waiting.changes), is_new=is_new))
        except DatastewardError as error:
            if not self._has_complained:
                self._has_complained = True
                self._say(NoticeBlock(f"The inbox is out of reach: {error.message}", "error", error.hint))
        finally:
            self._is_looking = False

    def enter(self, change: str = "") -> None:
        """Give the keys to the panel, with `change` shown if one is named, or take them back."""
        if self._inbox is None:
            return
        if self.panel.has_focus and not change:
            self._leave()
            return
        self._is_hidden = False
        if change:
            self.panel.turn_to(change)
        self.panel.display = True
        self.panel.focus()
        self.look_soon()

    def note_typing(self) -> None:
        """Something was typed into the prompt."""
        if self._inbox is not None:
            self.panel.note_typing()

    def propose_undo(self, *changes: str) -> None:
        """Propose to take changes back, newest first."""
        if self._inbox is not None:
            self._start(partial(self._propose_undo, list(changes)), "decide")

    async def _propose_undo(self, changes: list[str]) -> None:
        first = await self.inbox.propose_undo(changes)
        if first is not None and not self.panel.is_asking:
            self.panel.turn_to(first)
        self.look_soon()

    def _leave(self) -> None:
        self._is_hidden = True
        self.panel.display = bool(self._inbox and self._inbox.waiting)
        self.post_message(self.Left())

    def on_approval_panel_left(self) -> None:
        """Esc in the panel: it stays in sight while something waits."""
        self._leave()
        self._is_hidden = False
        self.look_soon()

    def on_approval_panel_wanted(self, message: ApprovalPanel.Wanted) -> None:
        """Read the change that the panel turned to."""
        self._start(partial(self._read, message.change), "inbox-read", exclusive=True)

    async def _read(self, change: str) -> None:
        try:
            self.panel.show_change(await self.inbox.read(change))
        except DatastewardError as error:
            self.panel.tell(error.message)

    def on_approval_panel_decided(self, message: ApprovalPanel.Decided) -> None:
        """Carry a decision out beside the screen."""
        self._start(partial(self._carry_out, message.decision), "decide")

    async def _carry_out(self, decision: Decision) -> None:
        follows: str | None = None
        match decision.verb:
            case "edit":
                await self._edit(decision.change)
            case "rule":
                follows = await self._approve_by_rule(decision)
            case _:
                follows = await self.inbox.decide(decision)
        if follows is not None:
            self.panel.follow(follows)
        self.panel.tell("")
        self.look_soon()

    async def _edit(self, change: str) -> None:
        from datasteward_tui.sql_edit_screen import SqlEditScreen

        row = self.panel.row
        if row is None or row.summary.handle != change:
            return
        if not row.proposal.statements:
            self._say(NoticeBlock(f"{change} has no SQL to edit.", "warning", "Reject it and say what you want."))
            return
        sql = ";\n".join(s.sql.strip() for s in row.proposal.statements)
        edited = await self.app.push_screen_wait(SqlEditScreen(f"Edit {change}", sql, "measure it anew"))
        if edited is None:
            return
        successor = await self.inbox.edit(change, edited)
        if successor is not None:
            self.panel.turn_to(successor)

    async def _approve_by_rule(self, decision: Decision) -> str | None:
        from datasteward_tui.rule_screen import RuleScreen

        try:
            rule = await self.inbox.suggest_rule(decision.change)
        except DatastewardError as error:
            self._say(NoticeBlock(f"{decision.change}: {error.message}", "warning", error.hint))
            return None
        needs = self.panel.needs_passphrase
        answer = await self.app.push_screen_wait(RuleScreen(decision.change, rule, needs_passphrase=needs))
        if answer is None:
            return None
        approval = Decision(
            verb="approve", change=decision.change, digest=decision.digest, passphrase=answer.passphrase
        )
        return await self.inbox.approve_by_rule(approval, answer.text)

    def on_approval_panel_whole_asked(self, message: ApprovalPanel.WholeAsked) -> None:
        """The whole preview over the app; having seen its end counts."""
        from datasteward_tui.change_screen import ChangeScreen

        def after(is_seen: bool | None) -> None:
            if is_seen:
                self.panel.mark_seen(message.case)

        self.app.push_screen(ChangeScreen(message.case), after)

    def on_approval_panel_history_asked(self) -> None:
        """Every change, over the app."""
        self.show_history()

    def show_history(self, change: str = "") -> None:
        """Every change, with `change` marked."""
        if self._inbox is not None:
            self._start(partial(self._show_history, change), "history", exclusive=True)

    async def _show_history(self, change: str) -> None:
        from datasteward_tui.history_screen import HistoryScreen

        try:
            found = await self.inbox.everything()
        except DatastewardError as error:
            self._say(NoticeBlock(f"The inbox is out of reach: {error.message}", "error", error.hint))
            return
        wish = await self.app.push_screen_wait(HistoryScreen(found, self.inbox.read, change))
        if wish is None:
            return
        if wish.verb == "apply":
            await self._carry_out(Decision(verb="apply", change=wish.change, digest=wish.digest))
            return
        undo = await self.inbox.propose_undo([wish.change])
        if undo is not None:
            self.enter(undo)
        self.look_soon()

    async def on_unmount(self) -> None:
        """Let go of the desk."""
        if self._desk is not None:
            await self._desk.drop()
