"""Answers, charts and profiles in the lineage, and who relies on a column, through the tools."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from datasteward.callers import Caller
from datasteward.services import Services, open_services
from datasteward.settings import load_settings
from datasteward.tooling import ToolContext, Toolset
from datasteward.workspace import find_workspace
from datasteward_tools.check_answer import check_answer
from datasteward_tools.profile_data import profile_data
from datasteward_tools.render_chart import render_chart
from datasteward_tools.run_query import run_query
from datasteward_tools.trace_lineage import trace_lineage
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio
TOOLS = Toolset.of((run_query, check_answer, render_chart, profile_data, trace_lineage))
SALES = "SELECT region, sum(amount) AS revenue FROM 'data/sales.csv' GROUP BY region ORDER BY region"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: one
version: 1.0.0
status: active
schema:
  - name: Sales file
    physicalName: data/sales.csv
    properties:
      - name: amount
        required: true
        quality: [{metric: nullValues, mustBe: 0}]
      - name: region
"""


@asynccontextmanager
async def open_context(folder: Path) -> AsyncIterator[ToolContext]:
    workspace = find_workspace(make_workspace(folder))
    async with open_services(workspace, load_settings(workspace, environment={})) as services:
        yield ToolContext(services=services, caller=Caller(front_end="mcp", name="test"), call_id="1")


async def call(context: ToolContext, name: str, **arguments: Any) -> Any:
    return await TOOLS.call(name, arguments, context)


