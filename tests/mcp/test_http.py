"""HTTP asks for its token, checks Host and Origin, and serves both protocol eras."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.wire_client import MODERN, STEWARD
from tests.support.workspaces import owned_workspace, steward

TOKEN = "a-token-for-tests-0123456789"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with owned_workspace(tmp_path / "shop") as folder:
        process = subprocess.Popen(
            [*STEWARD, "mcp", "--http", "--port", "0"],
            cwd=folder,
            stderr=subprocess.PIPE,
            env={k: v for k, v in os.environ.items() if not k.startswith("STEWARD_")} | {"STEWARD_HTTP_TOKEN": TOKEN},
        )
        assert process.stderr is not None
        try:
            line = process.stderr.readline().decode()
            assert line.startswith("serving http://127.0.0.1:"), line
            yield line.split()[1]
        finally:
            process.terminate()
            process.wait(20)
            process.stderr.close()


def post(url: str, message: dict, **headers: str) -> tuple[int, str]:
    merged = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {TOKEN}",
    } | {k.replace("_", "-"): v for k, v in headers.items()}
    request = urllib.request.Request(url, json.dumps(message).encode(), {k: v for k, v in merged.items() if v})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def modern(method: str, **params: object) -> dict:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}


def result_of(text: str) -> dict:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1] if lines else text)["result"]


def test_only_the_token_opens_and_both_eras_answer(url: str) -> None:
    call = modern("tools/call", name="run_query", arguments={"sql": "SELECT 42 AS x"})
    extra = {"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/call", "Mcp_Name": "run_query"}
    status, text = post(url, call, **extra)
    assert status == 200, text
    assert result_of(text)["structuredContent"]["results"][0]["data"] == [[42]]
    assert post(url, call, Authorization="")[0] == 401
    assert post(url, call, Authorization="Bearer wrong")[0] == 401
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    status, text = post(url, hello)
    assert status == 200
    assert result_of(text)["protocolVersion"] == "2025-11-25"


def test_foreign_hosts_and_origins_are_refused(url: str) -> None:
    call = modern("tools/list")
    extra = {"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/list"}
    assert post(url, call, **extra)[0] == 200
    assert post(url, call, Host="evil.example", **extra)[0] == 421
    assert post(url, call, Host="evil.example:80", **extra)[0] == 421
    assert post(url, call, Origin="http://evil.example", **extra)[0] == 403


def test_no_token_is_for_loopback_only_and_short_tokens_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = steward(tmp_path, "mcp", "--http", "--host", "0.0.0.0", "--no-token")
    assert refused.returncode == 2
    assert "loopback" in refused.stderr
