"""The styles that line-rendered widgets draw with, taken from the theme through component classes."""

from dataclasses import dataclass, fields

from rich.style import Style
from textual.widget import Widget


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """One style a role; every role is also told apart by a character, so nothing depends on colour."""

    text: Style
    muted: Style
    strong: Style
    accent: Style
    link: Style
    code: Style
    keyword: Style
    string: Style
    number: Style
    function: Style
    heading: Style
    good: Style
    warn: Style
    bad: Style
    bar: Style
    cursor: Style
    selected: Style
    added: Style
    removed: Style


ROLES = tuple(field.name for field in fields(Palette))
COMPONENT_CLASSES = {f"paint--{role}" for role in ROLES}


def read_palette(widget: Widget) -> Palette:
    """The palette of a widget that has `COMPONENT_CLASSES`, in the current theme."""
    return Palette(**{role: widget.get_component_rich_style(f"paint--{role}", partial=True) for role in ROLES})


def plain_palette() -> Palette:
    """A palette without any style, for text exports and tests."""
    return Palette(**{role: Style() for role in ROLES})
