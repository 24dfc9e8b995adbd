"""Lineage as text for a terminal or a model: a tree of columns, grouped by dataset, within a size."""

from collections.abc import Sequence

from datasteward.lineage.graph import Impact, LineageGraph
from datasteward.lineage.schemas import ColumnRef, DatasetKey
from datasteward.lineage.store import StoredEdge

DEFAULT_BUDGET = 2000


def write_text(graph: LineageGraph, *, budget: int = DEFAULT_BUDGET, with_expressions: bool = False) -> str:
    """The graph by dataset, nearest first: each line a target column with its sources, columns of one source together.

    Lines like `orders.total ← amount, qty (transformation)`; a cut is told in the last line. Never over `budget`
    characters (at least 200).
    """
    arrow = "←" if graph.direction == "upstream" else "→"
    head = f"{graph.direction} of {_names(graph.starts)}: {_count(graph)}"
    if not graph.edges:
        return f"{head}\nnothing recorded"
    blocks = [line for group in _groups(graph) for line in _group_lines(group, arrow, with_expressions)]
    if sum(len(line) + 1 for line in blocks) + len(head) > budget - 60:
        blocks = [_short_line(group, arrow) for group in _groups(graph)]
    tail = "more lies beyond this depth" if graph.is_cut else ""
    return _fit(head, blocks, tail, max(200, budget))


def write_tree(graph: LineageGraph, *, max_lines: int = 400) -> str:
    """The graph as an indented tree from each start; a column met before is marked with `↑` and not opened again."""
    lines: list[str] = []
    nexts: dict[ColumnRef, list[StoredEdge]] = {}
    for stored in graph.edges:
        near = stored.edge.target if graph.direction == "upstream" else stored.edge.source
        nexts.setdefault(near, []).append(stored)
    seen: set[ColumnRef] = set()
    for node in graph.nodes:
        if node.depth == 0 and node.ref in nexts:
            lines.append(str(node.ref))
            _grow(graph, node.ref, nexts, seen, "", lines, max_lines)
    if len(lines) >= max_lines:
        lines = [*lines[: max_lines - 1], "… more: ask for fewer columns or less depth"]
    return "\n".join(lines) or f"nothing recorded for {_names(graph.starts)}"


def write_impact(impact: Impact, *, budget: int = DEFAULT_BUDGET) -> str:
    """What a change breaks, in lines by dataset, the dependents last; within `budget` characters."""
    verb = {"drop": "dropping", "change_type": "changing the type of", "rename": "renaming"}[impact.change]
    head = f"{verb} {_names(impact.columns)}: breaks {len(impact.broken)}, affects {len(impact.affected)} more"
    lines = [f"breaks {_dataset_line(key, refs)}" for key, refs in _by_dataset(impact.broken)]
    lines = [d.describe() for d in impact.dependents] + lines
    lines += [f"affects {_dataset_line(key, refs)}" for key, refs in _by_dataset(impact.affected)]
    if not lines:
        lines = ["nothing that was recorded depends on it"]
    return _fit(head, lines, "", max(200, budget))


def write_way(way: Sequence[StoredEdge]) -> str:
    """One path on a line, from source to target, each step with how it goes on."""
    if not way:
        return ""
    return "".join(f"{e.edge.source} →({e.edge.subtype}) " for e in way) + str(way[-1].edge.target)


def _grow(
    graph: LineageGraph,
    ref: ColumnRef,
    nexts: dict[ColumnRef, list[StoredEdge]],
    seen: set[ColumnRef],
    indent: str,
    lines: list[str],
    max_lines: int,
) -> None:
    if ref in seen:
        return
    seen.add(ref)
    followers: dict[ColumnRef, list[str]] = {}
    for stored in nexts.get(ref, ()):
        far = stored.edge.source if graph.direction == "upstream" else stored.edge.target
        followers.setdefault(far, []).append(stored.edge.subtype)
    for index, (far, subtypes) in enumerate(followers.items()):
        if len(lines) >= max_lines:
            return
        is_last = index == len(followers) - 1
        again = " ↑" if far in seen and far in nexts else ""
        words = ", ".join(dict.fromkeys(subtypes))
        lines.append(f"{indent}{'└' if is_last else '├'}─ {far} ({words}){again}")
        _grow(graph, far, nexts, seen, indent + ("   " if is_last else "│  "), lines, max_lines)