async def test_a_figure_in_an_answer_is_walked_back_to_the_files_column(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        handle = (await call(context, "run_query", sql=SALES)).results[0].handle
        text = f"The north made 40.50, which is 20.25 more than the south [{handle}]. It rained 77 days."
        checked = await call(context, "check_answer", text=text)
        assert checked.answer is not None and checked.answer in checked.to_text()
        traced = await call(context, "trace_lineage", dataset=checked.answer, columns=["40.50"])
        whole = await call(context, "trace_lineage", dataset=checked.answer)
        way = await call(
            context,
            "trace_lineage",
            dataset="data/sales.csv",
            columns=["amount"],
            question="paths",
            to=f"{checked.answer}.40.50",
        )
    assert traced.lines[1:] == [
        f"{checked.answer} ← {handle}: 40.50 ← revenue",
        f"{handle} ← data/sales.csv: revenue ← amount (aggregation)",
    ]
    assert "77" not in whole.to_text()
    assert way.to_text() == (
        f"data/sales.csv.amount →(aggregation) {handle}.revenue →(identity) {checked.answer}.40.50"
    )


async def test_an_answer_without_a_backed_figure_is_not_kept(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        assert (await call(context, "check_answer", text="It was 1234.5 in all.")).answer is None


async def test_pinned_results_answers_and_contracts_are_told_before_a_column_is_dropped(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        services: Services = context.services
        (tmp_path / "contracts").mkdir()
        (tmp_path / "contracts" / "sales.yaml").write_text(CONTRACT)
        (tmp_path / "broken.yaml").write_text("kind: DataContract\n: [")
        handle = (await call(context, "run_query", sql=SALES)).results[0].handle
        await call(context, "run_query", sql="SELECT amount FROM 'data/sales.csv'")
        services.results.pin(handle, is_pinned=True)
        answer = (await call(context, "check_answer", text=f"The north made 40.50 [{handle}].")).answer
        broken = await call(context, "trace_lineage", dataset="data/sales.csv", columns=["amount"], question="drop")
        other = await call(context, "trace_lineage", dataset="data/sales.csv", columns=["region"], question="rename")
    relying = [line for line in broken.lines if not line.startswith(("dropping", "breaks", "affects"))]
    assert relying == [
        "contract contracts/sales.yaml on data/sales.csv.amount",
        "check contracts/sales.yaml on data/sales.csv.amount: required, nullValues",
        f"result {handle} on {handle}.revenue: pinned",
        f"answer {answer} on {answer}.40.50: 1 figure",
    ]
    assert "contract contracts/sales.yaml on data/sales.csv.region" in other.lines
    assert not any(line.startswith("check") for line in other.lines)


async def test_a_change_preview_names_who_relies_on_what_it_touches(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        services: Services = context.services
        (tmp_path / "orders.yaml").write_text(CONTRACT.replace("data/sales.csv", "orders"))
        handle = (await call(context, "run_query", sql="SELECT sum(amount) AS total FROM orders")).results[0].handle
        services.results.pin(handle, is_pinned=True)
        assert await services.capture.settle(20)
        proposed = await services.changes.propose("UPDATE orders SET amount = 0 WHERE id = 1", requested_by="x")
    downstream = proposed.preview.downstream
    assert f"result {handle} on {handle}.total: pinned" in downstream
    assert "contract orders.yaml on orders.amount" in downstream
    assert f"{handle}.total" not in downstream


async def test_a_picture_of_a_chart_comes_from_the_results_columns(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    async with open_context(tmp_path) as context:
        handle = (await call(context, "run_query", sql=SALES)).results[0].handle
        drawn = await call(context, "render_chart", handle=handle, kind="bar", x="region", y="revenue", output="svg")
        name = Path(drawn.picture).relative_to(tmp_path).as_posix()
        traced = await call(context, "trace_lineage", dataset=name, columns=["revenue"])
    assert f"{handle} ← data/sales.csv: revenue ← amount (aggregation)" in traced.lines


async def test_a_profile_is_kept_as_a_reading_of_its_dataset(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        await call(context, "profile_data", dataset="sales")
        await call(context, "profile_data", dataset="ORDERS")
        await call(context, "profile_data", dataset="SELECT 1 AS a")
        with context.services.lineage.reading() as connection:
            runs = connection.execute("SELECT inputs, target FROM lineage_run WHERE job = 'profile'").fetchall()
            versions = connection.execute(
                "SELECT name FROM lineage_dataset d JOIN lineage_version v ON v.dataset_id = d.id"
            ).fetchall()
    assert runs == [('[["file", "data/sales.csv"]]', None), ('[["duckdb", "ORDERS"]]', None)]
    assert [v[0] for v in versions] == ["data/sales.csv", "ORDERS"]


async def apply(services: Services, sql: str) -> None:
    proposed = await services.changes.propose(sql, requested_by="x")
    done = await services.changes.approve(proposed.change, digest=proposed.digest, by="me", channel="terminal")
    assert done.status == "applied"


@pytest.mark.parametrize(
    ("sql", "downstream"),
    [
        ("DROP TABLE orders", {"sums.total", "sums.week", "dear.id"}),
        ("DELETE FROM orders WHERE id = 1", {"sums.total", "sums.week", "dear.id"}),
        ("UPDATE orders SET id = id + 100000 WHERE id = 1", {"dear.id", "sums.week", "sums"}),
        ("UPDATE orders SET amount = 0 WHERE id = 1", {"sums.total", "dear"}),
        ("ALTER TABLE orders RENAME COLUMN amount TO price", {"sums.total", "dear"}),
        ("ALTER TABLE orders ADD COLUMN x INTEGER", set()),
        ("COMMENT ON TABLE orders IS 'all of them'", set()),
        ("UPDATE orders SET amount = amount", set()),
        ("CREATE TABLE IF NOT EXISTS orders (a INTEGER)", set()),
    ],
)
async def test_a_preview_names_what_depends_on_the_columns_that_change_right_after_it_was_made(
    tmp_path: Path, sql: str, downstream: set[str]
) -> None:
    async with open_context(tmp_path) as context:
        services: Services = context.services
        await apply(
            services, "CREATE VIEW sums AS SELECT id % 7 AS week, sum(amount) AS total FROM orders GROUP BY week"
        )
        await apply(services, "CREATE VIEW dear AS SELECT id FROM orders WHERE amount > 100")
        proposed = await services.changes.propose(sql, requested_by="x")
    assert set(proposed.preview.downstream) == downstream
