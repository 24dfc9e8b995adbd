"""Lineage recorded from what really ran, asked through the tool and the commands."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from datasteward.callers import Caller
from datasteward.engine.engine import QueryRequest
from datasteward.errors import ToolError
from datasteward.lineage.graph import find_starts, trace
from datasteward.lineage.recording import QueryCapture, WorkspaceLineage
from datasteward.lineage.schemas import Catalog, DatasetKey
from datasteward.services import Services, open_services
from datasteward.settings import load_settings
from datasteward.state import StateDatabase
from datasteward.tooling import ToolContext, Toolset
from datasteward.workspace import find_workspace
from datasteward_cli.app import Scope
from datasteward_cli.lineage_commands import lineage
from datasteward_tools.trace_lineage import trace_lineage
from tests.support.lineage_cases import golden_catalog
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio


async def run_queries(services: Services, *queries: str) -> list[str]:
    """Run queries with their lineage captured; the handles."""
    recorder = WorkspaceLineage(services.state)
    capture = QueryCapture(services.engine, services.files, recorder, services.workspace.root)
    task = asyncio.get_running_loop().create_task(capture.run())
    handles = []
    for sql in queries:
        for result in await services.engine.query(QueryRequest(sql=sql)):
            assert result.handle is not None
            handles.append(result.handle)
            await services.engine.wait_stored(result.handle, 20)
    await asyncio.wait_for(capture.drain(), 20)
    task.cancel()
    return handles


async def test_a_figure_is_walked_from_a_result_through_a_result_to_the_files_column(tmp_path: Path) -> None:
    workspace = find_workspace(make_workspace(tmp_path))
    async with open_services(workspace, load_settings(workspace)) as services:
        handles = await run_queries(
            services,
            "SELECT region, sum(s.amount * o.amount) AS money FROM sales s JOIN orders o USING (id) GROUP BY ALL",
            "SELECT max(money) AS best FROM r1",
            "SELECT id FROM 'data/sales.csv'",
        )
        context = ToolContext(services=services, caller=Caller(front_end="mcp", name="t"), call_id="1")
        tools = Toolset.of([trace_lineage])
        answer = await tools.call("trace_lineage", {"dataset": handles[1], "columns": ["best"]}, context)
        down = await tools.call("trace_lineage", {"dataset": "data/sales.csv", "question": "downstream"}, context)
        broken = await tools.call(
            "trace_lineage", {"dataset": "orders", "columns": ["AMOUNT"], "question": "drop"}, context
        )
        way = await tools.call(
            "trace_lineage", {"dataset": "orders", "columns": ["amount"], "question": "paths", "to": "r2.best"}, context
        )
        with pytest.raises(ToolError, match="No lineage is kept of 'order'") as caught:
            await tools.call("trace_lineage", {"dataset": "order"}, context)
    assert answer.to_text().splitlines()[1:] == [
        "r2 ← r1: best ← money (aggregation)",
        "r1 ← data/sales.csv: money ← amount (aggregation)",
        "r1 ← orders: money ← amount (aggregation)",
    ]
    assert "data/sales.csv → r3: id" in down.to_text()
    assert "breaks r1: money" in broken.to_text()
    assert way.to_text() == "orders.amount →(aggregation) r1.money →(aggregation) r2.best"
    assert "orders" in str(caught.value.hint)


def test_a_recorded_change_keeps_the_schemas_of_what_it_read(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path / "state.sqlite")
    moments = iter([10.0, 20.0])
    kept = WorkspaceLineage(state, now=lambda: next(moments))
    found = kept.record("INSERT INTO bill (id) SELECT id FROM hubs", golden_catalog(), run_id="c1", job="change")
    assert found.confidence == "bound"
    with kept.reading() as connection:
        graph = trace(connection, find_starts(connection, "bill"), "upstream")
        assert [e.run_id for e in graph.edges] == ["c1"]
        row = connection.execute("SELECT name FROM lineage_dataset d JOIN lineage_version v ON v.dataset_id = d.id")
        assert row.fetchall() == [("hubs",)]
    with pytest.raises(ToolError):
        kept.record("SELEC", Catalog(), run_id="c2")
    state.close()


def test_sql_files_are_imported_and_shown_by_the_commands(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path)
    (folder / "sql").mkdir()
    (folder / "sql" / "day.sql").write_text(
        "CREATE TABLE day AS SELECT region, amount * 2 AS twice FROM 'data/sales.csv'"
    )
    (folder / "sql" / "bad.sql").write_text("SELEC 1")
    scope = Scope(folder, no_owner=True)
    run = CliRunner()
    told = run.invoke(lineage, ["import", str(folder / "sql"), "--json"], obj=scope, catch_exceptions=False)
    report = json.loads(told.stdout)
    assert report["statements"] == [{"file": "day.sql", "line": 1, "target": "day", "confidence": "bound"}]
    assert [p["file"] for p in report["problems"]] == ["bad.sql"]
    tree = run.invoke(lineage, ["trace", "day.twice"], obj=scope, catch_exceptions=False)
    assert tree.stdout.splitlines() == ["day.twice", "└─ data/sales.csv.amount (transformation)"]
    picture = run.invoke(lineage, ["trace", "day", "-o", str(tmp_path / "x.svg")], obj=scope, catch_exceptions=False)
    assert picture.exit_code == 0
    assert (tmp_path / "x.svg").read_text().startswith("<svg")
    impact = run.invoke(lineage, ["impact", "data/sales.csv", "-c", "amount"], obj=scope, catch_exceptions=False)
    assert "breaks day: twice" in impact.stdout
    assert isinstance(run.invoke(lineage, ["trace", "dya"], obj=scope).exception, ToolError)
    for form in ("text", "json", "mermaid", "dot"):
        assert run.invoke(lineage, ["trace", "day", "--format", form], obj=scope).exit_code == 0


def test_keys_of_results_have_a_namespace_of_their_own() -> None:
    assert DatasetKey("result", "r1") != DatasetKey("duckdb", "r1")


def test_asking_for_lineage_loads_neither_duckdb_nor_sqlglot() -> None:
    code = (
        "import sys, datasteward.lineage.recording, datasteward.lineage.graph, datasteward.lineage.faces.text;"
        "print([m for m in ('duckdb', 'sqlglot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
