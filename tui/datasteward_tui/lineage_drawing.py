"""A lineage graph in box characters: layers from left to right, links led through the gaps between them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from datasteward_tui.lineage_sight import GraphLink, LineageSight
from datasteward_tui.safe_text import fit_cells, show_line

WIDEST_BOX = 34
MOST_TRACKS = 16
NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8
LINES = {
    NORTH: "│", SOUTH: "│", NORTH | SOUTH: "│", EAST: "─", WEST: "─", EAST | WEST: "─",
    NORTH | EAST: "╰", NORTH | WEST: "╯", SOUTH | EAST: "╭", SOUTH | WEST: "╮",
    NORTH | SOUTH | EAST: "├", NORTH | SOUTH | WEST: "┤", EAST | WEST | SOUTH: "┬", EAST | WEST | NORTH: "┴",
    NORTH | EAST | SOUTH | WEST: "┼",
}  # fmt: skip
Role = Literal["line", "hot", "frame", "start", "focus", "name", "kind", "column", "hot_column", "cursor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A box, or one of its columns: `column` is -1 for the box as a whole."""

    box: int
    column: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """Where a box stands, in cells."""

    x: int
    y: int
    width: int
    height: int


@dataclass(slots=True)
class Drawing:
    """Cells by line and column, each with its character and role."""

    rects: tuple[Rect, ...]
    width: int = 0
    height: int = 0
    cells: dict[int, dict[int, tuple[str, Role]]] = field(default_factory=lambda: defaultdict(dict))

    def put(self, x: int, y: int, text: str, role: Role) -> None:
        """Write a text of one-cell characters."""
        for offset, character in enumerate(text):
            self.cells[y][x + offset] = (character, role)

    def text(self) -> str:
        """The drawing without colour."""
        lines = []
        for y in range(self.height):
            row = self.cells.get(y, {})
            lines.append("".join(row[x][0] if x in row else " " for x in range(max(row, default=-1) + 1)))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Stop:
    """A point of a link: a box or a bend between two layers, and the line it is on."""

    layer: int
    item: tuple[int, ...]
    y: int


def draw_lineage(sight: LineageSight, focus: Spot, *, has_columns: bool) -> Drawing:
    """The graph with what belongs to `focus` told apart."""
    bends = _bends(sight)
    places, bend_lines, width, gaps = _place(sight, bends, has_columns)
    drawing = Drawing(rects=places, width=width)
    drawing.height = max([r.y + r.height for r in places] + [y + 1 for y in bend_lines.values()], default=0)
    ways = {pair: _way(sight, pair, places, bend_lines, bends) for pair in bends}
    hot = hot_links(sight, focus)
    plain: dict[tuple[int, int], int] = defaultdict(int)
    glowing: dict[tuple[int, int], int] = defaultdict(int)
    tracks = _tracks(ways.values(), gaps)
    hot_pairs = {(link.source, link.target) for link in hot}
    for pair, way in ways.items():
        _lead(way, places, tracks, glowing if pair in hot_pairs else plain, sight)
    for masks, role in ((plain, "line"), (glowing, "hot")):
        for (x, y), mask in masks.items():
            joined = mask | plain.get((x, y), 0) if role == "hot" else mask
            drawing.put(x, y, LINES[joined], "hot" if role == "hot" else "line")
    for pair in ways:
        rect = places[pair[1]]
        drawing.put(rect.x - 1, rect.y + 1, "▶", "hot" if pair in hot_pairs else "line")
    lit = {(i.source, i.source_column) for i in hot} | {(i.target, i.target_column) for i in hot}
    for index, rect in enumerate(places):
        _draw_box(drawing, sight, index, rect, focus, lit, has_columns=has_columns)
    return drawing


def hot_links(sight: LineageSight, focus: Spot) -> list[GraphLink]:
    """The links of a box; for a column those by which its values come and go, however far."""
    if focus.column < 0:
        return [i for i in sight.links if focus.box in {i.source, i.target}]
    start = (focus.box, sight.boxes[focus.box].columns[focus.column])
    return [*_follow(sight, start, upstream=True), *_follow(sight, start, upstream=False)]


