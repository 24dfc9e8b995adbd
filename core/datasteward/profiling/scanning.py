"""The second look: one pass over all rows with just the exact figures that the first look calls for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from datasteward.intake.column_types import NULL_SPELLINGS
from datasteward.intake.sql_text import quote_name, quote_text
from datasteward.profiling.sampling import ColumnShape, Sample

COLUMNS_PER_PASS = 150
_FEW_VALUES = 60
_KEY_SHARE = 0.98
_MAX_KEY_CANDIDATES = 6
_SCALED = (
    "filled", "zeros", "negatives", "outliers", "not_finite", "padded", "blank", "spelled_null", "damaged", "in_future",
    "placeholder_dates", "beyond_2_53",
)  # fmt: skip
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
    """Three interquartile ranges beyond the quartiles; values outside count as outliers."""

    low: float
    high: float


def key_candidates(shapes: Sequence[ColumnShape], sample: Sample) -> tuple[str, ...]:
    """Columns that are (nearly) unique in the sample and of a type that can be a key, likeliest first, at most six."""
    found = []
    for position, shape in enumerate(shapes):
        look = sample.columns[shape.name]
        if (
            shape.family not in {"integer", "text", "date", "timestamp"}
            or look.filled < 0.5 * sample.rows
            or look.filled < 2
        ):
            continue
        if look.distinct < _KEY_SHARE * look.filled:
            continue
        longest = max((len(v) for v in look.values), default=0)
        named = any(w in shape.name.lower() for w in ("id", "key", "code", "uuid", "number", "no"))
        if longest > 100 or (shape.family == "timestamp" and not named and len(shapes) > 3):
            continue
        found.append((not named, shape.family == "timestamp", position, shape.name))
    return tuple(name for *_, name in sorted(found)[:_MAX_KEY_CANDIDATES])


def scan(
    connection: duckdb.DuckDBPyConnection,
    table_sql: str,
    shapes: Sequence[ColumnShape],
    sample: Sample,
    *,
    candidates: Sequence[str],
    fences: dict[str, Fences],
    today: str,
    lists_days: bool = False,
) -> Iterator[Scan]:
    """One `Scan` for every 150 columns, each by one pass over the source."""
    for start in range(0, max(1, len(shapes)), COLUMNS_PER_PASS):
        part = shapes[start : start + COLUMNS_PER_PASS]
        expressions = [
            _expression(s, sample, s.name in candidates, fences.get(s.name), today, lists_days) for s in part
        ]
        query = f"SELECT {', '.join(['count(*)', *expressions])} FROM {table_sql}"
        row = connection.execute(query).fetchone() or (0,)
        columns = {s.name: _read(found, s.name in candidates) for s, found in zip(part, row[1:], strict=True)}
        yield Scan(rows=int(row[0]), columns=columns)


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
        value = f"hash({c})" if name in texts else c
        row = connection.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT {value} FROM {table_sql} WHERE {c} IS NOT NULL)"
        ).fetchone()
        if row:
            found[name] = replace(column, distinct=int(row[0]), distinct_is_exact=True)
    return found


def has_few_values(shape: ColumnShape, sample: Sample) -> bool:
    """Whether all values of the column can be counted one by one."""
    look = sample.columns[shape.name]
    if shape.family not in {"text", "integer", "boolean", "date"} or look.distinct > _FEW_VALUES:
        return False
    return look.filled < sample.rows or look.distinct < 0.5 * max(look.filled, 10) or look.filled < 200


def _expression(
    shape: ColumnShape, sample: Sample, is_candidate: bool, fence: Fences | None, today: str, lists_days: bool
) -> str:
    """A struct of the aggregates for one column."""
    c = quote_name(shape.name)
    parts = {"filled": f"count({c})"}
    if shape.family in {"nested", "binary", "other"}:
        parts["distinct"] = f"approx_count_distinct({c})" if shape.family == "other" else "0"
        if shape.family == "binary":
            parts |= {"shortest": f"min(octet_length({c}))", "longest": f"max(octet_length({c}))"}
        elif shape.family == "nested":
            parts["longest"] = f"max(length(CAST({c} AS VARCHAR)))" if shape.type == "JSON" else "0"
        return _struct(parts)
    if has_few_values(shape, sample):
        parts["histogram"] = (
            f"histogram(CAST({c} AS VARCHAR))"
            if shape.family != "text"
            else f"histogram(left(CAST({c} AS VARCHAR), 500))"
        )
    elif is_candidate:
        parts["distinct"] = f"count(DISTINCT {c})" if shape.family != "text" else f"count(DISTINCT hash({c}))"
    else:
        parts["distinct"] = f"approx_count_distinct({c})"
    match shape.family:
        case "integer" | "decimal":
            parts |= _number_parts(c, shape, fence)
        case "text":
            parts |= _text_parts(c, shape, "histogram" in parts)
        case "date" | "timestamp":
            parts |= _time_parts(c, today)
            if lists_days:
                parts["days"] = f"CAST(list(DISTINCT CAST({c} AS DATE)) AS VARCHAR[])"
        case _:
            parts |= {"least": f"CAST(min({c}) AS VARCHAR)", "most": f"CAST(max({c}) AS VARCHAR)"}
    return _struct(parts)


def _struct(parts: dict[str, str]) -> str:
    return "{" + ", ".join(f"'{k}': {v}" for k, v in parts.items()) + "}"


def _number_parts(c: str, shape: ColumnShape, fence: Fences | None) -> dict[str, str]:
    is_float = shape.type in {"FLOAT", "DOUBLE"}
    finite = f"isfinite({c})" if is_float else "true"
    only = f" FILTER ({finite})" if is_float else ""
    parts = {
        "least": f"CAST(min({c}){only} AS VARCHAR)",
        "most": f"CAST(max({c}){only} AS VARCHAR)",
        "mean": f"avg({c}){only}",
        "deviation": f"stddev_samp(CAST({c} AS DOUBLE)){only}",
        "zeros": f"count_if({c} = 0)",
        "negatives": f"count_if({c} < 0)",
    }
    if is_float:
        parts["not_finite"] = f"count_if(NOT {finite})"
        parts["beyond_2_53"] = f"count_if(abs({c}) > 9007199254740992 AND {finite})"
    if fence:
        parts["outliers"] = f"count_if({c} < {fence.low!r} OR ({c} > {fence.high!r} AND {finite}))"
    return parts


def _text_parts(c: str, shape: ColumnShape, is_counted: bool) -> dict[str, str]:
    text = f"CAST({c} AS VARCHAR)" if shape.type != "VARCHAR" else c
    parts = {"least": f"left(min({text}), 200)", "most": f"left(max({text}), 200)"}
    if shape.type == "UUID":
        return parts
    parts |= {"shortest": f"min(length({text}))", "longest": f"max(length({text}))"}
    if not is_counted:
        parts |= {
            "padded": f"count_if({text} LIKE ' %' OR {text} LIKE '% ')",
            "blank": f"count_if({text} = '')",
            "spelled_null": f"count_if({text} IN ({_SPELLED}))",
            "damaged": f"count_if(contains({text}, 'Ã') OR contains({text}, 'â€') OR contains({text}, '\ufffd'))",
        }
    return parts


def _time_parts(c: str, today: str) -> dict[str, str]:
    return {
        "least": f"CAST(min({c}) AS VARCHAR)",
        "most": f"CAST(max({c}) AS VARCHAR)",
        "in_future": f"count_if(CAST({c} AS DATE) > DATE {quote_text(today)})",
        "placeholder_dates": f"count_if(CAST({c} AS DATE) IN (DATE '1900-01-01', DATE '1970-01-01', DATE '1899-12-30', DATE '9999-12-31', DATE '1753-01-01'))",
    }


def _read(found: dict[str, Any], is_candidate: bool) -> ScannedColumn:
    counted = found.get("histogram")
    histogram = (
        tuple(sorted(((str(k), int(n)) for k, n in counted.items()), key=lambda p: (-p[1], p[0]))) if counted else ()
    )
    words = set(NULL_SPELLINGS)
    texts = dict(histogram)
    return ScannedColumn(
        filled=int(found["filled"]),
        distinct=len(histogram) if counted is not None or "histogram" in found else int(found.get("distinct") or 0),
        distinct_is_exact="histogram" in found or is_candidate,
        min=found.get("least"), max=found.get("most"), mean=_number(found.get("mean")), deviation=_number(found.get("deviation")),
        zeros=_count(found, "zeros"), negatives=_count(found, "negatives"), outliers=_count(found, "outliers"),
        not_finite=_count(found, "not_finite"), beyond_2_53=_count(found, "beyond_2_53"),
        shortest=found.get("shortest"), longest=found.get("longest"),
        padded=_count(found, "padded") + sum(n for v, n in texts.items() if v != v.strip(" ")),
        blank=_count(found, "blank") + texts.get("", 0),
        spelled_null=_count(found, "spelled_null") + sum(n for v, n in texts.items() if v in words),
        damaged=_count(found, "damaged") + sum(n for v, n in texts.items() if "Ã" in v or "â€" in v or "\ufffd" in v),
        in_future=_count(found, "in_future"), placeholder_dates=_count(found, "placeholder_dates"), histogram=histogram,
        days=tuple(sorted(d for d in found["days"] or () if d)) if "days" in found else None,
    )  # fmt: skip


def _count(found: dict[str, Any], name: str) -> int:
    return int(found.get(name) or 0)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return float(f"{number:.10g}") if math.isfinite(number) else None
