"""What a chart is asked to be, and what it is made of."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

ChartKind = Literal["bar", "line", "area", "scatter", "histogram", "heatmap", "box"]
Aggregate = Literal["none", "count", "sum", "mean", "median", "min", "max"]
Sort = Literal["data", "x", "x_down", "y", "y_down"]
Scale = Literal["quantity", "time", "category"]
Number = int | float | Decimal

LABEL_CHARACTERS = 60
MAX_POINTS = 5_000
MAX_ROWS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSpec:
    """Which columns go where; `limit` keeps that many points after sorting, `bins` is for histograms."""

    kind: ChartKind
    x: str | None = None
    y: str | None = None
    color: str | None = None
    aggregate: Aggregate = "none"
    sort: Sort = "data"
    limit: int | None = None
    title: str | None = None
    bins: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A value on an axis: `label` is its exact text made safe, `position` its place on a scale of numbers or time."""

    label: str
    position: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A five-number summary: whiskers reach the last value within 1.5 interquartile ranges (Tukey)."""

    low: float
    first_quartile: float
    median: float
    third_quartile: float
    high: float
    outlier_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One mark: `value` is the bar's length, line's height or cell's shade; `series` the group it belongs to."""

    x: Place
    y: Place | None = None
    value: Number | None = None
    series: str | None = None
    box: Box | None = None
    bin_end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Everything to be drawn, ready for any surface."""

    kind: ChartKind
    points: tuple[Point, ...]
    x_scale: Scale
    x_title: str
    y_title: str
    value_title: str
    title: str | None
    notes: tuple[str, ...]
    """What was left out, and why."""
