"""A change proposed by an agent is decided by a person: in the client where it may be, in the inbox otherwise."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import ElicitRequestFormParams, ElicitResult
from tests.support.wire_client import WireClient
from tests.support.workspaces import owned_workspace, steward

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = 0 WHERE id < 3"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with owned_workspace(tmp_path / "shop") as place:
        yield place


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
    assert len(seen) == 1
    assert "orders" in seen[0]
    assert "2" in seen[0]


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
