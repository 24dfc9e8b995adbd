"""OpenLineage events: their shape, what they carry, and where they go."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from datasteward.errors import ConfigError, EngineFault
from datasteward.lineage.openlineage import FileTransport, HttpTransport, OutputStatistics, RunReport, write_event
from datasteward.lineage.resolve import resolve
from tests.support.lineage_cases import golden_catalog
from tests.support.openlineage_shape import EVENT_SCHEMA

SQL = "CREATE TABLE t AS SELECT hub_id, sum(kg) AS kg, count(*) AS n FROM shipments WHERE price > 2 GROUP BY ALL"


def make_report(**changes: Any) -> RunReport:
    values: dict[str, Any] = {
        "event_type": "COMPLETE",
        "run_id": "run7",
        "at": 1_700_000_000.5,
        "job_namespace": "workspace",
        "job_name": "daily",
        "sql": SQL,
        "lineage": resolve(SQL, golden_catalog()),
        "schemas": golden_catalog().datasets,
        "statistics": OutputStatistics(row_count=3, size_bytes=90),
    }
    return RunReport(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"event_type": "START", "statistics": None},
        {},
        {"event_type": "FAIL", "error": "Out of space", "lineage": None, "statistics": None},
        {"run_id": "b4a6a3c2-0d1c-4a6e-9d59-f5a4a7a0f8aa"},
    ],
)
def test_every_event_has_the_shape_the_specification_asks_for(changes: dict[str, Any]) -> None:
    event = json.loads(write_event(make_report(**changes)))
    jsonschema.validate(event, EVENT_SCHEMA, format_checker=jsonschema.FormatChecker())


def test_column_lineage_tells_fields_and_the_dataset_as_a_whole() -> None:
    event = json.loads(write_event(make_report()))
    facet = event["outputs"][0]["facets"]["columnLineage"]
    kg = facet["fields"]["kg"]["inputFields"]
    assert [(f["name"], f["field"], f["transformations"][0]["subtype"]) for f in kg] == [
        ("shipments", "kg", "AGGREGATION")
    ]
    assert {(f["field"], t["subtype"]) for f in facet["dataset"] for t in f["transformations"]} == {
        ("price", "FILTER"),
        ("hub_id", "GROUP_BY"),
    }
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert event["job"]["facets"]["sql"]["query"] == SQL


def test_a_failure_carries_its_message() -> None:
    event = json.loads(write_event(make_report(event_type="FAIL", error="Out of space")))
    assert event["run"]["facets"]["errorMessage"]["message"] == "Out of space"


def test_the_same_run_always_gets_the_same_identifier() -> None:
    one, two = (json.loads(write_event(make_report(event_type=t)))["run"]["runId"] for t in ("START", "COMPLETE"))
    assert one == two


def test_a_file_takes_one_event_a_line_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        FileTransport(path=path).send(write_event(make_report()))
    assert [json.loads(line)["eventType"] for line in path.read_text().splitlines()] == ["COMPLETE", "COMPLETE"]
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(EngineFault, match="cannot take lineage events"):
        FileTransport(path=tmp_path / "none" / "x").send("{}")


class _Receiver(BaseHTTPRequestHandler):
    received: list[tuple[str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append((self.headers.get("Authorization"), body))
        self.send_response(201)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


def test_an_endpoint_is_posted_to_with_its_key() -> None:
    _Receiver.received = []
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/api/v1/lineage"
        HttpTransport(url=url, api_key="k", timeout_seconds=5).send('{"a":1}')
    finally:
        thread.join(5)
        server.server_close()
    assert _Receiver.received == [("Bearer k", b'{"a":1}')]
    with pytest.raises(EngineFault, match="did not take"):
        HttpTransport(url=url, timeout_seconds=1).send("{}")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "events.jsonl", "http://"])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        HttpTransport(url=url)
