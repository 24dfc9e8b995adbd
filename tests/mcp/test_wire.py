"""MCP over the real commands and processes, in both protocol eras."""

import json
import threading
import time
from pathlib import Path

import pytest
from tests.support.wire_client import WireClient
from tests.support.workspaces import kill, owned_workspace, owner_process_id, steward

SLOW = "SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 1000003 = 7"


def error_of(result: dict) -> str:
    assert result["isError"], result
    text: str = result["content"][0]["text"]
    return text


def test_tools_are_listed_lean_with_every_hint(client: WireClient) -> None:
    tools = client.request("tools/list")["tools"]
    assert {"search_catalog", "run_query", "read_result"} <= {t["name"] for t in tools}
    read_by_a_model = [[t["name"], t["description"], t["inputSchema"]] for t in tools]
    assert len(json.dumps(read_by_a_model, separators=(",", ":"), ensure_ascii=False)) < 8_000
    for tool in tools:
        assert set(tool["annotations"]) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert tool["inputSchema"]["additionalProperties"] is False
        assert "$ref" not in json.dumps(tool)
        assert len(tool["description"]) < 2000


def test_a_question_is_answered_and_its_result_is_a_table(client: WireClient) -> None:
    result = client.call("run_query", sql="SELECT region, sum(amount) AS total FROM sales GROUP BY ALL ORDER BY ALL")
    body = result["structuredContent"]["results"][0]
    assert body["data"] == [["north", 40.5], ["south", 20.25]]
    assert body["rows"] == 2
    assert "north|40.5" in result["content"][0]["text"]
    assert client.rows(f"SELECT total FROM {body['handle']} WHERE region = 'south'") == [[20.25]]


def test_files_are_named_by_path_by_name_and_by_glob(client: WireClient) -> None:
    assert client.rows("SELECT count(*) FROM 'data/sales.csv'") == [[3]]
    assert client.rows("SELECT count(*) FROM sales") == [[3]]
    assert client.rows("SELECT sum(len(tags)) FROM events") == [["2"]]
    assert client.rows("SELECT count(*) FROM read_csv('data/*.csv')") == [[3]]


def test_the_catalog_lists_tables_files_and_results(client: WireClient) -> None:
    client.rows("SELECT 1 AS one")
    entries = client.call("search_catalog", detail="columns")["structuredContent"]["datasets"]
    kinds = {(e["kind"], e["name"]) for e in entries}
    assert {("table", "orders"), ("file", "sales"), ("file", "events"), ("result", "r1")} <= kinds
    sales = next(e for e in entries if e["name"] == "sales")
    assert sales["columns"] == [["id", "BIGINT"], ["region", "VARCHAR"], ["amount", "DOUBLE"]]
    assert [e["name"] for e in client.call("search_catalog", words="region")["structuredContent"]["datasets"]] == [
        "sales"
    ]


def test_a_result_is_read_by_page_column_and_condition(client: WireClient) -> None:
    client.rows("FROM orders ORDER BY id")
    page = client.call("read_result", handle="r1", where="id >= 990", order_by="id DESC", columns=["id"], limit=3)
    body = page["structuredContent"]
    assert body["data"] == [[999], [998], [997]]
    assert (body["rows"], body["next_offset"]) == (10, 3)
    assert "no column" in error_of(client.call("read_result", handle="r1", columns=["nope"]))
    assert "no result r99" in error_of(client.call("read_result", handle="r99"))


def test_several_statements_each_give_their_result(client: WireClient) -> None:
    body = client.call("run_query", sql="SELECT 1 AS a; SELECT 2 AS b;")["structuredContent"]["results"]
    assert [r["data"] for r in body] == [[[1]], [[2]]]
    assert [r["handle"] for r in body] == ["r1", "r2"]


def test_parameters_are_bound(client: WireClient) -> None:
    assert client.rows("SELECT id FROM orders WHERE id = $1", parameters=[7]) == [[7]]
    assert client.rows("SELECT id FROM orders WHERE id = $x", parameters={"x": 8}) == [[8]]


def test_a_dry_run_tells_the_plan_and_stores_nothing(client: WireClient) -> None:
    body = client.call("run_query", sql="SELECT * FROM orders WHERE id > 10", dry_run=True)["structuredContent"]
    assert "estimated rows" in body["results"][0]["plan"]
    assert client.call("search_catalog", kind="result")["structuredContent"]["total"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sql": ""}, ["no statement"]),
        ({"sql": "-- nothing"}, ["no statement"]),
        ({"sql": "SELEC 1"}, ["syntax"]),
        ({"sql": "SELECT amout FROM sales"}, ["amout", "amount"]),
        ({"sql": "FROM ordres"}, ["ordres", "orders"]),
        ({"sqll": "SELECT 1"}, ["sqll", "did you mean 'sql'"]),
        ({"sql": "SELECT 1", "limit": 0}, ["limit", "greater than or equal to 1"]),
        ({"sql": "DELETE FROM orders"}, ["needs_approval"]),
        ({"sql": "COPY orders TO 'x.csv'"}, []),
        ({"sql": "FROM '/etc/passwd'"}, ["forbidden"]),
        ({"sql": "SELECT 1", "timeout_seconds": -1}, ["timeout_seconds"]),
    ],
)
def test_a_wrong_call_gets_an_error_that_helps(folder: Path, arguments: dict, words: list[str]) -> None:
    with WireClient(folder) as client:
        text = error_of(client.call("run_query", **arguments))
        for word in words:
            assert word in text
        assert client.rows("SELECT count(*) FROM orders") == [[1000]]


