"""A plot as a Vega-Lite 6 document with its data inside, and as PNG or SVG."""

import json
from decimal import Decimal
from typing import Any

from datasteward.charts.model import Number, Plot, Point
from datasteward.errors import ConfigError

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_TYPES = {"quantity": "quantitative", "time": "temporal", "category": "nominal"}
_MARKS = {"bar": "bar", "line": "line", "area": "area", "scatter": "point", "histogram": "bar", "heatmap": "rect"}


def write_vega(plot: Plot) -> str:
    """The document as JSON text; fields are called x, y, value and series, so that no column name is ever an expression.

    Numbers that a JavaScript number cannot hold exactly come with their exact text in `exact`.
    """
    document: dict[str, Any] = {
        "$schema": SCHEMA,
        "width": 480,
        "height": 300,
        "data": {"values": [_row(p, plot) for p in plot.points]},
    }
    if plot.title:
        document["title"] = plot.title
    if plot.kind == "box":
        document.update(_box_layers(plot))
    else:
        document["mark"] = {"type": _MARKS[plot.kind], "tooltip": True}
        document["encoding"] = _encoding(plot)
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _row(point: Point, plot: Plot) -> dict[str, Any]:
    is_number = plot.x_scale == "quantity" and plot.kind in ("line", "area", "scatter", "histogram")
    x_number = _number(point.x.position) if is_number and point.x.position is not None else None
    row: dict[str, Any] = {"x": point.x.label if x_number is None else x_number}
    if plot.x_scale == "time" and plot.kind != "bar":
        row["x"] = point.x.label.replace(" ", "T", 1)
    if point.y is not None:
        row["y"] = point.y.label
    if point.series is not None:
        row["series"] = point.series
    if point.bin_end is not None:
        row["x2"] = point.bin_end
    if point.box is not None:
        box = point.box
        row |= {
            "low": box.low,
            "q1": box.first_quartile,
            "median": box.median,
            "q3": box.third_quartile,
            "high": box.high,
        }
    elif point.value is not None:
        row["value"] = _number(point.value)
        if Decimal(repr(row["value"])) != Decimal(str(point.value)):
            row["exact"] = format(point.value, "f") if isinstance(point.value, Decimal) else str(point.value)
    return row


def _number(value: Number) -> int | float:
    if isinstance(value, int):
        return value if abs(value) < 2**53 else float(value)
    return float(value)


def _encoding(plot: Plot) -> dict[str, Any]:
    x: dict[str, Any] = {"field": "x", "title": plot.x_title, "type": _x_type(plot)}
    value: dict[str, Any] = {"field": "value", "title": plot.value_title, "type": "quantitative"}
    if plot.kind == "histogram":
        return {"x": {**x, "bin": {"binned": True}}, "x2": {"field": "x2"}, "y": value}
    if plot.kind == "heatmap":
        return {"x": x, "y": {"field": "y", "title": plot.y_title, "type": "nominal", "sort": None}, "color": value}
    encoding: dict[str, Any] = {"x": x, "y": value}
    if any(p.series is not None for p in plot.points):
        encoding["color"] = {"field": "series", "type": "nominal", "sort": None, "title": None}
    if plot.kind == "bar":
        encoding["y"] = {**value, "stack": None} if "color" not in encoding else {**value, "stack": "zero"}
    return encoding | ({"x": {**x, "sort": None}} if x["type"] == "nominal" else {})


def _x_type(plot: Plot) -> str:
    return "nominal" if plot.kind in ("bar", "heatmap") else _TYPES[plot.x_scale]


def _box_layers(plot: Plot) -> dict[str, Any]:
    def span(low: str, high: str) -> dict[str, Any]:
        return {
            "y": {"field": low, "type": "quantitative", "title": plot.y_title, "scale": {"zero": False}},
            "y2": {"field": high},
        }

    median = {"y": {"field": "median", "type": "quantitative"}, "color": {"value": "white"}}
    return {
        "encoding": {"x": {"field": "x", "type": "nominal", "title": plot.x_title or None, "sort": None}},
        "layer": [
            {"mark": "rule", "encoding": span("low", "high")},
            {"mark": {"type": "bar", "size": 24, "tooltip": True}, "encoding": span("q1", "q3")},
            {"mark": {"type": "tick", "size": 24}, "encoding": median},
        ],
    }


def draw_png(vega_json: str, scale: float = 2.0) -> bytes:
    """The picture as PNG; `scale` 1 is 480 x 300 pixels plus axes. Raises `ConfigError` without the charts extra."""
    return bytes(_converter().vegalite_to_png(vega_json, vl_version="6.4", scale=scale))


def draw_svg(vega_json: str) -> str:
    """The picture as SVG text. Raises `ConfigError` without the charts extra."""
    return str(_converter().vegalite_to_svg(vega_json, vl_version="6.4"))


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise ConfigError(
            "PNG and SVG charts need the package vl-convert-python, which is not installed.",
            hint="Install it with: pip install 'datasteward[charts]'. Vega-Lite and terminal charts work without it.",
        ) from error
    return vl_convert
