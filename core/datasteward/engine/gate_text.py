"""What a text must look like before anyone parses it: its size, and no character that hides what it says."""

import re

from datasteward.engine.gate_facts import Refused
from datasteward.engine.gate_parser import tokens_of

DEFAULT_MAX_BYTES = 64 * 1024
MAX_NESTING = 200

_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SPACES = frozenset("\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")


def check_text(sql: str, *, max_bytes: int) -> None:
    """Raise `Refused` when the text is too long, not valid Unicode, or hides characters outside strings and comments."""
    try:
        data = sql.encode()
    except UnicodeEncodeError as error:
        raise Refused("The SQL holds half of a Unicode character.", hint="Send valid UTF-8 text.") from error
    if len(data) > max_bytes:
        raise Refused(
            f"The SQL is {len(data):,} bytes long; at most {max_bytes:,} are taken.",
            code="too_large",
            hint="Put long lists of values into a file and join with it.",
        )
    if "\x00" in sql:
        raise _hidden(sql, sql.index("\x00"))
    if _SUSPECT.search(sql):
        _check_suspects(sql)
    _check_nesting(sql)


def _check_suspects(sql: str) -> None:
    covered = [(t.start, t.end) for t in tokens_of(sql, with_comments=True) if t.type in {"string_const", "comment"}]
    for match in _SUSPECT.finditer(sql):
        at = len(sql[: match.start()].encode())
        if not any(start < at < end for start, end in covered):
            raise _hidden(sql, match.start())


def _hidden(sql: str, at: int) -> Refused:
    character = sql[at]
    advice = "Replace it by a plain space." if character in _SPACES else "Remove it, or keep it inside a string."
    return Refused(
        f"The SQL holds the invisible or control character U+{ord(character):04X} outside strings and comments.",
        hint=advice,
        position=len(sql[:at].encode()),
    )


def _check_nesting(sql: str) -> None:
    if sql.count("(") + sql.count("[") + sql.count("{") <= MAX_NESTING:
        return
    depth = 0
    for token in tokens_of(sql):
        if token.type == "string_const" or token.text[:1] == '"':
            continue
        depth += sum(token.text.count(c) for c in "([{") - sum(token.text.count(c) for c in ")]}")
        if depth > MAX_NESTING:
            raise Refused(
                f"The SQL nests brackets more than {MAX_NESTING} deep.",
                code="too_large",
                hint="Split it with WITH clauses.",
                position=token.start,
            )
