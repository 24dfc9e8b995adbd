"""Questions to the kept lineage: what a column comes from, what hangs on it, and what a change would break."""

import difflib
import json
import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from datasteward.lineage.schemas import ColumnRef, DatasetKey
from datasteward.lineage.store import LineageStore, StoredEdge, read_edges, read_refs

Direction = Literal["upstream", "downstream"]
ChangeAsked = Literal["drop", "change_type", "rename"]
MAX_DEPTH = 100
MAX_EDGES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """A column (or a whole dataset) and how many steps it is from the nearest start; 0 for a start."""

    ref: ColumnRef
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageGraph:
    """Part of the lineage; `is_cut` tells that the depth or the size limit left something out."""

    starts: tuple[ColumnRef, ...]
    direction: Direction
    nodes: tuple[GraphNode, ...]
    edges: tuple[StoredEdge, ...]
    is_cut: bool = False

    @property
    def datasets(self) -> tuple[DatasetKey, ...]:
        """The datasets of the nodes, each once, nearest first."""
        return tuple(dict.fromkeys(n.ref.dataset for n in self.nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _EdgeRow:
    edge: int
    near: int
    far: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """Something that relies on a column: a check, contract, pipeline step or saved result."""

    kind: Literal["check", "contract", "pipeline", "result", "answer"]
    name: str
    column: ColumnRef
    detail: str = ""

    def describe(self) -> str:
        """For example `contract sales.yaml on orders.amount` or `check sales.yaml on orders.id: unique`."""
        return f"{self.kind} {self.name} on {self.column}{f': {self.detail}' if self.detail else ''}"


class Dependents(Protocol):
    """What other parts know to depend on columns."""

    def find(self, columns: Sequence[ColumnRef]) -> Sequence[Dependent]:
        """The dependents of any of `columns`; a reference without a column asks for the whole dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a change of a column breaks at once, and what would be out of date or wrong behind that.

    `broken` read the column by name: their statements fail (or, for a change of type, may). `affected` get their
    values or rows from those.
    """

    change: ChangeAsked
    columns: tuple[ColumnRef, ...]
    broken: tuple[ColumnRef, ...]
    affected: tuple[ColumnRef, ...]
    dependents: tuple[Dependent, ...]
    edges: tuple[StoredEdge, ...]


def trace(
    connection: sqlite3.Connection,
    starts: Iterable[ColumnRef],
    direction: Direction,
    *,
    depth: int = 5,
    include_indirect: bool = False,
    at: float | None = None,
    max_edges: int = MAX_EDGES,
) -> LineageGraph:
    """The lineage around `starts` to `depth` steps; a start without a column means all columns of its dataset.

    `at` (seconds since 1970) asks for the lineage as it was then; by default as it is now. Indirect edges are
    followed only if asked; edges known by table only are always followed.
    """
    asked = tuple(starts)
    found: dict[int, None] = {}
    depths = dict.fromkeys(_node_ids(connection, asked), 0)
    front, is_cut = list(depths), False
    for level in range(1, min(depth, MAX_DEPTH) + 1):
        rows = _step(connection, front, direction, include_indirect=include_indirect, at=at)
        front = []
        for row in rows:
            if len(found) >= max_edges:
                is_cut = True
                break
            found[row.edge] = None
            depths.setdefault(row.near, level - 1)
            if row.far not in depths:
                depths[row.far] = level
                front.append(row.far)
        if not front:
            break
    is_cut = is_cut or bool(
        front and _step(connection, front, direction, include_indirect=include_indirect, at=at, limit=1)
    )
    nodes = _read_nodes(connection, depths)
    edges = tuple(read_edges(connection, list(found)))
    used = {r for e in edges for r in (e.edge.source, e.edge.target)} | set(asked)
    kept = tuple(n for n in nodes if n.ref in used) or tuple(GraphNode(ref=r, depth=0) for r in asked)
    return LineageGraph(starts=asked, direction=direction, nodes=kept, edges=edges, is_cut=is_cut)


def find_paths(
    connection: sqlite3.Connection,
    source: ColumnRef,
    target: ColumnRef,
    *,
    max_paths: int = 10,
    include_indirect: bool = True,
) -> list[tuple[StoredEdge, ...]]:
    """The shortest ways by which `source` reaches `target`, at most `max_paths`, none longer than 25 steps."""
    graph = trace(connection, [target], "upstream", depth=25, include_indirect=include_indirect)
    into: dict[ColumnRef, list[StoredEdge]] = {}
    for edge in graph.edges:
        into.setdefault(edge.edge.target, []).append(edge)
    found: list[tuple[StoredEdge, ...]] = []
    ends = [n.ref for n in graph.nodes if n.depth == 0]
    waiting: deque[tuple[ColumnRef, tuple[StoredEdge, ...]]] = deque((end, ()) for end in ends)
    steps = 0
    while waiting and len(found) < max_paths and steps < MAX_EDGES:
        steps += 1
        here, way = waiting.popleft()
        if way and (here == source or (not source.column and here.dataset == source.dataset)):
            found.append(way)
            continue
        passed = {e.edge.target for e in way} | {here}
        for edge in into.get(here, ()):
            if edge.edge.source not in passed:
                waiting.append((edge.edge.source, (edge, *way)))
    return found


def assess_change(
    connection: sqlite3.Connection,
    columns: Sequence[ColumnRef],
    change: ChangeAsked,
    *,
    dependents: Iterable[Dependents] = (),
    depth: int = 25,
) -> Impact:
    """What dropping, retyping or renaming `columns` breaks, with the checks, contracts and the like behind it."""
    first = trace(connection, columns, "downstream", depth=1, include_indirect=True)
    starts = {n.ref for n in first.nodes if n.depth == 0}
    broken = tuple(dict.fromkeys(e.edge.target for e in first.edges if e.edge.target not in starts))
    behind = trace(connection, broken, "downstream", depth=depth, include_indirect=True)
    affected = tuple(n.ref for n in behind.nodes if n.ref not in starts and n.ref not in broken)
    edges = dict.fromkeys([*first.edges, *behind.edges])
    impact = Impact(
        change=change,
        columns=tuple(columns),
        broken=broken,
        affected=affected,
        dependents=(),
        edges=tuple(edges),
    )
    return add_dependents(impact, dependents)


def add_dependents(impact: Impact, dependents: Iterable[Dependents]) -> Impact:
    """The impact with who relies on any of its columns; may be called after the connection was given back."""
    asked = [*impact.columns, *impact.broken, *impact.affected]
    met = [*impact.dependents, *(found for source in dependents for found in source.find(asked))]
    return replace(impact, dependents=tuple(dict.fromkeys(met)))


def find_named(connection: sqlite3.Connection, text: str) -> tuple[ColumnRef, ...]:
    """References to what `dataset` or `dataset.column` names, either of which may hold dots; empty when unknown."""
    whole = find_starts(connection, text)
    places = [i for i, c in enumerate(text) if c == "." and 0 < i < len(text) - 1]
    for place in reversed(places) if not whole else ():
        found = find_starts(connection, text[:place], (text[place + 1 :],))
        if found:
            return found
    return whole


def find_starts(connection: sqlite3.Connection, dataset: str, columns: Sequence[str] = ()) -> tuple[ColumnRef, ...]:
    """References to a dataset by its name, or to some of its columns; empty when no such dataset was seen."""
    keys = LineageStore(connection).find_datasets(dataset)
    if not keys:
        return ()
    if not columns:
        return (ColumnRef(keys[0]),)
    known = {name.casefold(): name for name in _known_columns(connection, keys[0])}
    return tuple(ColumnRef(keys[0], known.get(c.casefold(), c)) for c in columns)


def tell_unknown(connection: sqlite3.Connection, starts: Sequence[ColumnRef]) -> list[str]:
    """A line for each start whose column no run has read or written, with the nearest or first columns that were."""
    lines: list[str] = []
    for start in starts:
        known = _known_columns(connection, start.dataset) if start.column else []
        if start.column and start.column not in known:
            near = difflib.get_close_matches(start.column, known, n=3, cutoff=0.6) or known[:8]
            lines.append(f"{start}: no run read or wrote such a column; of {start.dataset.name}: {', '.join(near)}")
    return lines


def _known_columns(connection: sqlite3.Connection, dataset: DatasetKey) -> list[str]:
    rows = connection.execute(
        "SELECT n.column_name FROM lineage_node n JOIN lineage_dataset d ON d.id = n.dataset_id"
        " WHERE d.namespace = ? AND d.name = ? AND n.column_name <> '' ORDER BY n.id",
        (dataset.namespace, dataset.name),
    )
    return [str(row[0]) for row in rows]


def _node_ids(connection: sqlite3.Connection, refs: Sequence[ColumnRef]) -> list[int]:
    ids: dict[int, None] = {}
    for ref in refs:
        rows = connection.execute(
            "SELECT n.id FROM lineage_node n JOIN lineage_dataset d ON d.id = n.dataset_id"
            " WHERE d.namespace = ? AND d.name = ? AND (? = '' OR n.column_name = ?)",
            (ref.dataset.namespace, ref.dataset.name, ref.column, ref.column),
        )
        ids.update(dict.fromkeys(int(row[0]) for row in rows))
    return list(ids)


def _step(
    connection: sqlite3.Connection,
    front: Sequence[int],
    direction: Direction,
    *,
    include_indirect: bool,
    at: float | None,
    limit: int = -1,
) -> list[_EdgeRow]:
    """Edges one step away from `front`, each with its two nodes, the one nearer to the starts first."""
    near, far = ("target", "source") if direction == "upstream" else ("source", "target")
    subtypes = "" if include_indirect else " AND e.subtype IN ('identity', 'transformation', 'aggregation', 'reads')"
    when = "e.ended_at IS NULL" if at is None else "e.first_at <= :at AND (e.ended_at IS NULL OR e.ended_at > :at)"
    rows = connection.execute(
        f"SELECT e.id, e.{near}, e.{far} FROM json_each(:front) f CROSS JOIN lineage_edge e ON e.{near} = f.value"
        f" WHERE {when}{subtypes} LIMIT :limit",
        {"front": json.dumps(_widen(connection, front, direction)), "at": at, "limit": limit},
    )
    return [_EdgeRow(edge=int(row[0]), near=int(row[1]), far=int(row[2])) for row in rows]


def _widen(connection: sqlite3.Connection, front: Sequence[int], direction: Direction) -> list[int]:
    """The nodes with those that share their edges.

    A dataset as a whole stands for all its columns. Going up, what holds for the dataset's rows holds for a column.
    """
    companions = "n.column_name = ''"
    if direction == "upstream":
        companions = "(n.column_name = '' OR other.column_name = '')"
    rows = connection.execute(
        "SELECT other.id FROM json_each(?) f CROSS JOIN lineage_node n ON n.id = f.value"
        f" JOIN lineage_node other ON other.dataset_id = n.dataset_id AND {companions}",
        (json.dumps(list(front)),),
    )
    return list(dict.fromkeys([*front, *(int(row[0]) for row in rows)]))


def _read_nodes(connection: sqlite3.Connection, depths: dict[int, int]) -> list[GraphNode]:
    nodes = [GraphNode(ref=ref, depth=depths[node]) for node, ref in read_refs(connection, depths).items()]
    return sorted(nodes, key=lambda n: (n.depth, n.ref.dataset.namespace, n.ref.dataset.name, n.ref.column))
