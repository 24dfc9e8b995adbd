"""What is typed: completion, history, and how a line is taken as command, SQL or message."""

import time
from itertools import chain

from textual.binding import Binding, BindingType

from datasteward.workspace import Workspace
from datasteward_tui import commands as slash
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.chat_actions import ChatActions
from datasteward_tui.fuzzy import Choice, rank
from datasteward_tui.ports import Providers
from datasteward_tui.prompt_input import PromptInput
from datasteward_tui.sql_actions import SqlActions

PROMPT_BINDINGS: tuple[BindingType, ...] = (
    Binding("ctrl+r", "history", "history", priority=True),
    Binding("ctrl+g", "editor", "editor", priority=True),
)


class PromptActions(SqlActions, ChatActions):
    """The line at the bottom and its popup."""

    def __init__(self, workspace: Workspace, providers: Providers) -> None:
        super().__init__(workspace, providers)
        self._is_searching_history = False

    def on_text_area_changed(self) -> None:
        """Offer names and commands, and say how the text will be taken."""
        self._typed_at = time.monotonic()
        self.dock.note_typing()
        prompt = self.prompt
        prompt.border_title = self._reading_of(prompt.text)
        if self._is_searching_history:
            self._offer(rank(prompt.text, [Choice(value=e) for e in reversed(self.history.entries)]))
            return
        name, command = prompt.asked_name(), prompt.asked_command()
        if command is not None:
            self._offer(rank(f"/{command}" if command else "", slash.choices(self.commands())))
        elif name is not None:
            self._offer(rank(name, chain(self.catalog.choices(), self.run_choices)))
        else:
            self._offer([])

    def _offer(self, choices: list[Choice]) -> None:
        self.choice_list.show(choices)
        self.prompt.is_choosing = bool(choices)

    def _reading_of(self, text: str) -> str:
        if self._is_searching_history:
            return "search history"
        if text.startswith("/"):
            return "command"
        if self.is_sql(text):
            return "SQL"
        return "message" if text.strip() and self.providers.chat else ""

    def on_prompt_input_steered(self, message: PromptInput.Steered) -> None:
        """Move in the popup, take its choice, or close it."""
        match message.key:
            case "up":
                self.choice_list.move(-1)
            case "down":
                self.choice_list.move(1)
            case "escape":
                self._close_choices()
            case _:
                self._take_choice(sends=message.key == "enter")

    def on_choice_list_chosen(self) -> None:
        """A click is as good as Tab."""
        self._take_choice(sends=False)
        self.prompt.focus()

    def _close_choices(self) -> None:
        if self._is_searching_history:
            self._is_searching_history = False
            self.prompt.put("")
        self._offer([])
        self.prompt.border_title = self._reading_of(self.prompt.text)

    def _take_choice(self, *, sends: bool) -> None:
        choice = self.choice_list.marked
        if choice is None:
            return
        if self._is_searching_history:
            self._is_searching_history = False
            self.prompt.put(choice.value)
        else:
            is_command = self.prompt.asked_command() is not None
            self.prompt.replace_asked(choice.inserted)
            if sends and is_command and choice.is_whole:
                self.prompt.text = ""
                self.take(choice.inserted.rstrip())
        self._offer([])

    def on_prompt_input_sent(self, message: PromptInput.Sent) -> None:
        """Take what was typed as a command, as SQL or as a message."""
        self.take(message.text)

    def take(self, text: str) -> None:
        """Act on a line as if it were typed."""
        self.transcript.go_to_end()
        if text.startswith("/"):
            self._take_command(text)
        elif self.is_sql(text):
            self.run_statement(text.removeprefix("!").strip())
        else:
            self.send_message(text)

    def _take_command(self, text: str) -> None:
        found = slash.parse_invocation(text, self.commands())
        if isinstance(found, str):
            self.say(NoticeBlock(found, "warning"))
            return
        if found.command.action == "workflow":
            self.send_workflow(found.command.name, found.rest)
            return
        handler = getattr(self, f"command_{found.command.action}", None)
        if handler is not None:
            handler(found.rest)
        else:
            self.call_later(self.run_action, found.command.action)

    def action_history(self) -> None:
        """Search what was typed before."""
        self.prompt.focus()
        self._is_searching_history = True
        self.prompt.put("")
        self.on_text_area_changed()

    def on_prompt_input_scrolled(self, message: PromptInput.Scrolled) -> None:
        """Scroll the conversation by pages."""
        if message.pages < 0:
            self.transcript.scroll_page_up(animate=False)
        else:
            self.transcript.scroll_page_down(animate=False)

    def action_editor(self) -> None:
        """Write the prompt in the person's own editor."""
        from textual.app import SuspendNotSupported

        from datasteward_tui.editor import edit_text

        try:
            with self.suspend():
                self.prompt.put(edit_text(self.prompt.text))
        except SuspendNotSupported:
            self.notify("This terminal cannot be left for an editor.", severity="warning")
        except OSError as error:
            self.notify(f"The editor did not start: {error.strerror}", severity="warning", markup=False)
