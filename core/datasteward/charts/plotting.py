"""From a stored result to the points of a chart: columns chosen, grouped, sorted and bounded, values untouched."""

import difflib
import math
import statistics
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from datasteward.charts.model import (
    LABEL_CHARACTERS,
    MAX_POINTS,
    MAX_ROWS,
    Aggregate,
    Box,
    ChartSpec,
    Number,
    Place,
    Plot,
    Point,
    Scale,
)
from datasteward.engine.arrow_cells import read_cells
from datasteward.engine.cells import compact_json
from datasteward.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    scale: Scale
    places: tuple[Place | None, ...]


def make_plot(table: pa.Table, spec: ChartSpec) -> Plot:
    """The points of `spec` drawn from `table`; raises `ToolError` for missing or unfit columns, with the nearest names."""
    notes = []
    if table.num_rows > MAX_ROWS:
        notes.append(f"{MAX_ROWS:,} of {table.num_rows:,} rows were read: aggregate in SQL to chart all")
        table = table.slice(0, MAX_ROWS)
    match spec.kind:
        case "histogram":
            return _histogram(table, spec, notes)
        case "box":
            return _boxes(table, spec, notes)
        case "heatmap":
            return _heatmap(table, spec, notes)
        case _:
            return _marks(table, spec, notes)


def clean_label(text: str) -> str:
    """`text` on one line, control and direction-turning characters shown as �, cut to 60 characters."""
    shown = "".join(
        "�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text[: LABEL_CHARACTERS + 1]
    )
    return shown if len(shown) <= LABEL_CHARACTERS else f"{shown[: LABEL_CHARACTERS - 1]}…"


def _find_name(table: pa.Table, name: str | None, role: str, kind: str) -> str:
    names: list[str] = list(table.column_names)
    listed = ", ".join(clean_label(n) for n in names[:30])
    if name is None:
        raise ToolError(
            f"A {kind} chart needs a column for {role}.", code="invalid_arguments", hint=f"Columns: {listed}."
        )
    if name in names:
        return name
    folded = {n.casefold(): n for n in names}
    if name.casefold() in folded:
        return folded[name.casefold()]
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    guess = " or ".join(f"'{clean_label(folded[n])}'" for n in near)
    raise ToolError(
        f"The result has no column '{clean_label(name)}' for {role}.",
        code="not_found",
        hint=f"Did you mean {guess}?" if guess else f"Columns: {listed}.",
    )


def _read_column(table: pa.Table, name: str | None, role: str, spec: ChartSpec) -> _Column:
    found = _find_name(table, name, role, spec.kind)
    array = table.column(table.column_names.index(found))
    kind = array.type
    cells = [row[0] for row in read_cells(pa.table([array], names=["c"]))]
    texts = [None if c is None else c if isinstance(c, str) else compact_json(c) for c in cells]
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moments = array.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_pylist()
        is_real = [t is not None and "infinity" not in t for t in texts]
        timed = (_place(t, m) if real else None for t, m, real in zip(texts, moments, is_real, strict=True))
        return _Column(name=clean_label(found), scale="time", places=tuple(timed))
    numbers = _numbers(array, texts)
    if numbers is not None:
        counted = (None if n is None else _place(t, n) for t, n in zip(texts, numbers, strict=True))
        return _Column(name=clean_label(found), scale="quantity", places=tuple(counted))
    return _Column(name=clean_label(found), scale="category", places=tuple(_place(t, None) for t in texts))


def _place(text: str | None, position: Number | None) -> Place | None:
    return None if text is None else Place(label=clean_label(text), position=position)


def _numbers(array: pa.ChunkedArray, texts: Sequence[str | None]) -> list[Number | None] | None:
    """The column's finite numbers, None where there is none; None as a whole when it is no column of numbers."""
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values: list[Number | None] = array.to_pylist()
        return [None if v is None or not math.isfinite(v) else v for v in values]
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) or not any(texts):
        return None
    try:
        parsed = [None if t is None else Decimal(t) for t in texts]
    except InvalidOperation:
        return None
    return [None if p is None or not p.is_finite() else p for p in parsed]


