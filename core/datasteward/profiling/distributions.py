"""Quantiles, skew and histograms of numeric and temporal columns, from the sample."""

from collections.abc import Sequence

import duckdb

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.model import Distribution
from datasteward.profiling.sampling import ColumnShape
from datasteward.profiling.scanning import Fences, ScannedColumn

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BINS = 12
_LARGEST_CUBED = 1e90


def _as_number(shape: ColumnShape) -> str:
    c = quote_name(shape.name)
    number = f"CAST({c} AS DOUBLE)" if shape.family in {"integer", "decimal"} else f"epoch({c})"
    return f"{number} AS {c}"


def find_distributions(
    connection: duckdb.DuckDBPyConnection, table: str, shapes: Sequence[ColumnShape]
) -> dict[str, Distribution]:
    """Quantiles (1, 5, 25, 50, 75, 95, 99 %), skew and a histogram for every numeric, date and timestamp column of the sample.

    All columns are read as one long table of names and numbers, which costs a wide table far less than an aggregate for
    each column. Values beyond 1e90 count as 1e90 for the skew, so that its cubes stay finite.
    """
    numbers = [_as_number(s) for s in shapes if s.family in {"integer", "decimal", "date", "timestamp"}]
    if not numbers:
        return {}
    place = f"greatest(0, least({_BINS - 1}, floor((x - q[1]) / ((q[7] - q[1]) / {_BINS}))))"
    rows = connection.execute(
        f"""
        WITH long AS MATERIALIZED (
            SELECT name, x FROM (UNPIVOT (SELECT {", ".join(numbers)} FROM {table}) ON COLUMNS(*) INTO NAME name VALUE x)
            WHERE isfinite(x)
        ), figures AS MATERIALIZED (
            SELECT name, quantile_cont(x, {list(QUANTILES)!r}) AS q,
                   skewness(greatest(-{_LARGEST_CUBED!r}, least({_LARGEST_CUBED!r}, x))) AS skew
            FROM long GROUP BY name
        ), bins AS (
            SELECT name, CAST({place} AS INTEGER) AS bin, count(*) AS n
            FROM long JOIN figures USING (name) WHERE isfinite(q[7] - q[1]) AND q[7] > q[1] GROUP BY ALL
        ), histograms AS (SELECT name, map_from_entries(list((bin, n))) AS counts FROM bins GROUP BY name)
        SELECT name, q, CASE WHEN isfinite(skew) THEN round(skew, 2) END, counts FROM figures LEFT JOIN histograms USING (name)
        """
    ).fetchall()
    return {str(r[0]): _read(r[1], r[2], r[3]) for r in rows}


def _read(quantiles: Sequence[float], skew: float | None, counts: dict[int, int] | None) -> Distribution:
    if not counts:
        return Distribution(quantiles=tuple(quantiles))
    step = (quantiles[-1] - quantiles[0]) / _BINS
    return Distribution(
        quantiles=tuple(quantiles),
        skew=skew,
        edges=tuple(quantiles[0] + step * i for i in range(_BINS + 1)),
        counts=tuple(int(counts.get(i, 0)) for i in range(_BINS)),
    )


def fences_of(distributions: dict[str, Distribution], shapes: Sequence[ColumnShape]) -> dict[str, Fences]:
    """Outlier bounds of the numeric columns whose middle half is not one value.

    A value lies outside when it is further than three interquartile ranges from the quartiles (Tukey's outer fences), and
    further from the median than four times the 1st or 99th percentile, which spares the long tail of skewed figures.
    """
    found: dict[str, Fences] = {}
    for shape in shapes:
        distribution = distributions.get(shape.name)
        if shape.family not in {"integer", "decimal"} or distribution is None:
            continue
        p1, _, low, middle, high, _, p99 = distribution.quantiles
        if high > low:
            found[shape.name] = Fences(
                low=min(low - 3 * (high - low), middle - 4 * (middle - p1)),
                high=max(high + 3 * (high - low), middle + 4 * (p99 - middle)),
            )
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
