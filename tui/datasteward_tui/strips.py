"""From styled text to lines of terminal cells."""

import functools
import io
from collections.abc import Sequence

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip


@functools.cache
def _console() -> Console:
    return Console(file=io.StringIO(), width=80, color_system=None, markup=False, emoji=False, highlight=False)


def to_strip(text: Text) -> Strip:
    """One line of text as a strip."""
    if not text.spans:
        style = text.style if isinstance(text.style, Style) else Style()
        return Strip([Segment(text.plain, style)] if text.plain else [])
    return Strip([s for s in text.render(_console(), end="") if s.text])


def wrap_text(text: Text, width: int, *, first: Text | None = None, rest: Text | None = None) -> list[Strip]:
    """`text` in lines of at most `width` cells; `first` stands before the first line and `rest` before the others."""
    first = first or Text()
    rest = first if rest is None else rest
    room = max(4, width - max(first.cell_len, rest.cell_len))
    lines = list(text.wrap(_console(), room, tab_size=4)) if text.plain else [Text()]
    out = []
    for number, line in enumerate(lines):
        line.rstrip_end(room)
        lead = rest if number else first
        out.append(to_strip(Text.assemble(lead, line) if lead.plain else line))
    return out


def blank() -> Strip:
    """An empty line."""
    return Strip([])


def indent(strips: Sequence[Strip], lead: str, style: Style) -> list[Strip]:
    """The strips, each with `lead` before it."""
    return [Strip([Segment(lead, style), *strip]) for strip in strips]
