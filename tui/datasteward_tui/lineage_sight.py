"""The kept lineage around a dataset as a graph to draw: boxes in layers from source to target, and the links between.

Reading takes time and is done in a thread; the lineage models are imported there only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.errors import ToolError

if TYPE_CHECKING:
    from datasteward.lineage.faces.layout import Box
    from datasteward.lineage.graph import LineageGraph
    from datasteward.lineage.schemas import ColumnRef, DatasetKey

DEPTH = 8
MOST_BOXES = 200
MOST_COLUMNS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphBox:
    """A dataset: its layer from the left, its height in the order of the layer, and the columns with lineage."""

    name: str
    kind: str
    layer: int
    place: float
    columns: tuple[str, ...]
    columns_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphLink:
    """One column (or dataset, with an empty column) that has a part in another; boxes are numbers of `boxes`."""

    source: int
    source_column: str
    target: int
    target_column: str
    how: str
    expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageSight:
    """The graph; `start` is the box that was asked for, `is_cut` tells that something further away is left out."""

    boxes: tuple[GraphBox, ...]
    links: tuple[GraphLink, ...]
    start: int
    is_cut: bool = False


def read_sight(state_path: Path, dataset: str, columns: Sequence[str] = ()) -> LineageSight:
    """What the dataset comes from and goes to; raises `ToolError` when nothing is kept of it."""
    from datasteward.lineage.graph import find_starts, trace
    from datasteward.state import StateDatabase

    state = StateDatabase(state_path)
    try:
        with state.connection(write=False) as connection:
            starts = find_starts(connection, dataset, columns)
            if not starts:
                raise ToolError(
                    f"No lineage is kept of '{dataset}'.", code="not_found", hint="Query it, then ask again."
                )
            up = trace(connection, starts, "upstream", depth=DEPTH, include_indirect=True)
            down = trace(connection, starts, "downstream", depth=DEPTH, include_indirect=True)
            kept = _nearest([up, down])
            kinds = _read_kinds(connection, kept)
    finally:
        state.close()
    return _lay_out(starts, [up, down], kept, kinds)


def _lay_out(
    starts: "Sequence[ColumnRef]",
    graphs: "Sequence[LineageGraph]",
    kept: "Mapping[DatasetKey, None]",
    kinds: "Mapping[DatasetKey, str]",
) -> LineageSight:
    from datasteward.lineage.faces.layout import lay_out

    found = dict.fromkeys(e for g in graphs for e in g.edges)
    edges = [e for e in found if _is_inside(e.edge.source, e.edge.target, kept)]
    refs = list(dict.fromkeys([*starts, *(r for e in edges for r in (e.edge.source, e.edge.target))]))
    boxes = _box_all(lay_out(refs, edges).boxes, kinds)
    number = {key: i for i, key in enumerate(boxes)}
    links = [
        GraphLink(
            source=number[e.edge.source.dataset],
            source_column=e.edge.source.column,
            target=number[e.edge.target.dataset],
            target_column=e.edge.target.column,
            how=e.edge.subtype,
            expression=e.edge.expression or "",
        )
        for e in edges
    ]
    return LineageSight(
        boxes=tuple(boxes.values()),
        links=tuple(dict.fromkeys(links)),
        start=number[starts[0].dataset],
        is_cut=any(g.is_cut for g in graphs) or len(kept) >= MOST_BOXES,
    )


def _nearest(graphs: "Sequence[LineageGraph]") -> "dict[DatasetKey, None]":
    """The datasets nearest to the start, at most `MOST_BOXES`."""
    depths: dict[DatasetKey, int] = {}
    for node in (n for g in graphs for n in g.nodes):
        depths[node.ref.dataset] = min(node.depth, depths.get(node.ref.dataset, node.depth))
    return dict.fromkeys(sorted(depths, key=lambda key: (depths[key], key))[:MOST_BOXES])


def _is_inside(source: "ColumnRef", target: "ColumnRef", kept: "Mapping[DatasetKey, None]") -> bool:
    return source.dataset in kept and target.dataset in kept and source.dataset != target.dataset


def _read_kinds(connection: object, keys: "Mapping[DatasetKey, None]") -> "dict[DatasetKey, str]":
    import sqlite3

    from datasteward.lineage.store import LineageStore

    assert isinstance(connection, sqlite3.Connection)
    store = LineageStore(connection)
    return {key: record.kind for key in keys if (record := store.dataset(key)) is not None}


def _box_all(boxes: "Sequence[Box]", kinds: "Mapping[DatasetKey, str]") -> "dict[DatasetKey, GraphBox]":
    found: dict[DatasetKey, GraphBox] = {}
    for layer, (_, members) in enumerate(groupby(sorted(boxes, key=lambda b: (b.x, b.y)), key=lambda b: b.x)):
        for box in members:
            found[box.dataset] = GraphBox(
                name=box.dataset.name,
                kind=kinds.get(box.dataset, ""),
                layer=layer,
                place=box.y + box.height / 2,
                columns=box.columns[:MOST_COLUMNS],
                columns_left=max(0, len(box.columns) - MOST_COLUMNS),
            )
    return found