def test_a_view_stays_within_its_budget_and_tells_the_cut(client: WireClient) -> None:
    columns = ", ".join(f"i * {n} AS column_{n}" for n in range(10))
    result = client.call("run_query", sql=f"SELECT {columns} FROM range(1000) t(i)")
    body = result["structuredContent"]["results"][0]
    assert len(result["content"][0]["text"]) <= 2000
    assert len(json.dumps(result["structuredContent"], separators=(",", ":"))) <= 2000
    assert body["rows"] == 1000
    assert "of 1,000 rows shown" in body["cut"]
    assert body["columns"][1]["max"] == "999"


def test_one_huge_cell_is_shortened_and_its_row_kept(client: WireClient) -> None:
    result = client.call("run_query", sql="SELECT 1 AS id, repeat('x', 1000000) AS big, 'end' AS last")
    (row,) = result["structuredContent"]["results"][0]["data"]
    assert row[0] == 1
    assert row[2] == "end"
    assert len(json.dumps(result)) < 5000
    assert "shortened" in result["structuredContent"]["results"][0]["cut"]


def test_a_cancelled_call_stops_and_the_next_answers_at_once(client: WireClient) -> None:
    number = client.send("tools/call", {"name": "run_query", "arguments": {"sql": SLOW}})
    assert client.rows("SELECT 0") == [[0]]
    client.notify("notifications/cancelled", {"requestId": number})
    started = time.monotonic()
    assert client.rows("SELECT 1") == [[1]]
    assert time.monotonic() - started < 5


def test_a_timeout_stops_the_query_and_says_so(client: WireClient) -> None:
    text = error_of(client.call("run_query", sql=SLOW, timeout_seconds=0.5))
    assert "timeout" in text
    assert client.rows("SELECT 2") == [[2]]


def test_overlapping_calls_of_two_clients_never_mix(folder: Path) -> None:
    with WireClient(folder, era="legacy") as one, WireClient(folder, era="modern") as two:
        sent = [
            (
                client,
                number,
                client.send("tools/call", {"name": "run_query", "arguments": {"sql": f"SELECT {number} AS n"}}),
            )
            for number in range(300)
            for client in (one, two)
        ]
        for client, number, request in sent:
            result = client.wait(request)
            assert result["structuredContent"]["results"][0]["data"] == [[number]]


def test_a_killed_owner_is_replaced_and_results_are_still_there(folder: Path) -> None:
    with WireClient(folder) as client:
        assert client.rows("SELECT 41 AS x") == [[41]]
        kill(owner_process_id(folder))
    with WireClient(folder) as client:
        assert client.rows("SELECT x + 1 FROM r1") == [[42]]
    assert "intact" in steward(folder, "log", "--verify").stdout


def test_a_killed_worker_is_replaced_and_its_read_run_again(folder: Path) -> None:
    with WireClient(folder) as client:
        client.rows("SELECT 1")
        status = json.loads(steward(folder, "owner", "status", "--json").stdout)
        for process in status["workers"]:
            kill(process)
        assert client.rows("SELECT count(*) FROM orders") == [[1000]]


def test_clients_that_start_together_share_one_owner(folder: Path) -> None:
    found: list[int] = []

    def use() -> None:
        with WireClient(folder) as client:
            assert client.rows("SELECT 1") == [[1]]
            found.append(owner_process_id(folder))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_an_idle_owner_ends_and_its_socket_is_gone(tmp_path: Path) -> None:
    with owned_workspace(tmp_path / "shop", ["[owner]", "idle_seconds = 0.5"]) as folder:
        with WireClient(folder) as client:
            client.rows("SELECT 1")
        deadline = time.monotonic() + 20
        while (folder / ".steward" / "owner.json").exists():
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)


def test_another_program_may_write_the_database_between_calls(tmp_path: Path) -> None:
    import duckdb

    with owned_workspace(tmp_path / "shop", ["[owner]", "lease_seconds = 0.1"]) as folder, WireClient(folder) as client:
        assert client.rows("SELECT count(*) FROM orders") == [[1000]]
        deadline = time.monotonic() + 20
        while True:
            try:
                with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
                    connection.execute("INSERT INTO orders VALUES (1000, 1)")
                break
            except duckdb.IOException:
                assert time.monotonic() < deadline
                threading.Event().wait(0.05)
        assert client.rows("SELECT count(*) FROM orders") == [[1001]]


def test_a_database_held_by_another_program_is_told_with_its_holder(tmp_path: Path) -> None:
    import subprocess
    import sys

    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with owned_workspace(tmp_path / "shop", ["[limits]", "timeout_seconds = 60"]) as folder:
        holder = subprocess.Popen(
            [sys.executable, "-c", hold, str(folder / "warehouse.duckdb")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with WireClient(folder) as client:
                text = error_of(client.call("run_query", sql="FROM orders"))
                assert "busy" in text
                assert str(holder.pid) in text
        finally:
            holder.communicate(timeout=20)
        with WireClient(folder) as client:
            assert client.rows("SELECT count(*) FROM orders") == [[1000]]


def test_resources_give_the_catalog_and_results(client: WireClient) -> None:
    client.rows("SELECT 5 AS five")
    uris = [r["uri"] for r in client.request("resources/list")["resources"]]
    assert uris[:2] == ["steward://catalog", "steward://results/r1"]
    body = client.request("resources/read", {"uri": "steward://results/r1"})["contents"][0]["text"]
    assert json.loads(body)["data"] == [[5]]
    assert client.request("resources/read", {"uri": "steward://nope"})["code"] == -32002
