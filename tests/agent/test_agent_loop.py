"""The loop: order of calls, bounds, cancelling, plans, approvals, evidence and schemas."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_runs import Seen, messages_model, open_store, options, run_once, scripted
from tests.support.duck_toolset import DuckToolset, SqliteDesk
from tests.support.messages_server import Reply, call, say, serve, tool

from datasteward.errors import ConfigError
from datasteward_agent.agent import Agent
from datasteward_agent.conversation import AssistantMessage, ToolResult, UserMessage
from datasteward_agent.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallDenied,
    Compacted,
    EvidenceChecked,
    ModelSaid,
    PlanDecided,
    RunEnded,
    TextArrived,
    ToolReturned,
    UserSaid,
)
from datasteward_agent.limits import Budget
from datasteward_agent.plans import Plan, PlanDecision
from datasteward_agent.rules import CallGate, parse_rule
from datasteward_agent.toolset import EvidenceReport, FigureVerdict, Question, ToolAnswer, ToolDefinition

pytestmark = pytest.mark.anyio


def query(sql: str) -> dict[str, Any]:
    return {"tool": "run_query", "arguments": {"sql": sql}}


def change(sql: str) -> dict[str, Any]:
    return {"tool": "propose_change", "arguments": {"sql": sql}}


class Kit:
    """An agent on a scripted model and a real toolset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = SqliteDesk(folder)
        self.tools = DuckToolset(desk=self.desk)

    async def run(self, *turns: dict[str, Any], prompt: str | None = "go", **more: Any) -> tuple[RunEnded, Seen]:
        parts = {k: more.pop(k) for k in ("person", "evidence", "desk") if k in more}
        model = more.pop("model", None) or scripted(*turns)
        approvals = more.pop("approvals", ())
        resume = more.pop("resume", None)
        with open_store(self.folder) as store:
            session = store.open(resume) if resume else store.create()
            agent = Agent(
                model=model,
                toolset=self.tools,
                session=session,
                options=options(**more),
                **{"desk": self.desk, **parts},
            )
            ended, seen = await run_once(agent, prompt, approvals=approvals)
            session.close()
            return ended, seen


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


def results(seen: Seen) -> list[ToolResult]:
    said = [e.message for e in seen.of(UserSaid)]
    return [p for m in said for p in m.parts if isinstance(p, ToolResult)]


async def test_reads_run_side_by_side_and_writes_one_after_another(kit: Kit) -> None:
    slow = "SELECT count(*) FROM range(3000000) a, range(40) b"
    ended, seen = await kit.run(
        {"calls": [query(slow), query("SELECT 1"), change("INSERT"), change("UPDATE"), query("SELECT 2")]},
        {"say": "done"},
        on_waiting="pause",
        gate=CallGate(mode="auto"),
    )
    assert ended.outcome == "waiting"
    first, second, insert, update, last = kit.tools.calls
    assert second.began < (first.ended or 0), "the second read began before the first had ended"
    assert insert.began > max(first.ended or 0, second.ended or 0)
    assert update.began > (insert.ended or 0)
    assert last.began > (update.ended or 0)
    assert [r.call_id for r in results(seen)] == [f"call_1_0_{n}" for n in range(5)]


async def test_cancelling_keeps_the_words_and_is_told_within_100_ms(tmp_path: Path) -> None:
    with serve([say("one two three four", gap_seconds=0.05, stall_after=6)]) as server, open_store(tmp_path) as store:
        session = store.create()
        agent = Agent(model=messages_model(server.url), toolset=DuckToolset(), session=session, options=options())
        seen, moment = Seen(), [0.0]

        def watch(event: Any) -> None:
            seen(event)
            if isinstance(event, TextArrived) and not moment[0]:
                moment[0] = time.perf_counter()
                agent.cancel()

        ended = await agent.run("count", watch)
        took = time.perf_counter() - moment[0]
        await agent.close()
    assert ended.outcome == "interrupted"
    assert took < 0.1
    partial = seen.of(ModelSaid)[-1].message
    assert partial.is_partial and partial.text == ended.text
    assert ended.text.startswith("one")


