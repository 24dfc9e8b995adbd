"""Keys of several columns: found in the sample, proven over all rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import duckdb

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.counting import count_distinct
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.model import NearKey, ProfileSource
from datasteward.profiling.sampling import ColumnShape, Sample

_TRIED_COLUMNS = 8
_MOST_COLUMNS = 4
_PROVEN_PER_SIZE = 3
_LEAST_ROWS = 20
_LONGEST = 60
_NEAR = 0.98
_TELLING = 5

Columns = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeKeys:
    """A smallest set of columns proven unique, if any, and a pair of identifiers that nearly is."""

    keys: tuple[Columns, ...] = ()
    near: tuple[NearKey, ...] = ()


def find_composite_keys(
    connection: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    sample: Sample,
    shapes: Sequence[ColumnShape],
    rows: int,
    may_go_on: Callable[[], bool],
) -> CompositeKeys:
    """Two, then three, then four columns without nulls that together are unique over all rows.

    At most eight columns are tried, those named as identifiers first. Sets that are unique in the sample are counted
    exactly over all rows, at most three of each size; the search ends with the first size at which one holds.
    """
    fit = _columns_to_try(sample, shapes)
    if len(fit) < 2 or sample.rows < _LEAST_ROWS:
        return CompositeKeys()
    near: list[NearKey] = []
    for size in range(2, min(_MOST_COLUMNS, len(fit)) + 1):
        if not may_go_on():
            break
        for columns in _unique_in_sample(connection, sample, _sets(fit, sample, size), is_near=size == 2)[
            :_PROVEN_PER_SIZE
        ]:
            hashed = f"hash({', '.join(quote_name(c) for c in columns)})"
            distinct = count_distinct(connection, source.table_sql, hashed, rows=rows)
            if distinct == rows:
                return CompositeKeys(keys=(columns,))
            if size == 2 and distinct >= _NEAR * rows and all(promises_key(c) for c in columns):
                near.append(NearKey(columns=columns, repeats=rows - distinct))
    return CompositeKeys(near=tuple(near[:1]))


def _columns_to_try(sample: Sample, shapes: Sequence[ColumnShape]) -> list[str]:
    """Columns that repeat themselves: with one that is nearly unique already, any other would seem to make a key."""
    fit = []
    for shape in shapes:
        look = sample.columns[shape.name]
        is_full = look.filled == sample.rows > 1 and 1 < look.distinct < _NEAR * sample.rows
        is_short = max((len(v) for v in look.values), default=0) <= _LONGEST
        if is_full and is_short and shape.family in {"integer", "text", "date", "timestamp"}:
            fit.append(shape.name)
    return sorted(fit, key=lambda n: (not promises_key(n), -sample.columns[n].distinct))[:_TRIED_COLUMNS]


def _sets(fit: Sequence[str], sample: Sample, size: int) -> list[Columns]:
    """Sets of columns whose being unique would say something, those of identifiers and with few values first."""
    chosen = [c for c in combinations(fit, size) if _says_something(c, sample)]
    return sorted(chosen, key=lambda c: (sum(not promises_key(n) for n in c), _combinations(c, sample)))


def _says_something(columns: Columns, sample: Sample) -> bool:
    """Whether the columns have enough combinations of values for all rows, and not so many that any rows would differ.

    Of rows drawn at random, n² / (2 x combinations) would repeat (the birthday problem). Where that is below five,
    measures are unique together by chance; identifiers are believed all the same.
    """
    possible = _combinations(columns, sample)
    by_chance = sample.rows**2 / (2 * possible)
    return possible >= sample.rows and (by_chance >= _TELLING or all(promises_key(c) for c in columns))


def _combinations(columns: Columns, sample: Sample) -> int:
    product = 1
    for name in columns:
        product *= sample.columns[name].distinct
    return product


def _unique_in_sample(
    connection: duckdb.DuckDBPyConnection, sample: Sample, sets: Sequence[Columns], *, is_near: bool
) -> list[Columns]:
    """The sets that are unique in the sample; with `is_near` those of identifiers that nearly are come after them."""
    if not sets:
        return []
    counts = ", ".join(f"count(DISTINCT hash({', '.join(quote_name(n) for n in c)}))" for c in sets)
    row = connection.execute(f"SELECT {counts} FROM {sample.table}").fetchone() or ()
    unique = [c for c, n in zip(sets, row, strict=True) if n == sample.rows]
    near = [c for c, n in zip(sets, row, strict=True) if _NEAR * sample.rows <= n < sample.rows]
    return unique + [c for c in near if is_near and all(promises_key(n) for n in c)][:1]
