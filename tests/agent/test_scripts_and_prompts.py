"""Scripted models, scripted runs, prompts, rules and the choice of a model."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_runs import messages_model, open_store, options, run_once, scripted
from tests.support.duck_toolset import DuckToolset
from tests.support.messages_server import Reply, call, say, serve, tool

from datasteward.errors import ConfigError
from datasteward_agent.agent import Agent
from datasteward_agent.limits import Budget, Price, Spending, Usage, cap_output_tokens, find_price, find_spent_bound
from datasteward_agent.models.choosing import MissingKey, open_model
from datasteward_agent.models.probing import probe_model
from datasteward_agent.models.scripted import open_script
from datasteward_agent.plans import Plan, PlanStep, find_deviations, parse_plan
from datasteward_agent.retrying import RetryPolicy
from datasteward_agent.rules import parse_rule
from datasteward_agent.run_scripts import load_run_script
from datasteward_prompts.loading import PromptError, list_workflows, load_prompt, parse_prompt, render_prompt


def query(sql: str) -> dict[str, Any]:
    return {"tool": "run_query", "arguments": {"sql": sql}}


@pytest.mark.anyio
@pytest.mark.parametrize(("sql", "words"), [("SELECT 42 AS a", "It is 42 in r1."), ("SELECT nope", "That failed.")])
async def test_a_script_branches_on_what_a_tool_really_answered(tmp_path: Path, sql: str, words: str) -> None:
    model = scripted(
        {"say": "Let me see.", "calls": [query(sql)]},
        {"when": {"is_error": True}, "say": "That failed."},
        {
            "when": {"is_error": False},
            "capture": [{"name": "answer", "pattern": r"\na\n(\d+)"}],
            "say": "It is {answer} in {handle}.",
        },
    )
    with open_store(tmp_path) as store:
        agent = Agent(model=model, toolset=DuckToolset(), session=store.create(), options=options())
        ended, _ = await run_once(agent, "go")
    assert ended.text == words


@pytest.mark.anyio
async def test_a_script_that_cannot_fill_its_words_fails(tmp_path: Path) -> None:
    model = scripted({"calls": [query("SELECT 1")]}, {"capture": [{"name": "x", "pattern": "nothing"}], "say": "{x}"})
    with open_store(tmp_path) as store:
        agent = Agent(model=model, toolset=DuckToolset(), session=store.create(), options=options())
        ended, _ = await run_once(agent, "go")
    assert ended.outcome == "failed"


@pytest.mark.parametrize(
    "text",
    ["turns: [", "turns: []", "turns: [{shout: x}]", "[]", "turns: [{stop: never}]", "version: 2\nturns: [{say: x}]"],
)
def test_a_faulty_script_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        open_script(path)
    path.write_text("steps: [{prompt: ''}]")
    with pytest.raises(ConfigError, match="prompt"):
        load_run_script(path)


def test_every_prompt_of_ours_renders() -> None:
    names = [p.name for p in list_workflows()]
    assert names == [
        "answer-with-evidence",
        "build-pipeline",
        "explore-file",
        "find-what-broke",
        "review-change",
        "write-contract",
    ]
    for prompt in list_workflows():
        words = render_prompt(prompt, {a.name: "XYZ" for a in prompt.arguments})
        assert "{{" not in words and "XYZ" in words and prompt.title and prompt.description


def test_a_workspace_adds_and_replaces_workflows(tmp_path: Path) -> None:
    (tmp_path / "our-report.md").write_text("---\ntitle: Our report\n---\nWrite {{what}}.\n")
    (tmp_path / "explore-file.md").write_text("---\ntitle: Ours\n---\nLook.\n")
    found = {p.name: p for p in list_workflows(tmp_path)}
    assert found["our-report"].title == "Our report"
    assert found["explore-file"].body == "Look."


@pytest.mark.parametrize(
    "text",
    ["no front matter", "---\n: [\n---\nx", "---\ntitle: x\n---\n", "---\nshout: 1\n---\nx", "---\nkind: x\n---\nx"],
)
def test_a_faulty_prompt_is_told_with_its_file(text: str) -> None:
    with pytest.raises(PromptError, match="mine"):
        parse_prompt(text, "mine", "here")


@pytest.mark.parametrize("values", [{}, {"dataset": ""}, {"dataset": "x", "more": "y"}])
def test_missing_and_unknown_arguments_of_a_prompt_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(PromptError, match="dataset"):
        render_prompt(load_prompt("explore-file"), values)


def test_an_argument_is_not_looked_into_for_places() -> None:
    words = render_prompt(load_prompt("answer-with-evidence"), {"question": "{{question}} \\1"})
    assert words.startswith("{{question}} \\1")


@pytest.mark.parametrize("text", ["", "a b", "run_query(", "run_query(sql)", "(x=1)"])
def test_a_faulty_rule_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_rule(text)


def test_models_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    with pytest.raises(MissingKey, match="ANTHROPIC_API_KEY"):
        open_model(None)
    assert open_model("qwen3", base_url="http://127.0.0.1:1").identity.provider == "compatible"
    assert open_model("bedrock/anthropic.claude-opus-5-5").identity.provider == "bedrock"
    assert open_model("vertex/claude-opus-5-5").identity.provider == "vertex"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-1")
    chosen = open_model(None).identity
    assert (chosen.name, chosen.provider) == ("claude-opus-5-5", "anthropic")
    assert "sk-1" not in repr(chosen)
    for wrong in ("not-an-address", "ftp://x"):
        with pytest.raises(ConfigError):
            open_model(None, base_url=wrong)
    assert open_model(None, base_url="https://evil-anthropic.com").identity.provider == "compatible"
    with pytest.raises(ConfigError):
        open_model(f"scripted:{tmp_path / 'none.yaml'}")


def test_prices_are_those_of_the_nearest_name() -> None:
    assert find_price("claude-opus-5-5") == Price(input_usd=4, output_usd=20)
    assert find_price("us.anthropic.claude-sonnet-5-5-v1:0") == Price(input_usd=2, output_usd=10)
    assert find_price("qwen") is None
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cache_read_tokens=1_000_000)
    assert Price(input_usd=4, output_usd=20).estimate(usage) == pytest.approx(24.4)


def test_a_reply_is_given_only_the_room_the_budget_has_left() -> None:
    spending = Spending(price=Price(input_usd=4, output_usd=20))
    assert cap_output_tokens(128_000, Budget(usd=0.02), spending) == 1000
    spending.add(Usage(input_tokens=5000))
    assert find_spent_bound(Budget(usd=0.02), spending) == "usd"
    assert find_spent_bound(Budget(), spending) is None


def test_waits_double_and_stay_within_their_bound() -> None:
    policy = RetryPolicy(first_wait_seconds=1, longest_wait_seconds=5)
    assert [policy.wait_seconds(n, None, 0.0) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert policy.wait_seconds(1, 0.5, 1.0) == 0.5


def test_a_plan_names_what_it_grants(tmp_path: Path) -> None:
    plan = Plan(goal="g", steps=(PlanStep(title="t", writes=("main.Clean", '"b"')),))
    assert find_deviations(plan, ("clean", "B", "other.clean", "orders")) == ("other.clean", "orders")
    assert parse_plan(plan.model_dump_json(), "x") == plan
    with pytest.raises(ConfigError, match="steps"):
        parse_plan('{"goal": "g", "steps": []}', "plan.json")


@pytest.mark.anyio
async def test_a_probe_tells_whether_a_server_answers_and_calls_tools() -> None:
    with serve(
        [call(tool("report_ready", ready=True)), say("I can't."), Reply(status=401, error="authentication_error")]
    ) as server:
        reports = [await probe_model(messages_model(server.url)) for _ in range(3)]
    assert [(r.answers, r.calls_tools) for r in reports] == [(True, True), (True, False), (False, False)]
    assert reports[2].fault == "auth"
