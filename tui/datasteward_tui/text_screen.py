"""Laid out text that scrolls both ways, in the pane or over the app."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip

from datasteward_tui.palette import COMPONENT_CLASSES, read_palette
from datasteward_tui.safe_text import show_line, show_lines
from datasteward_tui.strips import to_strip

LONGEST_TEXT = 2_000_000
_DRAWN = r"[\u2581-\u2595\u2596-\u259f\u2801-\u28ff]+"
"""Block and braille characters: the marks of charts."""


class TextView(ScrollView, can_focus=True):
    """Lines as they are, never wrapped, drawn only when in sight."""

    DEFAULT_CSS = """
    TextView { height: 1fr; padding: 0 1; background: $background; scrollbar-size: 1 1; scrollbar-color: $panel;
      scrollbar-background: $background; scrollbar-corner-color: $background; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES

    def __init__(self, text: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = show_lines(text, LONGEST_TEXT)

    def on_mount(self) -> None:
        """The size is known from the lines."""
        width = max((len(line) for line in self._lines), default=0)
        self.virtual_size = Size(width, len(self._lines))

    def render_line(self, y: int) -> Strip:
        """One line."""
        x, top = self.scroll_offset
        base = self.rich_style
        if top + y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        palette = read_palette(self)
        text = Text(self._lines[top + y], palette.text)
        text.highlight_regex(_DRAWN, palette.function)
        strip = to_strip(text)
        return strip.apply_style(base).crop_extend(x, x + self.size.width, base)


class TextScreen(ModalScreen[None]):
    """A text over the app; Esc closes it."""

    DEFAULT_CSS = """
    TextScreen { align: center middle; }
    TextScreen Vertical { width: 90%; height: 80%; border: round $primary; background: $background;
      border-title-color: $primary; border-subtitle-color: $ink-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "close")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """A box with the text."""
        with Vertical() as box:
            box.border_title = Text(show_line(self._title, 200)).markup
            box.border_subtitle = "Esc closes"
            yield TextView(self._text)
