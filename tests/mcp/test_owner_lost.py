"""The MCP client of a workspace outlives its owner process: calls are answered and the next one is served anew."""

import json
import os
import signal
from pathlib import Path

import pytest
from tests.support.wire_client import WireClient
from tests.support.workspaces import owner_process_id, steward

SLOW = "SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 1000003 = 7"


def kill_owner(folder: Path) -> int:
    process = owner_process_id(folder)
    os.kill(process, signal.SIGKILL)
    return process


def test_a_call_running_in_a_killed_owner_is_answered_and_the_next_is_served(client: WireClient, folder: Path) -> None:
    handle = client.call("run_query", sql="SELECT 7 AS n")["structuredContent"]["results"][0]["handle"]
    running = client.send("tools/call", {"name": "run_query", "arguments": {"sql": SLOW}})
    listing = client.send("tools/list")
    assert client.wait(listing)["tools"]
    first = kill_owner(folder)
    answer = client.wait(running)
    assert answer["isError"] and "owner process ended" in answer["content"][0]["text"]
    assert client.rows(f"FROM {handle}") == [[7]]
    assert owner_process_id(folder) != first
    assert client.notifications == []


def test_an_owner_stopped_between_calls_is_started_by_the_next(client: WireClient, folder: Path) -> None:
    for number in range(3):
        assert client.rows(f"SELECT {number}") == [[number]]
        steward(folder, "owner", "stop")
    assert client.rows("SELECT count(*) FROM sales") == [[3]]


def test_the_client_keeps_its_name_with_the_next_owner(folder: Path) -> None:
    with WireClient(folder, name="careful-client") as client:
        assert client.rows("SELECT 1") == [[1]]
        steward(folder, "owner", "stop")
        assert client.rows("SELECT 2") == [[2]]
    log = steward(folder, "log", "--json").stdout
    assert log.count("careful-client") >= 2


@pytest.mark.parametrize(
    ("line", "code", "number"),
    [
        (b"{not json}\n", -32700, None),
        (b'{"jsonrpc":"2.0","id":"x9","params":{}}\n', -32600, "x9"),
        (b"[1,2]\n", -32600, None),
    ],
)
def test_a_line_that_is_no_message_is_refused_and_the_next_is_served(
    client: WireClient, line: bytes, code: int, number: str | None
) -> None:
    assert client.rows("SELECT 1") == [[1]]
    assert client.process.stdin is not None
    client.process.stdin.write(line)
    client.process.stdin.flush()
    assert client.rows("SELECT 2") == [[2]]
    refused = next(n for n in client.notifications if "error" in n)
    assert (refused["error"]["code"], refused["id"]) == (code, number), json.dumps(refused)