async def test_a_cancel_reaches_a_running_query(kit: Kit) -> None:
    endless = "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range + b.range = -1"
    with open_store(kit.folder) as store:
        agent = Agent(
            model=scripted({"calls": [query(endless)]}), toolset=kit.tools, session=store.create(), options=options()
        )
        began: list[float] = []

        def watch(event: Any) -> None:
            if event.type == "tool.progress":
                asyncio.get_running_loop().call_later(0.1, lambda: (began.append(time.perf_counter()), agent.cancel()))

        ended = await agent.run("go", watch)
        took = time.perf_counter() - began[0]
        await agent.close()
    assert ended.outcome == "interrupted"
    assert took < 0.3
    assert kit.tools.calls[0].is_cancelled and kit.tools.calls[0].ended is not None


async def test_an_interrupted_session_goes_on_with_every_call_answered(kit: Kit) -> None:
    with serve([call(tool("run_query", "t1", sql="SELECT 1")), say("x", stall_after=4)]) as server:
        ended, _ = await kit.run(model=messages_model(server.url), budget=Budget(seconds=0.6))
    assert ended.outcome == "timeout"
    with serve([say("finished")]) as server:
        again, _ = await kit.run(model=messages_model(server.url), prompt=None, resume=ended.session)
        sent = server.bodies[0]["messages"]
    assert (again.outcome, again.text) == ("done", "finished")
    assert [m["role"] for m in sent][:3] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("budget", "outcome"),
    [
        (Budget(turns=2), "max_turns"),
        (Budget(tokens=400), "budget"),
        (Budget(usd=0.003), "budget"),
        (Budget(seconds=0.3), "timeout"),
    ],
)
async def test_a_bound_ends_the_run_before_it_is_broken(kit: Kit, budget: Budget, outcome: str) -> None:
    def forever(body: Any, number: int) -> Reply:
        return call(tool("run_query", f"t{number}", sql="SELECT 1"), input_tokens=100, first_byte_seconds=0.02)

    with serve(forever) as server:
        ended, _ = await kit.run(model=messages_model(server.url), budget=budget)
        limits = [b["max_tokens"] for b in server.bodies]
    assert ended.outcome == outcome
    if budget.turns == 2:
        assert len(limits) == budget.turns
    if budget.tokens:
        assert ended.usage.total_tokens <= budget.tokens
    if budget.usd:
        assert ended.usd_estimate is not None and ended.usd_estimate <= budget.usd
        assert limits[-1] < 1000, "the reply is given no more room than the money left"


async def test_a_money_bound_on_a_model_without_a_price_is_refused(kit: Kit) -> None:
    with serve([say("x")]) as server:
        ended, _ = await kit.run(model=messages_model(server.url, name="claude-unheard-of"), budget=Budget(usd=1))
        assert not server.bodies
    assert ended.outcome == "failed"


async def test_an_unknown_tool_is_answered_with_near_names(kit: Kit) -> None:
    ended, seen = await kit.run({"calls": [{"tool": "run_qery", "arguments": {}}]}, {"say": "ok"})
    assert ended.outcome == "done"
    assert "run_query" in results(seen)[0].text and results(seen)[0].is_error


async def test_a_failed_tool_that_never_worked_again_is_not_success(kit: Kit) -> None:
    kit.tools.failures["run_query"] = [ToolAnswer(text="unavailable: gone", is_error=True, code="unavailable")]
    ended, _ = await kit.run({"calls": [query("SELECT 1")]}, {"say": "I could not."})
    assert ended.outcome == "tool_failed"
    kit.tools.failures["run_query"] = [ToolAnswer(text="unavailable: gone", is_error=True, code="unavailable")]
    ended, _ = await kit.run({"calls": [query("SELECT 1")]}, {"calls": [query("SELECT 1")]}, {"say": "There."})
    assert ended.outcome == "done"


