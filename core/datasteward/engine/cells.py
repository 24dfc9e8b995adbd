"""Exact cells: one text or JSON form for every value, the same as DuckDB's own cast to VARCHAR where it is text.

The rules, also in `docs/result-format.md`: booleans, integers up to 2^53 and finite doubles are JSON's own; larger
integers, decimals, dates, times, blobs and every other scalar are text; NaN and infinities are the text `NaN`,
`Infinity`, `-Infinity`; lists are arrays, structs objects, maps arrays of [key, value] pairs.
"""

import json
from typing import Any

Cell = None | bool | int | float | str | list["Cell"] | dict[str, "Cell"]


def shorten_cell(cell: Cell, limit: int) -> tuple[Cell, int]:
    """`cell` with its text cut to about `limit` characters, and how many characters were left out (0 for none)."""
    if isinstance(cell, str):
        if len(cell) <= limit:
            return cell, 0
        left = len(cell) - limit
        return f"{cell[:limit]}… (+{left} characters)", left
    if isinstance(cell, list | dict):
        text = compact_json(cell)
        if len(text) <= limit:
            return cell, 0
        return f"{text[:limit]}… (+{len(text) - limit} characters)", len(text) - limit
    return cell, 0


def compact_json(value: Any) -> str:
    """JSON without blanks, non-ASCII kept; refuses NaN, which `read_cells` never gives."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
