"""A result made ready for look-ups: exact numbers by column, labels by word, dates, and what the columns are called."""

import bisect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice

from datasteward.evidence.dates import MONTH_NAMES, read_cell_date
from datasteward.evidence.model import CellReference, DateReading, ResultTable, ScanLimits, TableColumn

WORD = re.compile(r"[^\W_]+")
_NUMERIC = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT|INTEGER|UINTEGER|DECIMAL|NUMERIC|DOUBLE|FLOAT|REAL|BIGNUM", re.I)
_PERCENT_NAME = {
    "pct",
    "percent",
    "percentage",
    "rate",
    "share",
    "ratio",
    "margin",
    "growth",
    "change",
    "conversion",
    "churn",
}
GENERIC = {"total", "sum", "count", "cnt", "avg", "average", "mean", "n", "num", "number", "amount", "value", "pct", "percent",
           "percentage", "rate", "share", "ratio", "min", "max", "median", "usd", "eur", "gbp", "k", "m", "of", "per", "the",
           "in", "by", "net", "gross", "id", "name"}  # fmt: skip
_ALIASES = {"avg": "average", "mean": "average", "cnt": "count", "num": "count", "number": "count", "n": "count",
            "pct": "percent", "percentage": "percent", "qty": "quantity", "amt": "amount", "sales": "sale"}  # fmt: skip
_YEAR_NAMES = {"year", "yr", "fy", "fiscalyear", "jahr", "annee", "anno", "period", "season", "cohort", "vintage"}
_KEY_NAMES = {
    "id",
    "no",
    "number",
    "code",
    "key",
    "year",
    "month",
    "week",
    "day",
    "hour",
    "quarter",
    "zip",
    "store",
    "rank",
    "level",
}
_NAME_SCALES = {"k": 3, "thousand": 3, "thousands": 3, "mn": 6, "mio": 6, "million": 6, "millions": 6, "musd": 6, "meur": 6,
                "bn": 9, "billion": 9, "billions": 9}  # fmt: skip
_CURRENCY_NAMES = {"usd", "eur", "gbp", "jpy", "inr", "chf"}
_MAX_LABEL_WORDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHit:
    """A row key found in a text: where, which column it belongs to, and the rows that hold it."""

    start: int
    end: int
    column: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericColumn:
    """A column of numbers: `ordered` holds (value, row) ascending; NULL and NaN are left out."""

    index: int
    name: str
    values: dict[int, Decimal]
    ordered: tuple[tuple[Decimal, int], ...]
    total: Decimal
    is_percent: bool
    is_fraction: bool
    is_key: bool
    is_integral: bool
    scale: Decimal
    currency: str | None

    def between(self, low: Decimal, high: Decimal) -> Iterator[int]:
        """Rows whose value lies in the closed range, by value."""
        start = bisect.bisect_left(self.ordered, (low, -1))
        for value, row in self.ordered[start:]:
            if value > high:
                return
            yield row

    def nearest(self, value: Decimal) -> int | None:
        """The row whose value is nearest."""
        at = bisect.bisect_left(self.ordered, (value, -1))
        around = self.ordered[max(0, at - 1) : at + 1]
        return min(around, key=lambda pair: abs(pair[0] - value))[1] if around else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultIndex:
    """One result, scanned once."""

    handle: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    row_count: int
    numbers: tuple[NumericColumn, ...]
    labels: dict[str, list[tuple[int, list[int]]]]
    label_columns: tuple[int, ...]
    dates: dict[int, tuple[DateReading | None, ...]]
    years: dict[int, dict[int, list[int]]]
    name_words: tuple[tuple[str, ...], ...]
    literals: frozenset[Decimal]
    label_heads: dict[str, int]
    """The first word of every label, with the most words that a label of it has."""
    key_columns: frozenset[int]
    """Columns that tell rows apart rather than measure."""
    cut: str | None

    def cell(self, row: int, column: int) -> CellReference:
        """The cell as a reference; `row` counts from 0 here."""
        name = self.columns[column].name
        return CellReference(handle=self.handle, row=row + 1, column=name, value=self.rows[row][column] or "NULL")

    def numeric(self, column: int) -> NumericColumn | None:
        """The column's numbers, or None when it holds none."""
        return next((n for n in self.numbers if n.index == column), None)

    def find_labels(self, text: str, offset: int = 0) -> list[LabelHit]:
        """The row keys written in `text`, longest first match, left to right; several columns may claim one span."""
        words = list(WORD.finditer(text))
        found: list[LabelHit] = []
        position = 0
        while position < len(words):
            step = 1
            longest = self.label_heads.get(words[position].group().casefold(), 0)
            for size in range(min(longest, len(words) - position), 0, -1):
                start, end = words[position].start(), words[position + size - 1].end()
                hits = self._labels_at(
                    text[start:end], " ".join(w.group().casefold() for w in words[position : position + size])
                )
                if hits:
                    found.extend(
                        LabelHit(start=offset + start, end=offset + end, column=c, rows=tuple(r)) for c, r in hits
                    )
                    step = size
                    break
            position += step
        return found

    def _labels_at(self, written: str, key: str) -> list[tuple[int, list[int]]]:
        hits = self.labels.get(key, [])
        if key in MONTH_NAMES:
            return [(c, r) for c, r in hits if c not in self.dates or written[0].isupper()]
        if hits and len(key) <= 3:
            return [(c, r) for c, r in hits if (self.rows[r[0]][c] or "") == written]
        return hits


