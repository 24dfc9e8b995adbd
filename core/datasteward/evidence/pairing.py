"""Which two cells a comparison is about: two named rows, a row and the one before it, or two columns of a row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from datasteward.evidence.index import GENERIC, LabelHit, NumericColumn, ResultIndex
from datasteward.evidence.model import CellReference
from datasteward.evidence.setting import Setting, says

_TIME_NAMES = {"date", "day", "week", "month", "quarter", "year", "period", "time", "hour"}
_BEFORE_NAMES = {
    "prev",
    "previou",
    "previous",
    "prior",
    "last",
    "old",
    "before",
    "plan",
    "target",
    "budget",
    "ly",
    "py",
    "start",
    "opening",
}
_AFTER_NAMES = {"current", "curr", "thi", "this", "new", "after", "actual", "cy", "ty", "end", "closing"}
_LOOSE = re.compile(r"\b(?:difference|gap|between|apart|separat\w*|differ\w*)\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two cells in the order of a comparison: `left` is the subject, `right` what it is held against."""

    left: Decimal
    right: Decimal
    left_cell: CellReference
    right_cell: CellReference
    is_ordered: bool
    is_percent: bool
    is_fraction: bool
    scale: Decimal

    @property
    def cells(self) -> tuple[CellReference, ...]:
        """Both cells."""
        return (self.left_cell, self.right_cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    left: int
    right: int
    is_ordered: bool


def find_pairs(
    index: ResultIndex, setting: Setting, columns: tuple[NumericColumn, ...], rows: frozenset[int] | None
) -> Iterator[Pair]:
    """The pairs a comparison in the passage may mean, likeliest first."""
    for chosen in _row_pairs(index, setting):
        for column in columns:
            if chosen.left in column.values and chosen.right in column.values:
                yield _pair_rows(index, column, chosen)
    row = _single_row(index, rows)
    if row is not None:
        yield from _column_pairs(index, setting, row)


def _pair_rows(index: ResultIndex, column: NumericColumn, chosen: _Rows) -> Pair:
    return Pair(
        left=column.values[chosen.left],
        right=column.values[chosen.right],
        left_cell=index.cell(chosen.left, column.index),
        right_cell=index.cell(chosen.right, column.index),
        is_ordered=chosen.is_ordered,
        is_percent=column.is_percent or column.is_fraction,
        is_fraction=column.is_fraction,
        scale=column.scale,
    )


def _single_row(index: ResultIndex, rows: frozenset[int] | None) -> int | None:
    if rows is not None and len(rows) == 1:
        return next(iter(rows))
    return 0 if len(index.rows) == 1 else None


def _row_pairs(index: ResultIndex, setting: Setting) -> Iterator[_Rows]:
    by_column: dict[int, list[LabelHit]] = {}
    for hit in setting.labels:
        if all(h.rows != hit.rows for h in by_column.setdefault(hit.column, [])):
            by_column[hit.column].append(hit)
    for column, hits in by_column.items():
        others = [h for c, group in by_column.items() if c != column for h in group]
        rows = [(h, row) for h in hits if (row := _narrow(h, others)) is not None]
        if len(rows) >= 2:
            yield from _compare(index, setting, column, rows)
        elif len(rows) == 1 and is_time_column(index, column):
            before = row_before(index, column, rows[0][1])
            if before is not None:
                yield _Rows(left=rows[0][1], right=before, is_ordered=True)
    if not setting.labels:
        yield from _first_and_last(index)


def _narrow(hit: LabelHit, others: list[LabelHit]) -> int | None:
    """The one row of the hit, other keys of the sentence taken into account."""
    rows = set(hit.rows)
    for other in others:
        narrowed = rows & set(other.rows)
        rows = narrowed or rows
    return rows.pop() if len(rows) == 1 else None


def _compare(index: ResultIndex, setting: Setting, column: int, rows: list[tuple[LabelHit, int]]) -> Iterator[_Rows]:
    bases = setting.bases
    against = [row for hit, row in rows if hit in bases]
    subjects = [row for hit, row in rows if hit not in bases]
    if against and subjects:
        bound = {r for h in setting.bound_labels if h.column == column for r in h.rows}
        near = [s for s in subjects if s in bound] or subjects
        for subject in near:
            yield from (_Rows(left=subject, right=base, is_ordered=True) for base in against)
        return
    ordered = [row for _, row in rows]
    if is_time_column(index, column):
        ordered = [row for _, row in sorted(((_time_key(index, column, r), r) for r in ordered), reverse=True)]
    is_ordered = not says(_LOOSE, setting.words)
    for i, left in enumerate(ordered[:6]):
        for right in ordered[i + 1 : 7]:
            yield _Rows(left=left, right=right, is_ordered=is_ordered)


def is_time_column(index: ResultIndex, column: int) -> bool:
    """True for dates, years and columns called month, week and the like."""
    return column in index.dates or column in index.years or bool(_TIME_NAMES & set(index.name_words[column]))


def _time_key(index: ResultIndex, column: int, row: int) -> tuple[str, int]:
    """Sorts dates and numbers by value; names of months or quarters by their place in the result."""
    cell = index.rows[row][column] or ""
    if column in index.dates:
        return (cell, row)
    return (cell.rjust(24, "0"), row) if re.fullmatch(r"\d+|\d{4}[- ]?[QW]\d+", cell) else ("", row)


def row_before(index: ResultIndex, column: int, row: int) -> int | None:
    """The row before `row` in time among those that agree in all other keys, where each has its own time."""
    keys = [c for c in (*index.label_columns, *index.years) if c != column]
    alike = [r for r, cells in enumerate(index.rows) if all(cells[k] == index.rows[row][k] for k in keys)]
    if len({index.rows[r][column] for r in alike}) != len(alike):
        return None
    ordered = sorted(alike, key=lambda r: _time_key(index, column, r))
    place = ordered.index(row)
    return ordered[place - 1] if place else None


def _first_and_last(index: ResultIndex) -> Iterator[_Rows]:
    for column in range(len(index.columns)):
        if len(index.rows) > 1 and is_time_column(index, column):
            ordered = sorted(range(len(index.rows)), key=lambda r: _time_key(index, column, r))
            yield _Rows(left=ordered[-1], right=ordered[0], is_ordered=True)
            return


def _column_pairs(index: ResultIndex, setting: Setting, row: int) -> Iterator[Pair]:
    measures = [n for n in index.numbers if not n.is_key and row in n.values]
    named = setting.named_columns
    for left in measures:
        for right in measures:
            if left is right or left.is_percent != right.is_percent:
                continue
            rank = _rank(index, left, right)
            if rank is None and not (left.index in named and right.index in named):
                continue
            if rank == -1:
                continue
            yield Pair(
                left=left.values[row],
                right=right.values[row],
                left_cell=index.cell(row, left.index),
                right_cell=index.cell(row, right.index),
                is_ordered=rank == 1,
                is_percent=left.is_percent or left.is_fraction,
                is_fraction=left.is_fraction,
                scale=left.scale,
            )


def _rank(index: ResultIndex, left: NumericColumn, right: NumericColumn) -> int | None:
    """1 when `left` is the later of two columns of one subject, -1 when the earlier, None when names do not tell."""
    a, b = set(index.name_words[left.index]), set(index.name_words[right.index])
    years = [int(y[0]) if (y := [w for w in words if re.fullmatch(r"(?:19|20)\d\d", w)]) else None for words in (a, b)]
    core = [
        {w for w in words if w not in GENERIC | _BEFORE_NAMES | _AFTER_NAMES and not w.isdigit()} for words in (a, b)
    ]
    if core[0] != core[1] and core[0] and core[1]:
        return None
    if years[0] is not None and years[1] is not None:
        return 1 if years[0] > years[1] else -1
    if b & _BEFORE_NAMES and not a & _BEFORE_NAMES:
        return 1
    if a & _BEFORE_NAMES and not b & _BEFORE_NAMES:
        return -1
    return None
