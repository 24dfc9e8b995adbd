"""A change's whole preview over the app."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from datasteward_tui.change_lines import ChangeCase, draw_change
from datasteward_tui.lines_view import LinesView


class ChangeScreen(ModalScreen[bool]):
    """Scrolls; gives True when every line was in sight."""

    DEFAULT_CSS = """
    ChangeScreen { align: center middle; }
    ChangeScreen Vertical { width: 96%; height: 92%; border: round $warning; background: $background; padding: 0 1;
      border-title-color: $warning; border-subtitle-color: $ink-muted; }
    ChangeScreen LinesView { height: 1fr; background: $background; scrollbar-size: 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,p,q", "leave", "close"),
        Binding("up", "scroll_lines(-1)", show=False),
        Binding("down", "scroll_lines(1)", show=False),
        Binding("pageup", "scroll_pages(-1)", show=False),
        Binding("pagedown,space", "scroll_pages(1)", show=False),
    ]

    def __init__(self, case: ChangeCase) -> None:
        super().__init__()
        self._case = case

    def compose(self) -> ComposeResult:
        """A box with the lines."""
        with Vertical() as box:
            box.border_title = f"{self._case.row.summary.handle} · whole preview"
            box.border_subtitle = "↑ ↓ scroll · Esc back to decide"
            yield LinesView(lambda width, palette: draw_change(self._case, width, palette))

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll."""
        self.query_one(LinesView).scroll_relative(y=lines, animate=False, immediate=True)

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by what is in sight."""
        self.action_scroll_lines(pages * max(1, self.query_one(LinesView).size.height - 1))

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(self.query_one(LinesView).is_seen_to_end)
