"""The terminal app: a conversation with SQL and models on the left, what it is about on the right."""

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.theme import Theme

from datasteward.workspace import Workspace
from datasteward_tui import look
from datasteward_tui.approval_actions import APPROVAL_BINDINGS
from datasteward_tui.approval_dock import ApprovalDock
from datasteward_tui.blocks import NoticeBlock, PersonBlock, WelcomeBlock
from datasteward_tui.chat_actions import CHAT_BINDINGS
from datasteward_tui.choice_list import ChoiceList
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.pane_actions import PANE_BINDINGS, PaneActions
from datasteward_tui.ports import Providers
from datasteward_tui.preferences import Preferences, keep_preferences
from datasteward_tui.prompt_actions import PROMPT_BINDINGS, PromptActions
from datasteward_tui.prompt_input import PromptInput
from datasteward_tui.session_actions import SessionActions
from datasteward_tui.status_bar import StatusBar
from datasteward_tui.transcript import Transcript

BELOW = frozenset(
    {"approvals", "pane", "catalog", "widen", "switch", "mode", "history", "fold_calls", "transcript", "runs"}
)
"""What keys do to the conversation, the pane and the prompt."""


class StewardApp(PromptActions, PaneActions, SessionActions):
    """The whole app: what is on the screen, and what concerns all of it."""

    CSS = look.CSS
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (look.WIDE_COLUMNS, "-wide")]  # noqa: RUF012 - Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help", priority=True),
        *APPROVAL_BINDINGS,
        *PANE_BINDINGS,
        *CHAT_BINDINGS,
        *PROMPT_BINDINGS,
        Binding("ctrl+o", "fold_calls", "fold", priority=True),
        Binding("ctrl+t", "transcript", "conversation", priority=True),
        Binding("escape", "stop", "stop"),
    ]

    def compose(self) -> ComposeResult:
        """Conversation, pane, popup, prompt, status."""
        with Horizontal(id="body"):
            yield Transcript(id="transcript")
            yield DetailPane(id="detail")
        yield ApprovalDock(self.providers.open_desk, self.person, self.workspace, id="dock")
        yield ChoiceList(id="choices")
        yield PromptInput(self.history, id="prompt")
        yield StatusBar(id="status")

    def on_mount(self) -> None:
        """Show the first frame; everything else comes after it."""
        self.begin_chat()
        self.prompt.focus()
        self.show_standing()
        self._show_title()
        self.transcript.add(WelcomeBlock(self.welcome_facts()))
        if self.providers.chat is not None and self.providers.chat.notice:
            self.say(NoticeBlock(self.providers.chat.notice, "info"))
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.dock.begin()
        self.watch_runs()
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.start(self.load_workflows(), group="workflows")
        self.start(self.refresh_catalog(), group="catalog", exclusive=True)

    def _show_title(self) -> None:
        name = self.workspace.root.name or "/"
        self.title = f"Datasteward · {name}"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a screen stands over the app, its keys do nothing to what is below."""
        if len(self.screen_stack) > 1 and action in BELOW:
            return False
        return super().check_action(action, parameters)

    def _keep_theme(self, theme: Theme) -> None:
        keep_preferences(self.providers.preferences_path, Preferences(theme=theme.name))

    def command_theme(self, name: str) -> None:
        """Another theme by name, or a list to choose from."""
        if name in self.available_themes:
            self.theme = name
        elif name:
            self.say(NoticeBlock(f"There is no theme '{name}'.", "warning", ", ".join(sorted(self.available_themes))))
        else:
            self.search_themes()

    def action_copy_last(self) -> None:
        """Copy the last block that is no notice."""
        for block in reversed(self.transcript.blocks):
            if not isinstance(block, NoticeBlock | WelcomeBlock | PersonBlock):
                self.copy_text(block.source())
                return

    def action_clear(self) -> None:
        """Empty the screen."""
        self.transcript.clear()

    def action_help(self) -> None:
        """Every key and command."""
        if not isinstance(self.screen, Screen) or len(self.screen_stack) > 1:
            return
        from datasteward_tui.help_screen import HelpScreen

        has_desk, has_chat = self.providers.open_desk is not None, self.providers.chat is not None
        self.push_screen(HelpScreen(self.commands(), has_chat=has_chat, has_desk=has_desk))

    def action_transcript(self) -> None:
        """Into the conversation, and back."""
        (self.prompt if self.transcript.has_focus else self.transcript).focus()

    def action_fold_calls(self) -> None:
        """Fold all calls, or unfold the last."""
        self.transcript.fold_all()

    def action_stop(self) -> None:
        """Stop what runs; else close what is open; else go back to the prompt."""
        if self.conversation is not None and self.conversation.is_running:
            for block in self.conversation.stop():
                self.transcript.remove_block(block)
                self.prompt.put("\n".join(t for t in (self.prompt.text, block.words) if t))
        elif self._jobs:
            self.workers.cancel_group(self, "sql")
        elif not self.prompt.has_focus:
            self.prompt.focus()
        elif self.pane.is_shown:
            self.set_pane(is_shown=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The app's commands and Textual's own."""
        for command in self.commands():
            if not command.argument or command.argument.startswith("["):
                yield SystemCommand(command.name.capitalize(), command.about, lambda c=command: self.take(f"/{c.name}"))
        for entry in super().get_system_commands(screen):
            if entry.title not in {"Quit", "Theme", "Keys", "Screenshot"}:
                yield entry

    async def on_unmount(self) -> None:
        """Let go of the owner."""
        if self.conversation is not None:
            await self.conversation.close()
        await self.link.close()

    def command_export(self, name: str) -> None:
        """Write the conversation to a file that does not exist yet."""
        path = (self.workspace.root / (name or "conversation.md")).resolve()
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(self.transcript.text() + "\n")
        except OSError as error:
            self.say(NoticeBlock(f"{path.name} was not written: {error.strerror}.", "error", "Give another name."))
        else:
            self.say(NoticeBlock(f"Written to {path}.", "good"))


def run(workspace: Workspace, providers: Providers) -> None:
    """Show the app until the person leaves it; raises `ConfigError` when the state folder cannot be written."""
    workspace.make_state_folder()
    asyncio.run(StewardApp(workspace, providers).run_async())
