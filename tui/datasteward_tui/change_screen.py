"""A change's whole preview over the app."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from datasteward_tui.boxed_screen import ScrolledScreen
from datasteward_tui.change_lines import ChangeCase, draw_change
from datasteward_tui.lines_view import LinesView
from datasteward_tui.status_bar import KeyHint


class ChangeScreen(ScrolledScreen[bool]):
    """Scrolls; gives True when every line was in sight."""

    DEFAULT_CSS = """
    ChangeScreen > Vertical { border: round $warning; border-title-color: $warning; max-width: 200; }
    ChangeScreen LinesView { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "leave", "close"),
    ]
    HINTS = (
        KeyHint(key="↑↓ PgUp PgDn", words="scroll", action="scroll_pages(1)"),
        KeyHint(key="Esc", words="back to decide", action="leave"),
    )

    def __init__(self, case: ChangeCase) -> None:
        super().__init__()
        self._case = case

    def content(self) -> Iterator[Widget]:
        """The lines."""
        yield LinesView(lambda width, palette: draw_change(self._case, width, palette))

    def on_mount(self) -> None:
        """Name the change."""
        self.entitle(f"{self._case.row.summary.handle} · whole preview")

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(self.query_one(LinesView).is_seen_to_end)
