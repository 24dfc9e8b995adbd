"""Text from data and from whoever asks, made safe to show: no control characters, and no line that looks like ours."""

import unicodedata
from collections.abc import Iterator

QUOTE = "| "
CONTINUED = "|+ "
LONGEST_WORD = 24
QUOTED_CELLS = 76
"""Screen cells of a quoted line; a longer one is continued under a mark, so that no terminal wraps it to the margin."""
_UNSAFE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def make_safe(text: str) -> str:
    """The text with every control, bidirectional or invisible character shown as an escape; newlines stay."""
    return "".join(c if c == "\n" or unicodedata.category(c) not in _UNSAFE else f"\\u{{{ord(c):x}}}" for c in text)


def make_line(text: str) -> str:
    """The text safe and on one line; newlines are shown as `\\n`."""
    return make_safe(text).replace("\n", "\\n")


def quote(text: str) -> list[str]:
    """The text safe, with a mark before each of its lines: `| ` at its beginning, `|+ ` where one is continued."""
    lines: list[str] = []
    for line in make_safe(text).split("\n"):
        first, *rest = _pieces(line)
        lines += [f"{QUOTE}{first}" if first else QUOTE.rstrip(), *(f"{CONTINUED}{piece}" for piece in rest)]
    return lines


def _pieces(line: str) -> Iterator[str]:
    """Parts of at most `QUOTED_CELLS` screen cells, cut behind a space where one is near; together the line."""
    start, cells, space = 0, 0, 0
    for position, character in enumerate(line):
        if cells + _width(character) > QUOTED_CELLS:
            end = space if position - space < LONGEST_WORD and space > start else position
            yield line[start:end]
            start, cells = end, sum(map(_width, line[end:position]))
        cells += _width(character)
        if character == " ":
            space = position + 1
    yield line[start:]


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
