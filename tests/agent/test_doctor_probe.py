"""`steward doctor` asks a model that is named, tells what it found, and sends the key nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_runs import KEY
from tests.support.messages_server import Reply, call, say, serve, tool
from tests.support.steward_process import Finished, run_steward

READY = call(tool("report_ready", ready=True))


def probe(done: Finished) -> dict[str, Any]:
    return next(f for f in json.loads(done.out) if f["subject"] == "model probe")


def test_no_model_is_asked_unless_one_is_named(tmp_path: Path) -> None:
    done = run_steward(tmp_path, "doctor", "--json", environment={"ANTHROPIC_API_KEY": KEY})
    subjects = [f["subject"] for f in json.loads(done.out)]
    assert "model" in subjects and "model probe" not in subjects


@pytest.mark.parametrize("by_flag", [True, False])
def test_a_model_that_calls_tools_is_well(tmp_path: Path, by_flag: bool) -> None:
    with serve([READY]) as server:
        flags = ("--base-url", server.url, "--model", "qwen3") if by_flag else ()
        environment = {} if by_flag else {"ANTHROPIC_BASE_URL": server.url}
        found = probe(run_steward(tmp_path, "doctor", "--json", *flags, environment=environment))
        assert len(server.requests) == 1
    assert found["level"] == "ok" and "calls tools" in found["text"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (say("I am ready."), "called no tool"),
        (Reply(status=401, error="authentication_error", message=f"bad key {KEY}\x1b[2J"), "does not answer: auth"),
    ],
)
def test_a_model_that_will_not_do_is_a_problem(tmp_path: Path, reply: Reply, words: str) -> None:
    with serve([reply]) as server:
        done = run_steward(
            tmp_path, "doctor", "--json", "--base-url", server.url, environment={"ANTHROPIC_API_KEY": KEY}
        )
    found = probe(done)
    assert done.code == 1 and found["level"] == "problem" and words in found["text"]
    assert KEY not in done.out + done.words and "\\u001b" not in done.out


def test_a_redirect_does_not_take_the_key_elsewhere(tmp_path: Path) -> None:
    with serve([READY]) as other:
        moved = Reply(status=307, headers=(("location", f"{other.url}/v1/messages"),))
        with serve([moved]) as server:
            done = run_steward(
                tmp_path, "doctor", "--json", "--base-url", server.url, environment={"ANTHROPIC_API_KEY": KEY}
            )
            assert len(server.requests) == 1
        assert not other.requests
    assert probe(done)["level"] == "problem"


def test_a_missing_client_is_only_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "anthropic" else find(n, *a))
    found = probe(run_steward(tmp_path, "doctor", "--json", "--model", "claude-opus-5-5"))
    assert found["level"] == "note" and "not installed" in found["text"]


def test_no_server_and_no_key_are_told(tmp_path: Path) -> None:
    assert (
        "cannot be reached"
        in probe(run_steward(tmp_path, "doctor", "--json", "--base-url", "http://127.0.0.1:9"))["text"]
    )
    assert "needs a key" in probe(run_steward(tmp_path, "doctor", "--json", "--model", "claude-opus-5-5"))["text"]