def _groups(graph: LineageGraph) -> list[list[StoredEdge]]:
    """The edges by the pair of datasets they join, nearest pair first."""
    depth = {n.ref: n.depth for n in graph.nodes}
    groups: dict[tuple[DatasetKey, DatasetKey], list[StoredEdge]] = {}
    for stored in graph.edges:
        groups.setdefault((stored.edge.target.dataset, stored.edge.source.dataset), []).append(stored)
    return sorted(groups.values(), key=lambda g: min(depth.get(e.edge.target, 0) for e in g))


def _group_lines(group: Sequence[StoredEdge], arrow: str, with_expressions: bool) -> list[str]:
    first = group[0].edge
    near, far = first.target.dataset, first.source.dataset
    pieces = []
    for target, edges in _by_target(group):
        sources = ", ".join(dict.fromkeys(e.edge.source.column or "(all)" for e in edges))
        words = {e.edge.subtype for e in edges}
        plain = target if sources == target and words == {"identity"} else f"{target} ← {sources}"
        if words != {"identity"}:
            plain += f" ({', '.join(sorted(words))})"
        if with_expressions and edges[0].edge.expression and words != {"identity"}:
            plain += f" = {edges[0].edge.expression}"
        pieces.append(plain)
    weak = {e.confidence for e in group} - {"bound"}
    mark = f" [{', '.join(sorted(weak))}]" if weak else ""
    title = f"{near.name} ← {far.name}" if arrow == "←" else f"{far.name} → {near.name}"
    return [f"{title}{mark}: {'; '.join(pieces)}"]


def _by_target(group: Sequence[StoredEdge]) -> list[tuple[str, list[StoredEdge]]]:
    by_column: dict[str, list[StoredEdge]] = {}
    for stored in group:
        by_column.setdefault(stored.edge.target.column or "(rows)", []).append(stored)
    return list(by_column.items())


def _short_line(group: Sequence[StoredEdge], arrow: str) -> str:
    edge = group[0].edge
    near, far = (edge.target, edge.source) if arrow == "←" else (edge.source, edge.target)
    direct = sum(1 for e in group if e.edge.kind == "direct")
    other = len(group) - direct
    counts = f"{direct} direct" + (f", {other} other" if other else "")
    return f"{near.dataset.name} {arrow} {far.dataset.name} ({counts})"


def _by_dataset(refs: Sequence[ColumnRef]) -> list[tuple[DatasetKey, list[ColumnRef]]]:
    groups: dict[DatasetKey, list[ColumnRef]] = {}
    for ref in refs:
        groups.setdefault(ref.dataset, []).append(ref)
    return list(groups.items())


def _dataset_line(key: DatasetKey, refs: Sequence[ColumnRef]) -> str:
    columns = [r.column for r in refs if r.column]
    rows = "rows" if any(not r.column for r in refs) else ""
    return f"{key.name}: {', '.join([*columns, *([rows] if rows else [])])}"


def _count(graph: LineageGraph) -> str:
    columns = sum(1 for n in graph.nodes if n.ref.column)
    return f"{len(graph.datasets)} datasets, {columns} columns, {len(graph.edges)} edges"


def _names(refs: Sequence[ColumnRef]) -> str:
    shown = ", ".join(str(r) for r in refs[:3])
    return shown + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")


def _fit(head: str, lines: Sequence[str], tail: str, budget: int) -> str:
    kept = [head[: budget - 80]]
    spent = len(kept[0]) + len(tail) + 70
    for index, line in enumerate(lines):
        room = budget - spent
        if len(line) + 1 > room:
            if index == 0 and room > 20:
                kept.append(line[: room - 2] + "…")
                index += 1
            left = len(lines) - index
            if left:
                kept.append(f"… {left} more lines: less depth, fewer columns, or a larger budget")
            break
        kept.append(line)
        spent += len(line) + 1
    return "\n".join([*kept, *([tail] if tail else [])])