def _need_numbers(column: _Column, role: str, kind: str) -> _Column:
    if column.scale != "quantity":
        raise ToolError(
            f"'{column.name}' holds no numbers, and {role} of a {kind} chart needs them.",
            code="invalid_arguments",
            hint="Choose a numeric column, cast it in SQL, or use aggregate 'count'.",
        )
    return column


def _marks(table: pa.Table, spec: ChartSpec, notes: list[str]) -> Plot:
    x = _read_column(table, spec.x, "x", spec)
    if spec.kind == "scatter":
        _need_numbers(x, "x", spec.kind) if x.scale == "category" else x
    is_count = spec.aggregate == "count"
    y = None if is_count and spec.y is None else _read_column(table, spec.y, "y", spec)
    if y is not None and not is_count:
        _need_numbers(y, "y", spec.kind)
    series = _read_column(table, spec.color, "color", spec) if spec.color else None
    groups: dict[tuple[Place, str | None], list[Number]] = {}
    loose: list[Point] = []
    dropped = 0
    for row, place in enumerate(x.places):
        held = y.places[row] if y else None
        if place is None or (y is not None and held is None):
            dropped += 1
            continue
        name = _series_name(series, row)
        value = held.position if held and held.position is not None else 1
        if spec.aggregate == "none":
            loose.append(Point(x=place, value=value, series=name))
        else:
            groups.setdefault((place, name), []).append(value)
    points = loose or [Point(x=p, value=_fold(spec.aggregate, v), series=s) for (p, s), v in groups.items()]
    if dropped:
        notes.append(f"{dropped:,} rows without a finite value were left out")
    title = (
        "count"
        if is_count
        else f"{spec.aggregate} of {y.name}"
        if y and spec.aggregate != "none"
        else y.name
        if y
        else ""
    )
    return _finish(spec, points, x, y_title=title, value_title=title, notes=notes)


def _series_name(series: _Column | None, row: int) -> str | None:
    if series is None:
        return None
    place = series.places[row]
    return "NULL" if place is None else place.label


def _fold(aggregate: Aggregate, values: Sequence[Number]) -> Number:
    if aggregate == "count":
        return len(values)
    return _FOLDS[aggregate](values)


def _sum(values: Sequence[Number]) -> Number:
    if any(isinstance(v, float) for v in values):
        return math.fsum(values)
    return sum(values[1:], values[0])


def _mean(values: Sequence[Number]) -> Number:
    total = _sum(values)
    return total / len(values) if isinstance(total, float) else Decimal(total) / len(values)


def _median(values: Sequence[Number]) -> Number:
    ordered: list[Number] = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else _mean(ordered[half - 1 : half + 1])


_FOLDS: dict[str, Callable[[Sequence[Number]], Number]] = {
    "sum": _sum,
    "mean": _mean,
    "median": _median,
    "min": min,
    "max": max,
}


def _finish(
    spec: ChartSpec, points: list[Point], x: _Column, *, y_title: str, value_title: str, notes: list[str]
) -> Plot:
    if not points:
        raise ToolError("There is nothing to draw: no row has a value in each chosen column.", code="invalid_arguments")
    ordered = _sort(points, spec, x.scale)
    limit = min(spec.limit or MAX_POINTS, MAX_POINTS)
    if len(ordered) > limit:
        notes.append(f"{limit:,} of {len(ordered):,} points are drawn")
    return Plot(
        kind=spec.kind,
        points=tuple(ordered[:limit]),
        x_scale=x.scale,
        x_title=x.name,
        y_title=y_title,
        value_title=value_title,
        title=clean_label(spec.title) if spec.title else None,
        notes=tuple(notes),
    )


def _sort(points: list[Point], spec: ChartSpec, scale: Scale) -> list[Point]:
    is_path = spec.kind in ("line", "area") and scale != "category"
    if spec.sort in ("x", "x_down") or (spec.sort == "data" and is_path):
        if scale == "category":
            return sorted(points, key=lambda p: p.x.label, reverse=spec.sort == "x_down")
        return sorted(points, key=lambda p: p.x.position or 0, reverse=spec.sort == "x_down")
    if spec.sort in ("y", "y_down"):
        return sorted(points, key=lambda p: p.value or 0, reverse=spec.sort == "y_down")
    return points


