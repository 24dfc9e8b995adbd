"""Holds the approval panel above the prompt: looks for proposals, shows the panel when some wait, carries decisions out."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from datasteward.errors import DatastewardError
from datasteward_tui.approval_panel import ApprovalPanel, Verb
from datasteward_tui.blocks import NoticeBlock
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
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._desk = Held(open_desk) if open_desk is not None else None
        self._person = person
        self._inbox = Inbox(self._desk, self._say) if self._desk else None
        self._is_hidden = False
        self._is_looking = False
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

    def begin(self) -> None:
        """Look for proposals from now on."""
        if self._inbox is not None:
            self.set_interval(POLL_SECONDS, self.look_soon)
            self.look_soon()

    def look_soon(self) -> None:
        """Look now, unless a look is under way."""
        if self._inbox is not None and not self._is_looking:
            self.run_worker(self._look(), group="inbox", exit_on_error=False)

    async def _look(self) -> None:
        assert self._inbox is not None
        self._is_looking = True
        try:
            waiting = await self._inbox.look()
            self._has_complained = False
            panel = self.panel
            if waiting.is_new:
                self._is_hidden = False
            panel.show_list(await self._inbox.everything() if panel.shows_history else waiting.changes)
            has_keys = panel.has_focus or panel.has_class("-asking")
            panel.display = has_keys or (bool(waiting.changes) and not self._is_hidden)
            self.post_message(self.Counted(len(waiting.changes), is_new=waiting.is_new))
        except DatastewardError as error:
            if not self._has_complained:
                self._has_complained = True
                self.post_message(
                    self.Said(NoticeBlock(f"The inbox is out of reach: {error.message}", "error", error.hint))
                )
        finally:
            self._is_looking = False

    def enter(self) -> None:
        """Give the keys to the panel, or take them back."""
        if self._inbox is None:
            return
        if self.panel.has_focus:
            self._leave()
            return
        self._is_hidden = False
        self.panel.display = True
        self.panel.focus()
        self.look_soon()

    @property
    def has_keys(self) -> bool:
        """Whether the panel has the keys."""
        return self._inbox is not None and (self.panel.has_focus or self.panel.has_class("-asking"))

    def note_typing(self) -> None:
        """Something was typed into the prompt."""
        if self._inbox is not None:
            self.panel.note_typing()

    def propose_undo(self, change: str) -> None:
        """Propose to take a change back."""
        self._decide("undo", change, "", "")

    def _leave(self) -> None:
        self.panel.shows_history = False
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
        self.run_worker(self._read(message.change), group="inbox-read", exclusive=True, exit_on_error=False)

    async def _read(self, change: str) -> None:
        assert self._inbox is not None
        try:
            self.panel.show_change(await self._inbox.read(change))
        except DatastewardError as error:
            self.panel.tell(error.message)

    def on_approval_panel_history_asked(self) -> None:
        """Show other changes."""
        self.look_soon()

    def on_approval_panel_decided(self, message: ApprovalPanel.Decided) -> None:
        """Carry a decision out beside the screen."""
        self._decide(message.verb, message.change, message.digest, message.comment)

    def _decide(self, verb: Verb, change: str, digest: str, comment: str) -> None:
        self.run_worker(self._carry_out(verb, change, digest, comment), group="decide", exit_on_error=False)

    async def _carry_out(self, verb: Verb, change: str, digest: str, comment: str) -> None:
        if self._inbox is None:
            return
        await self._inbox.decide(verb, change, digest, by=self._person, comment=comment)
        self.panel.tell("")
        self.look_soon()

    async def on_unmount(self) -> None:
        """Let go of the desk."""
        if self._desk is not None:
            await self._desk.drop()

    def on_approval_panel_whole_asked(self, message: ApprovalPanel.WholeAsked) -> None:
        """The whole preview over the app; having seen its end counts."""
        from datasteward_tui.change_screen import ChangeScreen

        def after(is_seen: bool | None) -> None:
            if is_seen:
                self.panel.mark_seen(message.row)

        self.app.push_screen(ChangeScreen(message.row), after)
