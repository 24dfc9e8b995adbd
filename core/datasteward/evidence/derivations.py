"""Arithmetic that may back a figure: on two cells or one column, and only where the words ask for it.

With enough cells any number can be derived from some pair, so a formula is tried only when a cue in the sentence asks
for it, and only on the rows and columns that the sentence names.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from datasteward.evidence.comparing import agrees
from datasteward.evidence.index import GENERIC, NumericColumn, ResultIndex, stem
from datasteward.evidence.model import CellReference, Figure, Formula
from datasteward.evidence.pairing import Pair, find_pairs
from datasteward.evidence.setting import Setting, says

_TOTAL = re.compile(
    r"\b(?:total\w*|sum\w*|altogether|overall|in all|combined|together|all|across|entire|whole|grand|adds? up|both|cumulative\w*|aggregate)\b",
    re.I,
)
_MEAN = re.compile(r"\b(?:averag\w*|mean|per|each|typical\w*)\b", re.I)
_MEDIAN = re.compile(r"\bmedian\b", re.I)
_SHARE = re.compile(
    r"\b(?:shares?|of (?:the |all |our |total |its )?\w+|account\w*|mak\w+ up|made up|portion|proportion|represent\w*|contribut\w*|compris\w*|rate|ratio|percentage|margin|total|generat\w*|brought)\b",
    re.I,
)
_CHANGE = re.compile(
    r"\b(?:grew|grow\w*|increas\w*|rose|ris\w+|up|gain\w*|higher|more|ahead|climb\w*|jump\w*|improv\w*|larger|greater|fell|fall\w*|declin\w*|decreas\w*|drop\w*|down|los[ts]\w*|lower|less|fewer|below|above|behind|short|shr[aiu]nk\w*|reduc\w*|slip\w*|smaller|chang\w*|differ\w*|gap|versus|vs|compared|than|net|by|surg\w*|mov\w+|beat\w*|trail\w*|margin|exceed\w*|widened|narrowed)\b",
    re.I,
)
_TIMES = re.compile(r"\b(?:times|x|fold|ratio|per|multiple)\b|×", re.I)
_PER = re.compile(r"\b(?:per|averag\w*|each|ratio|rate)\b|/", re.I)
_SPREAD = re.compile(r"\b(?:gap|range|spread|difference|apart|separat\w*|between)\b", re.I)
_HIGH = re.compile(
    r"\b(?:highest|largest|biggest|top|maximum|max|peak\w*|best|most|leading|leader|first|strongest)\b", re.I
)
_LOW = re.compile(r"\b(?:lowest|smallest|minimum|min|worst|least|bottom|weakest|last)\b", re.I)
_COUNT = re.compile(
    r"^[\s*_]*(?:(?:different|distinct|unique|separate|individual|other|of the|matching|such)\s+)?(?P<noun>[\w-]+(?:\s+[\w-]+)?)",
    re.I,
)
_ROW_NOUNS = {"row", "record", "entry", "item", "line", "result", "group", "observation"}
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A value worked out from cells, in the figure's unit, and how."""

    value: Decimal
    formula: Formula
    cells: tuple[CellReference, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What arithmetic may use: the columns the figure may speak of and the rows it is bound to (None for all)."""

    index: ResultIndex
    setting: Setting
    columns: tuple[NumericColumn, ...]
    rows: frozenset[int] | None


def find_derivation(ground: Ground) -> Derivation | None:
    """The first derivation, simplest first, whose value agrees with the figure; None when there is none."""
    figure = ground.setting.figure
    words = ground.setting.words
    for found in _candidates(ground, figure, words):
        if any(agrees(figure, found.value, said) for said in (figure.value, *figure.alternates)):
            return found
    return None


def _candidates(ground: Ground, figure: Figure, words: str) -> Iterator[Derivation]:
    if figure.unit in ("plain", "currency"):
        yield from _counts(ground)
        yield from _aggregates(ground, words)
        if says(_CHANGE, words) or says(_SPREAD, words):
            yield from _differences(ground, words)
        if says(_PER, words):
            yield from _ratios(ground, factor=Decimal(1))
    elif figure.unit == "percent":
        if says(_SHARE, words):
            yield from _shares(ground, words)
            yield from _ratios(ground, factor=HUNDRED)
            yield from _parts(ground)
        if says(_CHANGE, words):
            yield from _growths(ground)
        if says(_MEAN, words):
            yield from _percent_means(ground)
    elif figure.unit == "points":
        yield from _points(ground)
    elif figure.unit == "times" and says(_TIMES, words):
        for pair in find_pairs(ground.index, ground.setting, ground.columns, ground.rows):
            yield from _quotient(pair, Decimal(1), "ratio")
        yield from _ratios(ground, factor=Decimal(1))


def _counts(ground: Ground) -> Iterator[Derivation]:
    """Rows, or distinct values of a column, where the noun after the figure names them."""
    index, setting = ground.index, ground.setting
    if setting.figure.unit != "plain" or setting.figure.value != int(setting.figure.value):
        return
    after = _COUNT.match(setting.text[setting.figure.end : setting.passage.end])
    nouns = {stem(w) for w in re.findall(r"\w+", after["noun"])} if after else set()
    if nouns & _ROW_NOUNS:
        for count in (index.row_count, *([len(ground.rows)] if ground.rows else [])):
            yield _derive(Decimal(count), "rows", (), f"count of rows of {index.handle}")
    for column, name in enumerate(index.name_words):
        key = {w for w in name if w not in GENERIC}
        is_key = column in index.label_columns or column in index.years
        if nouns and key & nouns and is_key and index.cut is None:
            for rows in (range(len(index.rows)), *([ground.rows] if ground.rows else [])):
                distinct = len({index.rows[r][column] for r in rows} - {None})
                yield _derive(
                    Decimal(distinct), "distinct", (), f"distinct {index.columns[column].name} in {index.handle}"
                )


def _aggregates(ground: Ground, words: str) -> Iterator[Derivation]:
    """Sum, mean and median of a column, over all rows or those that the sentence's keys choose."""
    is_sum = says(_TOTAL, words) or ground.rows is not None
    if ground.index.cut is not None or not (is_sum or says(_MEAN, words) or says(_MEDIAN, words)):
        return
    for column in ground.columns:
        values = _values(ground, column)
        if len(values) < 2:
            continue
        total = column.total if ground.rows is None else sum(values, Decimal(0))
        where = f"{column.name} of {ground.index.handle}" + ("" if ground.rows is None else f" over {len(values)} rows")
        if is_sum:
            yield _derive(total * column.scale, "sum", (), f"sum of {where} = {_plain(total)}")
        if says(_MEAN, words):
            mean = total / len(values)
            yield _derive(mean * column.scale, "mean", (), f"mean of {where} = {_plain(mean)}")
        if says(_MEDIAN, words):
            middle = _median(sorted(values))
            yield _derive(middle * column.scale, "median", (), f"median of {where} = {_plain(middle)}")


def _values(ground: Ground, column: NumericColumn) -> list[Decimal]:
    rows = column.values if ground.rows is None else [r for r in ground.rows if r in column.values]
    return [column.values[r] for r in rows]


def _median(ordered: list[Decimal]) -> Decimal:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _percent_means(ground: Ground) -> Iterator[Derivation]:
    for column in ground.columns:
        values = _values(ground, column)
        if (column.is_percent or column.is_fraction) and len(values) > 1:
            mean = sum(values, Decimal(0)) / len(values) * (HUNDRED if column.is_fraction else 1)
            yield _derive(mean, "mean", (), f"mean of {column.name} of {ground.index.handle} = {_plain(mean)} %")


def _differences(ground: Ground, words: str) -> Iterator[Derivation]:
    setting = ground.setting
    for pair in find_pairs(ground.index, setting, ground.columns, ground.rows):
        delta = _directed(pair.left - pair.right, setting, pair)
        if delta is not None:
            text = f"{pair.left_cell.describe()} − {pair.right_cell.describe()} = {_plain(pair.left - pair.right)}"
            yield _derive(delta * pair.scale, "difference", pair.cells, text)
    if says(_SPREAD, words) and ground.rows is None:
        for column in ground.columns:
            if len(column.ordered) > 1:
                (low, a), (high, b) = column.ordered[0], column.ordered[-1]
                cells = (ground.index.cell(b, column.index), ground.index.cell(a, column.index))
                yield _derive(high - low, "spread", cells, f"max − min of {column.name} = {_plain(high - low)}")


def _directed(delta: Decimal, setting: Setting, pair: Pair) -> Decimal | None:
    """The change as the words would write it: without sign where they say rise or fall, None where they say the other."""
    way = setting.direction
    if setting.figure.has_sign:
        return delta
    if way == 0 or not pair.is_ordered:
        return abs(delta)
    return abs(delta) if (delta > 0) == (way > 0) or delta == 0 else None


def _growths(ground: Ground) -> Iterator[Derivation]:
    for pair in find_pairs(ground.index, ground.setting, ground.columns, ground.rows):
        if pair.right == 0 or (not pair.is_ordered and not ground.setting.direction):
            continue
        exact = (pair.left - pair.right) / abs(pair.right) * HUNDRED
        told = _directed(exact, ground.setting, pair)
        if told is not None:
            text = f"({pair.left_cell.describe()} − {pair.right_cell.describe()}) / {_plain(pair.right)} = {_plain(exact)} %"
            yield _derive(told, "growth", pair.cells, text)


def _points(ground: Ground) -> Iterator[Derivation]:
    for pair in find_pairs(ground.index, ground.setting, ground.columns, ground.rows):
        if not pair.is_percent:
            continue
        exact = (pair.left - pair.right) * (HUNDRED if pair.is_fraction else 1)
        told = _directed(exact, ground.setting, pair)
        if told is not None:
            text = f"{pair.left_cell.describe()} − {pair.right_cell.describe()} = {_plain(exact)} points"
            yield _derive(told, "points", pair.cells, text)


def _shares(ground: Ground, words: str) -> Iterator[Derivation]:
    index = ground.index
    if index.cut is not None:
        return
    for column in ground.columns:
        if column.total == 0 or column.is_percent or len(column.values) < 2:
            continue
        rows = ground.rows
        if rows is None:
            ends = [column.ordered[-1][1]] * bool(says(_HIGH, words)) + [column.ordered[0][1]] * bool(says(_LOW, words))
            rows = frozenset(ends[:1])
        part = [r for r in sorted(rows) if r in column.values]
        if not part:
            continue
        amount = sum((column.values[r] for r in part), Decimal(0))
        exact = amount / column.total * HUNDRED
        cells = tuple(index.cell(r, column.index) for r in part[:2])
        text = f"{_plain(amount)} / sum of {column.name} {_plain(column.total)} = {_plain(exact)} %"
        yield _derive(exact, "share", cells, text)


def _ratios(ground: Ground, *, factor: Decimal) -> Iterator[Derivation]:
    """One column over another in the named row (or their sums): the first must be named, and the second too if many."""
    index, named = ground.index, ground.setting.named_columns
    measures = [n for n in index.numbers if not n.is_key and n.index not in index.years]
    tops = [n for n in measures if n.index in named]
    for top in tops:
        for bottom in measures:
            if bottom is top or (bottom.index not in named and len(measures) > 2):
                continue
            rows = ground.rows if ground.rows is not None else frozenset(range(len(index.rows)))
            shared = [r for r in rows if r in top.values and r in bottom.values]
            below = sum((bottom.values[r] for r in shared), Decimal(0))
            if below == 0:
                continue
            above = sum((top.values[r] for r in shared), Decimal(0))
            exact = above * top.scale / (below * bottom.scale) * factor
            cells = (index.cell(shared[0], top.index), index.cell(shared[0], bottom.index)) if len(shared) == 1 else ()
            yield _derive(
                exact, "ratio", cells, f"{top.name} {_plain(above)} / {bottom.name} {_plain(below)} = {_plain(exact)}"
            )


def _parts(ground: Ground) -> Iterator[Derivation]:
    """ "A has 5, 31 % of B's": one row as a part of the row named after "of"."""
    setting = ground.setting
    if re.match(r"\s*of\b", setting.text[setting.figure.end : setting.passage.end]):
        for pair in find_pairs(ground.index, setting, ground.columns, ground.rows):
            yield from _quotient(pair, HUNDRED, "ratio")


def _quotient(pair: Pair, factor: Decimal, formula: Formula) -> Iterator[Derivation]:
    if pair.right != 0:
        exact = pair.left / pair.right * factor
        text = f"{pair.left_cell.describe()} / {pair.right_cell.describe()} = {_plain(exact)}"
        yield _derive(exact, formula, pair.cells, text)


def _derive(value: Decimal, formula: Formula, cells: tuple[CellReference, ...], words: str) -> Derivation:
    return Derivation(value=value, formula=formula, cells=cells, words=words)


def _plain(value: Decimal) -> str:
    rounded = round(value, 6)
    return format(rounded.normalize() if rounded else Decimal(0), "f")
