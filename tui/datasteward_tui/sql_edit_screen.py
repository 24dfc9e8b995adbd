"""A text, mostly SQL, to be changed by hand before it counts."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import TextArea

from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.safe_text import show_block
from datasteward_tui.status_bar import KeyHint


class SqlEditScreen(BoxedScreen[str | None]):
    """Gives the text as edited, or None. What cannot be seen in it is edited as what is shown for it."""

    DEFAULT_CSS = """
    SqlEditScreen > Vertical { height: 70%; max-width: 120; border: round $accent; border-title-color: $accent; }
    SqlEditScreen TextArea { height: 1fr; border: none; padding: 0; background: $background; scrollbar-size: 1 1; }
    SqlEditScreen TextArea .text-area--cursor-line { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "take", "take it", priority=True),
        Binding("ctrl+g", "editor", "$EDITOR", priority=True),
        Binding("escape", "leave", "leave it", priority=True),
    ]

    def __init__(self, title: str, text: str, does: str) -> None:
        super().__init__()
        self._title, self._text = title, show_block(text)
        self._hints = (
            KeyHint(key="^S", words=does, action="take"),
            KeyHint(key="^G", words="in $EDITOR", action="editor"),
            KeyHint(key="Esc", words="leave it as it is", action="leave"),
        )

    def content(self) -> Iterator[Widget]:
        """The text."""
        yield TextArea(self._text, compact=True, show_line_numbers=True, tab_behavior="indent")

    def hints(self) -> tuple[KeyHint, ...]:
        """What the keys do here."""
        return self._hints

    def on_mount(self) -> None:
        """Ready to type."""
        self.entitle(self._title)
        self.tell("")
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def action_take(self) -> None:
        """Take the text, unless nothing is left or nothing has changed."""
        text = self.query_one(TextArea).text.strip()
        if not text:
            self.tell("nothing is left of it; Esc leaves it as it is")
        elif text == self._text.strip():
            self.tell("nothing has changed; Esc leaves it as it is")
        else:
            self.dismiss(text)

    def action_editor(self) -> None:
        """Edit it in the person's own editor."""
        from datasteward_tui.editor import edit_text

        area = self.query_one(TextArea)
        try:
            with self.app.suspend():
                area.text = show_block(edit_text(area.text))
        except SuspendNotSupported:
            self.tell("this terminal cannot be left for an editor")
        except OSError as error:
            self.tell(f"the editor did not start: {error.strerror}")
