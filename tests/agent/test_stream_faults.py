"""Every way a model's stream can go wrong, over real HTTP with the real client."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_runs import Seen, messages_model, open_store, options, run_once
from tests.support.duck_toolset import DuckToolset
from tests.support.messages_server import Reply, call, say, serve, text, thinking, tool

from datasteward_agent.agent import Agent
from datasteward_agent.events import ModelSaid, RetryWaited, RunEnded, ToolCalled

pytestmark = pytest.mark.anyio
GOOD = say("All is well.")


async def _run(folder: Path, replies: Any, **more: Any) -> tuple[RunEnded, Seen, Any]:
    with serve(replies) as server, open_store(folder) as store:
        session = store.create()
        agent = Agent(
            model=messages_model(server.url, stall_seconds=more.pop("stall_seconds", None)),
            toolset=DuckToolset(),
            session=session,
            options=options(**more),
        )
        ended, seen = await run_once(agent, "how are things?")
        session.close()
        return ended, seen, server


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(say("half a rep", cut_after=4), "cut", id="socket cut in mid-stream"),
        pytest.param(say("half", end_after=5), "unfinished", id="clean end before the message stops"),
        pytest.param(Reply(is_empty=True), "empty", id="empty stream"),
        pytest.param(Reply(stop="end_turn"), "empty", id="reply without words"),
        pytest.param(say("half", error_after=4, error="overloaded_error"), "overloaded", id="overloaded within stream"),
        pytest.param(say("half", error_after=4, error="api_error"), "server", id="error within stream"),
        pytest.param(say("x", garbage_after=3), "unfinished", id="line that is not JSON"),
        pytest.param(Reply(status=529, error="overloaded_error"), "overloaded", id="529 before the body"),
        pytest.param(Reply(status=500), "server", id="500"),
        pytest.param(Reply(status=429, error="rate_limit_error"), "rate_limited", id="429"),
        pytest.param(
            call(tool("run_query", sql="SELECT 1"), raw_tool_json='{"sql": "SELECT 1'),
            "bad_tool_arguments",
            id="tool arguments cut",
        ),
        pytest.param(say("x", stop="tool_use"), "unfinished", id="stop for a tool without a call"),
    ],
)
async def test_a_passing_fault_is_retried_visibly_and_the_answer_comes(tmp_path: Path, fault: Reply, why: str) -> None:
    ended, seen, server = await _run(tmp_path, [fault, GOOD])
    assert (ended.outcome, ended.text) == ("done", "All is well.")
    retries = seen.of(RetryWaited)
    assert [(r.why, r.attempt, r.of) for r in retries] == [(why, 2, 3)]
    assert len(server.bodies) == 2
    assert server.bodies[0] == server.bodies[1], "a retry sends the very same request"


async def test_a_stalled_stream_is_given_up_and_retried(tmp_path: Path) -> None:
    ended, seen, _ = await _run(tmp_path, [say("half of it", stall_after=4), GOOD], stall_seconds=0.3)
    assert ended.outcome == "done"
    assert seen.of(RetryWaited)[0].why == "stalled"
    assert seen.of(RetryWaited)[0].discarded_characters > 0


async def test_a_server_that_does_not_begin_to_answer_is_retried(tmp_path: Path) -> None:
    ended, seen, _ = await _run(tmp_path, [say("late", first_byte_seconds=2), GOOD], stall_seconds=0.3)
    assert ended.outcome == "done"
    assert seen.of(RetryWaited)[0].why == "timeout"


async def test_retries_end_and_the_run_fails_honestly(tmp_path: Path) -> None:
    ended, seen, server = await _run(tmp_path, [say("x", cut_after=4)] * 5)
    assert ended.outcome == "failed"
    assert ended.error is not None and ended.error.startswith("cut")
    assert len(seen.of(RetryWaited)) == 2
    assert len(server.bodies) == 3


async def test_a_refused_connection_fails_after_retries(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        agent = Agent(
            model=messages_model("http://127.0.0.1:9"), toolset=DuckToolset(), session=store.create(), options=options()
        )
        ended, seen = await run_once(agent, "hi")
    assert ended.outcome == "failed"
    assert [r.why for r in seen.of(RetryWaited)] == ["connection", "connection"]


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (401, "authentication_error", "auth"),
        (403, "permission_error", "auth"),
        (400, "invalid_request_error", "failed"),
        (404, "not_found_error", "failed"),
    ],
)
async def test_a_lasting_fault_is_not_retried(tmp_path: Path, status: int, kind: str, outcome: str) -> None:
    ended, seen, server = await _run(tmp_path, [Reply(status=status, error=kind, message="no"), GOOD])
    assert ended.outcome == outcome
    assert not seen.of(RetryWaited)
    assert len(server.bodies) == 1


async def test_the_server_s_wish_to_wait_is_kept(tmp_path: Path) -> None:
    slow = Reply(status=429, error="rate_limit_error", headers=(("retry-after-ms", "40"),))
    ended, seen, _ = await _run(tmp_path, [slow, GOOD])
    assert ended.outcome == "done"
    assert seen.of(RetryWaited)[0].wait_seconds == 0.04


async def test_a_wish_for_hours_ends_the_run_instead_of_hanging_it(tmp_path: Path) -> None:
    slow = Reply(status=429, error="rate_limit_error", headers=(("retry-after", "90000"),))
    ended, _, _ = await _run(tmp_path, [slow, GOOD])
    assert ended.outcome == "failed"
    assert ended.error is not None and "90,000 s" in ended.error


async def test_a_server_that_says_no_retry_is_obeyed(tmp_path: Path) -> None:
    ended, _, server = await _run(tmp_path, [Reply(status=500, headers=(("x-should-retry", "false"),)), GOOD])
    assert ended.outcome == "failed"
    assert len(server.bodies) == 1


async def test_a_refusal_ends_the_run_with_its_category(tmp_path: Path) -> None:
    ended, _, _ = await _run(tmp_path, [Reply(content=(text("I"),), stop="refusal", refusal="cyber")])
    assert ended.outcome == "refused"
    assert ended.error is not None and "cyber" in ended.error


async def test_a_reply_cut_at_the_output_limit_is_truncated_and_runs_no_call(tmp_path: Path) -> None:
    cut = call(text("look"), tool("run_query", sql="SELECT 1"), stop="max_tokens", raw_tool_json='{"sql": "DELETE FROM')
    ended, seen, _ = await _run(tmp_path, [cut])
    assert ended.outcome == "truncated"
    assert not seen.of(ToolCalled)
    assert ended.text == "look"


async def test_a_pause_goes_on_with_the_same_conversation(tmp_path: Path) -> None:
    ended, _, server = await _run(tmp_path, [say("part one", stop="pause_turn"), say("part two")])
    assert ended.outcome == "done"
    assert [m["role"] for m in server.bodies[1]["messages"]] == ["user", "assistant"]


async def test_a_full_context_is_summed_up_once_and_then_told(tmp_path: Path) -> None:
    full = Reply(status=400, error="invalid_request_error", message="prompt is too long: 1 tokens")
    steps = [call(tool("run_query", f"t{n}", sql=f"SELECT {n}")) for n in range(8)]
    ended, seen, server = await _run(tmp_path, [*steps, full, GOOD])
    assert ended.outcome == "done"
    compactions = [e for e in seen.events if e.type == "compaction"]
    assert len(compactions) == 1
    assert "r1" in compactions[0].kept_handles
    assert "r1: SELECT 0" in str(server.bodies[-1]["messages"][0])
    ended, _, _ = await _run(tmp_path, [*steps, full, full])
    assert ended.outcome == "truncated"


async def test_the_context_window_stop_reason_is_a_full_context_too(tmp_path: Path) -> None:
    steps = [call(tool("run_query", f"t{n}", sql=f"SELECT {n}")) for n in range(8)]
    ended, _, _ = await _run(tmp_path, [*steps, say("cut", stop="model_context_window_exceeded"), GOOD])
    assert ended.outcome == "done"


async def test_thinking_is_shown_and_sent_back_unchanged(tmp_path: Path) -> None:
    first = Reply(content=(thinking("let me see", "sig-1"), tool("run_query", sql="SELECT 1")))
    ended, seen, server = await _run(tmp_path, [first, GOOD])
    assert ended.outcome == "done"
    assert "".join(e.delta for e in seen.events if e.type == "thinking") == "let me see"
    assert server.bodies[0]["thinking"] == {"type": "adaptive", "display": "summarized"}
    sent = server.bodies[1]["messages"][1]["content"][0]
    assert sent == {"type": "thinking", "thinking": "let me see", "signature": "sig-1"}


async def test_what_a_failed_attempt_had_said_is_not_part_of_the_conversation(tmp_path: Path) -> None:
    _, seen, _ = await _run(tmp_path, [say("wrong start", cut_after=5), GOOD])
    assert [e.message.text for e in seen.of(ModelSaid)] == ["All is well."]


@pytest.mark.parametrize("fault", ["cut_after", "end_after", "error_after", "garbage_after"])
async def test_wherever_a_stream_breaks_the_call_runs_once_and_the_answer_comes(tmp_path: Path, fault: str) -> None:
    whole = Reply(content=(thinking("hm"), text("I look."), tool("run_query", sql="SELECT 1 AS a")))
    for place in range(len(fault) % 3, 23, 3):
        broken = dataclasses.replace(whole, **{fault: place})
        tools = DuckToolset()
        with serve([broken, whole, GOOD, GOOD]) as server, open_store(tmp_path) as store:
            session = store.create()
            agent = Agent(model=messages_model(server.url), toolset=tools, session=session, options=options())
            ended, _ = await run_once(agent, "go")
            session.close()
        assert (ended.outcome, ended.text) == ("done", "All is well."), place
        assert len(tools.calls) == 1, place


async def test_blocks_of_kinds_to_come_are_passed_over(tmp_path: Path) -> None:
    ended, _, _ = await _run(tmp_path, [Reply(content=({"type": "brand_new", "x": 1}, text("Still here.")))])
    assert (ended.outcome, ended.text) == ("done", "Still here.")


async def test_long_and_odd_words_arrive_as_they_were_sent(tmp_path: Path) -> None:
    words = "naïve 😀 \u2028 line\n" * 2000
    ended, seen, _ = await _run(tmp_path, [say(words)])
    assert ended.text == words == seen.text
