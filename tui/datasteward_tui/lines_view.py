"""A scrolling view of lines that something else draws for the view's width."""

from collections.abc import Callable
from typing import ClassVar

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette

Draw = Callable[[int, Palette], list[Strip]]


class LinesView(ScrollView, can_focus=False):
    """Draws once for a width and theme, shows what is in sight."""

    DEFAULT_CSS = "LinesView { overflow-x: hidden; scrollbar-gutter: stable; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES

    def __init__(self, draw: Draw, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source = draw
        self._strips: list[Strip] = []
        self.seen_lines = 0
        """Lines from the top that have been in sight since the content was set."""

    @property
    def line_count(self) -> int:
        """Lines of the content at the current width."""
        return len(self._strips)

    @property
    def is_seen_to_end(self) -> bool:
        """Whether every line has been in sight."""
        return bool(self._strips) and self.seen_lines >= len(self._strips)

    def set_source(self, draw: Draw) -> None:
        """Show other content from its top."""
        self._source = draw
        self.seen_lines = 0
        self.scroll_to(y=0, animate=False, immediate=True, force=True)
        self._draw_all()

    def redraw(self) -> None:
        """Draw the same content anew where it stands, because what it shows has changed."""
        self._draw_all()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._draw_all()

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        if self._strips:
            self._draw_all()

    def _draw_all(self) -> None:
        width = self.scrollable_content_region.width
        if width:
            self._strips = self._source(width, read_palette(self))
            self.virtual_size = Size(width, len(self._strips))
            self._note_seen()
            self.refresh()

    def _note_seen(self) -> None:
        """Lines count as seen when all above them were."""
        if self.scroll_offset.y <= self.seen_lines:
            self.seen_lines = max(self.seen_lines, self.scroll_offset.y + self.size.height)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other lines come in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._note_seen()

    def render_line(self, y: int) -> Strip:
        """One line."""
        line = self.scroll_offset.y + y
        base = self.rich_style
        if line >= len(self._strips):
            return Strip.blank(self.size.width, base)
        return self._strips[line].apply_style(base).crop_extend(0, self.size.width, base)
