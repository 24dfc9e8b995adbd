"""Words, strings and punctuation of a SQL text, for rewriting file scans and COPY before binding."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

TokenKind = Literal["word", "quoted", "string", "symbol"]

_PATTERN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>[xXbB]?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
  | (?P<word>\w+)
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_KINDS: dict[str, TokenKind] = {
    "escaped": "string",
    "string": "string",
    "dollar": "string",
    "quoted": "quoted",
    "word": "word",
    "symbol": "symbol",
}


@dataclass(frozen=True, slots=False, kw_only=True)
class Token:
    """A token with its place in the text, in characters."""

    kind: TokenKind
    text: str
    start: int
    end: int

    @cached_property
    def value(self) -> str:
        """The content: a string or quoted name without its quotes, anything else as written."""
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"')
        if self.kind == "string":
            if self.text.startswith("$"):
                mark = self.text.index("$", 1) + 1
                return self.text[mark:-mark]
            return self.text[self.text.index("'") + 1 : -1].replace("''", "'")
        return self.text

    def is_word(self, *words: str) -> bool:
        """True for an unquoted word that is one of `words` (given in lower case)."""
        return self.kind == "word" and self.text.casefold() in words


def read_tokens(sql: str) -> list[Token]:
    """The tokens of `sql` without spaces and comments; never fails, an odd character is a symbol."""
    tokens: list[Token] = []
    position = 0
    while position < len(sql):
        if sql.startswith("/*", position):
            position = _end_of_comment(sql, position)
            continue
        match = _PATTERN.match(sql, position)
        if match is None:
            break
        start, position = position, match.end()
        if match.lastgroup == "space":
            continue
        if match.lastgroup == "dollar":
            closing = sql.find(match.group(), position)
            position = closing + len(match.group()) if closing >= 0 else len(sql)
        tokens.append(Token(kind=_KINDS[match.lastgroup or ""], text=sql[start:position], start=start, end=position))
    return tokens


def closing_index(tokens: Sequence[Token], opening: int) -> int | None:
    """The index of the bracket that closes the one at `opening`, or None."""
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind == "symbol":
            if tokens[index].text in "([{":
                depth += 1
            elif tokens[index].text in ")]}":
                depth -= 1
                if depth == 0:
                    return index
    return None


def quote_name(name: str) -> str:
    """`name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """`text` as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, start):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return len(sql)