def _follow(sight: LineageSight, start: tuple[int, str], *, upstream: bool) -> list[GraphLink]:
    found: dict[GraphLink, None] = {}
    front = [start]
    seen = {start}
    while front:
        here = front.pop()
        for link in sight.links:
            near = (link.target, link.target_column) if upstream else (link.source, link.source_column)
            far = (link.source, link.source_column) if upstream else (link.target, link.target_column)
            if near == here and link not in found:
                found[link] = None
                if far not in seen and far[1]:
                    seen.add(far)
                    front.append(far)
    return list(found)


def _bends(sight: LineageSight) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """Each pair of linked boxes with the bends between their layers; a link backwards is not drawn."""
    found: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for link in sight.links:
        first, last = sight.boxes[link.source].layer, sight.boxes[link.target].layer
        if first < last:
            found[(link.source, link.target)] = [(link.source, link.target, layer) for layer in range(first + 1, last)]
    return found


def _place(
    sight: LineageSight, bends: Mapping[tuple[int, int], Sequence[tuple[int, ...]]], has_columns: bool
) -> tuple[tuple[Rect, ...], dict[tuple[int, ...], int], int, list[int]]:
    """Rectangles of boxes, lines of bends, the whole width, and where the gap after each layer begins."""
    count = max((b.layer for b in sight.boxes), default=-1) + 1
    layers: list[list[tuple[float, tuple[int, ...]]]] = [[] for _ in range(count)]
    for index, box in enumerate(sight.boxes):
        layers[box.layer].append((box.place, (index,)))
    for (source, target), between in bends.items():
        low, high = sight.boxes[source], sight.boxes[target]
        for bend in between:
            share = (bend[2] - low.layer) / (high.layer - low.layer)
            layers[bend[2]].append((low.place + (high.place - low.place) * share, bend))
    heights = [sum(_height(sight, item, has_columns) + 1 for _, item in layer) for layer in layers]
    tallest = max(heights, default=0)
    rects: dict[int, Rect] = {}
    lines: dict[tuple[int, ...], int] = {}
    gaps: list[int] = []
    x = 0
    for layer, height in zip(layers, heights, strict=True):
        width = max((_width(sight, item[0]) for _, item in layer if len(item) == 1), default=0)
        y = (tallest - height) // 2
        for _, item in sorted(layer):
            if len(item) == 1:
                rects[item[0]] = Rect(x=x, y=y, width=width, height=_height(sight, item, has_columns))
            else:
                lines[item] = y
            y += _height(sight, item, has_columns) + 1
        gaps.append(x + width)
        x += width + min(MOST_TRACKS, len(layer)) + 3
    return tuple(rects[i] for i in range(len(sight.boxes))), lines, max(gaps, default=0), gaps


def _height(sight: LineageSight, item: tuple[int, ...], has_columns: bool) -> int:
    if len(item) > 1:
        return 1
    box = sight.boxes[item[0]]
    rows = len(box.columns) + bool(box.columns_left)
    return 4 + rows if has_columns and rows else 3


def _width(sight: LineageSight, index: int) -> int:
    box = sight.boxes[index]
    longest = max([len(show_line(box.name)) + len(box.kind) + 2, *(len(show_line(c)) for c in box.columns)])
    return min(WIDEST_BOX, longest) + 4


def _way(
    sight: LineageSight,
    pair: tuple[int, int],
    places: Sequence[Rect],
    bend_lines: Mapping[tuple[int, ...], int],
    bends: Mapping[tuple[int, int], Sequence[tuple[int, ...]]],
) -> list[_Stop]:
    source, target = pair
    stops = [_Stop(sight.boxes[source].layer, (source,), places[source].y + 1)]
    stops += [_Stop(bend[2], bend, bend_lines[bend]) for bend in bends[pair]]
    return [*stops, _Stop(sight.boxes[target].layer, (target,), places[target].y + 1)]


