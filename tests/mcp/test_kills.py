"""Kill -9 of worker, owner and client at random moments: nothing corrupt, the next client is served."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.wire_client import WireClient
from tests.support.workspaces import kill, owner_process_id, steward

from datasteward.journal import Journal

ROUNDS = 8
WORK = "SELECT id, amount, repeat('x', 100) AS filler FROM orders, range(200) ORDER BY hash(id)"


def victims(folder: Path, client: WireClient, kind: str) -> list[int]:
    if kind == "client":
        return [client.process.pid]
    if kind == "owner":
        return [owner_process_id(folder)]
    return list(json.loads(steward(folder, "owner", "status", "--json").stdout)["workers"])


@pytest.mark.slow
def test_nothing_is_lost_whoever_is_killed_whenever(folder: Path) -> None:
    dice = random.Random(20261121)
    for number in range(ROUNDS):
        kind = ("worker", "owner", "client")[number % 3]
        client = WireClient(folder, era=dice.choice(["legacy", "modern"]))
        client.__enter__()
        assert client.rows("SELECT 1") == [[1]]
        targets = victims(folder, client, kind)
        request = client.send("tools/call", {"name": "run_query", "arguments": {"sql": WORK}})
        client.process.poll()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        for _ in range(dice.randrange(3)):
            subprocess.run([sys.executable, "-c", "pass"], check=True)
        for target in targets:
            try:
                kill(target)
            except ProcessLookupError:
                assert kind == "worker"
        if kind == "worker":
            answer = client.wait(request, 60)
            assert not answer.get("isError") or "worker" in answer["content"][0]["text"]
        client.close()
        with WireClient(folder) as another:
            assert another.rows("SELECT count(*), sum(id) FROM orders") == [[1000, "499500"]]
            handle = another.call("run_query", sql="SELECT 7 AS n")["structuredContent"]["results"][0]["handle"]
            assert another.rows(f"FROM {handle}") == [[7]]
    steward(folder, "owner", "stop")
    assert Journal(folder / ".steward" / "journal").verify().is_intact
    results = folder / ".steward" / "results"
    steward(folder, "--no-owner", "query", "SELECT 1")
    assert not list(results.glob("draft-*"))
