"""Facts under labels: a narrow column of what each is, and the words beside it, wrapped under themselves."""

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from datasteward_tui.palette import Palette
from datasteward_tui.strips import wrap_text

LABEL_CELLS = 8


def draw_fact(
    label: str, words: Text | str, width: int, palette: Palette, *, style: Style | None = None, indent: int = 0
) -> list[Strip]:
    """`words`, already harmless, beside a label of up to seven letters of our own."""
    text = words if isinstance(words, Text) else Text(words, palette.text if style is None else style)
    lead = Text(f"{'':{indent}}{label:<{LABEL_CELLS}}", palette.muted)
    return wrap_text(text, width, first=lead, rest=Text(" " * (indent + LABEL_CELLS)))
