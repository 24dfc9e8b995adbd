"""Charts show stored data, exactly, on every surface."""

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.charts.chart import Chart, draw_chart
from datasteward.charts.model import Aggregate, ChartKind, ChartSpec
from datasteward.charts.terminal import cell_width
from datasteward.errors import ToolError

SALES = pa.table(
    {
        "region": ["North", "South", "East", "North"],
        "revenue": pa.array(
            [Decimal("10.10"), Decimal("20.20"), Decimal("-5.05"), Decimal("0.01")], pa.decimal128(12, 2)
        ),
        "day": [datetime.date(2024, 1, d) for d in (3, 1, 2, 4)],
        "price": [1.5, 2.5, float("nan"), None],
    }
)
KINDS: list[tuple[ChartKind, dict[str, str]]] = [
    ("bar", {"x": "region", "y": "revenue"}),
    ("line", {"x": "day", "y": "revenue"}),
    ("area", {"x": "day", "y": "revenue", "color": "region"}),
    ("scatter", {"x": "price", "y": "revenue"}),
    ("histogram", {"x": "revenue"}),
    ("heatmap", {"x": "region", "y": "day", "color": "revenue"}),
    ("box", {"x": "region", "y": "revenue"}),
]


def values(chart: Chart) -> list[dict[str, object]]:
    return json.loads(chart.vega_json)["data"]["values"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("kind", "columns"), KINDS)
def test_every_kind_is_drawn_on_every_surface(kind: ChartKind, columns: dict[str, str]) -> None:
    chart = draw_chart(SALES, ChartSpec(kind=kind, title="Sales", **columns))  # type: ignore[arg-type]
    text = chart.to_text(60, 14)
    assert text.startswith("Sales") and len(text.splitlines()) <= 14 + len(chart.notes)
    pytest.importorskip("vl_convert")
    assert chart.to_png(1.0).startswith(b"\x89PNG")
    assert "<svg" in chart.to_svg()


@pytest.mark.parametrize(
    ("aggregate", "north"),
    [("sum", 10.11), ("mean", 5.055), ("count", 2), ("min", 0.01), ("max", 10.1), ("median", 5.055)],
)
def test_groups_are_folded_exactly(aggregate: Aggregate, north: float) -> None:
    chart = draw_chart(SALES, ChartSpec(kind="bar", x="region", y="revenue", aggregate=aggregate))
    assert values(chart)[0] == {"x": "North", "value": north}


def test_numbers_too_large_for_javascript_keep_their_exact_text() -> None:
    table = pa.table({"k": ["a"], "n": [2**53 + 1]})
    chart = draw_chart(table, ChartSpec(kind="bar", x="k", y="n"))
    assert values(chart)[0]["exact"] == "9007199254740993"
    assert "9,007,199,254,740,993" in chart.to_text()


def test_a_line_runs_along_time_whatever_the_order_of_rows() -> None:
    chart = draw_chart(SALES, ChartSpec(kind="line", x="day", y="revenue"))
    assert [v["x"] for v in values(chart)] == ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]


def test_a_wrong_column_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ToolError) as caught:
        draw_chart(SALES, ChartSpec(kind="bar", x="regoin", y="revenue"))
    assert caught.value.code == "not_found"
    assert "Did you mean 'region'?" in str(caught.value)


def test_words_cannot_be_a_bar_length() -> None:
    with pytest.raises(ToolError, match="holds no numbers"):
        draw_chart(SALES, ChartSpec(kind="bar", x="day", y="region"))


def test_nothing_to_draw_is_an_error_and_no_empty_picture() -> None:
    with pytest.raises(ToolError, match="nothing to draw"):
        draw_chart(SALES.slice(0, 0), ChartSpec(kind="bar", x="region", y="revenue"))


def test_what_is_left_out_is_told() -> None:
    chart = draw_chart(SALES, ChartSpec(kind="scatter", x="revenue", y="price", limit=1))
    assert chart.notes == ("2 rows without a finite value were left out", "1 of 2 points are drawn")
    assert "(1 of 2 points are drawn)" in chart.to_text()


def test_points_are_bounded() -> None:
    table = pa.table({"x": list(range(20_000)), "y": list(range(20_000))})
    chart = draw_chart(table, ChartSpec(kind="line", x="x", y="y"))
    assert len(values(chart)) == 5_000
    assert chart.notes == ("5,000 of 20,000 points are drawn",)


def test_hostile_labels_are_cut_and_made_safe() -> None:
    hostile = ["\x1b[31mred", "<script>alert(1)</script>", "a" * 1_000_000, "\u202eltr", "datum['x']"]
    table = pa.table({"bad\x00.[0]'name": hostile, "n": [1, 2, 3, 4, 5]})
    chart = draw_chart(table, ChartSpec(kind="bar", x="bad\x00.[0]'name", y="n", title="\x07" + "t" * 5000))
    text = chart.to_text(80, 12)
    assert not any((ord(c) < 32 and c != "\n") or c in "\u202e\x9b" for c in text)
    assert len(chart.vega_json) < 3_000
    pytest.importorskip("vl_convert")
    assert "<script>" not in chart.to_svg()


def test_a_box_whose_quartile_lies_beyond_its_whisker_keeps_to_its_width() -> None:
    table = pa.table({"k": ["a", "b", "a", "a", "a"], "n": [2.6e23, 0.0, 0.0, -4.7e16, 0.0]})
    text = draw_chart(table, ChartSpec(kind="box", x="k", y="n")).to_text(24, 6)
    assert all(cell_width(line) <= 24 for line in text.splitlines())


def test_bins_cover_every_value_once() -> None:
    table = pa.table({"x": [0.1 * i for i in range(1000)]})
    counts = [v["value"] for v in values(draw_chart(table, ChartSpec(kind="histogram", x="x", bins=10)))]
    assert sum(counts) == 1000 and len(counts) <= 12  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=8), st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=12),
    st.integers(10, 100),
    st.integers(3, 30),
    st.sampled_from(["bar", "line", "area", "scatter", "histogram", "box"]),
)
def test_any_data_fits_any_terminal(rows: list[tuple[str, float]], width: int, height: int, kind: ChartKind) -> None:
    table = pa.table(
        {"k": pa.array([r[0].encode("utf-8", "replace").decode() for r in rows]), "n": [r[1] for r in rows]}
    )
    x = "n" if kind in ("scatter", "histogram") else "k"
    try:
        chart = draw_chart(table, ChartSpec(kind=kind, x=x, y="n"))
    except ToolError:
        return
    text = chart.to_text(width, height)
    drawn = text.splitlines()[: max(height, 6)]
    assert all(cell_width(line) <= max(width, 24) for line in drawn if not line.startswith("("))
    json.loads(chart.vega_json)
