"""Lineage as Mermaid, DOT and JSON, for documents and other programs."""

import json
from collections.abc import Mapping

from datasteward.lineage.graph import LineageGraph
from datasteward.lineage.schemas import ColumnRef

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


def write_mermaid(graph: LineageGraph, *, by_column: bool = True) -> str:
    """A Mermaid flowchart, datasets as subgraphs; by dataset only when `by_column` is false."""
    names = _identifiers(graph)
    lines = ["flowchart LR"]
    for position, dataset in enumerate(graph.datasets):
        if not by_column:
            lines.append(f'  d{position}["{_mermaid_text(dataset.name)}"]')
            continue
        lines.append(f'  subgraph d{position}["{_mermaid_text(dataset.name)}"]')
        for node in graph.nodes:
            if node.ref.dataset == dataset:
                lines.append(f'    {names[node.ref]}["{_mermaid_text(node.ref.column or "(rows)")}"]')
        lines.append("  end")
    places = {dataset: f"d{i}" for i, dataset in enumerate(graph.datasets)}
    arrows: dict[str, None] = {}
    for stored in graph.edges:
        edge = stored.edge
        arrow = "-->" if edge.kind == "direct" else "-.->"
        if by_column and edge.source in names and edge.target in names:
            arrows[f"  {names[edge.source]} {arrow} {names[edge.target]}"] = None
        elif not by_column and edge.source.dataset != edge.target.dataset:
            arrows[f"  {places[edge.source.dataset]} --> {places[edge.target.dataset]}"] = None
    return "\n".join([*lines, *arrows]) + "\n"


def write_dot(graph: LineageGraph) -> str:
    """A Graphviz digraph with one cluster a dataset; indirect edges are dashed."""
    names = _identifiers(graph)
    lines = ["digraph lineage {", "  rankdir=LR; node [shape=box, fontname=monospace];"]
    for position, dataset in enumerate(graph.datasets):
        lines.append(f"  subgraph cluster_{position} {{ label={_dot_text(dataset.name)};")
        for node in graph.nodes:
            if node.ref.dataset == dataset:
                lines.append(f"    {names[node.ref]} [label={_dot_text(node.ref.column or '(rows)')}];")
        lines.append("  }")
    for stored in graph.edges:
        edge = stored.edge
        if edge.source in names and edge.target in names:
            style = "" if edge.kind == "direct" else ", style=dashed"
            lines.append(f"  {names[edge.source]} -> {names[edge.target]} [label={_dot_text(edge.subtype)}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def write_json(graph: LineageGraph) -> str:
    """The graph as compact JSON; see `graph_document`."""
    return json.dumps(graph_document(graph), ensure_ascii=False, separators=(",", ":"))


def graph_document(graph: LineageGraph) -> Mapping[str, JsonValue]:
    """Nodes (`dataset`, `column`, `depth`) and edges by position in `nodes`, with all that is known of each edge."""
    position = {node.ref: index for index, node in enumerate(graph.nodes)}
    nodes: list[JsonValue] = [
        {"namespace": n.ref.dataset.namespace, "dataset": n.ref.dataset.name, "column": n.ref.column, "depth": n.depth}
        for n in graph.nodes
    ]
    edges: list[JsonValue] = [
        {
            "source": position[e.edge.source],
            "target": position[e.edge.target],
            "kind": e.edge.kind,
            "subtype": e.edge.subtype,
            "masking": e.edge.masking,
            "expression": e.edge.expression,
            "confidence": e.confidence,
            "run": e.run_id,
            "statement": e.statement_hash,
            "first_at": e.first_at,
            "last_at": e.last_at,
        }
        for e in graph.edges
        if e.edge.source in position and e.edge.target in position
    ]
    return {"direction": graph.direction, "is_cut": graph.is_cut, "nodes": nodes, "edges": edges}


def _identifiers(graph: LineageGraph) -> dict[ColumnRef, str]:
    return {node.ref: f"n{index}" for index, node in enumerate(graph.nodes)}


def _mermaid_text(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _dot_text(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
