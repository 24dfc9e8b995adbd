"""The pane beside the conversation: tables, the catalog, profiles, lineage, runs and drawings, one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from datasteward.errors import DatastewardError
from datasteward_tui.catalog import Catalog, quote_name
from datasteward_tui.key_line import KeyLine
from datasteward_tui.result_grid import ResultGrid
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint

if TYPE_CHECKING:
    from datasteward_tui.result_pages import ResultPages

OWN_HINTS = (
    KeyHint(key="F5", words="wide", action="app.widen"),
    KeyHint(key="F6", words="prompt", action="app.switch"),
    KeyHint(key="Esc", words="close", action="app.close_pane"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaneView:
    """Something to show in the pane: its title, a widget, and the keys that work in it."""

    title: str
    content: Widget
    hints: Sequence[KeyHint] = ()


class DetailPane(Vertical):
    """Shows one thing under a title; Esc closes it."""

    DEFAULT_CSS = """
    DetailPane #detail-title { height: 1; padding: 0 1; background: $surface; color: $foreground; }
    DetailPane #detail-body { height: 1fr; }
    DetailPane ResultGrid { height: 1fr; background: $background; scrollbar-size: 1 1; scrollbar-color: $panel;
      scrollbar-background: $background; scrollbar-corner-color: $background; }
    DetailPane Tree { height: 1fr; overflow-x: hidden; background-tint: $foreground 0%; background: $background; padding: 0 1; scrollbar-size: 1 1; }
    DetailPane Tree:focus { background-tint: $foreground 0%; }
    DetailPane Tree > .tree--cursor, DetailPane Tree:focus > .tree--cursor {
      background: $ink-selected; text-style: $selected-style; }
    DetailPane #filter { display: none; height: 3; border: round $primary; background: $background; }
    DetailPane .empty { padding: 1 2; color: $ink-muted; }
    DetailPane KeyLine { padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close")]

    class Closed(Message):
        """The person is done with the pane."""

    class Asked(Message):
        """SQL to run (`runs`), or a text for the prompt."""

        def __init__(self, text: str, *, runs: bool) -> None:
            super().__init__()
            self.text = text
            self.runs = runs

    class Opened(Message):
        """A dataset was chosen."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Looked(Message):
        """Another view (`profile`, `lineage`, `schema`) of a dataset is wanted."""

        def __init__(self, view: str, name: str) -> None:
            super().__init__()
            self.view = view
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._handle: str | None = None
        self._title = ""

    def compose(self) -> ComposeResult:
        """Title, content, and a line for filters."""
        yield Static("", id="detail-title", markup=False)
        with Vertical(id="detail-body"):
            yield Static(
                "Nothing is open. F4 shows the catalog; a handle such as r1 opens its rows.",
                classes="empty",
                markup=False,
            )
        yield Input(id="filter", placeholder="SQL condition, such as amount > 10 and region = 'north'")

    @property
    def is_shown(self) -> bool:
        """Whether the pane is on the screen."""
        return self.screen.has_class("-pane")

    @property
    def has_focus_within(self) -> bool:
        """Whether the keys go to the pane."""
        focused = self.screen.focused
        return focused is not None and self in focused.ancestors_with_self

    @property
    def grid(self) -> ResultGrid | None:
        """The open table."""
        grids = self.query(ResultGrid)
        return grids.first() if grids else None

    def focus_content(self) -> None:
        """Give the keys to what is shown, once it is there."""
        self.call_after_refresh(self._focus_content)

    def _focus_content(self) -> None:
        for widget in self.query("#detail-body *"):
            if widget.can_focus:
                widget.focus()
                return

    def show_title(self, title: str) -> None:
        """Say what is shown."""
        self._title = show_line(title, 300)
        self.query_one("#detail-title", Static).update(Text(fit_cells(self._title, self.size.width - 2), "bold"))

    def on_resize(self) -> None:
        """The title is cut for the new width."""
        if self._title:
            self.show_title(self._title)

    async def put(self, view: PaneView) -> None:
        """Show a view in place of what was shown, with its keys at the foot."""
        body = self.query_one("#detail-body", Vertical)
        had_focus = self.has_focus_within
        await body.remove_children()
        await body.mount(view.content, KeyLine((*view.hints, *OWN_HINTS), owner=view.content))
        self.show_title(view.title)
        if had_focus:
            self.focus_content()

    # Tables

    def show_result(self, handle: str, path: Path) -> None:
        """Open the rows of a stored result."""
        self._open_result(handle, path)

    @work(thread=True, exclusive=True, group="open", exit_on_error=False)
    def _open_result(self, handle: str, path: Path) -> None:
        from datasteward_tui.result_pages import ResultPages

        try:
            pages = ResultPages(path)
            pages.load(0, 500)
        except DatastewardError as error:
            self.app.call_from_thread(self.call_later, self._show_fault, handle, str(error))
            return
        self.app.call_from_thread(self.call_later, self._show_pages, handle, pages)

    async def _show_fault(self, handle: str, words: str) -> None:
        await self.put(PaneView(title=handle, content=Static(words, classes="empty", markup=False)))

    async def _show_pages(self, handle: str, pages: "ResultPages") -> None:
        self._handle = handle
        await self.put(PaneView(title=handle, content=ResultGrid(pages), hints=ResultGrid.HINTS))
        self.on_result_grid_moved()
        self.focus_content()

    def on_result_grid_moved(self) -> None:
        """Say where the cursor is and how the rows are ordered."""
        grid = self.grid
        if grid is None:
            return
        pages = grid.pages
        parts = [
            self._handle or "",
            f"{pages.row_count:,} row{'' if pages.row_count == 1 else 's'}",
            f"{len(pages.columns)} column{'' if len(pages.columns) == 1 else 's'}",
        ]
        if grid.sorted_by is not None:
            name = show_line(pages.columns[grid.sorted_by[0]].name, 40)
            parts.append(f"by {name} {'↓' if grid.sorted_by[1] else '↑'}")
        self.show_title(" · ".join(parts))

    def on_result_grid_sort_asked(self, message: ResultGrid.SortAsked) -> None:
        """Only DuckDB can sort by this column."""
        order = "DESC" if message.is_descending else "ASC"
        text = f"FROM {self._handle} ORDER BY {quote_name(message.column)} {order} NULLS LAST"
        self.post_message(self.Asked(text, runs=True))

    async def on_result_grid_cell_shown(self, message: ResultGrid.CellShown) -> None:
        """The whole cell, over the app."""
        from datasteward_tui.text_screen import TextScreen

        self.app.push_screen(TextScreen(message.title, message.text))

    def on_result_grid_filter_asked(self) -> None:
        """Ask for an SQL condition."""
        line = self.query_one("#filter", Input)
        line.display = True
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The rows that meet the condition become a result of their own."""
        event.stop()
        condition = event.value.strip()
        self._close_filter()
        if condition and self._handle:
            self.post_message(self.Asked(f"FROM {self._handle} WHERE {condition}", runs=True))

    def _close_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.value = ""
        line.display = False
        self.focus_content()

    # The catalog

    def show_datasets(self, catalog: Catalog) -> None:
        """Bring an open tree up to date."""
        for tree in self.query("CatalogTree"):
            tree.show(catalog)  # type: ignore[attr-defined]  # the query is by that very type

    def action_close(self) -> None:
        """Close the filter line, or the pane."""
        if self.query_one("#filter", Input).display:
            self._close_filter()
        else:
            self.post_message(self.Closed())
