"""Quantiles, skew and histograms of numeric and temporal columns, from the sample."""

from collections.abc import Sequence

import duckdb

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.model import Distribution
from datasteward.profiling.sampling import ColumnShape
from datasteward.profiling.scanning import Fences, ScannedColumn

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BINS = 12


def _as_number(shape: ColumnShape) -> str:
    c = quote_name(shape.name)
    return f"CAST({c} AS DOUBLE)" if shape.family in {"integer", "decimal"} else f"epoch({c})"


def find_distributions(
    connection: duckdb.DuckDBPyConnection, table: str, shapes: Sequence[ColumnShape]
) -> dict[str, Distribution]:
    """Quantiles (1, 5, 25, 50, 75, 95, 99 %), skew and a histogram for every numeric, date and timestamp column of the sample."""
    chosen = [s for s in shapes if s.family in {"integer", "decimal", "date", "timestamp"}]
    found: dict[str, Distribution] = {}
    for start in range(0, len(chosen), 100):
        part = chosen[start : start + 100]
        levels = "[" + ", ".join(str(q) for q in QUANTILES) + "]"
        expressions = ", ".join(
            f"quantile_cont({_as_number(s)}, {levels}) FILTER (isfinite({_as_number(s)}))" for s in part
        )
        row = connection.execute(f"SELECT {expressions} FROM {table}").fetchone() or ()
        for shape, quantiles in zip(part, row, strict=True):
            if quantiles:
                found[shape.name] = Distribution(quantiles=tuple(float(q) for q in quantiles))
    return {**found, **_histograms(connection, table, [s for s in chosen if s.name in found], found)}


def _histograms(
    connection: duckdb.DuckDBPyConnection, table: str, shapes: Sequence[ColumnShape], found: dict[str, Distribution]
) -> dict[str, Distribution]:
    spread = [s for s in shapes if found[s.name].quantiles[-1] > found[s.name].quantiles[0]]
    result: dict[str, Distribution] = {}
    for start in range(0, len(spread), 50):
        part = spread[start : start + 50]
        expressions = []
        for shape in part:
            low, high = found[shape.name].quantiles[0], found[shape.name].quantiles[-1]
            width = (high - low) / _BINS
            place = f"greatest(0, least({_BINS - 1}, floor(({_as_number(shape)} - {low!r}) / {width!r})))"
            finite = f"FILTER (isfinite({_as_number(shape)}))"
            expressions.append(f"histogram(CAST({place} AS INTEGER)) {finite}, skewness({_as_number(shape)}) {finite}")
        row = connection.execute(f"SELECT {', '.join(expressions)} FROM {table}").fetchone() or ()
        for index, shape in enumerate(part):
            counts, skew = row[2 * index] or {}, row[2 * index + 1]
            quantiles = found[shape.name].quantiles
            step = (quantiles[-1] - quantiles[0]) / _BINS
            result[shape.name] = Distribution(
                quantiles=quantiles,
                skew=round(float(skew), 2) if skew is not None else None,
                edges=tuple(quantiles[0] + step * i for i in range(_BINS + 1)),
                counts=tuple(int(counts.get(i, 0)) for i in range(_BINS)),
            )
    return result


def fences_of(distributions: dict[str, Distribution], shapes: Sequence[ColumnShape]) -> dict[str, Fences]:
    """Outlier bounds of the numeric columns whose middle half is not one value."""
    found: dict[str, Fences] = {}
    for shape in shapes:
        distribution = distributions.get(shape.name)
        if shape.family not in {"integer", "decimal"} or distribution is None:
            continue
        low, high = distribution.quantiles[2], distribution.quantiles[4]
        if high > low:
            found[shape.name] = Fences(low=low - 3 * (high - low), high=high + 3 * (high - low))
    return found


def complete(distribution: Distribution | None, scanned: ScannedColumn) -> Distribution | None:
    """The sample's distribution with the exact figures of the full pass."""
    if distribution is None:
        return None
    return Distribution(
        mean=scanned.mean, deviation=scanned.deviation, skew=distribution.skew, quantiles=distribution.quantiles,
        zeros=scanned.zeros, negatives=scanned.negatives, outliers=scanned.outliers, edges=distribution.edges,
        counts=distribution.counts,
    )  # fmt: skip
