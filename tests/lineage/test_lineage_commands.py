"""The commands `steward lineage paths`, `trace --at` and `events` on what really ran."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from datasteward.engine.engine import QueryRequest
from datasteward.errors import ConfigError
from datasteward.lineage.edges import StatementLineage
from datasteward.lineage.noting import AnswerFigure, note_answer
from datasteward.lineage.schemas import DatasetKey
from datasteward.lineage.store import RunStamp
from datasteward.services import open_services
from datasteward.settings import load_settings
from datasteward.workspace import find_workspace
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.lineage_commands import lineage
from tests.support.openlineage_shape import EVENT_SCHEMA
from tests.support.workspaces import make_workspace, steward

pytestmark = pytest.mark.anyio


async def make_history(folder: Path) -> float:
    """A query, two changes, an answer and a failed change in a new workspace; the time between the changes."""
    make_workspace(folder)
    workspace = find_workspace(folder)
    async with open_services(workspace, load_settings(workspace, environment={})) as services:
        (result,) = await services.engine.query(QueryRequest(sql="SELECT sum(amount) AS total FROM orders"))
        moments = []
        for source in ("orders", "'data/sales.csv'"):
            sql = f"CREATE OR REPLACE TABLE t AS SELECT id, amount FROM {source}"
            made = await services.changes.propose(sql, requested_by="x")
            await services.changes.approve(made.change, digest=made.digest, by="me", channel="terminal")
            moments.append((await services.changes.show(made.change)).applied_at or 0.0)
        assert await services.capture.settle(30)
        figure = AnswerFigure(text="749250", sources=((str(result.handle), "total"),))
        note_answer(services.lineage, "It is 749250 [r1].", [figure])
        failed = StatementLineage(
            kind="update",
            outputs=(),
            inputs=(DatasetKey("duckdb", "orders"),),
            target=DatasetKey("duckdb", "orders"),
            edges=(),
            confidence="table",
        )
        with services.lineage.writing() as store:
            stamp = RunStamp(run_id="c9", at=services.lineage.now(), job="change", sql="UPDATE x", error="not applied")
            store.record_failure(failed, stamp)
    return sum(moments) / 2


def run(folder: Path, *arguments: str) -> Result:
    scope = Scope(folder, no_owner=True)
    return CliRunner().invoke(lineage, list(arguments), obj=scope, catch_exceptions=False)


async def test_the_past_and_the_ways_between_columns_are_shown(tmp_path: Path) -> None:
    between = await make_history(tmp_path)
    moment = datetime.fromtimestamp(between, UTC).isoformat()
    assert run(tmp_path, "trace", "t.amount").stdout.splitlines()[1:] == ["└─ data/sales.csv.amount (identity)"]
    assert run(tmp_path, "trace", "t.amount", "--at", moment).stdout.splitlines()[1:] == ["└─ orders.amount (identity)"]
    wrong = run(tmp_path, "trace", "t", "--at", "yesterday")
    assert wrong.exit_code == 2 and "is no time" in wrong.stderr
    assert run(tmp_path, "paths", "data/sales.csv.amount", "t").stdout == (
        "data/sales.csv.amount →(identity) t.amount\n"
    )
    none = run(tmp_path, "paths", "t", "orders")
    assert none.stdout == "" and "no path" in none.stderr


async def test_events_of_all_that_ran_meet_the_specification(tmp_path: Path) -> None:
    await make_history(tmp_path)
    events = [json.loads(line) for line in run(tmp_path, "events", "--namespace", "here").stdout.splitlines()]
    for event in events:
        jsonschema.validate(event, EVENT_SCHEMA, format_checker=jsonschema.FormatChecker())
    kinds = [(e["eventType"], e["job"]["name"].partition(".")[0]) for e in events]
    assert kinds == [
        *[(kind, job) for job in ("query", "change", "change") for kind in ("START", "COMPLETE")],
        ("START", "change"),
        ("FAIL", "change"),
    ]
    assert {e["run"]["runId"] for e in events[0::2]} == {e["run"]["runId"] for e in events[1::2]}
    assert len({e["run"]["runId"] for e in events}) == 4
    made = events[3]
    assert [(i["namespace"], i["name"]) for i in made["inputs"]] == [("duckdb", "orders")]
    assert [f["name"] for f in made["inputs"][0]["facets"]["schema"]["fields"]] == ["id", "amount"]
    fields = made["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert fields["amount"]["inputFields"][0]["field"] == "amount"
    assert events[-1]["run"]["facets"]["errorMessage"]["message"] == "not applied"
    assert "749250" not in json.dumps(events)
    late = run(tmp_path, "events", "--since", "2100-01-01")
    assert late.stdout == "" and "0 events" in late.stderr


async def test_events_go_to_a_file_or_an_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_history(tmp_path)
    path = tmp_path / "events.jsonl"
    assert "8 events" in run(tmp_path, "events", "-o", str(path)).stderr
    lines = path.read_text().splitlines()
    received: list[tuple[str | None, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.headers.get("Authorization"), body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "k")
    try:
        run(tmp_path, "events", "--url", f"http://127.0.0.1:{server.server_port}/api/v1/lineage")
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
    assert received == [("Bearer k", line) for line in lines]
    with pytest.raises(ConfigError, match="no address"):
        run(tmp_path, "events", "--url", "file:///tmp/x")
    assert run(tmp_path, "events", "--url", "http://x", "-o", "y").exit_code == 2


async def test_a_column_no_run_knows_is_told_with_the_nearest(tmp_path: Path) -> None:
    await make_history(tmp_path)
    told = run(tmp_path, "trace", "t", "-c", "amuont")
    assert told.exit_code == 0
    assert "no run read or wrote such a column; of t: amount" in told.stderr


def test_an_import_with_a_broken_file_keeps_the_others_and_fails(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "good.sql").write_text("CREATE TABLE good AS SELECT amount FROM orders")
    (tmp_path / "models" / "bad.sql").write_text("CREATE TABLE bad AS SELEC amount FROM orders")
    ended = steward(tmp_path, "--no-owner", "lineage", "import", str(tmp_path / "models"))
    assert ended.returncode == ExitCode.TOOL_FAILED
    assert "bad.sql:1" in ended.stderr
    assert "1 statements, 1 problems" in ended.stdout
    assert run(tmp_path, "trace", "good").exit_code == 0


async def test_a_file_is_traced_by_its_friendly_name(tmp_path: Path) -> None:
    await make_history(tmp_path)
    assert run(tmp_path, "trace", "sales", "--down").stdout == run(tmp_path, "trace", "data/sales.csv", "--down").stdout
