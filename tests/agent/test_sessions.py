"""Sessions on disk: resumed, copied, searched, exported, replayed, and whole after a crash."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.agent_runs import Seen, open_store, options, run_once, scripted
from tests.support.duck_toolset import DuckToolset, SqliteDesk

from datasteward.errors import ToolError
from datasteward_agent.agent import Agent
from datasteward_agent.conversation import (
    AssistantMessage,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
    close_open_calls,
)
from datasteward_agent.events import Noticed, RunEnded, UserSaid, parse_event
from datasteward_agent.replay import rename_handles, replay_session
from datasteward_agent.session_export import export_markdown, export_sql
from datasteward_agent.session_state import build_state
from datasteward_agent.session_store import SessionStore

pytestmark = pytest.mark.anyio


def query(sql: str) -> dict[str, Any]:
    return {"tool": "run_query", "arguments": {"sql": sql}}


async def talk(
    store: SessionStore, *turns: dict[str, Any], tools: DuckToolset | None = None, prompt: str = "how many orders?"
) -> tuple[str, RunEnded, Seen]:
    session = store.create()
    agent = Agent(model=scripted(*turns), toolset=tools or DuckToolset(), session=session, options=options())
    ended, seen = await run_once(agent, prompt)
    store.index(session)
    session.close()
    return session.session_id, ended, seen


async def test_the_log_holds_every_lasting_event_and_builds_the_same_state(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session_id, ended, seen = await talk(store, {"say": "look", "calls": [query("SELECT 7")]}, {"say": "7 [r1]"})
        events = store.read(session_id)
        lasting = [e for e in seen.events if e.n]
        assert events == [parse_event(e.model_dump_json()) for e in lasting]
        assert [e.n for e in events] == list(range(1, len(events) + 1))
        state = build_state(events)
        assert state.handles == {"r1": "SELECT 7"}
        assert state.title == "how many orders?"
        assert state.outcome == ended.outcome == "done"


async def test_a_session_is_open_in_one_process_at_a_time(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session = store.create()
        with pytest.raises(ToolError) as caught:
            store.open(session.session_id)
        assert caught.value.code == "busy"
        session.close()
        store.open(session.session_id).close()


async def test_a_line_cut_by_a_crash_is_dropped_and_the_session_goes_on(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(store, {"say": "hello"})
        before = store.read(session_id)
        path = store.folder / f"{session_id}.jsonl"
        path.write_bytes(path.read_bytes() + b'{"v":1,"n":99,"type":"noti')
        assert store.read(session_id) == before
        session = store.open(session_id)
        session.append(session.stamp(Noticed(text="on we go")))
        session.close()
        assert store.read(session_id)[-1].n == before[-1].n + 1


@pytest.mark.parametrize("line", [b"{}\n", b'{"v":2,"type":"notice","text":"x"}\n', b"garbage\n"])
async def test_a_damaged_line_is_told_with_its_number(tmp_path: Path, line: bytes) -> None:
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(store, {"say": "hello"})
        path = store.folder / f"{session_id}.jsonl"
        path.write_bytes(line + path.read_bytes())
        with pytest.raises(ToolError, match="Line 1"):
            store.read(session_id)


async def test_a_fork_goes_its_own_way(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        first, _, _ = await talk(store, {"say": "one"})
        copy = store.fork(first, upto=3)
        copy.append(copy.stamp(Noticed(text="elsewhere")))
        store.index(copy)
        copy.close()
        assert len(store.read(copy.session_id)) == 4
        assert all(e.type != "notice" for e in store.read(first))
        assert {s.session_id: s.parent for s in store.summaries()}[copy.session_id] == first


async def test_sessions_are_found_by_what_was_said_and_run(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        first, _, _ = await talk(
            store, {"calls": [query("SELECT 1 AS turnover")]}, {"say": "Lisbon leads."}, prompt="best city?"
        )
        second, _, _ = await talk(store, {"say": "Porto leads."}, prompt="worst city?")
        assert {h.session_id for h in store.search("city")} == {first, second}
        assert [(h.session_id, h.kind) for h in store.search("turnov")] == [(first, "sql")]
        assert [h.kind for h in store.search("porto LEADS")] == ["agent"]
        for hostile in ('"', "a OR", "NEAR(", "*", "x:y", "';--"):
            store.search(hostile)


async def test_an_index_that_was_lost_is_built_again(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(store, {"say": "Evora leads."})
    for leftover in tmp_path.glob("state.sqlite*"):
        leftover.unlink()
    with open_store(tmp_path) as store:
        assert [h.session_id for h in store.search("evora")] == [session_id]
        assert store.summaries()[0].title == "how many orders?"


async def test_a_session_is_named_by_the_end_of_its_name(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(store, {"say": "x"})
        assert store.find(session_id[-6:]) == session_id == store.latest()
        for wrong in ("nope", "../state", "s-20260101-000000-abcdef", ""):
            with pytest.raises(ToolError):
                store.find(wrong)


async def test_exports_hold_what_happened(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(
            store,
            {"calls": [query("SELECT '```' AS a"), query("SELECT nope")]},
            {"say": "It is ``` [r1]."},
        )
        events = store.read(session_id)
    markdown = export_markdown(session_id, events)
    assert "## You\n\nhow many orders?" in markdown and "It is ``` [r1]." in markdown
    assert "````sql\nSELECT '```' AS a\n````" in markdown
    sql = export_sql(session_id, events)
    assert "-- how many orders?" in sql
    assert "-- run_query -> r1\nSELECT '```' AS a;" in sql
    assert "-- SELECT nope" in sql


async def test_a_replay_tells_which_results_changed(tmp_path: Path) -> None:
    tools = DuckToolset()
    tools.connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(5)")
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(
            store,
            {"calls": [query("SELECT 1 AS one"), query("SELECT sum(a) AS s FROM t"), query("SELECT b FROM t")]},
            {"say": "ok"},
            tools=tools,
        )
        events = store.read(session_id)
    tools.connection.execute("UPDATE t SET a = 100 WHERE a = 4")
    found = [r async for r in replay_session(events, tools)]
    assert [r.finding for r in found] == ["same", "changed", "same"]
    assert found[1].difference == "10 -> 106"
    tools.connection.execute("DROP TABLE t")
    assert [r.finding async for r in replay_session(events, tools)] == ["same", "fails_now", "same"]


async def test_a_replay_never_changes_anything(tmp_path: Path) -> None:
    desk = SqliteDesk(tmp_path)
    tools = DuckToolset(desk=desk)
    with open_store(tmp_path) as store:
        session_id, _, _ = await talk(
            store, {"calls": [{"tool": "propose_change", "arguments": {"sql": "DROP TABLE x"}}]}, tools=tools
        )
        found = [r async for r in replay_session(store.read(session_id), tools)]
    assert [r.finding for r in found] == ["skipped"]
    assert len(tools.calls) == 1


def test_handles_are_renamed_in_queries_but_not_in_quotes() -> None:
    renamed = {"r1": "r10", "r10": "r2"}
    assert rename_handles("SELECT 'r1', \"r1\" FROM r1 JOIN r10 USING (r100)", renamed) == (
        "SELECT 'r1', \"r1\" FROM r10 JOIN r2 USING (r100)"
    )


def test_times_are_utc_whatever_the_clock_says(tmp_path: Path) -> None:
    from datasteward.state import StateDatabase

    state = StateDatabase(tmp_path / "state.sqlite")
    store = SessionStore(tmp_path / "sessions", state, clock=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    session = store.create()
    event = session.stamp(Noticed(text="x"))
    session.close()
    state.close()
    assert event.at == "2026-03-01T12:00:00.000Z"
    assert session.session_id.startswith("s-20260301-120000-")


_PARTS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True)


@given(st.lists(st.tuples(st.sampled_from(["say", "call", "answer"]), _PARTS), max_size=8))
@settings(max_examples=80, deadline=None)
def test_whatever_a_crash_left_every_call_gets_exactly_one_result(steps: list[tuple[str, list[str]]]) -> None:
    messages: list[Message] = []
    open_ids: list[str] = []
    for number, (kind, names) in enumerate(steps):
        if kind == "say":
            messages.append(UserMessage(parts=(Text(text="x"),)))
            open_ids = []
        elif kind == "call":
            open_ids = [f"{n}{number}" for n in names]
            calls = tuple(ToolCall(call_id=i, name="t", arguments={}) for i in open_ids)
            messages.append(AssistantMessage(parts=calls))
        elif open_ids:
            given_ids = open_ids[: len(names)]
            messages.append(UserMessage(parts=tuple(ToolResult(call_id=i, text="r") for i in given_ids)))
            open_ids = []
    whole = close_open_calls(tuple(messages))
    for index, message in enumerate(whole):
        if isinstance(message, AssistantMessage) and message.calls:
            following = whole[index + 1]
            assert isinstance(following, UserMessage)
            answered = [p.call_id for p in following.parts if isinstance(p, ToolResult)]
            assert sorted(answered) == sorted(c.call_id for c in message.calls)
    assert close_open_calls(whole) == whole


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_words_survive_the_log(words: str) -> None:
    event = UserSaid(message=UserMessage(parts=(Text(text=words),)))
    assert parse_event(event.model_dump_json()) == event
