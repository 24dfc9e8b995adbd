"""Where the person types: several lines, history, and keys that steer the popup."""

import re
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from datasteward_tui.prompt_history import PromptHistory

_AT = re.compile(r"(?<![\w@])@([^\s@]*)\Z")
_SLASH = re.compile(r"\A/(\S*)\Z")


class PromptInput(TextArea):
    """Enter sends, Shift+Enter or Ctrl+J begins a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,shift+enter,alt+enter", "new_line", "new line", show=False),
    ]

    class Sent(Message):
        """The person sent a text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Scrolled(Message):
        """The conversation should scroll by pages."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    class Steered(Message):
        """A key for the popup: up, down, tab, escape."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, history: PromptHistory, *, id: str | None = None) -> None:
        super().__init__(id=id, show_line_numbers=False, soft_wrap=True, tab_behavior="focus", compact=True)
        self._history = history
        self.is_choosing = False
        """Whether a popup is open that takes up, down, tab, enter and escape."""

    @property
    def before_cursor(self) -> str:
        """The text up to the cursor."""
        row, column = self.cursor_location
        lines = self.document.lines
        return "\n".join([*lines[:row], lines[row][:column]])

    def asked_name(self) -> str | None:
        """The letters after an `@` at the cursor, None without one."""
        match = _AT.search(self.before_cursor)
        return match[1] if match else None

    def asked_command(self) -> str | None:
        """The letters after a `/` that begins the text, None without one."""
        match = _SLASH.match(self.before_cursor)
        return match[1] if match and self.text.count("\n") == 0 else None

    def replace_asked(self, text: str) -> None:
        """Put `text` in place of the `@` or `/` word at the cursor."""
        match = _AT.search(self.before_cursor) or _SLASH.match(self.before_cursor)
        if match is None:
            self.insert(text)
            return
        row, column = self.cursor_location
        self.replace(text, (row, column - len(match[0])), (row, column))

    def put(self, text: str) -> None:
        """Show `text`, cursor at its end."""
        self.text = text
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        key = event.key
        if self.is_choosing and key in {"up", "down", "tab", "escape", "enter"}:
            event.stop()
            event.prevent_default()
            self.post_message(self.Steered(key))
            return
        if key in {"pageup", "pagedown"} and self.text.count("\n") < 8:
            event.stop()
            event.prevent_default()
            self.post_message(self.Scrolled(-1 if key == "pageup" else 1))
            return
        if key == "enter":
            event.stop()
            event.prevent_default()
            self._send()
            return
        if key == "up" and self._recall_above():
            event.stop()
            event.prevent_default()
            return
        if key == "down" and self._recall_below():
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def _send(self) -> None:
        text = self.text.strip()
        if text:
            self._history.add(text)
            self.text = ""
            self.post_message(self.Sent(text))

    def _recall_above(self) -> bool:
        if self.cursor_location[0] > 0:
            return False
        entry = self._history.back(self.text)
        if entry is not None:
            self.put(entry)
        return True

    def _recall_below(self) -> bool:
        if self.cursor_location[0] < self.document.line_count - 1:
            return False
        entry = self._history.forward()
        if entry is not None:
            self.put(entry)
        return True
