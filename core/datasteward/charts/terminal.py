"""A plot as text for a terminal: blocks for bars and shades, braille for lines and points, no colour."""

import itertools
import math
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from datasteward.charts.braille import BrailleCanvas
from datasteward.charts.model import Number, Plot, Point

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHADES = "·░▒▓█"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
MIN_WIDTH, MIN_HEIGHT = 24, 6


def draw_text(plot: Plot, width: int = 80, height: int = 20) -> str:
    """The chart in at most `height` lines of `width` columns (never under 24 x 6), then a line for each note."""
    width, height = max(width, MIN_WIDTH), max(height, MIN_HEIGHT)
    head = [fit(plot.title, width).rstrip()] if plot.title else []
    room = height - len(head)
    match plot.kind:
        case "bar" | "histogram":
            body = _bars(plot, width, room)
        case "heatmap":
            body = _heatmap(plot, width, room)
        case "box":
            body = _boxes(plot, width, room)
        case _:
            body = _canvas(plot, width, room)
    return "\n".join([*head, *body, *(f"({note})" for note in plot.notes)])


def cell_width(text: str) -> int:
    """Terminal columns of `text`: two for wide East Asian characters, none for combining ones."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` cut or filled to exactly `width` columns."""
    if cell_width(text) > width:
        kept = ""
        for character in text:
            if cell_width(kept + character) > width - 1:
                break
            kept += character
        text = kept + "…"
    filling = " " * (width - cell_width(text))
    return filling + text if right else text + filling


def write_number(value: Number) -> str:
    """The exact number with thousands separators; floats in their shortest exact form."""
    if isinstance(value, float):
        return (
            f"{int(value):,}"
            if value.is_integer() and abs(value) < 1e15
            else f"{value:,}"
            if abs(value) < 1e15
            else repr(value)
        )
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def _short(value: float) -> str:
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power and abs(value) >= 10_000:
            return f"{value / 10**power:.4g}{letter}"
    return f"{value:.4g}"


def _write_within(value: Number, width: int) -> str:
    """The exact number, or with `~` and fewer decimals when it is longer than `width`."""
    text = write_number(value)
    for decimals in (4, 2, 0) if len(text) > width else ():
        text = f"~{value:,.{decimals}f}"
        if len(text) <= width:
            break
    return text