def stem(word: str) -> str:
    """A word without its plural, in small letters, known short forms written out."""
    word = _ALIASES.get(word.casefold(), word.casefold())
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def name_words(name: str) -> tuple[str, ...]:
    """The words of a column's name, stemmed: `avgOrderValue` and `avg_order_value` alike."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return tuple(stem(w) for w in WORD.findall(parted.replace("%", " percent ")))


def index_result(table: ResultTable, limits: ScanLimits) -> ResultIndex:
    """`table` scanned up to `limits.cells` cells; what was left out is told in `cut`."""
    width = max(1, len(table.columns))
    rows = tuple(tuple(row) for row in islice(table.rows, max(1, limits.cells // width)))
    numbers: list[NumericColumn] = []
    labels: dict[str, list[tuple[int, list[int]]]] = {}
    dates: dict[int, tuple[DateReading | None, ...]] = {}
    years: dict[int, dict[int, list[int]]] = {}
    label_columns: list[int] = []
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in rows]
        numeric = _index_numbers(i, column, cells)
        if numeric is not None:
            numbers.append(numeric)
            if (
                numeric.is_integral
                and _YEAR_NAMES & set(name_words(column.name))
                and all(1800 <= v <= 2200 for v in numeric.values.values())
            ):
                years[i] = _group(cells, lambda c: int(Decimal(c)))
            continue
        readings = tuple(read_cell_date(c) if c else None for c in cells)
        if any(readings):
            dates[i] = readings
            _index_months(i, readings, labels)
        _index_labels(i, cells, labels)
        label_columns.append(i)
    return ResultIndex(
        handle=table.handle,
        columns=table.columns,
        rows=rows,
        row_count=table.row_count,
        numbers=tuple(numbers),
        labels=labels,
        label_columns=tuple(label_columns),
        dates=dates,
        years=years,
        name_words=tuple(name_words(c.name) for c in table.columns),
        literals=_literals(table.sql),
        label_heads=_find_heads(labels),
        key_columns=frozenset((*label_columns, *years, *(n.index for n in numbers if n.is_key))),
        cut=f"{table.handle}: {len(rows):,} of {table.row_count:,} rows were scanned"
        if len(rows) < table.row_count
        else None,
    )


def _group(cells: Sequence[str | None], key: Callable[[str], int]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for row, cell in enumerate(cells):
        if cell is not None:
            groups.setdefault(key(cell), []).append(row)
    return groups


def _index_months(
    column: int, readings: Sequence[DateReading | None], labels: dict[str, list[tuple[int, list[int]]]]
) -> None:
    """English month names as labels of a date column that spans no more than a year."""
    if len({r.year for r in readings if r}) > 1:
        return
    for name, month in MONTH_NAMES.items():
        rows = [row for row, r in enumerate(readings) if r and r.month == month]
        if rows:
            labels.setdefault(name, []).append((column, rows))


def _index_labels(column: int, cells: Sequence[str | None], labels: dict[str, list[tuple[int, list[int]]]]) -> None:
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        if cell and len(cell) <= 200:
            groups.setdefault(cell, []).append(row)
    for text, rows in groups.items():
        words = [w.casefold() for w in WORD.findall(text)]
        key = " ".join(words)
        if not 0 < len(words) <= _MAX_LABEL_WORDS or key in _STOP or key.replace(" ", "").isdigit() or len(key) < 2:
            continue
        entries = labels.setdefault(key, [])
        known = next((rows_ for c, rows_ in entries if c == column), None)
        if known is None:
            entries.append((column, rows))
        else:
            known.extend(rows)


_STOP = {"true", "false", "yes", "no", "in", "on", "of", "to", "a", "an", "the", "and", "or", "is", "was", "at", "by", "for",
         "new", "total", "all", "other", "none", "up", "down", "it", "we", "per", "not", "than", "as", "over", "be"}  # fmt: skip


def _index_numbers(index: int, column: TableColumn, cells: Sequence[str | None]) -> NumericColumn | None:
    if not _NUMERIC.match(column.type) or "[" in column.type:
        return None
    values: dict[int, Decimal] = {}
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            value = Decimal(cell)
        except InvalidOperation:
            continue
        if value.is_finite():
            values[row] = value
    words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", column.name).lower())) | set(
        name_words(column.name)
    )
    is_integral = "INT" in column.type.upper()
    return NumericColumn(
        index=index,
        name=column.name,
        values=values,
        ordered=tuple(sorted((v, r) for r, v in values.items())),
        total=sum(values.values(), Decimal(0)),
        is_percent="%" in column.name or bool(words & _PERCENT_NAME),
        is_fraction=not is_integral and bool(values) and all(abs(v) <= 1 for v in values.values()),
        is_key=is_integral and bool(words & _KEY_NAMES) and "count" not in words,
        is_integral=is_integral,
        scale=Decimal(10) ** next((_NAME_SCALES[w] for w in words if w in _NAME_SCALES), 0),
        currency=next((w for w in words if w in _CURRENCY_NAMES), None),
    )


def _find_heads(labels: Iterable[str]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for label in labels:
        words = label.split(" ")
        heads[words[0]] = max(len(words), heads.get(words[0], 0))
    return heads


def _literals(sql: str) -> frozenset[Decimal]:
    return frozenset(Decimal(n) for n in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", sql[:20_000]))
