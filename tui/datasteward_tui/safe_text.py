"""Text from data and models made harmless for a terminal: what cannot be seen is shown, nothing is obeyed.

The rules: control characters become their pictures (`␛`), format characters (bidirectional overrides, zero-width
marks, tags), lone surrogates, private and unassigned characters become `‹U+202E›`, every kind of blank becomes a plain
blank, blanks that pretend to be letters are shown, and runs of combining marks are cut after four.
Categories are those of the Unicode Character Database.
"""

import re
import unicodedata

from rich.cells import cell_len, chop_cells

CELL_LIMIT = 10_000
"""Characters of one text that are looked at; a longer one is cut and says so."""
_LOOK_ALIKES = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_HIDDEN = re.compile(f"[{_LOOK_ALIKES}\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_PILED = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]{4})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]+"
)
TAB = "    "


def show_line(text: str, limit: int = CELL_LIMIT) -> str:
    """`text` on one line: line ends and tabs are shown as `↵` and `⇥`; cut after `limit` characters with a notice."""
    left = len(text) - limit
    kept = text[:limit] if left > 0 else text
    if not _is_plain(kept):
        kept = _PILED.sub(r"\1…", "".join(map(_show_in_line, kept)))
    return f"{kept}… (+{left:,} characters)" if left > 0 else kept


def show_lines(text: str, limit: int = 200_000) -> list[str]:
    """`text` as lines without line ends, tabs widened to four blanks; cut after `limit` characters with a notice."""
    left = len(text) - limit
    kept = text[:limit] if left > 0 else text
    kept = kept.replace("\r\n", "\n").replace("\t", TAB)
    lines = [show_line(line, limit) for line in kept.split("\n")]
    if left > 0:
        lines.append(f"… (+{left:,} characters)")
    return lines


def show_block(text: str, limit: int = 200_000) -> str:
    """`show_lines` as one text."""
    return "\n".join(show_lines(text, limit))


def fit_cells(text: str, width: int) -> str:
    """Already harmless `text` within `width` terminal cells, with `…` for what is cut."""
    if width <= 0:
        return ""
    if len(text) * 2 <= width or cell_len(text) <= width:
        return text
    room = width - 1
    kept = chop_cells(text[: room * 2 + 2], max(1, room))[0] if room else ""
    return f"{kept}…"


def _is_plain(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not (_HIDDEN.search(text) or _PILED.search(text)))


def _show_in_line(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    if character == "\n":
        return "↵"
    if character == "\t":
        return "⇥"
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category[0] == "C" or category in {"Zl", "Zp"} or _HIDDEN.match(character):
        return f"‹U+{code:04X}›"
    return character