async def test_a_tool_that_raises_becomes_an_answer(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    ended, seen = await kit.run({"calls": [{"tool": "run_query", "arguments": {}}]}, {"say": "ok"})
    assert ended.outcome == "tool_failed"
    assert seen.of(ToolReturned)[0].code == "internal"
    assert "calling run_query failed" in caplog.text


async def test_plan_mode_offers_and_runs_no_writing_tool(kit: Kit) -> None:
    with serve([call(tool("propose_change", sql="DELETE")), say("I only planned.")]) as server:
        ended, seen = await kit.run(model=messages_model(server.url), gate=CallGate(mode="plan"))
        offered = {t["name"] for t in server.bodies[0]["tools"]}
    assert offered == {"run_query", "submit_plan", "ask_user"}
    assert ended.outcome == "denied"
    assert not kit.tools.calls
    assert seen.of(CallDenied)[0].name == "propose_change"


@pytest.mark.parametrize(
    ("allow", "deny", "sql", "passes"),
    [
        ((), (), "UPDATE orders SET a = 1", True),
        (("propose_change(sql=update orders*)",), (), "UPDATE  orders\nSET a = 1", True),
        (("propose_change(sql=update orders*)",), (), "DELETE FROM orders", False),
        ((), ("propose_*",), "UPDATE orders SET a = 1", False),
        (("propose_change",), ("propose_change(sql=*delete*)",), "DELETE FROM orders", False),
    ],
)
async def test_rules_decide_by_tool_and_argument(
    kit: Kit, allow: tuple[str, ...], deny: tuple[str, ...], sql: str, passes: bool
) -> None:
    kit.tools.proposal_status = "applied"
    gate = CallGate(mode="ask", allow=tuple(map(parse_rule, allow)), deny=tuple(map(parse_rule, deny)))
    ended, _ = await kit.run({"calls": [change(sql)]}, {"say": "ok"}, gate=gate)
    assert ended.outcome == ("done" if passes else "denied")
    assert bool(kit.tools.calls) == passes


async def test_the_same_denied_call_again_and_again_ends_the_run(kit: Kit) -> None:
    with serve(lambda body, n: call(tool("propose_change", f"t{n}", sql="DELETE"))) as server:
        ended, _ = await kit.run(model=messages_model(server.url), gate=CallGate(mode="plan"))
        assert len(server.bodies) == 3
    assert ended.outcome == "denied"


async def test_a_change_that_waits_pauses_the_run_and_is_applied_once_after_approval(kit: Kit) -> None:
    turns = ({"calls": [change("CREATE TABLE t AS SELECT 42 AS a")]}, {"say": "Applied."})
    ended, seen = await kit.run(*turns)
    assert (ended.outcome, ended.waiting) == ("waiting", ("c1",))
    assert seen.of(ApprovalRequested)[0].digest == "d" * 64
    still, _ = await kit.run(*turns, prompt=None, resume=ended.session)
    assert still.outcome == "waiting" and still.turns == 0
    kit.desk.decide("c1", "approved", "go ahead")
    last, seen = await kit.run(*turns, prompt=None, resume=ended.session)
    assert (last.outcome, last.text) == ("done", "Applied.")
    assert seen.of(ApprovalDecided)[-1].status == "applied"
    assert (await kit.desk.apply("c1")).status == "applied"
    again, _ = await kit.run(*turns, prompt=None, resume=ended.session)
    assert again.outcome == "done"


async def test_a_rejection_reaches_the_model_with_its_comment_and_is_not_success(kit: Kit) -> None:
    turns = ({"calls": [change("DELETE FROM t")]}, {"say": "Understood."})
    ended, _ = await kit.run(*turns)
    kit.desk.decide("c1", "rejected", "keep last year's rows")
    last, seen = await kit.run(*turns, prompt=None, resume=ended.session)
    assert last.outcome == "denied"
    assert "keep last year's rows" in seen.of(UserSaid)[0].message.text


async def test_denying_what_waits_takes_the_proposal_back(kit: Kit) -> None:
    ended, _ = await kit.run({"calls": [change("DELETE FROM t")]}, {"say": "Not done."}, on_waiting="deny")
    assert ended.outcome == "denied"
    assert kit.desk.state("c1").status == "rejected"


async def test_waiting_holds_the_run_until_somebody_decides(kit: Kit) -> None:
    async def decide() -> None:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if kit.tools.calls and kit.tools.calls[0].ended:
                kit.desk.decide("c1", "approved")
                return

    deciding = asyncio.create_task(decide())
    ended, _ = await kit.run({"calls": [change("CREATE TABLE u (a INT)")]}, {"say": "Applied."}, on_waiting="wait")
    await deciding
    assert ended.outcome == "done"
    assert kit.desk.state("c1").status == "applied"


async def test_auto_mode_goes_on_and_still_tells_that_something_waits(kit: Kit) -> None:
    ended, _ = await kit.run({"calls": [change("DELETE")]}, {"say": "The rest is done."}, gate=CallGate(mode="auto"))
    assert (ended.outcome, ended.text) == ("waiting", "The rest is done.")


PLAN = {"goal": "tidy", "steps": [{"title": "fix", "reads": ["raw"], "writes": ["main.Clean"]}]}


class Reviewer:
    """A person who decides on plans and answers questions as told."""

    def __init__(self, verdict: str, reply: str | None = None) -> None:
        self.verdict = verdict
        self.reply = reply

    async def review_plan(self, plan: Plan) -> PlanDecision:
        edited = plan.model_copy(update={"goal": "tidy up"})
        return PlanDecision.model_validate({"verdict": self.verdict, "plan": edited, "comment": "mind the dates"})

    async def answer(self, question: Question) -> str | None:
        return self.reply


async def test_an_approved_plan_grants_its_tables_and_nothing_else(kit: Kit) -> None:
    submit = {"tool": "submit_plan", "arguments": PLAN}
    kit.tools.writes = ("clean",)
    ended, seen = await kit.run(
        {"calls": [submit]},
        {"calls": [change("CREATE TABLE clean (a INT)")]},
        {"say": "Done."},
        person=Reviewer("approved"),
        gate=CallGate(mode="plan"),
    )
    assert ended.outcome == "done"
    assert seen.of(PlanDecided)[0].plan.goal == "tidy up"
    assert seen.of(ApprovalDecided)[-1].by == "plan"
    kit.tools.writes = ("clean", "orders")
    ended, seen = await kit.run(
        {"calls": [submit]},
        {"calls": [change("UPDATE orders")]},
        {"say": "Done."},
        person=Reviewer("approved"),
    )
    assert ended.outcome == "waiting"
    assert "orders" in next(e.text for e in seen.events if e.type == "notice")


async def test_a_rejected_plan_leaves_plan_mode_as_it_is(kit: Kit) -> None:
    ended, seen = await kit.run(
        {"calls": [{"tool": "submit_plan", "arguments": PLAN}]},
        {"calls": [change("CREATE TABLE clean (a INT)")]},
        {"say": "Nothing done."},
        person=Reviewer("rejected"),
        gate=CallGate(mode="plan"),
    )
    assert ended.outcome == "denied"
    assert "mind the dates" in results(seen)[0].text


async def test_a_plan_without_a_person_waits_and_is_approved_on_the_command_line(kit: Kit) -> None:
    turns = ({"calls": [{"tool": "submit_plan", "arguments": PLAN}]}, {"say": "Carried out."})
    ended, _ = await kit.run(*turns)
    assert (ended.outcome, ended.waiting) == ("waiting", ("p1",))
    last, seen = await kit.run(*turns, prompt=None, resume=ended.session, approvals=("p1",))
    assert last.outcome == "done"
    assert "exactly these steps" in seen.of(UserSaid)[0].message.text


async def test_a_new_prompt_goes_on_beside_what_waits_and_instead_of_a_plan(kit: Kit) -> None:
    turns = ({"calls": [change("DELETE")]}, {"say": "Something else."})
    ended, _ = await kit.run(*turns)
    last, _ = await kit.run(*turns, prompt="do something else", resume=ended.session)
    assert (last.outcome, last.text, last.waiting) == ("waiting", "Something else.", ("c1",))
    turns = ({"calls": [{"tool": "submit_plan", "arguments": PLAN}]}, {"say": "A smaller one then."})
    ended, _ = await kit.run(*turns)
    last, seen = await kit.run(*turns, prompt="smaller please", resume=ended.session)
    assert (last.outcome, last.waiting) == ("done", ())
    assert seen.of(PlanDecided)[0].verdict == "rejected"


async def test_plan_only_ends_with_the_plan(kit: Kit) -> None:
    ended, _ = await kit.run(
        {"calls": [{"tool": "submit_plan", "arguments": PLAN}]}, gate=CallGate(mode="plan"), is_plan_only=True
    )
    assert ended.outcome == "done"
    assert ended.plan is not None and ended.plan.steps[0].writes == ("main.Clean",)


async def test_a_malformed_plan_is_told_to_the_model(kit: Kit) -> None:
    ended, seen = await kit.run({"calls": [{"tool": "submit_plan", "arguments": {"goal": "x"}}]}, {"say": "ok"})
    assert ended.outcome == "done"
    assert "steps" in results(seen)[0].text and results(seen)[0].is_error


@pytest.mark.parametrize(("person", "told"), [(Reviewer("approved", "the second"), "the second"), (None, "Nobody")])
async def test_a_question_is_answered_by_the_person_or_by_nobody(kit: Kit, person: Any, told: str) -> None:
    ended, seen = await kit.run(
        {"calls": [{"tool": "ask_user", "arguments": {"question": "Which?"}}]}, {"say": "ok"}, person=person
    )
    assert ended.outcome == "done"
    assert told in results(seen)[0].text


class Checker:
    """Finds every figure but 41."""

    async def check(self, text: str, handles: tuple[str, ...]) -> EvidenceReport:
        words = [w.strip(".") for w in text.split() if w.strip(".").isdigit()]
        return EvidenceReport(
            figures=tuple(
                FigureVerdict(text=w, verdict="not_found" if w == "41" else "backed", detail="nearest: r1 row 1 a = 42")
                for w in words
            )
        )


async def test_a_wrong_figure_gets_one_chance_to_be_corrected(kit: Kit) -> None:
    ended, seen = await kit.run(
        {"calls": [query("SELECT 42 AS a")]},
        {"say": "It is 41."},
        {"say": "It is 42."},
        evidence=Checker(),
        requires_evidence=True,
    )
    assert (ended.outcome, ended.text) == ("done", "It is 42.")
    assert [e.is_final for e in seen.of(EvidenceChecked)] == [False, True]
    assert "nearest: r1 row 1 a = 42" in seen.of(UserSaid)[-1].message.text


async def test_a_figure_that_stays_wrong_fails_only_where_evidence_is_required(kit: Kit) -> None:
    turns = ({"say": "It is 41."}, {"say": "Still 41."}, {"say": "never reached"})
    ended, _ = await kit.run(*turns, evidence=Checker(), requires_evidence=True)
    assert (ended.outcome, ended.text) == ("evidence_missing", "Still 41.")
    ended, _ = await kit.run(*turns, evidence=Checker())
    assert ended.outcome == "done" and ended.figures[0].verdict == "not_found"


async def test_requiring_evidence_without_a_checker_is_a_usage_error(kit: Kit) -> None:
    with pytest.raises(ConfigError):
        await kit.run({"say": "x"}, requires_evidence=True)


SCHEMA = {"type": "object", "required": ["total"], "properties": {"total": {"type": "integer"}}}


async def test_an_answer_that_breaks_its_schema_is_corrected_once(kit: Kit) -> None:
    ended, _ = await kit.run({"say": '{"total": "x"}'}, {"say": '```json\n{"total": 3}\n```'}, output_schema=SCHEMA)
    assert (ended.outcome, ended.structured_output) == ("done", {"total": 3})
    ended, _ = await kit.run({"say": "three"}, {"say": "3 it is"}, output_schema=SCHEMA)
    assert (ended.outcome, ended.structured_output) == ("schema_not_met", None)


async def test_the_server_holds_the_schema_where_it_can(kit: Kit) -> None:
    with serve([say('{"total": 1}')]) as server:
        await kit.run(model=messages_model(server.url), output_schema=SCHEMA)
        assert server.bodies[0]["output_config"]["format"] == {"type": "json_schema", "schema": SCHEMA}


async def test_a_long_history_is_summed_up_by_the_model_and_keeps_handles(kit: Kit) -> None:
    big = [call(tool("run_query", f"t{n}", sql=f"SELECT {n} AS n"), input_tokens=100) for n in range(10)]
    big.append(call(tool("run_query", "last", sql="SELECT 99"), input_tokens=900_000))
    with serve([*big, say("we counted to nine"), say("All done.")]) as server:
        ended, seen = await kit.run(model=messages_model(server.url))
        final = server.bodies[-1]["messages"]
    assert ended.outcome == "done"
    assert seen.of(Compacted)[0].by == "model"
    assert len(final) < 12
    first = final[0]["content"][0]["text"]
    assert "we counted to nine" in first and "r3: SELECT 2 AS n" in first and "- go" in first
    calls = {b["id"] for m in final if m["role"] == "assistant" for b in m["content"] if b["type"] == "tool_use"}
    answered = {b["tool_use_id"] for m in final for b in m["content"] if b["type"] == "tool_result"}
    assert calls == answered


async def test_requests_share_their_beginning_so_that_caches_hold(kit: Kit) -> None:
    with serve([call(tool("run_query", sql="SELECT 1")), say("ok")]) as server:
        await kit.run(model=messages_model(server.url))
        first, second = server.bodies
    assert first["cache_control"] == {"type": "ephemeral"}
    assert (first["system"], first["tools"]) == (second["system"], second["tools"])
    assert second["messages"][: len(first["messages"])] == first["messages"]


@pytest.mark.parametrize("provider", ["compatible", "bedrock"])
async def test_a_server_is_sent_nothing_it_does_not_know(kit: Kit, provider: Any) -> None:
    from datasteward_agent.models.port import ModelRequest
    from datasteward_agent.models.profiles import PROFILES, guess_limits
    from datasteward_agent.models.wire import build_request

    if provider == "compatible":
        with serve([call(tool("run_query", sql="SELECT 1")), say("ok"), say("ok")]) as server:
            model = messages_model(server.url, provider="compatible", name="qwen3")
            ended, _ = await kit.run(model=model, output_schema={"type": "string"})
            assert ended.outcome == "schema_not_met"
            for body in server.bodies:
                assert set(body) == {"model", "max_tokens", "messages", "system", "tools", "stream"}
            assert "cache_control" not in json.dumps(server.bodies)
        return
    request = ModelRequest(system="s", messages=(), tools=(), max_output_tokens=10, output_schema={})
    body = build_request("claude-opus-5-5", request, PROFILES["bedrock"], guess_limits("claude-opus-5-5"))
    assert "output_config" not in body and "cache_control" not in body
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}


