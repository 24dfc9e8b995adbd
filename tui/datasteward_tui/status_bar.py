"""The two lines at the bottom: how things stand, and the keys that work here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.palette import COMPONENT_CLASSES, read_palette
from datasteward_tui.run_shelf import RunLine
from datasteward_tui.safe_text import show_line
from datasteward_tui.strips import to_strip


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the upper line says; None and 0 are left out."""

    mode: str | None = None
    model: str | None = None
    context_share: float | None = None
    usd: float | None = None
    waiting: int = 0
    queued: int = 0
    runs: Sequence[RunLine] = ()
    activity: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHint:
    """A key, what it does, and the app action behind it."""

    key: str
    words: str
    action: str


class StatusBar(Widget):
    """Mode, model, context, cost, approvals, activity and place; below them the keys, which can be clicked."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES
    standing: reactive[Standing] = reactive(Standing())
    hints: reactive[Sequence[KeyHint]] = reactive(())

    def render_line(self, y: int) -> Strip:
        """The standing or the keys."""
        text = self._standing() if y == 0 else self._keys()
        text.truncate(self.size.width, overflow="ellipsis")
        return to_strip(text).apply_style(self.rich_style).crop_extend(0, self.size.width, self.rich_style)

    def _standing(self) -> Text:
        palette, now = read_palette(self), self.standing
        parts: list[tuple[str, Style]] = []
        if now.mode:
            style = {"plan": palette.accent, "auto": palette.warn}.get(now.mode, palette.good)
            parts.append((f"◆ {now.mode}", style))
        parts.append((show_line(now.model, 60), palette.text) if now.model else ("no model", palette.muted))
        if now.context_share is not None:
            style = palette.warn if now.context_share > 0.8 else palette.muted
            parts.append((f"context {now.context_share:.0%}", style))
        if now.usd is not None:
            parts.append((f"~${now.usd:.3f}", palette.muted))
        if now.waiting:
            parts.append((f"⚑ {now.waiting} waiting", palette.warn + Style(meta={"act": "approvals"})))
        if now.runs:
            parts.append((_run_words(now.runs), palette.accent + Style(meta={"act": "runs"})))
        if now.queued:
            parts.append((f"{now.queued} queued", palette.accent))
        if now.activity:
            parts.append((show_line(now.activity, 80), palette.accent))
        left = Text(" ")
        for number, (words, style) in enumerate(parts):
            if number:
                left.append("  ", palette.bar)
            left.append(words, style)
        room = self.size.width - left.cell_len - 2
        place = Text(show_line(now.place, 200), palette.muted)
        if room > 10 and place.plain:
            place.truncate(room, overflow="ellipsis")
            left.append(" " * (self.size.width - left.cell_len - place.cell_len - 1))
            left.append_text(place)
        return left

    def _keys(self) -> Text:
        palette = read_palette(self)
        text = Text(" ")
        for hint in self.hints:
            piece = Text.assemble(
                (hint.key, palette.accent + Style(meta={"act": hint.action})),
                (f" {hint.words}", palette.muted + Style(meta={"act": hint.action})),
            )
            if text.cell_len + piece.cell_len + 2 > self.size.width:
                break
            if text.cell_len > 1:
                text.append("  ")
            text.append_text(piece)
        return text

    async def on_click(self, event: events.Click) -> None:
        """Do what the key would do."""
        action = event.style.meta.get("act")
        if action in {"runs", "approvals"} or any(h.action == action for h in self.hints):
            await self.app.run_action(str(action))


def _run_words(runs: Sequence[RunLine]) -> str:
    first = runs[0]
    left = f" · {first.seconds_left:.0f} s" if first.seconds_left is not None and first.seconds_left >= 1 else ""
    more = f" +{len(runs) - 1}" if len(runs) > 1 else ""
    return f"▶ {show_line(first.run, 20)} {first.done}/{first.total}{left}{more}"
