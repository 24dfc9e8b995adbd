"""The drawn lineage graph and the small bar charts, as laws over any graph and any counts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward_tui.bars import draw_histogram, draw_levels, draw_share, rebin
from datasteward_tui.lineage_drawing import Spot, draw_lineage
from datasteward_tui.lineage_sight import GraphBox, GraphLink, LineageSight


def box(name: str, layer: int, place: float = 0.0, *columns: str) -> GraphBox:
    """A table at a place."""
    return GraphBox(name=name, kind="table", layer=layer, place=place, columns=columns)


def link(source: int, target: int, source_column: str = "", target_column: str = "") -> GraphLink:
    """An identity."""
    return GraphLink(
        source=source, source_column=source_column, target=target, target_column=target_column, how="identity"
    )


def test_a_link_over_a_layer_is_led_around_the_boxes_between() -> None:
    sight = LineageSight(
        boxes=(box("a", 0), box("b", 1), box("c", 2)), links=(link(0, 1), link(1, 2), link(0, 2)), start=2
    )
    assert draw_lineage(sight, Spot(box=2), has_columns=False).text().split("\n") == [
        "             ╭───────────────╮",
        "╭──────────╮ │               │   ╔══════════╗",
        "│ a  table │─┤  ╭──────────╮ ╰┬─▶║ c  table ║",
        "╰──────────╯ ╰─▶│ b  table │──╯  ╚══════════╝",
        "                ╰──────────╯",
    ]


def test_only_the_links_of_a_column_light_up() -> None:
    sight = LineageSight(
        boxes=(box("a", 0, 0, "x", "y"), box("b", 1, 0, "x", "y")),
        links=(link(0, 1, "x", "x"), link(0, 1, "y", "y")),
        start=0,
    )
    drawing = draw_lineage(sight, Spot(box=0, column=0), has_columns=True)
    lit = {
        "".join(character for character, role in row.values() if role == "hot_column").strip()
        for row in drawing.cells.values()
    }
    assert lit == {"", "x"}


@st.composite
def graphs(draw: st.DrawFn) -> LineageSight:
    """Layers of boxes with links from left to right."""
    layers = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    boxes = [box(f"n{layer}_{i}", layer, float(i), "id") for layer, count in enumerate(layers) for i in range(count)]
    pairs = [(a, b) for a in range(len(boxes)) for b in range(len(boxes)) if boxes[a].layer < boxes[b].layer]
    links = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=12)) if pairs else []
    return LineageSight(boxes=tuple(boxes), links=tuple(link(a, b, "id", "id") for a, b in links), start=0)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.booleans())
def test_boxes_never_overlap_and_every_link_arrives(sight: LineageSight, has_columns: bool) -> None:
    drawing = draw_lineage(sight, Spot(box=0), has_columns=has_columns)
    taken: set[tuple[int, int]] = set()
    for rect in drawing.rects:
        cells = {(x, y) for x in range(rect.x, rect.x + rect.width) for y in range(rect.y, rect.y + rect.height)}
        assert not cells & taken
        taken |= cells
        assert rect.x + rect.width <= drawing.width and rect.y + rect.height <= drawing.height
    for target in {i.target for i in sight.links}:
        rect = drawing.rects[target]
        assert drawing.cells[rect.y + 1][rect.x - 1][0] == "▶"
    inside = [drawing.cells[y][x][0] for x, y in taken if x in drawing.cells[y]]
    assert not set(inside) & set("┼┬┴▶")


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40), st.integers(1, 60))
def test_bars_keep_their_sum_and_show_all_that_is_there(counts: list[int], bins: int) -> None:
    found = rebin(counts, bins)
    assert len(found) == bins
    assert abs(sum(found) - sum(counts)) < 1e-6 * max(1, sum(counts))
    levels = draw_levels(counts)
    assert len(levels) == len(counts)
    if any(counts):
        assert all((mark == " ") == (count == 0) for mark, count in zip(levels, counts, strict=True))
        assert all(len(line) == len(counts) for line in draw_histogram(counts, 4))


@given(st.floats(0, 1), st.integers(1, 50))
def test_a_share_fills_its_width_and_never_vanishes(share: float, width: int) -> None:
    bar = draw_share(share, width)
    assert len(bar) == width
    assert (bar.strip() == "") == (share == 0)
