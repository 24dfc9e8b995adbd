"""Who else waits for a decision, in a line: handle, risk, who asks, since when; a click turns to it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.change_lines import RISK_SIGNS, risk_style
from datasteward_tui.change_words import describe_age
from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.strips import to_strip

if TYPE_CHECKING:
    from datasteward.changes.store import ChangeSummary

WHO_CELLS = 22


class QueueLine(Widget):
    """Hidden while fewer than two wait."""

    DEFAULT_CSS = "QueueLine { height: 1; display: none; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES

    class Chosen(Message):
        """A change was clicked."""

        def __init__(self, change: str) -> None:
            super().__init__()
            self.change = change

    def __init__(self) -> None:
        super().__init__()
        self._changes: Sequence[ChangeSummary] = ()
        self._risks: Mapping[str, str] = {}
        self._current: str | None = None

    def show(self, changes: "Sequence[ChangeSummary]", risks: Mapping[str, str], current: str | None) -> None:
        """List these, with `current` marked; `risks` are levels by digest."""
        self._changes, self._risks, self._current = changes, risks, current
        self.display = len(changes) > 1
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line; what does not fit is counted."""
        palette, width = read_palette(self), self.size.width
        handles = [c.handle for c in self._changes]
        first = max(0, handles.index(self._current) - 1) if self._current in handles else 0
        text = Text("… " if first else "", palette.muted)
        for number, change in enumerate(self._changes[first:], first):
            piece = self._draw(change, palette)
            left = len(self._changes) - number - 1
            if text.cell_len + piece.cell_len + (8 if left else 0) > width:
                text.append(f"+{left + 1} more", palette.muted)
                break
            text.append_text(piece)
        return to_strip(text).apply_style(self.rich_style).crop_extend(0, width, self.rich_style)

    def _draw(self, change: "ChangeSummary", palette: Palette) -> Text:
        is_current = change.handle == self._current
        level = self._risks.get(change.digest, "low")
        text = Text.assemble(
            ("▸ " if is_current else "  ", palette.accent),
            (f"{RISK_SIGNS[level]} ", risk_style(level, palette)),
            (change.handle, palette.strong if is_current else palette.text),
            (f" {fit_cells(show_line(change.requested_by, 80), WHO_CELLS)}", palette.muted),
            (f" {describe_age(change.created_at)}  ", palette.muted),
        )
        text.stylize(Style(meta={"change": change.handle}))
        return text

    def on_click(self, event: events.Click) -> None:
        """Turn to what was clicked."""
        change = event.style.meta.get("change")
        if isinstance(change, str):
            event.stop()
            self.post_message(self.Chosen(change))
