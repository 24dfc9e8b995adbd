"""`steward run`: forms of output, exit codes, signals, sessions, scripts; on real tools and data."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_runs import KEY
from tests.support.messages_server import MessagesServer, Reply, call, say, serve, tool
from tests.support.steward_process import Finished, run_steward, start_steward

from datasteward_agent.events import parse_event

LOOK = tool("run_query", sql="SELECT sum(amount) AS total FROM 'data/orders.csv'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text("id,amount\n1,10\n2,32\n")
    return tmp_path


def ask(folder: Path, server: MessagesServer, *arguments: str, text: str | None = None) -> Finished:
    environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
    return run_steward(folder, "run", *arguments, environment=environment, text=text)


@pytest.fixture
def answered() -> Iterator[MessagesServer]:
    with serve([call(LOOK), say("The total is 42 [r1].")]) as server:
        yield server


def test_text_goes_to_stdout_and_words_to_stderr(folder: Path, answered: MessagesServer) -> None:
    done = ask(folder, answered, "what is the total?")
    assert (done.code, done.out) == (0, "The total is 42 [r1].\n")
    assert "run_query" in done.words and "exit 0" in done.words
    assert KEY not in done.words
    told = answered.bodies[1]["messages"][2]["content"][0]["content"]
    assert "42" in told


def test_json_is_one_result(folder: Path, answered: MessagesServer) -> None:
    done = ask(folder, answered, "--json", "--quiet", "what is the total?")
    assert done.words == ""
    assert len(done.out.splitlines()) == 1
    result = done.result
    assert (result["type"], result["outcome"], result["handles"], result["turns"]) == ("result", "done", ["r1"], 2)
    assert result["text"] == "The total is 42 [r1]."


def test_stream_json_is_an_event_a_line_and_ends_with_the_result(folder: Path, answered: MessagesServer) -> None:
    done = ask(folder, answered, "--stream-json", "-", text="what is the total?\n")
    events = [parse_event(line) for line in done.out.splitlines()]
    assert events[0].type == "run.start" and events[-1].type == "result"
    assert {"text", "tool.call", "tool.result", "query", "usage"} <= {e.type for e in events}


def test_out_leaves_everything_behind(folder: Path, answered: MessagesServer) -> None:
    (folder / "ask.txt").write_text("what is the total?")
    assert ask(folder, answered, "--prompt-file", "ask.txt", "--out", "left").code == 0
    left = folder / "left"
    assert (left / "answer.md").read_text() == "The total is 42 [r1].\n"
    assert json.loads((left / "result.json").read_text())["outcome"] == "done"
    assert "sum(amount)" in (left / "queries.sql").read_text()
    assert (left / "results" / "r1.parquet").is_file()
    assert all(parse_event(line) for line in (left / "transcript.jsonl").read_text().splitlines())


DENIED = call(tool("run_query", sql="SELECT 1"))


@pytest.mark.parametrize(
    ("replies", "flags", "code", "outcome"),
    [
        pytest.param([Reply(status=400, error="invalid_request_error")], [], 1, "failed", id="api error"),
        pytest.param([DENIED, say("no")], ["--deny", "run_query"], 3, "denied", id="denied by rule"),
        pytest.param(
            [call(tool("run_query", sql="COPY (SELECT 1) TO 'x.csv'")), say("no")], [], 3, "denied", id="gate"
        ),
        pytest.param([DENIED, DENIED], ["--max-turns", "1"], 5, "max_turns", id="turns"),
        pytest.param([DENIED, DENIED, DENIED], ["--max-tokens", "200"], 6, "budget", id="tokens"),
        pytest.param([say("cut", stop="max_tokens")], [], 7, "truncated", id="truncated"),
        pytest.param([say("I", stop="refusal")], [], 8, "refused", id="refusal"),
        pytest.param([say("x"), say("y")], ["--schema", "schema.json"], 9, "schema_not_met", id="schema"),
        pytest.param([Reply(status=401, error="authentication_error")], [], 11, "auth", id="auth"),
        pytest.param([say("x", stall_after=3)], ["--timeout", "1.5"], 12, "timeout", id="timeout"),
    ],
)
def test_every_end_has_its_code_and_its_result(
    folder: Path, replies: list[Reply], flags: list[str], code: int, outcome: str
) -> None:
    (folder / "schema.json").write_text('{"type": "object"}')
    with serve(replies) as server:
        done = ask(folder, server, "--json", *flags, "go")
    assert (done.code, done.result["outcome"]) == (code, outcome), done.words


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--max-turns", "0", "x"],
        ["--allow", "((", "x"],
        ["--schema", "missing.json", "x"],
        ["--resume", "nope", "x"],
        ["--continue", "x"],
        ["--prompt-file", "missing.txt"],
        ["--prompt-file", "data/orders.csv", "x"],
        ["--plan", "data/orders.csv"],
        ["--script", "missing.yaml"],
        ["--mode", "yolo", "x"],
        ["--base-url", "nonsense", "x"],
        ["--model", "scripted:none.yaml", "x"],
    ],
)
def test_wrong_usage_is_told_without_a_request(folder: Path, flags: list[str]) -> None:
    with serve([]) as server:
        done = ask(folder, server, *flags)
        assert not server.requests
    assert done.code == 2
    assert done.words and "Traceback" not in done.words


def test_no_key_is_its_own_code(folder: Path) -> None:
    done = run_steward(folder, "run", "--json", "hello")
    assert (done.code, done.result["outcome"]) == (11, "auth")
    assert "ANTHROPIC_API_KEY" in done.words


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_the_result_and_the_words_so_far(folder: Path, number: signal.Signals, code: int) -> None:
    with serve([say("some words here", stall_after=5)]) as server:
        environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
        with start_steward(folder, "run", "--stream-json", "go", environment=environment) as process:
            assert process.stdout is not None
            lines: list[str] = []
            deadline = time.monotonic() + 30
            while not any('"delta"' in line for line in lines):
                assert time.monotonic() < deadline
                lines.append(process.stdout.readline())
            sent = time.monotonic()
            process.send_signal(number)
            out, words = process.communicate(timeout=20)
            took = time.monotonic() - sent
    result = json.loads(out.splitlines()[-1])
    assert process.returncode == code, words
    assert result["type"] == "result" and result["text"].startswith("some")
    assert took < 5


def test_the_key_is_printed_by_nobody(folder: Path) -> None:
    for form in ("--json", "--stream-json", "--text"):
        with serve([say(f"your key is {KEY}")]) as server:
            done = ask(folder, server, form, "--out", "left", "what is my key?")
        assert KEY not in done.out + done.words
    assert all(KEY.encode() not in p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_reader_that_goes_away_ends_the_run_without_success_or_noise(folder: Path) -> None:
    (folder / "turns.yaml").write_text(TURNS)
    with start_steward(folder, "run", "--stream-json", "--model", "scripted:turns.yaml", "go") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        words = process.stderr.read()
        assert process.wait(30) == 1
    assert "Traceback" not in words


def test_sessions_are_resumed_continued_and_forked(folder: Path) -> None:
    with serve([say("one"), say("two"), say("three"), say("four")]) as server:
        first = ask(folder, server, "--json", "first").result["session"]
        assert ask(folder, server, "--json", "--resume", first[-6:], "second").result["session"] == first
        assert ask(folder, server, "--json", "--continue", "third").result["session"] == first
        forked = ask(folder, server, "--json", "--fork", first, "fourth").result["session"]
        assert forked != first
        said = [m["content"][0]["text"] for m in server.bodies[3]["messages"]]
    assert said == ["first", "one", "second", "two", "third", "three", "fourth"]
    listed = run_steward(folder, "sessions", "list", "--json")
    assert {json.loads(line)["session_id"] for line in listed.out.splitlines()} == {first, forked}
    assert first in run_steward(folder, "sessions", "search", "first").out
    assert run_steward(folder, "sessions", "search", "zebra").code == 1
    assert "## You\n\nsecond" in run_steward(folder, "sessions", "show", first).out
    assert run_steward(folder, "sessions", "export", first, "--format", "sql", "-o", "x.sql").code == 0
    assert run_steward(folder, "sessions", "fork", first).out.startswith("s-")


def test_a_replay_tells_what_changed_since(folder: Path, answered: MessagesServer) -> None:
    session = ask(folder, answered, "--json", "what is the total?").result["session"]
    assert run_steward(folder, "replay", session).code == 0
    (folder / "data" / "orders.csv").write_text("id,amount\n1,10\n2,33\n")
    done = run_steward(folder, "replay", session, "--json")
    assert (done.code, done.result["finding"]) == (10, "changed")


SCRIPT = """
model: "scripted:turns.yaml"
steps:
  - name: total
    prompt: what is the total?
    assert: {contains: ["42"], calls: [run_query], results: 1, max_turns: 2}
  - prompt: and the rows?
    assert: {matches: "rows?", no_calls: [propose_change]}