def _bars(plot: Plot, width: int, height: int) -> list[str]:
    shown = plot.points[: height - 1] if len(plot.points) > height - 1 else plot.points
    labels = [p.x.label + (f" · {p.series}" if p.series is not None else "") for p in shown]
    values = [p.value if p.value is not None else 0 for p in shown]
    number_width = min(max(len(write_number(v)) for v in values), width // 3)
    numbers = [_write_within(v, number_width) for v in values]
    label_width = min(max(map(cell_width, [*labels, plot.x_title])), width // 3)
    room = width - label_width - number_width - 3
    low, high = min(0.0, *map(float, values)), max(0.0, *map(float, values))
    lines = [f"{fit(plot.x_title, label_width)} │ {fit(plot.value_title, width - label_width - 3)}".rstrip()]
    for label, value, number in zip(labels, values, numbers, strict=True):
        bar = _bar(float(value), low, high, room)
        lines.append(f"{fit(label, label_width)} │{bar} {fit(number, number_width, right=True)}")
    if len(shown) < len(plot.points):
        lines[-1] = fit(f"… {len(plot.points) - len(shown) + 1:,} more", width).rstrip()
    return lines


def _bar(value: float, low: float, high: float, room: int) -> str:
    """A bar from zero; negative ones end at the zero line, which stands where the smallest value puts it."""
    span = (high - low) or 1.0
    zero = round(-low / span * room)
    if value < 0:
        size = min(zero, max(1, round(-value / span * room)))
        return " " * (zero - size) + "▒" * size + " " * (room - zero)
    eighths = round(value / span * room * 8)
    full, part = divmod(min(eighths, (room - zero) * 8), 8)
    return fit(" " * zero + "█" * full + (_EIGHTHS[part] if part else ""), room)


def _canvas(plot: Plot, width: int, height: int) -> list[str]:
    values = [float(p.value) for p in plot.points if p.value is not None]
    places = _positions(plot)
    low, high = min(values), max(values)
    if plot.kind == "area":
        low, high = min(low, 0.0), max(high, 0.0)
    margin = max(len(_short(low)), len(_short(high))) + 1
    rows, columns = height - 3, width - margin - 1
    canvas = BrailleCanvas(columns, rows)
    names = list(dict.fromkeys(p.series for p in plot.points))
    for number, name in enumerate(names):
        inside = [(places[i], float(p.value or 0)) for i, p in enumerate(plot.points) if p.series == name]
        spots = [(_share(x, min(places), max(places)), _share(y, low, high)) for x, y in inside]
        _trace(canvas, plot.kind, spots, _share(0.0, low, high))
        if len(names) > 1 and number < len(_LETTERS):
            for spot in spots if plot.kind == "scatter" else spots[-1:]:
                canvas.letter(*spot, _LETTERS[number])
    lines = [fit(plot.value_title, width).rstrip()]
    for row, text in enumerate(canvas.lines()):
        mark = _short(high) if row == 0 else _short(low) if row == rows - 1 else ""
        lines.append(f"{fit(mark, margin, right=True)}┤{text}" if mark else f"{' ' * margin}│{text}")
    lines.append(_x_axis(plot, places, margin, columns))
    if len(names) > 1:
        legend = "  ".join(f"{a} {n}" for a, n in zip(_LETTERS, names, strict=False))
        lines[0] = fit(f"{plot.value_title}:  {legend}", width).rstrip()
    return lines


def _trace(canvas: BrailleCanvas, kind: str, spots: Sequence[tuple[float, float]], zero: float) -> None:
    if kind == "scatter" or len(spots) == 1:
        for spot in spots:
            canvas.dot(*spot)
        return
    for start, end in itertools.pairwise(spots):
        canvas.line(*start, *end, floor=zero if kind == "area" else None)


def _positions(plot: Plot) -> list[float]:
    if plot.x_scale == "category":
        order = {label: i for i, label in enumerate(dict.fromkeys(p.x.label for p in plot.points))}
        return [float(order[p.x.label]) for p in plot.points]
    return [float(p.x.position or 0) for p in plot.points]


def _share(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return share if math.isfinite(share) else 0.5


def _x_axis(plot: Plot, places: list[float], margin: int, columns: int) -> str:
    first = plot.points[places.index(min(places))].x.label
    last = plot.points[places.index(max(places))].x.label
    side = columns // 3
    middle = columns - 2 * side
    ends = fit(first, side) + fit(plot.x_title.center(middle), middle) + fit(last, side, right=True)
    return f"{' ' * margin}└{ends}"


def _heatmap(plot: Plot, width: int, height: int) -> list[str]:
    across = list(dict.fromkeys(p.x.label for p in plot.points))
    down = list(dict.fromkeys(p.y.label for p in plot.points if p.y))
    cells = {(p.x.label, p.y.label): float(p.value) for p in plot.points if p.y and p.value is not None}
    label_width = min(max(map(cell_width, down)), width // 3)
    per_cell = max(1, min(8, (width - label_width - 2) // len(across)))
    shown_x, shown_y = across[: (width - label_width - 2) // per_cell], down[: height - 3]
    low, high = min(cells.values()), max(cells.values())
    lines = [f"{' ' * label_width} │{''.join(fit(x, per_cell) for x in shown_x)}".rstrip()]
    for y in shown_y:
        marks = (_SHADES[round(_share(cells[x, y], low, high) * 4)] if (x, y) in cells else " " for x in shown_x)
        lines.append(f"{fit(y, label_width)} │{''.join(mark * per_cell for mark in marks)}")
    if len(shown_x) < len(across) or len(shown_y) < len(down):
        lines.append(f"… {len(across) - len(shown_x)} more across, {len(down) - len(shown_y)} more down")
    lines.append(fit(f"{plot.value_title}: {_SHADES[0]} {_short(low)} to {_SHADES[-1]} {_short(high)}", width).rstrip())
    return lines


def _boxes(plot: Plot, width: int, height: int) -> list[str]:
    shown = plot.points[: height - 2]
    boxes = [p.box for p in shown if p.box is not None]
    low, high = min(b.low for b in boxes), max(b.high for b in boxes)
    label_width = min(max(cell_width(p.x.label) for p in shown), width // 3)
    room = width - label_width - 2
    lines = [f"{fit(p.x.label, label_width)} │{_box_line(p, low, high, room)}" for p in shown]
    side = room // 3
    axis = (
        fit(_short(low), side)
        + fit(plot.y_title.center(room - 2 * side), room - 2 * side)
        + fit(_short(high), side, right=True)
    )
    return [
        *lines,
        f"{' ' * label_width} └{axis}",
        *([f"… {len(plot.points) - len(shown)} more"] if len(shown) < len(plot.points) else []),
    ]


def _box_line(point: Point, low: float, high: float, room: int) -> str:
    assert point.box is not None
    box = point.box
    ends = (box.low, box.first_quartile, box.median, box.third_quartile, box.high)
    start, left, middle, right, stop = (min(max(0, round(_share(v, low, high) * (room - 1))), room - 1) for v in ends)
    line = [" "] * room
    line[start : stop + 1] = "─" * (stop + 1 - start)
    line[left : right + 1] = "█" * (right + 1 - left)
    line[start] = "├" if start < left else line[start]
    line[stop] = "┤" if stop > right else line[stop]
    line[middle] = "┃"
    return "".join(line)
