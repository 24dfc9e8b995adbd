"""The inbox and the app: keys, counts, attention, undo."""

from textual.binding import Binding, BindingType

from datasteward_tui.approval_dock import ApprovalDock
from datasteward_tui.attention import call_attention
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.shell import Shell

APPROVAL_BINDINGS: tuple[BindingType, ...] = (Binding("f2", "approvals", "approvals"),)


class ApprovalActions(Shell):
    """Takes the person to what waits for a decision, and never by itself."""

    def on_approval_dock_counted(self, message: ApprovalDock.Counted) -> None:
        """Show how many wait; call the person back when the terminal is elsewhere."""
        if message.waiting != self._waiting:
            self._waiting = message.waiting
            self.show_standing()
        if message.is_new and self._is_blurred:
            call_attention(self, "Datasteward: a change waits for your decision")

    def on_approval_dock_said(self, message: ApprovalDock.Said) -> None:
        """What came of a decision."""
        self.say(message.block)

    def on_approval_dock_left(self) -> None:
        """The keys go back to the prompt."""
        self.prompt.focus()

    def on_app_blur(self) -> None:
        """The terminal lost the focus."""
        self._is_blurred = True

    def on_app_focus(self) -> None:
        """The terminal has the focus again."""
        self._is_blurred = False

    def action_approvals(self) -> None:
        """To the inbox, or back."""
        self.dock.enter()

    def open_change(self, change: str) -> None:
        """Show a change: to decide when it waits, else among all."""
        if self.providers.open_desk is None:
            self.say(NoticeBlock("Changes cannot be decided here.", "warning", f"steward changes show {change}"))
        elif any(c.handle == change for c in self.dock.inbox.waiting):
            self.dock.enter(change)
        else:
            self.dock.show_history(change)

    def command_undo(self, change: str) -> None:
        """Propose to take an applied change back."""
        self.dock.propose_undo(change.strip())
