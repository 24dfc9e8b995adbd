"""The second look: one pass over all rows with just the exact figures that the first look calls for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from datasteward.intake.column_types import NULL_SPELLINGS
from datasteward.intake.sql_text import quote_name, quote_text
from datasteward.profiling.counting import count_distinct
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.sampling import ColumnShape, Sample
from datasteward.profiling.spelling import damage_test, is_damaged

COLUMNS_PER_PARSE = 150
"""Columns read in one pass over a file that must be parsed each time."""
_COLUMNS_PER_PASS = 20
"""Columns read in one pass elsewhere: planning costs more than in proportion to the aggregates of a statement."""
_COLUMNS_OF_MANY_ROWS = 4
_FEW_VALUES = 60
_MANY_VALUES = 1_000
_MOST_LISTED = 2_000
"""A column with more values than this is not counted value by value, whatever its sample promised."""
_MOST_COUNTED = 5_000
_CUT_AT = 500
_KEY_SHARE = 0.98
_MAX_KEY_CANDIDATES = 6
_SCALED = (
    "filled", "zeros", "negatives", "outliers", "not_finite", "padded", "blank", "spelled_null", "damaged", "in_future",
    "placeholder_dates", "beyond_2_53",
)  # fmt: skip
PLACEHOLDER_DATES = ("1900-01-01", "1970-01-01", "1899-12-30", "9999-12-31", "1753-01-01")
_SPELLED = ", ".join(quote_text(s) for s in NULL_SPELLINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedColumn:
    """Figures over all rows; fields that do not fit the column's family are None or 0. `histogram` is exact."""

    filled: int = 0
    distinct: int = 0
    distinct_is_exact: bool = False
    min: str | None = None
    max: str | None = None
    mean: float | None = None
    deviation: float | None = None
    zeros: int = 0
    negatives: int = 0
    outliers: int = 0
    not_finite: int = 0
    shortest: int | None = None
    longest: int | None = None
    padded: int = 0
    blank: int = 0
    spelled_null: int = 0
    damaged: int = 0
    in_future: int = 0
    placeholder_dates: int = 0
    beyond_2_53: int = 0
    histogram: tuple[tuple[str, int], ...] = ()
    days: tuple[str, ...] | None = None
    """Every day of a date or timestamp column, in order; None where that was not asked for."""
    is_sampled: bool = False
    """The counts are a sample's, scaled to all rows; least and most are the sample's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The number of rows and every column's figures."""

    rows: int
    columns: dict[str, ScannedColumn]


