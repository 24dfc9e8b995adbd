"""Marks what comes out of data as data, so that nothing in it can pass for the harness's or a person's words.

The mark only helps a model to tell them apart. What really protects is elsewhere: no call is made and nothing is
approved because of what data says, since only a model's own call blocks and a person's decision are acted on.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_VISIBLE = frozenset("\n\t")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_VOLATILE_KEYS = frozenset({"handle", "sql", "cut", "ms", "seconds", "took_ms", "elapsed_ms"})


def show_hidden(text: str) -> str:
    """`text` with control, zero-width and direction characters written out as escapes."""
    return _HIDDEN.sub(lambda m: f"\\u{{{ord(m[0]):x}}}", text.replace("\r\n", "\n"))


def fence(text: str, *, source: str, mark: str) -> str:
    """`text` between data marks that carry `mark`, which nothing inside can spell: it is cut out of the text."""
    body = show_hidden(text).replace(mark, "·")
    return f'<data mark="{mark}" source="{source}">\n{body}\n</data mark="{mark}">'


def make_mark(session_id: str) -> str:
    """The mark of a session: stable, so that caches hold, and unknown to who wrote the data before it began."""
    return hashlib.blake2s(session_id.encode(), digest_size=6).hexdigest()


def hash_content(structured: Mapping[str, Any]) -> str:
    """SHA-256 of a structured answer without handles and times; equal for equal rows."""
    plain = _without_volatile(structured)
    body = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def _without_volatile(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(k): _without_volatile(v) for k, v in node.items() if k not in _VOLATILE_KEYS}
    if isinstance(node, list | tuple):
        return [_without_volatile(v) for v in node]
    return node