def _histogram(table: pa.Table, spec: ChartSpec, notes: list[str]) -> Plot:
    x = _need_numbers(_read_column(table, spec.x or spec.y, "x", spec), "x", spec.kind)
    values = sorted(float(p.position) for p in x.places if p is not None and p.position is not None)
    if len(values) < table.num_rows:
        notes.append(f"{table.num_rows - len(values):,} rows without a finite value were left out")
    points = _bin(values, spec.bins) if values else []
    return _finish(spec, points, x, y_title="count", value_title="count", notes=notes)


def _bin(values: list[float], wanted: int | None) -> list[Point]:
    """Bins of a round width (1, 2 or 5 times a power of ten), about as many as asked for or as Sturges' rule gives."""
    low, high = values[0], values[-1]
    count = max(1, min(wanted or math.ceil(math.log2(len(values)) + 1) * 2, 100))
    width = _round_width((high - low) / count) if high > low else 1.0
    start = math.floor(low / width)
    counts: dict[int, int] = {}
    for value in values:
        at = min(math.floor(value / width) - start, 1000)
        counts[at] = counts.get(at, 0) + 1
    points = []
    for at in range(max(counts) + 1):
        left, right = float(f"{(start + at) * width:.12g}"), float(f"{(start + at + 1) * width:.12g}")
        place = Place(label=f"{left:g}–{right:g}", position=left)
        points.append(Point(x=place, value=counts.get(at, 0), bin_end=right))
    return points


def _round_width(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 1e-300 else 1e-300
    return next(step * power for step in (1, 2, 5, 10) if step * power >= raw * 0.999)


def _boxes(table: pa.Table, spec: ChartSpec, notes: list[str]) -> Plot:
    y = _need_numbers(_read_column(table, spec.y or spec.x, "y", spec), "y", spec.kind)
    x = _read_column(table, spec.x, "x", spec) if spec.x and spec.y else None
    groups: dict[str, list[float]] = {}
    for row, held in enumerate(y.places):
        place = x.places[row] if x else Place(label=y.name)
        if held is not None and held.position is not None and place is not None:
            groups.setdefault(place.label, []).append(float(held.position))
    points = [Point(x=Place(label=name), value=statistics.median(v), box=_box(sorted(v))) for name, v in groups.items()]
    axis = _Column(name=x.name if x else "", scale="category", places=())
    return _finish(spec, points, axis, y_title=y.name, value_title=y.name, notes=notes)


def _box(values: list[float]) -> Box:
    first, middle, third = (_quantile(values, q) for q in (0.25, 0.5, 0.75))
    reach = 1.5 * (third - first)
    inside = [v for v in values if first - reach <= v <= third + reach]
    return Box(
        low=min(inside[0], first),
        first_quartile=first,
        median=middle,
        third_quartile=third,
        high=max(inside[-1], third),
        outlier_count=len(values) - len(inside),
    )


def _quantile(ordered: list[float], share: float) -> float:
    """Linear interpolation between the two nearest values (Hyndman and Fan, type 7)."""
    at = (len(ordered) - 1) * share
    below, above = ordered[math.floor(at)], ordered[math.ceil(at)]
    return below + (above - below) * (at - math.floor(at))


def _heatmap(table: pa.Table, spec: ChartSpec, notes: list[str]) -> Plot:
    x, y = _read_column(table, spec.x, "x", spec), _read_column(table, spec.y, "y", spec)
    shade = _need_numbers(_read_column(table, spec.color, "color", spec), "color", spec.kind) if spec.color else None
    groups: dict[tuple[Place, Place], list[Number]] = {}
    for row, (a, b) in enumerate(zip(x.places, y.places, strict=True)):
        held = shade.places[row] if shade else Place(label="1", position=1)
        if a is not None and b is not None and held is not None and held.position is not None:
            groups.setdefault((a, b), []).append(held.position)
    aggregate = spec.aggregate if spec.aggregate != "none" else "sum" if shade else "count"
    if spec.aggregate == "none" and any(len(v) > 1 for v in groups.values()) and shade:
        notes.append("rows with the same x and y were summed")
    points = [Point(x=a, y=b, value=_fold(aggregate, v)) for (a, b), v in groups.items()]
    title = f"{aggregate} of {shade.name}" if shade else "count"
    return _finish(spec, points, x, y_title=y.name, value_title=title, notes=notes)
