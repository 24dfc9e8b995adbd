"""A change proposed by an agent is decided by a person: in the client where it may be, in the inbox otherwise."""

import json
import select
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import ElicitRequestFormParams, ElicitResult
from tests.support.wire_client import WireClient
from tests.support.workspaces import steward

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = 0 WHERE id < 3"


def connect(folder: Path, mode: str, answer: ElicitResult | None, seen: list[str]) -> Client:
    async def callback(context: Any, params: ElicitRequestFormParams) -> ElicitResult:
        seen.append(params.message)
        assert answer is not None
        return answer

    server = StdioServerParameters(command=sys.executable, args=["-m", "datasteward_cli.main", "mcp"], cwd=str(folder))
    return Client(server, mode=mode, elicitation_callback=callback if answer is not None else None)


async def zeros(client: Client) -> int:
    result = await client.call_tool("run_query", {"sql": "SELECT count(*) FROM orders WHERE amount = 0"})
    return result.structured_content["results"][0]["data"][0][0]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_reversible_change_is_approved_in_the_client_after_its_effect_was_shown(
    folder: Path, mode: str
) -> None:
    seen: list[str] = []
    yes = ElicitResult(action="accept", content={"approve": True, "comment": "fine"})
    async with connect(folder, mode, yes, seen) as client:
        assert await zeros(client) == 1
        result = await client.call_tool("propose_change", {"sql": UPDATE, "purpose": "test"})
        assert result.structured_content["status"] == "applied", result
        assert await zeros(client) == 3
    (asked,) = seen
    for told in (
        "Apply c1?",
        "asked by mcp:",
        "they say (not verified):\n| test\n",
        f"| {UPDATE}\n",
        "orders: +0 ~2 -0 rows (1,000 -> 1,000)",
        "policy: ask: decided by the default",
        "digest: ",
    ):
        assert told in asked, asked
    assert "change_status" not in asked


async def test_what_is_of_high_risk_waits_for_the_inbox_and_says_so(folder: Path) -> None:
    seen: list[str] = []
    yes = ElicitResult(action="accept", content={"approve": True})
    async with connect(folder, "legacy", yes, seen) as client:
        result = await client.call_tool("propose_change", {"sql": "DELETE FROM orders WHERE id >= 100"})
        assert result.structured_content["status"] == "waiting"
        assert "a person decides in the inbox, since its risk is high" in result.content[0].text
    assert seen == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_no_in_the_client_rejects_and_the_agent_reads_the_comment(folder: Path, mode: str) -> None:
    no = ElicitResult(action="accept", content={"approve": False, "comment": "wrong year"})
    async with connect(folder, mode, no, []) as client:
        result = await client.call_tool("propose_change", {"sql": UPDATE})
        assert result.structured_content["status"] == "rejected"
        assert "wrong year" in result.content[0].text
        assert await zeros(client) == 1


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_dismissed_question_and_a_client_without_one_leave_the_change_waiting(folder: Path, mode: str) -> None:
    async with connect(folder, mode, ElicitResult(action="cancel"), []) as client:
        result = await client.call_tool("propose_change", {"sql": UPDATE})
        assert result.structured_content["status"] == "waiting"
    async with connect(folder, mode, None, []) as client:
        result = await client.call_tool("propose_change", {"sql": UPDATE})
        assert result.structured_content["status"] == "waiting"
        assert await zeros(client) == 1


async def test_an_agent_has_no_tool_that_approves_and_the_command_needs_a_terminal(folder: Path) -> None:
    with WireClient(folder) as client:
        result = client.call("propose_change", sql=UPDATE)["structuredContent"]
        assert result["status"] == "waiting"
        names = {t["name"] for t in client.request("tools/list")["tools"]}
        assert not {n for n in names if "approve" in n or "decide" in n}
        run = steward(folder, "changes", "approve", result["change"], stdin="yes\n")
        assert run.returncode != 0
        assert "terminal" in run.stderr
        assert (
            client.call("change_status", change=result["change"], wait_seconds=0)["structuredContent"]["status"]
            == "waiting"
        )


async def test_a_rejection_in_the_inbox_reaches_the_waiting_agent(folder: Path) -> None:
    with WireClient(folder) as client:
        change = client.call("propose_change", sql=UPDATE)["structuredContent"]["change"]
        waiting = client.send(
            "tools/call", {"name": "change_status", "arguments": {"change": change, "wait_seconds": 30}}
        )
        assert steward(folder, "changes", "reject", change, "-m", "not this table").returncode == 0
        result = client.wait(waiting, 60)
        assert result["structuredContent"]["status"] == "rejected"
        assert "not this table" in result["content"][0]["text"]


async def test_a_forged_or_foreign_seal_decides_nothing(folder: Path) -> None:
    with WireClient(folder, era="modern") as client:
        change = client.call("propose_change", sql=UPDATE)["structuredContent"]["change"]
        forged = {
            "name": "propose_change",
            "arguments": {"sql": UPDATE},
            "requestState": f"{change}.{'0' * 64}.{'0' * 64}",
            "inputResponses": {"decision": {"action": "accept", "content": {"approve": True}}},
        }
        client.request("tools/call", forged)
        assert client.call("change_status", change=change, wait_seconds=0)["structuredContent"]["status"] == "waiting"
        assert client.rows("SELECT count(*) FROM orders WHERE amount = 0") == [[1]]