"""
TURNS = """
turns:
  - calls: [{tool: run_query, arguments: {sql: "SELECT sum(amount) AS total FROM 'data/orders.csv'"}}]
  - capture: [{name: total, pattern: "\\\\b(42)\\\\b"}]
    say: "The total is {total} [{handle}]."
  - say: "There are two rows."
"""


def test_a_scripted_run_passes_or_names_what_does_not_hold(folder: Path) -> None:
    (folder / "ci.yaml").write_text(SCRIPT)
    (folder / "turns.yaml").write_text(TURNS)
    done = run_steward(folder, "run", "--script", "ci.yaml")
    assert done.code == 0, done.words
    assert "ok 1 total" in done.words
    (folder / "data" / "orders.csv").write_text("id,amount\n1,10\n")
    failed = run_steward(folder, "run", "--script", "ci.yaml")
    assert failed.code != 0 and "FAILED 1 total" in failed.words


def test_plan_only_prints_a_plan_that_can_be_carried_out(folder: Path) -> None:
    steps = [{"title": "count", "reads": ["orders"], "writes": []}]
    with serve([call(tool("submit_plan", goal="count", steps=steps))]) as server:
        planned = ask(folder, server, "--json", "--plan-only", "plan it")
    assert planned.code == 0
    (folder / "plan.json").write_text(json.dumps(planned.result["plan"]))
    with serve([say("Carried out.")]) as server:
        done = ask(folder, server, "--plan", "plan.json")
        assert "approved by a person" in str(server.bodies[0]["messages"][0])
    assert (done.code, done.out) == (0, "Carried out.\n")


def test_the_interface_describes_itself(folder: Path) -> None:
    spec: Any = json.loads(run_steward(folder, "run", "--spec").out)
    named = {name for option in spec["options"] for name in option["names"]}
    assert {"--on-approval", "--require-evidence", "--stream-json", "--max-usd"} <= named
    assert {o["exit_code"] for o in spec["outcomes"]} >= {0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 130, 143}
    assert spec["event_version"] == 1


def test_the_sdk_is_not_imported_before_it_is_needed(folder: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, datasteward_cli.run_session, datasteward_cli.run_steps, datasteward_cli.session_commands,"
        " datasteward_agent.agent, datasteward_agent.models.choosing\n"
        "print([m for m in ('anthropic','httpx2','duckdb','pyarrow','mcp','textual','jsonschema') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


CHANGE = """
turns:
  - calls: [{tool: propose_change, arguments: {sql: "CREATE TABLE kept AS SELECT 42 AS a"}}]
  - when: {prompt_contains: "Decision on c1: applied"}
    say: "It is applied."
  - say: "It was not applied."
