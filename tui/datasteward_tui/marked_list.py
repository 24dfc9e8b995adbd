"""A list of which one row is marked: one line a row, drawn only when in sight, moved through by keys, wheel and click."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette
from datasteward_tui.strips import to_strip

T = TypeVar("T")
DrawRow = Callable[[T, int, Palette], Text]


class MarkedList(ScrollView, Generic[T], can_focus=False):
    """`draw` gives a row as one line of harmless text; takes no focus: its screen moves the mark."""

    DEFAULT_CSS = """
    MarkedList { overflow-x: hidden; background: $background; scrollbar-size: 1 1; scrollbar-color: $panel;
      scrollbar-background: $background; scrollbar-corner-color: $background; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES

    class Marked(Message):
        """Another row is marked."""

    class Chosen(Message):
        """The marked row was clicked once more."""

    def __init__(self, draw: DrawRow[T], *, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self._draw_row = draw
        self._empty = empty
        self._items: Sequence[T] = ()
        self.at = 0

    @property
    def marked(self) -> T | None:
        """The marked item."""
        return self._items[self.at] if self._items else None

    @property
    def items(self) -> Sequence[T]:
        """All items."""
        return self._items

    def show(self, items: Sequence[T], at: int = 0) -> None:
        """List these, with row `at` marked."""
        self._items = items
        self.at = max(0, min(at, len(items) - 1))
        self.virtual_size = Size(self.size.width, max(1, len(items)))
        self._keep_in_sight()
        self.refresh()
        self.post_message(self.Marked())

    def move(self, step: int) -> None:
        """Mark another row, not beyond the ends."""
        at = max(0, min(len(self._items) - 1, self.at + step))
        if self._items and at != self.at:
            self.at = at
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Marked())

    def move_page(self, pages: int) -> None:
        """Mark a row one sight further."""
        self.move(pages * max(1, self.size.height - 1))

    def _keep_in_sight(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.at < top:
            self.scroll_to(y=self.at, animate=False, immediate=True, force=True)
        elif self.at >= top + height:
            self.scroll_to(y=self.at - height + 1, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        """The mark stays in sight."""
        self.virtual_size = Size(self.size.width, max(1, len(self._items)))
        self._keep_in_sight()

    def render_line(self, y: int) -> Strip:
        """One row."""
        index, width = self.scroll_offset.y + y, self.size.width
        palette = read_palette(self)
        if not self._items and index == 0:
            return (
                to_strip(Text(self._empty, palette.muted))
                .apply_style(self.rich_style)
                .crop_extend(0, width, self.rich_style)
            )
        if index >= len(self._items):
            return Strip.blank(width, self.rich_style)
        is_marked = index == self.at
        text = Text.assemble(("▸ " if is_marked else "  ", palette.accent))
        text.append_text(self._draw_row(self._items[index], width - 2, palette))
        text.truncate(width, overflow="ellipsis")
        base = self.rich_style + palette.selected if is_marked else self.rich_style
        return to_strip(text).apply_style(base).crop_extend(0, width, base)

    def on_click(self, event: events.Click) -> None:
        """Mark by mouse; a click on the marked row chooses it."""
        index = self.scroll_offset.y + event.y
        if index >= len(self._items):
            return
        if index == self.at:
            self.post_message(self.Chosen())
        else:
            self.move(index - self.at)
