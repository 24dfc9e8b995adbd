"""What sessions cost, counted from their logs, and the messages one can go back to."""

from pathlib import Path

import pytest
from tests.support.agent_runs import open_store

from datasteward_agent.conversation import say
from datasteward_agent.costs import add_up, count_costs, count_model_costs
from datasteward_agent.events import ApprovalDecided, Event, RunStarted, UsageCounted, UserSaid
from datasteward_agent.limits import Usage
from datasteward_agent.rewinding import find_rewind_points


def started(model: str) -> RunStarted:
    return RunStarted(session="s", model=model, provider="p", mode="ask", tools=())


def used(tokens: int, usd: float | None) -> UsageCounted:
    return UsageCounted(turn=Usage(input_tokens=tokens, cache_read_tokens=10), total=Usage(), usd_estimate=usd)


def test_money_is_each_runs_own_estimate_counted_once() -> None:
    events = [started("a"), used(100, 0.5), used(50, 0.75), started("b"), used(10, 0.1), started("a"), used(1, 0.25)]
    first, second = count_model_costs(events)
    assert (first.model, first.requests, first.usage.input_tokens, first.usd) == ("a", 3, 151, pytest.approx(1.0))
    assert (second.model, second.usd) == ("b", pytest.approx(0.1))
    assert add_up((first, second)).usage.cache_read_tokens == 40


def test_money_is_not_known_where_one_price_is_not() -> None:
    costs = count_model_costs([started("a"), used(1, 0.5), started("mine"), used(1, None)])
    assert [c.usd for c in costs] == [0.5, None]
    assert add_up(costs).usd is None


def test_costs_are_read_from_the_logs_of_the_latest_sessions(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        session = store.create()
        for event in (started("a"), UserSaid(message=say("how many?")), used(100, 0.5)):
            session.append(session.stamp(event))
        session.close()
        (cost,) = count_costs(store)
    assert (cost.title, cost.total.usd, cost.total.usage.prompt_tokens) == ("how many?", 0.5, 110)


def numbered(*events: Event) -> list[Event]:
    return [event.model_copy(update={"n": number}) for number, event in enumerate(events, 1)]


def test_each_message_of_the_person_is_a_point_with_the_changes_applied_since() -> None:
    events = numbered(
        started("a"),
        UserSaid(message=say("first")),
        ApprovalDecided(proposal_id="c1", status="applied"),
        UserSaid(message=say("a tool answered", "harness")),
        started("a"),
        ApprovalDecided(proposal_id="c2", status="applied"),
        UserSaid(message=say("second")),
        ApprovalDecided(proposal_id="c3", status="rejected"),
    )
    first, second = find_rewind_points(events)
    assert (first.text, first.kept_events, first.changes) == ("first", 0, ("c1", "c2"))
    assert (second.text, second.kept_events, second.changes) == ("second", 4, ("c2",))
    assert first.keeping(frozenset({"c2"})).changes == ("c2",)