def scale_up(column: ScannedColumn, factor: float) -> ScannedColumn:
    """A sample's figures scaled to all rows, so that nothing in them passes for exact."""
    counts = {name: round(getattr(column, name) * factor) for name in _SCALED}
    histogram = tuple((value, round(rows * factor)) for value, rows in column.histogram)
    return replace(column, **counts, histogram=histogram, days=None, distinct_is_exact=False, is_sampled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fences:
    """Values outside count as outliers."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What a pass over `table_sql` counts.

    `candidates` get an exact distinct count; `is_parsed` says that every pass reads the file anew, so that few-valued
    columns and days are counted on the way; `today` is the ISO date after which a date lies in the future.
    """

    table_sql: str
    sample: Sample
    fences: dict[str, Fences]
    today: str
    candidates: Sequence[str] = ()
    is_parsed: bool = False
    is_sample: bool = False
    """`table_sql` is the sample itself, whose values are counted already."""
    is_long: bool = False
    """There are so many rows that what was read must not be lost when time is up."""
    counts_repeated: bool = True
    """Columns that repeat themselves get an exact distinct count as well."""
    has_means: bool = True
    unlisted: frozenset[str] = frozenset()
    """Columns that turned out to have too many values to count one by one."""


def key_candidates(shapes: Sequence[ColumnShape], sample: Sample) -> tuple[str, ...]:
    """Columns that are (nearly) unique in the sample and of a type that can be a key, likeliest first, at most six."""
    found = []
    for position, shape in enumerate(shapes):
        look = sample.columns[shape.name]
        is_fit = shape.family in {"integer", "text", "date", "timestamp"}
        if not is_fit or look.filled < 0.5 * sample.rows or look.filled < 2 or look.distinct < _KEY_SHARE * look.filled:
            continue
        longest = max((len(v) for v in look.values), default=0)
        is_named = promises_key(shape.name)
        if longest > 100 or (shape.family == "timestamp" and not is_named and len(shapes) > 3):
            continue
        found.append((not is_named, shape.family == "timestamp", position, shape.name))
    return tuple(name for *_, name in sorted(found)[:_MAX_KEY_CANDIDATES])


def scan(connection: duckdb.DuckDBPyConnection, shapes: Sequence[ColumnShape], plan: ScanPlan) -> Iterator[Scan]:
    """The figures of some columns at a time, each time by one pass over the source."""
    at_once = COLUMNS_PER_PARSE if plan.is_parsed else _COLUMNS_OF_MANY_ROWS if plan.is_long else _COLUMNS_PER_PASS
    for start in range(0, max(1, len(shapes)), at_once):
        yield _scan_part(connection, shapes[start : start + at_once], plan)


def _scan_part(connection: duckdb.DuckDBPyConnection, part: Sequence[ColumnShape], plan: ScanPlan) -> Scan:
    """One pass; where sums leave the range of their type, the columns are read again one by one, that one without a mean."""
    query = f"SELECT {', '.join(['count(*)', *(_expression(s, plan) for s in part)])} FROM {plan.table_sql}"
    try:
        row = connection.execute(query).fetchone() or (0,)
    except duckdb.OutOfRangeException:
        if len(part) > 1:
            scans = [_scan_part(connection, [s], plan) for s in part]
            return Scan(rows=scans[0].rows, columns={n: c for scan in scans for n, c in scan.columns.items()})
        if not plan.has_means:
            raise
        return _scan_part(connection, part, replace(plan, has_means=False))
    columns = {s.name: _read(connection, s, found, plan) for s, found in zip(part, row[1:], strict=True)}
    return Scan(rows=int(row[0]), columns=columns)


def count_keys(
    connection: duckdb.DuckDBPyConnection,
    table_sql: str,
    shapes: Sequence[ColumnShape],
    candidates: Sequence[str],
    scanned: dict[str, ScannedColumn],
) -> dict[str, ScannedColumn]:
    """The likely keys with their exact distinct counts, one column at a time so that memory stays bounded.

    Text is counted by its 64-bit hash: two of 100 million values share one with a chance of about 0.03 %, which can only
    make a key look like none.
    """
    texts = {s.name for s in shapes if s.family == "text"}
    found: dict[str, ScannedColumn] = {}
    for name in candidates:
        column = scanned[name]
        if column.distinct < 0.9 * column.filled:
            continue
        c = quote_name(name)
        distinct = count_distinct(
            connection,
            table_sql,
            f"hash({c})" if name in texts else c,
            rows=column.filled,
            condition=f"{c} IS NOT NULL",
        )
        found[name] = replace(column, distinct=distinct, distinct_is_exact=True)
    return found


def _is_listed(shape: ColumnShape, plan: ScanPlan) -> bool:
    """Whether all values of the column are counted one by one, which gives every figure of a text column at once."""
    look = plan.sample.columns[shape.name]
    if shape.family not in {"text", "integer", "boolean", "date"} or shape.name in plan.unlisted:
        return False
    if any(len(v) >= _CUT_AT for v in look.values):
        return False
    if look.distinct <= _FEW_VALUES:
        return look.filled < plan.sample.rows or look.distinct < 0.5 * max(look.filled, 10) or look.filled < 200
    most = _FEW_VALUES if plan.is_parsed else len(look.top) if plan.is_sample else _MANY_VALUES
    return shape.family == "text" and look.distinct <= min(most, 0.25 * look.filled)


def _is_counted(shape: ColumnShape, plan: ScanPlan) -> bool:
    """Whether an exact distinct count is asked for: of likely keys, and of columns that repeat themselves."""
    look = plan.sample.columns[shape.name]
    if shape.family in {"nested", "binary", "other"} or (plan.is_sample and shape.family != "text"):
        return False
    is_repeated = plan.counts_repeated and look.distinct <= min(_MOST_COUNTED, 0.25 * look.filled)
    return is_repeated or shape.name in plan.candidates


def _is_counted_apart(shape: ColumnShape, plan: ScanPlan) -> bool:
    """Whether its distinct count is a query of its own, which is quicker and smaller than one among other aggregates."""
    return not plan.is_parsed and not plan.is_sample and _is_counted(shape, plan)


def _expression(shape: ColumnShape, plan: ScanPlan) -> str:
    """A struct of the aggregates for one column."""
    c = quote_name(shape.name)
    parts = {"filled": f"count({c})"}
    if shape.family in {"nested", "binary", "other"}:
        parts["distinct"] = f"approx_count_distinct({c})" if shape.family == "other" else "0"
        if shape.family == "binary":
            parts |= {"shortest": f"min(octet_length({c}))", "longest": f"max(octet_length({c}))"}
        elif shape.type == "JSON" or shape.type.endswith("]"):
            size = f"length(CAST({c} AS VARCHAR))" if shape.type == "JSON" else f"len({c})"
            parts |= {"shortest": f"min({size})", "longest": f"max({size})"}
        return _struct(parts)
    is_listed = _is_listed(shape, plan)
    if is_listed and plan.is_parsed:
        parts["histogram"] = f"histogram({_value(shape)})"
    elif not is_listed and not (plan.is_sample and shape.family != "text") and not _is_counted_apart(shape, plan):
        exact = (
            f"count(DISTINCT hash({c})) FILTER ({c} IS NOT NULL)" if shape.family == "text" else f"count(DISTINCT {c})"
        )
        parts["distinct"] = exact if _is_counted(shape, plan) else f"approx_count_distinct({c})"
    match shape.family:
        case "integer" | "decimal":
            parts |= _number_parts(c, shape, plan)
        case "text":
            parts |= {} if is_listed else _text_parts(c, shape)
        case "date" | "timestamp":
            parts |= _time_parts(c, plan.today)
            if plan.is_parsed:
                parts["days"] = f"CAST(list(DISTINCT CAST({c} AS DATE)) AS VARCHAR[])"
        case _:
            parts |= {"least": f"CAST(min({c}) AS VARCHAR)", "most": f"CAST(max({c}) AS VARCHAR)"}
    return _struct(parts)


def _value(shape: ColumnShape) -> str:
    text = f"CAST({quote_name(shape.name)} AS VARCHAR)"
    return f"left({text}, {_CUT_AT})" if shape.family == "text" else text


def _list_values(
    connection: duckdb.DuckDBPyConnection, shape: ColumnShape, plan: ScanPlan
) -> tuple[tuple[str, int], ...] | None:
    """Every value with its rows, the most frequent first; None when there are more than 2,000."""
    if plan.is_sample:
        return tuple((v.value, v.rows) for v in plan.sample.columns[shape.name].top)
    rows = connection.execute(
        f"SELECT {_value(shape)} AS v, count(*) AS n FROM {plan.table_sql} WHERE {quote_name(shape.name)} IS NOT NULL "
        f"GROUP BY ALL ORDER BY n DESC, v LIMIT {_MOST_LISTED + 1}"
    ).fetchall()
    return None if len(rows) > _MOST_LISTED else tuple((str(v), int(n)) for v, n in rows)


def _struct(parts: dict[str, str]) -> str:
    return "{" + ", ".join(f"'{k}': {v}" for k, v in parts.items()) + "}"


def _number_parts(c: str, shape: ColumnShape, plan: ScanPlan) -> dict[str, str]:
    is_float, fence = shape.type in {"FLOAT", "DOUBLE"}, plan.fences.get(shape.name)
    finite = f"isfinite({c})" if is_float else "true"
    only = f" FILTER ({finite})" if is_float else ""
    parts = {
        "least": f"CAST(min({c}){only} AS VARCHAR)",
        "most": f"CAST(max({c}){only} AS VARCHAR)",
        "zeros": f"count_if({c} = 0)",
        "negatives": f"count_if({c} < 0)",
    }
    if plan.has_means:
        parts |= {"mean": f"avg({c}){only}", "deviation": f"stddev_samp(CAST({c} AS DOUBLE)){only}"}
    if is_float:
        parts["not_finite"] = f"count_if(NOT {finite})"
        parts["beyond_2_53"] = f"count_if(abs({c}) > 9007199254740992 AND {finite})"
    if fence:
        parts["outliers"] = f"count_if({c} < {fence.low!r} OR ({c} > {fence.high!r} AND {finite}))"
    return parts


def _text_parts(c: str, shape: ColumnShape) -> dict[str, str]:
    text = f"CAST({c} AS VARCHAR)" if shape.type != "VARCHAR" else c
    parts = {"least": f"left(min({text}), 200)", "most": f"left(max({text}), 200)"}
    if shape.type == "UUID":
        return parts
    return parts | {
        "shortest": f"min(length({text}))",
        "longest": f"max(length({text}))",
        "padded": f"count_if({text} LIKE ' %' OR {text} LIKE '% ')",
        "blank": f"count_if({text} = '')",
        "spelled_null": f"count_if({text} IN ({_SPELLED}))",
        "damaged": f"count_if({damage_test(text)})",
    }


def _time_parts(c: str, today: str) -> dict[str, str]:
    return {
        "least": f"CAST(min({c}) AS VARCHAR)",
        "most": f"CAST(max({c}) AS VARCHAR)",
        "in_future": f"count_if(CAST({c} AS DATE) > DATE {quote_text(today)})",
        "placeholder_dates": f"count_if(CAST({c} AS DATE) IN ({', '.join(f'DATE {quote_text(d)}' for d in PLACEHOLDER_DATES)}))",
    }


def _read(
    connection: duckdb.DuckDBPyConnection, shape: ColumnShape, found: dict[str, Any], plan: ScanPlan
) -> ScannedColumn:
    is_listed = _is_listed(shape, plan)
    listed: tuple[tuple[str, int], ...] | None = ()
    if "histogram" in found:
        counted = found["histogram"] or {}
        listed = tuple(sorted(((str(k), int(n)) for k, n in counted.items()), key=lambda p: (-p[1], p[0])))
    elif is_listed:
        listed = _list_values(connection, shape, plan)
    if listed is None or len(listed) > _MOST_LISTED:
        other = replace(plan, unlisted=plan.unlisted | {shape.name})
        row = connection.execute(f"SELECT {_expression(shape, other)} FROM {plan.table_sql}").fetchone()
        return _read(connection, shape, row[0] if row else found, other)
    if is_listed and shape.family == "text":
        return _from_values(int(found["filled"]), listed)
    return ScannedColumn(
        filled=int(found["filled"]),
        distinct=len(listed) if is_listed else _distinct(connection, shape, found, plan),
        distinct_is_exact=is_listed or _is_counted(shape, plan),
        min=found.get("least"), max=found.get("most"), mean=_number(found.get("mean")), deviation=_number(found.get("deviation")),
        zeros=_count(found, "zeros"), negatives=_count(found, "negatives"), outliers=_count(found, "outliers"),
        not_finite=_count(found, "not_finite"), beyond_2_53=_count(found, "beyond_2_53"),
        shortest=found.get("shortest"), longest=found.get("longest"), padded=_count(found, "padded"),
        blank=_count(found, "blank"), spelled_null=_count(found, "spelled_null"), damaged=_count(found, "damaged"),
        in_future=_count(found, "in_future"), placeholder_dates=_count(found, "placeholder_dates"), histogram=listed,
        days=tuple(sorted(d for d in found["days"] or () if d)) if "days" in found else None,
    )  # fmt: skip


def _from_values(filled: int, listed: tuple[tuple[str, int], ...]) -> ScannedColumn:
    """The figures of a text column by all its values."""
    words = set(NULL_SPELLINGS)
    values = [v for v, _ in listed]
    return ScannedColumn(
        filled=filled, distinct=len(values), distinct_is_exact=True, histogram=listed,
        min=min(values, default=None), max=max(values, default=None),
        shortest=min(map(len, values), default=None), longest=max(map(len, values), default=None),
        padded=sum(n for v, n in listed if v != v.strip(" ")), blank=sum(n for v, n in listed if not v),
        spelled_null=sum(n for v, n in listed if v in words), damaged=sum(n for v, n in listed if is_damaged(v)),
    )  # fmt: skip


def _distinct(connection: duckdb.DuckDBPyConnection, shape: ColumnShape, found: dict[str, Any], plan: ScanPlan) -> int:
    c = quote_name(shape.name)
    if _is_counted_apart(shape, plan):
        value = f"hash({c})" if shape.family == "text" else c
        return count_distinct(
            connection, plan.table_sql, value, rows=int(found["filled"]), condition=f"{c} IS NOT NULL"
        )
    return int(found.get("distinct", plan.sample.columns[shape.name].distinct))


def _count(found: dict[str, Any], name: str) -> int:
    return int(found.get(name) or 0)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return float(f"{number:.10g}") if math.isfinite(number) else None
