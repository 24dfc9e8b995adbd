"""The agent's overhead: a turn of the loop against the bare SDK, and the start of `steward run` to its first request.

Both sides talk to the same local server over real SSE, in one run, taking turns. Prints JSON.

    python -m bench.agent_loop [--turns 20] [--rounds 5]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.support.agent_runs import KEY, messages_model, open_store, options
from tests.support.messages_server import Reply, call, say, serve, tool

from datasteward_agent.agent import Agent
from datasteward_agent.limits import Budget
from datasteward_agent.toolset import ToolAnswer, ToolDefinition

_SCHEMA = {"type": "object", "properties": {"sql": {"type": "string"}}}


class InstantTools:
    """One tool that answers at once, so that only the loop is measured."""

    def definitions(self) -> tuple[ToolDefinition, ...]:
        return (ToolDefinition(name="run_query", description="Rows.", input_schema=_SCHEMA, read_only=True),)

    async def call(self, name: str, arguments: Any, call_id: str, on_progress: Any) -> ToolAnswer:
        return ToolAnswer(text="r1: 1 row\n1", structured={"rows": 1}, handles=("r1",))


def _script(turns: int) -> Any:
    def reply(body: Any, number: int) -> Reply:
        if number % turns < turns - 1:
            return call(tool("run_query", f"t{number}", sql="SELECT 1"))
        return say("word " * 50)

    return reply


async def _loop_seconds(url: str, turns: int, folder: Path) -> float:
    with open_store(folder) as store:
        session = store.create()
        agent = Agent(
            model=messages_model(url),
            toolset=InstantTools(),
            session=session,
            options=options(budget=Budget(turns=None)),
        )
        started = time.process_time()
        ended = await agent.run("go", lambda event: None)
        took = time.process_time() - started
        await agent.close()
        session.close()
    assert ended.outcome == "done", ended
    assert ended.turns == turns
    return took


async def _bare_seconds(url: str, turns: int) -> float:
    import anthropic

    client = anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "go"}]
    tools: Any = [{"name": "run_query", "description": "Rows.", "input_schema": _SCHEMA}]
    started = time.process_time()
    for _ in range(turns):
        async with client.messages.stream(
            model="claude-opus-5-5", max_tokens=1000, messages=messages, tools=tools
        ) as stream:
            async for _event in stream:
                pass
            message = await stream.get_final_message()
        messages.append({"role": "assistant", "content": message.to_dict()["content"]})
        answers = [
            {"type": "tool_result", "tool_use_id": b.id, "content": "r1: 1 row\n1"}
            for b in message.content
            if b.type == "tool_use"
        ]
        if answers:
            messages.append({"role": "user", "content": answers})
    took = time.process_time() - started
    await client.close()
    return took


def measure_turns(turns: int, rounds: int) -> dict[str, float]:
    """CPU milliseconds a turn (the local server's included, on both sides), the median of rounds."""
    ours, bare = [], []
    with serve(_script(turns)) as server, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            loop = asyncio.run(_loop_seconds(server.url, turns, Path(folder)))
            plain = asyncio.run(_bare_seconds(server.url, turns))
            if number:
                ours.append(loop / turns * 1000)
                bare.append(plain / turns * 1000)
    return {
        "turns": turns,
        "loop_cpu_ms_per_turn": round(statistics.median(ours), 2),
        "bare_sdk_cpu_ms_per_turn": round(statistics.median(bare), 2),
        "overhead_cpu_ms_per_turn": round(statistics.median(o - b for o, b in zip(ours, bare, strict=True)), 2),
    }


def measure_start(rounds: int) -> dict[str, float]:
    """Seconds from the process's start to its first request, against a process that only imports and asks."""
    code = "import sys; from datasteward_cli.main import main\nsys.exit(main(['--no-owner', 'run', '--quiet', 'hi']))"
    bare = (
        "import anthropic, os\n"
        "c = anthropic.Anthropic(max_retries=0)\n"
        "with c.messages.stream(model='claude-opus-5-5', max_tokens=10, messages=[{'role':'user','content':'hi'}]) as s:\n"
        "    s.get_final_message()"
    )
    found: dict[str, list[float]] = {"steward": [], "bare": []}
    for _ in range(rounds):
        for name, program in (("steward", code), ("bare", bare)):
            found[name].append(_until_request(program))
    return {f"{k}_start_to_request_seconds": round(statistics.median(v), 3) for k, v in found.items()}


def _until_request(program: str) -> float:
    arrived = threading.Event()
    moment = [0.0]

    def reply(body: Any, number: int) -> Reply:
        moment[0] = time.perf_counter()
        arrived.set()
        return say("hello")

    with serve(reply) as server, tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, check=True, capture_output=True)
        assert arrived.wait(1)
    return moment[0] - started


def main() -> None:
    """Print both measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip-start", action="store_true")
    given = parser.parse_args()
    report = measure_turns(given.turns, given.rounds)
    if not given.skip_start:
        report |= measure_start(given.rounds)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
