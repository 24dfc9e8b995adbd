"""A table of any length: only the cells in sight are read and drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events, work
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import to_strip
from datasteward_tui.tables import NULL, TableColumn, show_cell

if TYPE_CHECKING:
    from datasteward_tui.result_pages import ResultPages

HEAD_LINES = 2
WIDEST_COLUMN = 36
MEASURED_ROWS = 200


class ResultGrid(ScrollView, can_focus=True):
    """A grid over stored rows with a cell cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", show=False),
        Binding("down", "move(1, 0)", show=False),
        Binding("left", "move(0, -1)", show=False),
        Binding("right", "move(0, 1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "jump('row_start')", show=False),
        Binding("end", "jump('row_end')", show=False),
        Binding("ctrl+home,g", "jump('top')", show=False),
        Binding("ctrl+end,G", "jump('bottom')", show=False),
        Binding("s", "sort", "sort"),
        Binding("y", "copy_cell", "copy cell"),
        Binding("Y", "copy_row", "copy row"),
        Binding("slash", "filter", "filter"),
        Binding("enter", "show_cell", "whole cell"),
    ]
    HINTS = (
        KeyHint(key="s", words="sort", action="sort"),
        KeyHint(key="/", words="filter", action="filter"),
        KeyHint(key="y", words="copy cell", action="copy_cell"),
        KeyHint(key="Y", words="row", action="copy_row"),
        KeyHint(key="Enter", words="whole cell", action="show_cell"),
    )

    class FilterAsked(Message):
        """Only some of the rows are wanted."""

    class Moved(Message):
        """The cursor or the order changed."""

    class Copied(Message):
        """A cell or row was asked for as text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class CellShown(Message):
        """The whole of a cell was asked for."""

        def __init__(self, title: str, text: str) -> None:
            super().__init__()
            self.title = title
            self.text = text

    class SortAsked(Message):
        """A sort that only a query can do."""

        def __init__(self, column: str, *, is_descending: bool) -> None:
            super().__init__()
            self.column = column
            self.is_descending = is_descending

    def __init__(self, pages: "ResultPages", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pages = pages
        self.row = 0
        self.column = 0
        self.sorted_by: tuple[int, bool] | None = None
        """The column that orders the rows, and whether downwards."""
        self._widths: list[int] = []
        self._lefts: list[int] = []
        self._gutter = max(3, len(f"{pages.row_count:,}")) + 1
        self._rows: Sequence[Sequence[object]] | None = None
        self._rows_start = -1
        self._palette: Palette | None = None

    def on_mount(self) -> None:
        """Columns get their widths from the first rows."""
        self._measure(self.pages.peek(0, MEASURED_ROWS) or ())
        self.virtual_size = Size(self._gutter + sum(w + 2 for w in self._widths), self.pages.row_count + HEAD_LINES)

    def _measure(self, rows: Sequence[Sequence[object]]) -> None:
        self._widths, self._lefts, left = [], [], self._gutter
        for index, column in enumerate(self.pages.columns):
            cells = [cell_len(show_cell(row[index], WIDEST_COLUMN * 2)) for row in rows]
            longest = max([cell_len(show_line(column.name, 100)), min(16, len(column.type)), *cells])
            self._widths.append(max(3, min(WIDEST_COLUMN, longest)))
            self._lefts.append(left)
            left += self._widths[-1] + 2

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        self._palette = None

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read the rows that come in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._rows_start = -1
        self.refresh()

    def _visible_rows(self) -> Sequence[Sequence[object]] | None:
        start = self.scroll_offset.y
        count = max(1, self.size.height - HEAD_LINES)
        if self._rows_start != start or (self._rows is not None and len(self._rows) < count):
            self._rows = self.pages.peek(start, count)
            self._rows_start = start if self._rows is not None else -1
            if self._rows is None:
                self._load(start, count)
        return self._rows

    @work(thread=True, exclusive=True, group="pages", exit_on_error=False)
    def _load(self, start: int, count: int) -> None:
        self.pages.load(start, count)
        self.app.call_from_thread(self._show_loaded)

    def _show_loaded(self) -> None:
        self._rows_start = -1
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Names, types, or one row."""
        if self._palette is None:
            self._palette = read_palette(self)
        palette, width = self._palette, self.size.width
        base = self.rich_style
        if y < HEAD_LINES:
            text = self._draw_head(y, palette)
            return to_strip(text).apply_style(base).crop_extend(self._scrolled(), self._scrolled() + width, base)
        row = self.scroll_offset.y + y - HEAD_LINES
        if row >= self.pages.row_count:
            return Strip.blank(width, base)
        rows = self._visible_rows()
        if row == self.row and self.has_focus:
            base += palette.selected
        if rows is None or y - HEAD_LINES >= len(rows):
            text = Text(f"{row + 1:>{self._gutter - 1},} …", palette.muted)
        else:
            text = self._draw_row(row, rows[y - HEAD_LINES], palette)
        return to_strip(text).apply_style(base).crop_extend(self._scrolled(), self._scrolled() + width, base)

    def _scrolled(self) -> int:
        return self.scroll_offset.x

    def _in_sight(self) -> range:
        left, right = self.scroll_offset.x, self.scroll_offset.x + self.size.width
        shown = [i for i, x in enumerate(self._lefts) if x < right and x + self._widths[i] + 2 > left]
        return range(shown[0], shown[-1] + 1) if shown else range(0)

    def _draw_head(self, y: int, palette: Palette) -> Text:
        visible = self._in_sight()
        text = Text(" " * (self._lefts[visible.start] if visible else 0))
        for index in visible:
            column = self.pages.columns[index]
            style = palette.accent if index == self.column and self.has_focus else palette.strong
            words = show_line(column.name if y == 0 else column.type, 100)
            if y == 0 and self.sorted_by and self.sorted_by[0] == index:
                words = f"{'↓' if self.sorted_by[1] else '↑'}{words}"
            self._put(text, words, style if y == 0 else palette.muted, index, column)
        return text

    def _draw_row(self, row: int, cells: Sequence[object], palette: Palette) -> Text:
        visible = self._in_sight()
        text = Text(f"{row + 1:>{self._gutter - 1},} ", palette.bar)
        if visible:
            text.append(" " * (self._lefts[visible.start] - self._gutter))
        for index in visible:
            cell = cells[index]
            style: Style = palette.muted if cell is None else palette.text
            if row == self.row and index == self.column and self.has_focus:
                style = palette.cursor
            self._put(text, show_cell(cell, WIDEST_COLUMN * 2), style, index, self.pages.columns[index])
        return text

    def _put(self, text: Text, words: str, style: Style, index: int, column: TableColumn) -> None:
        fitted = fit_cells(words, self._widths[index])
        pad = " " * (self._widths[index] - cell_len(fitted))
        if column.is_number:
            text.append(pad).append(fitted, style)
        else:
            text.append(fitted, style).append(pad)
        text.append("  ")

    def move_to(self, row: int, column: int) -> None:
        """Put the cursor on a cell and bring it in sight."""
        self.row = max(0, min(self.pages.row_count - 1, row))
        self.column = max(0, min(len(self.pages.columns) - 1, column))
        room = max(1, self.scrollable_content_region.height - HEAD_LINES - 1)
        top, left = self.scroll_offset.y, self.scroll_offset.x
        if self.row < top:
            top = self.row
        elif self.row > top + room:
            top = self.row - room
        if self._lefts:
            start, end = self._lefts[self.column], self._lefts[self.column] + self._widths[self.column]
            if start < left or self.column == 0:
                left = 0 if self.column == 0 else start
            elif end > left + self.scrollable_content_region.width:
                left = max(0, end - self.scrollable_content_region.width)
        self.scroll_to(x=left, y=top, animate=False, immediate=True, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, rows: int, columns: int) -> None:
        """To a neighbouring cell."""
        self.move_to(self.row + rows, self.column + columns)

    def action_page(self, pages: int) -> None:
        """A screenful up or down."""
        self.move_to(self.row + pages * max(1, self.scrollable_content_region.height - HEAD_LINES - 1), self.column)

    def action_jump(self, where: str) -> None:
        """To an end of the row or of the table."""
        ends = {
            "row_start": (self.row, 0),
            "row_end": (self.row, len(self.pages.columns) - 1),
            "top": (0, self.column),
            "bottom": (self.pages.row_count - 1, self.column),
        }
        self.move_to(*ends[where])

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked cell; a click on a name sorts by it."""
        x = event.x + self.scroll_offset.x
        column = next((i for i, left in enumerate(self._lefts) if left <= x < left + self._widths[i] + 2), self.column)
        if event.y < HEAD_LINES:
            self.column = column
            self.action_sort()
        else:
            self.move_to(self.scroll_offset.y + event.y - HEAD_LINES, column)

    def action_sort(self) -> None:
        """By the cursor's column upwards, then downwards, then as stored."""
        now = self.sorted_by
        if not self.pages.columns:
            return
        if now is None or now[0] != self.column:
            wanted: tuple[int, bool] | None = (self.column, False)
        else:
            wanted = (self.column, True) if not now[1] else None
        if wanted is not None and not self.pages.can_sort(wanted[0]):
            self.post_message(self.SortAsked(self.pages.columns[wanted[0]].name, is_descending=wanted[1]))
            return
        self._sort(wanted)

    @work(thread=True, exclusive=True, group="sort", exit_on_error=False)
    def _sort(self, wanted: tuple[int, bool] | None) -> None:
        self.pages.sort(wanted[0] if wanted else None, is_descending=bool(wanted and wanted[1]))
        self.app.call_from_thread(self._show_sorted, wanted)

    def _show_sorted(self, wanted: tuple[int, bool] | None) -> None:
        self.sorted_by = wanted
        self._rows_start = -1
        self.move_to(0, self.column)

    def current_cell(self) -> object:
        """The cell under the cursor, None when it is not read yet."""
        rows = self.pages.peek(self.row, 1)
        return rows[0][self.column] if rows and self.column < len(rows[0]) else None

    def action_copy_cell(self) -> None:
        """Copy the cell as it is shown, uncut."""
        self.post_message(self.Copied(_whole(self.current_cell())))

    def action_copy_row(self) -> None:
        """Copy the row, cells parted by tabs."""
        rows = self.pages.peek(self.row, 1)
        if rows:
            self.post_message(self.Copied("\t".join(_whole(c).replace("\t", " ").replace("\n", " ") for c in rows[0])))

    def action_filter(self) -> None:
        """Ask which rows are wanted."""
        self.post_message(self.FilterAsked())

    def action_show_cell(self) -> None:
        """Show the whole cell."""
        if self.pages.row_count and self.pages.columns:
            column = self.pages.columns[self.column]
            title = f"{column.name} · {column.type} · row {self.row + 1:,}"
            self.post_message(self.CellShown(title, _whole(self.current_cell())))


def _whole(cell: object) -> str:
    if isinstance(cell, list | dict):
        import json

        return json.dumps(cell, ensure_ascii=False, indent=2)
    return NULL if cell is None else str(cell)