"""


def _decide(folder: Path, verdict: str) -> str:
    """Decide on c1 as the terminal's command does after its yes."""
    from datasteward_cli.app import Scope
    from datasteward_cli.changes_commands import with_service

    async def decide(service: Any) -> str:
        row = await service.show("c1")
        if verdict == "approve":
            report = await service.approve("c1", digest=row.summary.digest, by="ada", channel="terminal")
        else:
            report = await service.reject("c1", by="ada", channel="terminal", comment="not now")
        return str(report.status)

    return with_service(Scope(folder, no_owner=True), decide)


def _rows(folder: Path) -> list[Any]:
    import duckdb

    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        return connection.execute("SELECT * FROM kept").fetchall()


def test_a_run_that_waits_ends_with_4_and_resumes_after_the_approval(folder: Path) -> None:
    (folder / "turns.yaml").write_text(CHANGE)
    model = ("--model", "scripted:turns.yaml")
    waiting = run_steward(folder, "run", "--json", *model, "keep it")
    assert (waiting.code, waiting.result["waiting"]) == (4, ["c1"])
    assert f"--resume {waiting.result['session']}" in waiting.words
    still = run_steward(folder, "run", "--json", *model, "--resume", waiting.result["session"])
    assert still.code == 4
    refused = run_steward(folder, "run", "--json", *model, "--resume", waiting.result["session"], "--approve", "c1")
    assert refused.code == 3, "approving needs a terminal"
    assert _decide(folder, "approve") == "applied"
    done = run_steward(folder, "run", *model, "--resume", waiting.result["session"])
    assert (done.code, done.out) == (0, "It is applied.\n")
    assert _rows(folder) == [(42,)]


def test_a_rejected_change_ends_with_3(folder: Path) -> None:
    (folder / "turns.yaml").write_text(CHANGE)
    model = ("--model", "scripted:turns.yaml")
    waiting = run_steward(folder, "run", "--json", *model, "keep it")
    _decide(folder, "reject")
    done = run_steward(folder, "run", "--json", *model, "--resume", waiting.result["session"])
    assert (done.code, done.result["text"]) == (3, "It was not applied.")


def test_denying_what_waits_takes_it_out_of_the_inbox_and_ends_with_3(folder: Path) -> None:
    (folder / "turns.yaml").write_text(CHANGE)
    done = run_steward(folder, "run", "--json", "--model", "scripted:turns.yaml", "--on-approval", "deny", "keep it")
    assert (done.code, done.result["waiting"]) == (3, [])
    assert not (folder / "warehouse.duckdb").exists()
    with pytest.raises(Exception, match="c1"):
        _decide(folder, "approve")


def test_a_wrong_number_fails_where_evidence_is_required(folder: Path) -> None:
    with serve([call(LOOK), say("The total is 43 [r1]."), say("The total is 43 [r1].")]) as server:
        done = ask(folder, server, "--json", "--require-evidence", "what is the total?")
    assert (done.code, done.result["outcome"]) == (13, "evidence_missing")
    assert done.result["figures"][0]["verdict"] == "not_found"
