"""A text argument read out of JSON that is still being written."""

import json
import re


def read_partial_text(partial: str, key: str) -> str | None:
    """The value of `key` as far as it has arrived, None before it begins; `partial` is the beginning of an object."""
    start = re.search(rf'"{re.escape(key)}"\s*:\s*"', partial)
    if start is None:
        return None
    rest = partial[start.end() :]
    end = re.match(r'(?:[^"\\]|\\.)*', rest, re.DOTALL)
    body = end[0] if end else ""
    while body:
        try:
            return str(json.loads(f'"{body}"', strict=False))
        except ValueError:
            cut = body.rfind("\\")
            if cut < 0:
                return None
            body = body[:cut]
    return ""
