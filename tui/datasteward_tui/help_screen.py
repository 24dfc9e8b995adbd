"""Every key and command, over the app."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from datasteward_tui.commands import Command

KEYS: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "Typing",
        (
            ("Enter", "send"),
            ("Shift+Enter, Ctrl+J", "new line"),
            ("↑ ↓", "what you typed before"),
            ("Ctrl+R", "search it"),
            ("@", "name a table, file, column, result"),
            ("!", "run what follows as SQL"),
            ("Ctrl+G", "write in $EDITOR"),
            ("Esc", "stop what runs; close what is open"),
        ),
    ),
    (
        "Looking",
        (
            ("PgUp PgDn", "scroll the conversation"),
            ("Ctrl+T", "into the conversation: ↑ ↓ block, Enter open, Space fold, y copy"),
            ("Ctrl+O", "fold or unfold calls"),
            ("F3", "show or hide the pane"),
            ("F4", "catalog"),
            ("F6", "between prompt and pane"),
        ),
    ),
    (
        "In a table",
        (
            ("↑ ↓ ← → PgUp PgDn Home End", "move"),
            ("s", "sort by the column, up, down, as stored"),
            ("/", "filter by an SQL condition"),
            ("y, Y", "copy the cell, the row"),
            ("Enter", "the whole cell"),
        ),
    ),
)
CHAT_KEYS = (
    "Working with the model",
    (("Shift+Tab", "mode: plan, ask, auto"), ("Enter while it works", "queue a message")),
)
DESK_KEYS = (
    "Approvals",
    (
        ("F2", "go to the inbox and back; it never takes the focus by itself"),
        ("a", "approve what is shown"),
        ("r", "reject with a reason"),
        ("l", "later"),
        ("u", "propose to undo an applied change"),
        ("h", "history: open or all"),
    ),
)


class HelpScreen(ModalScreen[None]):
    """Closed by Esc, F1 or q."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll { width: 76; max-width: 96%; height: auto; max-height: 92%; border: round $primary;
      background: $surface; padding: 1 2; border-title-color: $primary; border-subtitle-color: $ink-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "close")]

    def __init__(self, commands: Sequence[Command], *, has_chat: bool, has_desk: bool) -> None:
        super().__init__()
        self._commands = commands
        self._has_chat = has_chat
        self._has_desk = has_desk

    def compose(self) -> ComposeResult:
        """One column of keys and commands."""
        with VerticalScroll() as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            yield Static(self._words(), markup=False)

    def _words(self) -> Text:
        variables = self.app.theme_variables
        accent, muted = variables.get("accent", ""), variables.get("ink-muted", "")
        style = "" if "ansi" in accent else accent
        text = Text()
        sections = [*KEYS, *([DESK_KEYS] if self._has_desk else []), *([CHAT_KEYS] if self._has_chat else [])]
        sections.append(("Everywhere", (("Ctrl+P", "all commands"), ("F1", "this help"), ("Ctrl+Q", "leave"))))
        for title, rows in sections:
            text.append(f"{title}\n", "bold")
            for key, words in rows:
                text.append(f"  {key}\n    " if len(key) > 20 else f"  {key:<21} ", style)
                text.append(f"{words}\n", "" if "ansi" in muted else muted)
            text.append("\n")
        text.append("Commands\n", "bold")
        for command in self._commands:
            name = f"/{command.name} {command.argument}".strip()
            text.append(f"  {name:<21} ", style)
            text.append(f"{command.about}\n", "" if "ansi" in muted else muted)
        return text
