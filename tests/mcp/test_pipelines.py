"""A pipeline through the protocol: planned, run under a rule, its lineage told, nothing to do the second time."""

from pathlib import Path

from tests.support.wire_client import WireClient
from tests.support.workspaces import owned_workspace

RULE = ["[[policy.rules]]", 'name = "runs"', 'verdict = "allow"', 'kinds = ["pipeline_run"]', "reversible = true"]
ASSET = """/* @asset
checks:
  - not_null: region
*/
SELECT region, sum(amount) AS total FROM sales GROUP BY ALL
"""


def test_a_run_publishes_is_told_in_lineage_and_is_not_repeated(tmp_path: Path) -> None:
    with owned_workspace(tmp_path / "shop", RULE) as folder:
        path = folder / "pipelines" / "daily" / "marts" / "by_region.sql"
        path.parent.mkdir(parents=True)
        path.write_text(ASSET)
        with WireClient(folder) as client:
            plan = client.call("plan_pipeline", pipeline="daily")["structuredContent"]
            assert [s["asset"] for s in plan["steps"]] == ["marts.by_region"]
            started = client.call("run_pipeline", plan=plan["hash"], wait_seconds=40)
            assert not started.get("isError"), started
            assert client.rows("SELECT * FROM marts.by_region ORDER BY ALL") == [["north", 40.5], ["south", 20.25]]
            text = client.call("trace_lineage", dataset="marts.by_region")["content"][0]["text"]
            assert "data/sales.csv" in text
            assert "amount" in text
            assert client.call("plan_pipeline", pipeline="daily")["structuredContent"]["steps"] == []