async def test_the_story_of_a_change_holds_the_calls_and_the_decision(folder: Path) -> None:
    with WireClient(folder) as client:
        change = client.call("propose_change", sql=UPDATE)["structuredContent"]["change"]
        other = client.call("propose_change", sql="DELETE FROM orders")["structuredContent"]["change"]
        assert steward(folder, "changes", "reject", change, "-m", "not this table").returncode == 0
        client.call("change_status", change=change, wait_seconds=0)
    run = steward(folder, "log", "--change", change, "--json")
    entries = [json.loads(line) for line in run.stdout.splitlines()]
    assert other != change
    assert {e["proposal"] for e in entries} == {change}
    steps = [e.get("tool") or e["event"] for e in entries]
    assert sorted(steps) == ["change.proposed", "change.rejected", "change_status", "propose_change"]


async def test_a_change_decided_in_one_client_ends_the_wait_of_another_and_is_decided_once(folder: Path) -> None:
    yes = ElicitResult(action="accept", content={"approve": True})
    asked: list[str] = []
    with WireClient(folder) as other:

        async def answer(context: Any, params: ElicitRequestFormParams) -> ElicitResult:
            listed = json.loads(steward(folder, "log", "--event", "change.proposed", "--json").stdout.splitlines()[-1])
            asked.append(listed["proposal"])
            waits = {"change": asked[0], "wait_seconds": 30}
            asked.append(other.send("tools/call", {"name": "change_status", "arguments": waits}))
            return yes

        server = StdioServerParameters(
            command=sys.executable, args=["-m", "datasteward_cli.main", "mcp"], cwd=str(folder)
        )
        async with Client(server, mode="legacy", elicitation_callback=answer) as client:
            result = await client.call_tool("propose_change", {"sql": UPDATE})
            assert result.structured_content["status"] == "applied"
        seen = other.wait(asked[1], 60)["structuredContent"]
        assert (seen["change"], seen["status"]) == (asked[0], "applied")
        assert steward(folder, "changes", "reject", asked[0], "-m", "too late").returncode != 0
        assert other.rows("SELECT count(*) FROM orders WHERE amount = 0") == [[3]]


async def test_a_rejection_in_the_inbox_beats_the_yes_of_a_client_that_was_asked_before(folder: Path) -> None:
    async def answer(context: Any, params: ElicitRequestFormParams) -> ElicitResult:
        assert steward(folder, "changes", "reject", "c1", "-m", "inbox was first").returncode == 0
        return ElicitResult(action="accept", content={"approve": True})

    server = StdioServerParameters(command=sys.executable, args=["-m", "datasteward_cli.main", "mcp"], cwd=str(folder))
    async with Client(server, mode="legacy", elicitation_callback=answer) as client:
        result = await client.call_tool("propose_change", {"sql": UPDATE})
        assert result.structured_content["status"] == "rejected", result
        assert "inbox was first" in result.content[0].text
        assert await zeros(client) == 1


async def test_a_second_writer_before_the_yes_makes_it_moved_and_the_difference_is_shown(folder: Path) -> None:
    async def answer(context: Any, params: ElicitRequestFormParams) -> ElicitResult:
        if not asked:
            write_from_outside(folder, "UPDATE orders SET amount = 7 WHERE id = 2")
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": len(asked) == 1})

    asked: list[str] = []
    server = StdioServerParameters(command=sys.executable, args=["-m", "datasteward_cli.main", "mcp"], cwd=str(folder))
    async with Client(server, mode="legacy", elicitation_callback=answer) as client:
        result = await client.call_tool("propose_change", {"sql": UPDATE})
        text = result.content[0].text
        status = await client.call_tool("change_status", {"change": "c1", "wait_seconds": 0})
        assert status.structured_content["status"] == "moved"
        assert "rows of table orders have changed since the preview" in text
        again = await client.call_tool("change_status", {"change": "c2", "wait_seconds": 0})
        assert again.structured_content["status"] == "waiting"
        now, earlier = again.content[0].text.split("before it moved:")
        assert "1.5..7.0" in now and "1.5..3.0" in earlier
        assert await zeros(client) == 1


def write_from_outside(folder: Path, sql: str) -> None:
    """Write as another program would, once the workspace's readers have let go of the file."""
    deadline = time.monotonic() + 30
    database = next(folder.glob("*.duckdb"))
    while True:
        try:
            connection = duckdb.connect(str(database))
        except duckdb.IOException:
            assert time.monotonic() < deadline
            select.select([], [], [], 0.2)
            continue
        connection.execute(sql)
        connection.close()
        return


CONTRACT = """kind: DataContract
apiVersion: v3.1.0
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - name: id
        logicalType: integer
        required: true
        unique: true
      - name: amount
        logicalType: number
        required: true
"""


async def test_a_change_that_breaks_a_contract_says_so_and_waits_for_the_inbox(folder: Path) -> None:
    (folder / "orders.odcs.yaml").write_text(CONTRACT)
    yes = ElicitResult(action="accept", content={"approve": True})
    seen: list[str] = []
    async with connect(folder, "legacy", yes, seen) as client:
        result = await client.call_tool("propose_change", {"sql": "UPDATE orders SET amount = NULL WHERE id < 3"})
        assert result.structured_content["status"] == "waiting"
        assert "orders.odcs.yaml" in result.content[0].text
        assert "3 rows would break it" in result.content[0].text
        assert seen == []
        kept = await client.call_tool("propose_change", {"sql": UPDATE})
        assert kept.structured_content["status"] == "applied"
