"""The forms a graph is shown in."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasteward.lineage.faces.diagrams import write_dot, write_json, write_mermaid
from datasteward.lineage.faces.layout import lay_out
from datasteward.lineage.faces.svg import draw_png, draw_svg
from datasteward.lineage.faces.text import write_impact, write_text, write_tree
from datasteward.lineage.graph import LineageGraph, assess_change, find_starts, trace
from datasteward.lineage.store import LineageStore
from tests.support.lineage_projects import open_store, record_edges, record_project


@pytest.fixture
def store() -> Iterator[LineageStore]:
    with open_store() as made:
        record_project(made)
        yield made


@pytest.fixture
def graph(store: LineageStore) -> LineageGraph:
    return trace(store.connection, find_starts(store.connection, "top", ["spent"]), "upstream")


def test_the_text_is_grouped_by_dataset(graph: LineageGraph) -> None:
    assert write_text(graph).splitlines() == [
        "upstream of top.spent: 4 datasets, 5 columns, 4 edges",
        "top ← fct: spent",
        "fct ← stg_orders: spent ← total (aggregation)",
        "stg_orders ← raw/orders.csv: total ← amount, qty (transformation)",
    ]


def test_the_text_can_hold_the_expressions(graph: LineageGraph) -> None:
    assert "= (orders.amount * orders.qty)" in write_text(graph, with_expressions=True)


def test_the_tree_shows_each_step(graph: LineageGraph) -> None:
    assert write_tree(graph).splitlines() == [
        "top.spent",
        "└─ fct.spent (identity)",
        "   └─ stg_orders.total (aggregation)",
        "      ├─ raw/orders.csv.amount (transformation)",
        "      └─ raw/orders.csv.qty (transformation)",
    ]


def test_a_graph_of_fifty_nodes_fits_two_thousand_characters() -> None:
    with open_store() as store:
        pairs = [(f"staging_table_{i % 5}.column_{i}", f"mart_table_{i % 3}.measure_{i}") for i in range(25)]
        record_edges(store, pairs)
        starts = [s for i in range(3) for s in find_starts(store.connection, f"mart_table_{i}")]
        graph = trace(store.connection, starts, "upstream")
        assert len(graph.nodes) == 50
        assert len(write_text(graph)) < 2000


@pytest.mark.parametrize("budget", [200, 500, 2000])
def test_a_text_never_exceeds_its_budget_and_tells_the_cut(budget: int) -> None:
    with open_store() as store:
        record_edges(store, [(f"source_{i}.a_long_column_name", "wide.x") for i in range(300)])
        text = write_text(trace(store.connection, find_starts(store.connection, "wide"), "upstream"), budget=budget)
        assert len(text) <= budget
        assert "more lines" in text


def test_nothing_recorded_is_said_so(store: LineageStore) -> None:
    graph = trace(store.connection, find_starts(store.connection, "customers"), "upstream")
    assert "nothing recorded" in write_text(graph)
    assert "nothing recorded" in write_tree(graph)


def test_the_impact_text_names_breaks_and_effects(store: LineageStore) -> None:
    columns = find_starts(store.connection, "raw/orders.csv", ["amount"])
    text = write_impact(assess_change(store.connection, columns, "drop"))
    assert text.splitlines() == [
        "dropping raw/orders.csv.amount: breaks 1, affects 4 more",
        "breaks stg_orders: total",
        "affects fct: spent",
        "affects top: spent, rows",
        "affects r1: best",
    ]


def test_json_positions_point_at_nodes(graph: LineageGraph) -> None:
    document = json.loads(write_json(graph))
    first = document["edges"][0]
    assert document["nodes"][first["source"]]["column"] == "spent"
    assert {e["subtype"] for e in document["edges"]} == {"identity", "aggregation", "transformation"}


def test_mermaid_and_dot_hold_every_column_and_edge(graph: LineageGraph) -> None:
    mermaid, dot = write_mermaid(graph), write_dot(graph)
    assert mermaid.startswith("flowchart LR\n")
    assert mermaid.count("-->") == 4
    assert dot.count("->") == 4
    assert '"raw/orders.csv"' in dot
    assert write_mermaid(graph, by_column=False).count("-->") == 3


def test_hostile_names_stay_text_in_every_form() -> None:
    with open_store() as store:
        name = 't"]; <script>alert(1)</script> & \x1b[31m'
        record_edges(store, [(f"{name}.c", "out.c")])
        graph = trace(store.connection, find_starts(store.connection, "out"), "upstream")
        svg = draw_svg(graph)
        ET.fromstring(svg)
        assert "<script>" not in svg
        assert "\x1b" not in svg + write_mermaid(graph) + write_dot(graph)
        assert '"]; <' not in write_mermaid(graph)


def test_boxes_never_overlap_and_sources_stand_left(store: LineageStore) -> None:
    graph = trace(store.connection, find_starts(store.connection, "r1"), "upstream", include_indirect=True)
    layout = lay_out([n.ref for n in graph.nodes], graph.edges)
    places = {b.dataset.name: b for b in layout.boxes}
    assert places["raw/orders.csv"].x < places["stg_orders"].x < places["fct"].x < places["top"].x < places["r1"].x
    for one in layout.boxes:
        assert one.x + one.width <= layout.width
        assert one.y + one.height <= layout.height
        for other in layout.boxes:
            apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
            apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert one is other or apart_x or apart_y


def test_the_picture_is_valid_xml_with_a_line_an_edge(graph: LineageGraph, tmp_path: Path) -> None:
    root = ET.fromstring(draw_svg(graph))
    paths = [e for e in root.iter("{http://www.w3.org/2000/svg}path") if e.get("class")]
    assert len(paths) == 4


def test_the_png_has_the_right_signature(graph: LineageGraph) -> None:
    pytest.importorskip("vl_convert")
    assert draw_png(graph).startswith(b"\x89PNG")