def _tracks(ways: Iterable[Sequence[_Stop]], gaps: Sequence[int]) -> dict[tuple[int, ...], int]:
    """For each box or bend that links leave, the column in the gap behind it where they turn."""
    turning: dict[int, dict[tuple[int, ...], list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for way in ways:
        for here, there in pairwise(way):
            turning[here.layer][here.item].append((here.y, there.y))
    tracks: dict[tuple[int, ...], int] = {}
    for layer, items in turning.items():
        order = _order_tracks(items)
        for position, item in enumerate(order):
            tracks[item] = gaps[layer] + 1 + position % MOST_TRACKS
    return tracks


def _order_tracks(items: Mapping[tuple[int, ...], Sequence[tuple[int, int]]]) -> list[tuple[int, ...]]:
    """An order in which a link leaves its line before another one comes onto that line, as far as that can be."""
    order = sorted(items, key=lambda item: items[item][0][0])
    leaves = {item: items[item][0][0] for item in items}
    for _ in range(len(order)):
        moved = False
        for item in list(order):
            for target in {there for _, there in items[item]}:
                blocker = next((o for o in order if o != item and leaves[o] == target), None)
                if blocker is not None and order.index(blocker) > order.index(item):
                    order.remove(blocker)
                    order.insert(order.index(item), blocker)
                    moved = True
        if not moved:
            break
    return order


def _lead(
    way: Sequence[_Stop],
    places: Sequence[Rect],
    tracks: Mapping[tuple[int, ...], int],
    masks: dict[tuple[int, int], int],
    sight: LineageSight,
) -> None:
    """Draw a link: out of a box, along its turning column, and into the next box or through the layer."""
    layer_right: dict[int, int] = {}
    layer_left: dict[int, int] = {}
    for box, rect in zip(sight.boxes, places, strict=True):
        layer_left[box.layer], layer_right[box.layer] = rect.x, rect.x + rect.width
    for here, there in pairwise(way):
        turn = tracks[here.item]
        begin = layer_right[here.layer] if len(here.item) == 1 else layer_left[here.layer]
        end = layer_left[there.layer] - (2 if len(there.item) == 1 else 1)
        _draw_line(masks, begin, turn, here.y)
        _draw_line(masks, turn, end, there.y)
        low, high = sorted((here.y, there.y))
        for y in range(low, high):
            masks[(turn, y)] |= SOUTH
            masks[(turn, y + 1)] |= NORTH


def _draw_line(masks: dict[tuple[int, int], int], begin: int, end: int, y: int) -> None:
    for x in range(begin, end):
        masks[(x, y)] |= EAST
        masks[(x + 1, y)] |= WEST


def _draw_box(
    drawing: Drawing,
    sight: LineageSight,
    index: int,
    rect: Rect,
    focus: Spot,
    lit: set[tuple[int, str]],
    *,
    has_columns: bool,
) -> None:
    box = sight.boxes[index]
    is_focus = focus.box == index
    frame: Role = "focus" if is_focus else "start" if index == sight.start else "frame"
    across, side = ("═", "║") if is_focus else ("─", "│")
    corners = "╔╗╚╝" if is_focus else "╭╮╰╯"
    inner = rect.width - 2
    drawing.put(rect.x, rect.y, corners[0] + across * inner + corners[1], frame)
    drawing.put(rect.x, rect.y + rect.height - 1, corners[2] + across * inner + corners[3], frame)
    for y in range(rect.y + 1, rect.y + rect.height - 1):
        drawing.put(rect.x, y, side, frame)
        drawing.put(rect.x + rect.width - 1, y, side, frame)
    kind = fit_cells(box.kind, inner - 2)
    name = _one_cell(_keep_end(show_line(box.name), inner - 3 - len(kind)))
    name_role: Role = "cursor" if is_focus and focus.column < 0 else "name"
    drawing.put(rect.x + 2, rect.y + 1, name.ljust(inner - 3 - len(kind)), name_role)
    drawing.put(rect.x + inner - len(kind), rect.y + 1, kind, "kind")
    if not has_columns or rect.height <= 3:
        return
    drawing.put(rect.x, rect.y + 2, ("╟" if is_focus else "├") + "─" * inner + ("╢" if is_focus else "┤"), frame)
    for row, column in enumerate(box.columns):
        words = _one_cell(fit_cells(show_line(column), inner - 2)).ljust(inner - 2)
        is_cursor = is_focus and focus.column == row
        role: Role = "cursor" if is_cursor else "hot_column" if (index, column) in lit else "column"
        drawing.put(rect.x + 2, rect.y + 3 + row, words, role)
    if box.columns_left:
        drawing.put(rect.x + 2, rect.y + 3 + len(box.columns), f"… {box.columns_left} more"[: inner - 2], "kind")


def _keep_end(name: str, room: int) -> str:
    """A long name keeps its end, which tells more of a path."""
    return name if len(name) <= room else "…" + name[-(room - 1) :]


def _one_cell(text: str) -> str:
    """Characters of other than one cell shown as `·`, so that frames stay straight."""
    from rich.cells import cell_len

    return text if cell_len(text) == len(text) else "".join(c if cell_len(c) == 1 else "·" for c in text)
