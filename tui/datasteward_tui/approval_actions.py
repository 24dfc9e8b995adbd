"""The inbox and the app: keys, counts, attention, undo, history, rules."""

import asyncio

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

    def command_changes(self, change: str) -> None:
        """The history of all changes; with a change named, that one marked."""
        self.dock.show_history(change.strip().lower())

    def action_rules(self) -> None:
        """The policy's rules, and what was recently blocked."""
        self.start(self._show_rules(), group="rules", exclusive=True)

    async def _show_rules(self) -> None:
        from datasteward_tui.inbox import read_policy
        from datasteward_tui.recent_blocks import find_blocked
        from datasteward_tui.rules_screen import RulesScreen

        changes = await self.dock.inbox.everything()
        policy = await asyncio.to_thread(read_policy, self.workspace)
        counts = await self.dock.inbox.may_allow(policy)
        blocked = await asyncio.to_thread(find_blocked, self.workspace, changes)
        if await self.push_screen_wait(RulesScreen(policy, blocked, allow_counts=counts)) == "edit":
            self._edit_settings()

    def _edit_settings(self) -> None:
        from textual.app import SuspendNotSupported

        from datasteward_tui.editor import edit_file

        try:
            with self.suspend():
                edit_file(self.workspace.settings_path)
        except SuspendNotSupported:
            self.notify("This terminal cannot be left for an editor.", severity="warning")
        except OSError as error:
            self.notify(f"The editor did not start: {error.strerror}", severity="warning", markup=False)
        else:
            self.action_rules()

    def command_undo(self, change: str) -> None:
        """Propose to take an applied change back."""
        self.dock.propose_undo(change.strip())
