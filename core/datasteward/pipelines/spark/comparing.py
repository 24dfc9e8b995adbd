"""Two tables compared as multisets of rows; floating-point values count as the same when they are very close."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from datasteward.engine.carriers import quote_name
from datasteward.lineage.schemas import Column
from datasteward.pipelines.spark.value_kinds import kind_of

CLOSE = 1e-9
"""Relative difference that sums in another order may have."""
MAX_COMPARED = 10_000
"""Rows without an exact partner that are still compared by closeness."""
MAX_SHOWN = 5
Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifferences:
    """Rows that only one side has, as texts, and by column how many of them have a value that the other side lacks."""

    only_left: tuple[Row, ...]
    only_right: tuple[Row, ...]
    by_column: tuple[int, ...]


def compare_rows(cursor: duckdb.DuckDBPyConnection, left: str, right: str, columns: Sequence[Column]) -> RowDifferences:
    """What `left` and `right` (anything that stands after FROM) do not share, `right` cast to the types of `columns`."""
    listed = ", ".join(f"{_comparable(c)} AS {quote_name(c.name)}" for c in columns)
    texts = ", ".join(f"CAST({quote_name(c.name)} AS VARCHAR)" for c in columns)

    def fetch(one: str, other: str) -> list[Row]:
        rest = f"SELECT {listed} FROM {one} EXCEPT ALL SELECT {listed} FROM {other}"
        rows: list[Row] = cursor.execute(f"SELECT {texts} FROM ({rest}) ORDER BY ALL LIMIT {MAX_COMPARED}").fetchall()
        return rows

    floats = [kind_of(c.type) == "float" for c in columns]
    only_left, only_right = _without_close(fetch(left, right), fetch(right, left), floats)
    by_column = tuple(_count_lone([r[i] for r in only_left], [r[i] for r in only_right]) for i in range(len(columns)))
    return RowDifferences(only_left=tuple(only_left), only_right=tuple(only_right), by_column=by_column)


def _comparable(column: Column) -> str:
    """The value as it is compared: floating-point ones to twelve digits, so that few are left to be looked at."""
    value = f"CAST({quote_name(column.name)} AS {column.type})"
    return f"CAST(format('{{:.12g}}', {value}) AS {column.type})" if kind_of(column.type) == "float" else value


def _without_close(left: list[Row], right: list[Row], floats: Sequence[bool]) -> tuple[list[Row], list[Row]]:
    """Both without the pairs that are equal but for very close floating-point values."""
    if not any(floats):
        return left, right
    waiting: dict[Row, list[Row]] = {}
    for row in right:
        waiting.setdefault(_exact_part(row, floats), []).append(row)
    lone = []
    for row in left:
        partners = waiting.get(_exact_part(row, floats), [])
        match = next((i for i, other in enumerate(partners) if _are_close(row, other, floats)), None)
        if match is None:
            lone.append(row)
        else:
            partners.pop(match)
    return lone, [row for rows in waiting.values() for row in rows]


def _exact_part(row: Row, floats: Sequence[bool]) -> Row:
    return tuple("" if is_float and value is not None else value for value, is_float in zip(row, floats, strict=True))


def _are_close(one: Row, other: Row, floats: Sequence[bool]) -> bool:
    return all(
        a is None or b is None or a == b or math.isclose(float(a), float(b), rel_tol=CLOSE, abs_tol=1e-12)
        for a, b, is_float in zip(one, other, floats, strict=True)
        if is_float
    )


def _count_lone(left: list[str | None], right: list[str | None]) -> int:
    """How many values of one side have no partner on the other, of the side with more of them."""
    ours, theirs = Counter(left), Counter(right)
    return max((ours - theirs).total(), (theirs - ours).total())
