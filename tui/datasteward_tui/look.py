"""How the app looks: its own two themes, the colours derived from any theme, and the layout."""

from collections.abc import Mapping

from textual.color import Color, ColorParseError
from textual.theme import Theme

DARK = Theme(
    name="steward",
    dark=True,
    primary="#6cb2f0",
    secondary="#7ccfb8",
    accent="#eda75c",
    success="#82c98a",
    warning="#e6bb5e",
    error="#ee7b7f",
    foreground="#dde2ea",
    background="#13161b",
    surface="#191d24",
    panel="#232933",
    boost="#232933",
)
LIGHT = Theme(
    name="steward-light",
    dark=False,
    primary="#1f6fb8",
    secondary="#147d68",
    accent="#b4610f",
    success="#2c7d39",
    warning="#9a6b00",
    error="#bf2f38",
    foreground="#23272f",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e6e2da",
    boost="#e6e2da",
)
WIDE_COLUMNS = 110
"""From this width on the detail pane stands beside the conversation, below it in its place."""


def derive_colours(variables: Mapping[str, str], *, is_ansi: bool) -> dict[str, str]:
    """The further colours that the app draws with, made from a theme's own; the terminal's sixteen stay themselves."""
    if is_ansi:
        return {
            "ink-muted": "ansi_bright_black",
            "ink-bar": "ansi_bright_black",
            "ink-selected": "ansi_default",
            "selected-style": "reverse",
            "ink-code": "ansi_default",
            "ink-added": "ansi_green",
            "ink-removed": "ansi_red",
        }
    front, back = _parse(variables, "foreground"), _parse(variables, "background")
    good, bad = _parse(variables, "success"), _parse(variables, "error")
    return {
        "ink-muted": front.blend(back, 0.42).hex,
        "ink-bar": front.blend(back, 0.72).hex,
        "ink-selected": back.blend(_parse(variables, "primary"), 0.18).hex,
        "selected-style": "none",
        "ink-code": front.blend(_parse(variables, "secondary"), 0.25).hex,
        "ink-added": back.blend(good, 0.16).hex,
        "ink-removed": back.blend(bad, 0.16).hex,
    }


def _parse(variables: Mapping[str, str], name: str) -> Color:
    try:
        return Color.parse(variables[name])
    except (KeyError, ColorParseError):
        return Color.parse("#808080")


PAINT = """
.paint--text { color: $foreground; }
.paint--muted { color: $ink-muted; }
.paint--strong { color: $foreground; text-style: bold; }
.paint--accent { color: $accent; }
.paint--link { color: $primary; text-style: underline; }
.paint--code { color: $ink-code; }
.paint--keyword { color: $primary; text-style: bold; }
.paint--string { color: $success; }
.paint--number { color: $accent; }
.paint--function { color: $secondary; }
.paint--heading { color: $primary; text-style: bold; }
.paint--good { color: $success; }
.paint--warn { color: $warning; }
.paint--bad { color: $error; }
.paint--bar { color: $ink-bar; }
.paint--cursor { background: $primary; color: $background; }
.paint--selected { background: $ink-selected; text-style: $selected-style; }
.paint--added { color: $success; }
.paint--removed { color: $error; }
"""

LAYOUT = """
Screen { background: $background; }
ModalScreen { background: $background 65%; }
#body { height: 1fr; }
#transcript { width: 1fr; height: 1fr; overflow-x: hidden; scrollbar-gutter: stable; padding: 1 0 0 1; background: $background; scrollbar-size: 1 1;
  scrollbar-color: $panel; scrollbar-background: $background; scrollbar-corner-color: $background; }
#detail { display: none; width: 46%; height: 1fr; border-left: vkey $panel; background: $background; }
.-pane #detail { display: block; }
.-narrow.-pane #transcript { display: none; }
.-narrow.-pane #detail { width: 100%; border-left: none; }
.-full.-pane #transcript { display: none; }
.-full.-pane #detail { width: 100%; border-left: none; }
#choices { display: none; height: 1; background: $surface; padding: 0 1; }
#prompt { height: auto; max-height: 10; min-height: 3; border: round $panel; padding: 0 1; background: $background;
  border-title-color: $ink-muted; border-subtitle-color: $ink-muted; scrollbar-size: 1 1; }
#prompt:focus { border: round $primary; border-title-color: $primary; }
#prompt .text-area--cursor-line { background: $background; }
StatusBar { height: 2; background: $surface; color: $foreground; }
.-narrow ToastRack { max-width: 100%; }
Toast { max-width: 60; }
"""
CSS = PAINT + LAYOUT
