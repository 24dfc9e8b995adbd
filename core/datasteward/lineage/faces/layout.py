"""A layered layout for lineage pictures: datasets in columns from source to target, few crossings, no overlap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasteward.lineage.schemas import ColumnRef, DatasetKey
from datasteward.lineage.store import StoredEdge

SWEEPS = 6
CHARACTER_WIDTH = 6.7
ROW_HEIGHT = 17.0
HEADER_HEIGHT = 22.0
LAYER_GAP = 84.0
BOX_GAP = 18.0
MARGIN = 16.0
MAX_NAME_CHARACTERS = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A dataset in the picture, in pixels from the top left; `columns` are the rows under the header."""

    dataset: DatasetKey
    columns: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float

    def row_y(self, column: str) -> float:
        """The vertical middle of a column's row; of the header for the dataset as a whole."""
        if column not in self.columns:
            return self.y + HEADER_HEIGHT / 2
        return self.y + HEADER_HEIGHT + (self.columns.index(column) + 0.5) * ROW_HEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All boxes and the size of the picture in pixels."""

    boxes: tuple[Box, ...]
    width: float
    height: float


def lay_out(refs: Sequence[ColumnRef], edges: Sequence[StoredEdge]) -> Layout:
    """Boxes for the datasets of `refs`, sources at the left; within a layer ordered by their neighbours."""
    columns: dict[DatasetKey, dict[str, None]] = {}
    for ref in refs:
        columns.setdefault(ref.dataset, {})
        if ref.column:
            columns[ref.dataset][ref.column] = None
    links = _links(columns, edges)
    layers = _order(_layers(list(columns), links), links)
    return _place(layers, columns)


def _links(columns: Mapping[DatasetKey, object], edges: Sequence[StoredEdge]) -> list[tuple[DatasetKey, DatasetKey]]:
    pairs = dict.fromkeys((e.edge.source.dataset, e.edge.target.dataset) for e in edges)
    return [(a, b) for a, b in pairs if a != b and a in columns and b in columns]


def _layers(keys: Sequence[DatasetKey], links: Sequence[tuple[DatasetKey, DatasetKey]]) -> list[list[DatasetKey]]:
    """The longest way from a source decides the layer, and sources stand next to their readers; cycles are cut."""
    depth = dict.fromkeys(keys, 0)
    for _ in range(len(keys)):
        moved = False
        for source, target in links:
            if depth[target] <= depth[source] < len(keys) - 1:
                depth[target] = depth[source] + 1
                moved = True
        if not moved:
            break
    fed = {target for _, target in links}
    for key in keys:
        followers = [depth[target] for source, target in links if source == key]
        if key not in fed and followers:
            depth[key] = max(depth[key], min(followers) - 1)
    used = sorted(set(depth.values()))
    return [[key for key in keys if depth[key] == level] for level in used]


def _order(layers: list[list[DatasetKey]], links: Sequence[tuple[DatasetKey, DatasetKey]]) -> list[list[DatasetKey]]:
    """Barycentre sweeps, forth and back."""
    neighbours: dict[DatasetKey, list[DatasetKey]] = {}
    for source, target in links:
        neighbours.setdefault(source, []).append(target)
        neighbours.setdefault(target, []).append(source)
    for sweep in range(SWEEPS):
        place = {key: i / max(1, len(layer)) for layer in layers for i, key in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            means = {k: _mean([place[n] for n in neighbours.get(k, ())], place[k]) for k in layer}
            layer.sort(key=means.__getitem__)
            place.update({key: i / max(1, len(layer)) for i, key in enumerate(layer)})
    return layers


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _place(layers: Sequence[Sequence[DatasetKey]], columns: Mapping[DatasetKey, Mapping[str, None]]) -> Layout:
    heights = [sum(_box_height(columns[k]) + BOX_GAP for k in layer) - BOX_GAP for layer in layers]
    tallest = max(heights, default=0.0)
    boxes: list[Box] = []
    x = MARGIN
    for layer, height in zip(layers, heights, strict=True):
        width = max((_box_width(k, columns[k]) for k in layer), default=0.0)
        y = MARGIN + (tallest - height) / 2
        for key in layer:
            box_height = _box_height(columns[key])
            box = Box(dataset=key, columns=tuple(columns[key]), x=x, y=y, width=width, height=box_height)
            boxes.append(box)
            y += box_height + BOX_GAP
        x += width + LAYER_GAP
    width = max((b.x + b.width for b in boxes), default=0.0) + MARGIN
    return Layout(boxes=tuple(boxes), width=width, height=tallest + 2 * MARGIN)


def _box_height(columns: Mapping[str, None]) -> float:
    return HEADER_HEIGHT + ROW_HEIGHT * len(columns) + (5.0 if columns else 0.0)


def _box_width(key: DatasetKey, columns: Mapping[str, None]) -> float:
    longest = max([len(shorten_name(key.name)) + 2, *(len(shorten_name(c)) for c in columns)])
    return max(80.0, longest * CHARACTER_WIDTH + 20)


def shorten_name(name: str) -> str:
    """A name for the picture: a long one keeps its end, which tells more of a path."""
    return name if len(name) <= MAX_NAME_CHARACTERS else "…" + name[-(MAX_NAME_CHARACTERS - 1) :]
