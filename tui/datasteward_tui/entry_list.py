"""Rows under a head with a cursor; a row unfolds into the lines that belong to it."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette
from datasteward_tui.strips import indent, to_strip


class EntryList(ScrollView, can_focus=True):
    """Subclasses say how many rows there are and draw them; only what is in sight is drawn."""

    DEFAULT_CSS = """
    EntryList { height: 1fr; overflow-x: hidden; scrollbar-gutter: stable; background: $background; padding: 0 1; scrollbar-size: 1 1;
      scrollbar-color: $panel; scrollbar-background: $background; scrollbar-corner-color: $background; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "jump(0)", show=False),
        Binding("end", "jump(-1)", show=False),
        Binding("enter,space", "unfold", "more"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.row = 0
        self._unfolded: set[int] = set()
        self._head: list[Strip] = []
        self._details: dict[int, list[Strip]] = {}
        self._starts: list[int] = [0]

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def draw_head(self, width: int, palette: Palette) -> list[Strip]:
        """What stands above the rows and scrolls with them."""
        return []

    def draw_row(self, index: int, width: int, palette: Palette) -> Text:
        """One row on one line of harmless text."""
        raise NotImplementedError

    def draw_detail(self, index: int, width: int, palette: Palette) -> list[Strip]:
        """The lines of an unfolded row."""
        return []

    def reload(self) -> None:
        """The content has changed; cursor and folds stay."""
        width, palette = max(20, self.scrollable_content_region.width), read_palette(self)
        count = self.row_count
        self.row = max(0, min(self.row, count - 1))
        self._head = self.draw_head(width, palette)
        self._details = {
            i: indent(self.draw_detail(i, width - 4, palette), "  ▏ ", palette.bar) for i in self._unfolded if i < count
        }
        heights = (1 + len(self._details.get(i, ())) for i in range(count))
        self._starts = list(accumulate(heights, initial=len(self._head)))
        self.virtual_size = Size(width, self._starts[-1])
        self.refresh()

    def on_resize(self) -> None:
        """Everything is laid out for the new width."""
        self.reload()

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        if self.is_mounted:
            self.reload()

    def render_line(self, y: int) -> Strip:
        """One line of head, row or detail."""
        line, width, base = self.scroll_offset.y + y, self.scrollable_content_region.width, self.rich_style
        if line < len(self._head):
            return self._head[line].apply_style(base).crop_extend(0, width, base)
        index = self._row_at(line)
        if index is None:
            return Strip.blank(width, base)
        inside = line - self._starts[index] - 1
        if inside >= 0:
            return self._details[index][inside].apply_style(base).crop_extend(0, width, base)
        palette = read_palette(self)
        text = Text("▸ " if index == self.row and self.has_focus else "  ", palette.accent)
        text.append_text(self.draw_row(index, width - 2, palette))
        text.truncate(width, overflow="ellipsis")
        style = base + palette.selected if index == self.row and self.has_focus else base
        return to_strip(text).apply_style(style).crop_extend(0, width, style)

    def _row_at(self, line: int) -> int | None:
        if not len(self._head) <= line < self._starts[-1]:
            return None
        return bisect_right(self._starts, line) - 1

    def on_focus(self) -> None:
        """The cursor shows."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor hides."""
        self.refresh()

    def move_to(self, row: int) -> None:
        """Put the cursor on a row and bring it in sight, with as much of its lines as fits."""
        self.row = max(0, min(self.row_count - 1, row))
        if not self.row_count:
            return
        height = max(1, self.size.height)
        first, last = self._starts[self.row], self._starts[self.row + 1] - 1
        top = self.scroll_offset.y
        if last >= top + height:
            top = last - height + 1
        if self.row == 0:
            top = 0
        elif first < top:
            top = first
        self.scroll_to(y=top, animate=False, immediate=True, force=True)
        self.refresh()

    def action_move(self, rows: int) -> None:
        """To a neighbouring row."""
        self.move_to(self.row + rows)

    def action_page(self, pages: int) -> None:
        """A screenful up or down."""
        self.move_to(self.row + pages * max(1, self.size.height - 1))

    def action_jump(self, row: int) -> None:
        """To the first row, or with -1 to the last."""
        self.move_to(row if row >= 0 else self.row_count - 1)

    def action_unfold(self) -> None:
        """Show or hide what belongs to the row."""
        if self.row_count:
            self._unfolded ^= {self.row}
            self.reload()
            self.move_to(self.row)

    def unfold(self, rows: Sequence[int]) -> None:
        """Show what belongs to these rows."""
        self._unfolded |= set(rows)
        self.reload()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a row; a click on the cursor's row unfolds it."""
        line = self.scroll_offset.y + event.y
        index = self._row_at(line)
        if index is None:
            return
        if index == self.row and line == self._starts[index]:
            self.action_unfold()
        else:
            self.move_to(index)
