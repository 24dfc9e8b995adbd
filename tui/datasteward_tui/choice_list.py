"""The popup above the input: choices that fit what is being typed."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.fuzzy import Choice
from datasteward_tui.palette import COMPONENT_CLASSES, read_palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.strips import to_strip

SHOWN = 8


class ChoiceList(Widget):
    """Up to eight choices, one marked; takes no focus: the input moves the mark."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES

    class Chosen(Message):
        """A choice was clicked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._choices: Sequence[Choice] = ()
        self._marked = 0
        self._top = 0

    @property
    def is_open(self) -> bool:
        """Whether there is anything to choose."""
        return bool(self._choices)

    @property
    def marked(self) -> Choice | None:
        """The marked choice."""
        return self._choices[self._marked] if self._choices else None

    def show(self, choices: Sequence[Choice]) -> None:
        """Offer these; none closes the popup."""
        self._choices = choices
        self._marked = self._top = 0
        self.display = bool(choices)
        self.styles.height = min(SHOWN, len(choices)) or 1
        self.refresh()

    def move(self, step: int) -> None:
        """Mark the next or the one before, around the ends."""
        if self._choices:
            self._marked = (self._marked + step) % len(self._choices)
            self._top = max(min(self._top, self._marked), self._marked - SHOWN + 1)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One choice."""
        index = self._top + y
        palette, width = read_palette(self), self.size.width
        if index >= len(self._choices):
            return Strip.blank(width, self.rich_style)
        choice = self._choices[index]
        name = fit_cells(show_line(choice.value, 200), max(10, min(48, width // 2)))
        column = max((len(show_line(c.value, 200)) for c in self._choices[self._top : self._top + SHOWN]), default=0)
        pad = " " * max(2, min(column, max(10, min(48, width // 2))) + 2 - len(name))
        mark = "▸ " if index == self._marked else "  "
        text = Text.assemble(
            (mark, palette.accent),
            (name, palette.strong if index == self._marked else palette.text),
            pad,
            (f"{choice.kind}  " if choice.kind else "", palette.accent),
            (fit_cells(show_line(choice.about, 300), max(0, width - len(name) - len(pad) - 6)), palette.muted),
        )
        base = self.rich_style + palette.selected if index == self._marked else self.rich_style
        return to_strip(text).apply_style(base).crop_extend(0, width, base)

    def on_click(self, event: events.Click) -> None:
        """Choose by mouse."""
        index = self._top + event.y
        if index < len(self._choices):
            self._marked = index
            self.post_message(self.Chosen())