async def test_limits_of_an_unknown_model_come_from_the_server(kit: Kit) -> None:
    info = {
        "id": "claude-new",
        "type": "model",
        "display_name": "New",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 50_000,
        "max_tokens": 7_000,
        "capabilities": {"thinking": {"supported": True, "types": {"adaptive": {"supported": True}}}},
    }
    with serve([say("ok")], models={"claude-new": info}) as server:
        await kit.run(model=messages_model(server.url, name="claude-new"))
        body = server.bodies[0]
    assert body["max_tokens"] == 7_000
    assert body["thinking"]["type"] == "adaptive"


async def test_another_model_is_not_sent_thinking_that_is_not_its_own(kit: Kit) -> None:
    from tests.support.messages_server import thinking

    with serve([Reply(content=(thinking("hm"), {"type": "text", "text": "one"}))]) as server:
        ended, _ = await kit.run(model=messages_model(server.url))
    with serve([say("two")]) as server:
        model = messages_model(server.url, name="claude-sonnet-5-5")
        await kit.run(model=model, prompt="and?", resume=ended.session)
        assert "thinking" not in [b["type"] for b in server.bodies[0]["messages"][1]["content"]]


async def test_the_events_can_be_iterated(kit: Kit) -> None:
    with open_store(kit.folder) as store:
        session = store.create()
        agent = Agent(model=scripted({"say": "hi there"}), toolset=kit.tools, session=session, options=options())
        kinds = [e.type async for e in agent.events("hello")]
        await agent.close()
        kept = [e.type for e in store.read(session.session_id)]
    assert kinds[0] == "run.start" and kinds[-1] == "result" and "text" in kinds
    assert "text" not in kept and kept[-1] == "result"


async def test_tools_of_the_harness_are_never_the_toolset_s(kit: Kit) -> None:
    kit.tools.extra = (
        ToolDefinition(name="submit_plan", description="mine", input_schema={"type": "object"}, read_only=False),
    )
    ended, _ = await kit.run({"calls": [{"tool": "submit_plan", "arguments": PLAN}]}, is_plan_only=True)
    assert ended.plan is not None and not kit.tools.calls


async def test_messages_of_a_finished_run_are_a_valid_conversation(kit: Kit) -> None:
    _, seen = await kit.run({"say": "look", "calls": [query("SELECT 1")]}, {"say": "done"})
    said = [e.message for e in seen.events if isinstance(e, UserSaid | ModelSaid)]
    assert [type(m) for m in said] == [UserMessage, AssistantMessage, UserMessage, AssistantMessage]
