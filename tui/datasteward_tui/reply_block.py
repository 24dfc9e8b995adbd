"""A model's reply while it is written and after: closed parts are drawn once, only the open end is drawn again."""

import re

from textual.strip import Strip

from datasteward_tui.blocks import Block
from datasteward_tui.markdown_lines import FigureMarks, render_markdown
from datasteward_tui.palette import Palette
from datasteward_tui.strips import blank

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_HELD_CHARACTERS = 4000
"""An open part longer than this is closed at its last line end, so that endless paragraphs stay cheap."""


class ReplyBlock(Block):
    """Markdown that may still grow."""

    def __init__(self, words: str = "") -> None:
        super().__init__()
        self._closed: list[str] = []
        self._open = ""
        self._drawn: list[list[Strip]] = []
        self._drawn_for: tuple[int, Palette] | None = None
        self._figures: tuple[tuple[str, str], ...] = ()
        self.is_partial = False
        if words:
            self.feed(words)

    def feed(self, words: str) -> None:
        """More of the reply."""
        self._open += words
        cut = find_closed_end(self._open)
        if cut:
            self._closed.append(self._open[:cut])
            self._open = self._open[cut:]
        self.touch()

    def settle(self, words: str, *, is_partial: bool = False) -> None:
        """The whole reply, in place of what arrived piece by piece."""
        if words != self.source():
            self._closed, self._open = [], ""
            self._drawn_for = None
            while words and (cut := find_closed_end(words)):
                self._closed.append(words[:cut])
                words = words[cut:]
            self._open = words
        self.is_partial = is_partial
        self.touch()

    def mark(self, figures: tuple[tuple[str, str], ...]) -> None:
        """Show a verdict after each figure; pairs of the figure as written and its verdict, in order."""
        self._figures = figures
        self._drawn_for = None
        self.touch()

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        if self._figures:
            strips = render_markdown(self.source(), width, palette, FigureMarks(self._figures))
            return [*strips, blank()]
        if self._drawn_for != (width, palette):
            self._drawn, self._drawn_for = [], (width, palette)
        for part in self._closed[len(self._drawn) :]:
            self._drawn.append([*render_markdown(part, width, palette), blank()])
        strips = [strip for part in self._drawn for strip in part]
        if self._open.strip():
            strips += [*render_markdown(self._open, width, palette), blank()]
        return strips

    def source(self) -> str:
        return "".join(self._closed) + self._open


def find_closed_end(text: str) -> int:
    """How many characters of `text` no later words can change: up to the last blank line outside of code and lists."""
    fence: str | None = None
    end = position = 0
    is_blank_before = False
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if fence is None and is_blank_before and line.strip() and _starts_anew(line) and number:
            end = position
        if match:
            if fence is None:
                fence = match[1][0] * 3
            elif match[1].startswith(fence) and not line.strip().strip("`~"):
                fence = None
        is_blank_before = not line.strip()
        position += len(line)
    if not end and fence is None and len(text) > _HELD_CHARACTERS:
        return text.rfind("\n", 0, len(text) - 1) + 1
    return end


def _starts_anew(line: str) -> bool:
    return not line[0].isspace() and not re.match(r"(?:[-*+]|\d+[.)])\s", line)
