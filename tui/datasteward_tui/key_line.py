"""The keys that work in a panel or screen, at its foot: as many lines as they need, each can be clicked."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.palette import COMPONENT_CLASSES, Palette, plain_palette, read_palette
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import to_strip

GAP = "  "


class KeyLine(Widget):
    """Shows hints; a click does what the key would do in `owner`, or in the screen. Words may take their place."""

    DEFAULT_CSS = "KeyLine { height: auto; width: 1fr; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES

    def __init__(self, hints: Sequence[KeyHint] = (), *, owner: Widget | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints = tuple(hints)
        self._owner = owner
        self._told = ""

    def show(self, hints: Sequence[KeyHint], told: str = "") -> None:
        """These keys work now; `told`, words of our own, stand in their place until the next call."""
        if (tuple(hints), told) != (self._hints, self._told):
            self._hints, self._told = tuple(hints), told
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the hints need."""
        return len(self._lines(width, plain_palette()))

    def render_line(self, y: int) -> Strip:
        """One line of keys."""
        lines = self._lines(self.size.width, read_palette(self))
        if y >= len(lines):
            return Strip.blank(self.size.width, self.rich_style)
        strip = to_strip(lines[y]).apply_style(self.rich_style)
        return strip.crop_extend(0, self.size.width, self.rich_style)

    def _lines(self, width: int, palette: Palette) -> list[Text]:
        if self._told:
            return [Text(self._told, palette.warn)]
        lines = [Text()]
        for hint in self._hints:
            act = Style(meta={"act": hint.action})
            piece = Text.assemble((hint.key, palette.accent + act), (f" {hint.words}", palette.muted + act))
            if lines[-1].plain and lines[-1].cell_len + len(GAP) + piece.cell_len > width:
                lines.append(Text())
            if lines[-1].plain:
                lines[-1].append(GAP)
            lines[-1].append_text(piece)
        return lines

    async def on_click(self, event: events.Click) -> None:
        """Do what the key would do."""
        action = event.style.meta.get("act")
        if isinstance(action, str) and any(h.action == action for h in self._hints):
            event.stop()
            await self.app.run_action(action, default_namespace=self._owner or self.screen)
