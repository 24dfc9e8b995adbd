"""The agent on the workspace's own tools: evidence from stored results, changes through the real service."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.agent_runs import Seen, open_store, options, run_once, scripted
from tests.support.changes_workspace import ChangesWorkspace
from tests.support.workspaces import make_workspace

from datasteward.callers import Caller
from datasteward.changes.policy import PolicySettings
from datasteward.changes.service import ChangeService
from datasteward.changes.stopping import word_stop
from datasteward.local_calls import LocalCaller
from datasteward.services import open_services
from datasteward.settings import load_settings
from datasteward.tooling import Toolset
from datasteward.workspace import find_workspace
from datasteward_agent.agent import Agent
from datasteward_agent.core_toolset import CallerToolset, ToolsetDesk, ToolsetEvidence
from datasteward_agent.events import ApprovalRequested, EvidenceChecked, RunEnded, UserSaid
from datasteward_agent.rules import CallGate
from datasteward_tools.change_status import change_status
from datasteward_tools.check_answer import check_answer
from datasteward_tools.propose_change import propose_change
from datasteward_tools.run_query import run_query

pytestmark = pytest.mark.anyio
CALLER = Caller(front_end="agent", name="test")
SALES = "SELECT region, sum(amount) AS revenue FROM 'data/sales.csv' GROUP BY region ORDER BY region"
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"
PROPOSE = {"calls": [{"tool": "propose_change", "arguments": {"sql": UPDATE}}]}


@asynccontextmanager
async def open_reading(folder: Path) -> AsyncIterator[CallerToolset]:
    workspace = find_workspace(make_workspace(folder))
    async with open_services(workspace, load_settings(workspace)) as services:
        yield CallerToolset(LocalCaller(Toolset.of((run_query, check_answer)), services), CALLER)


async def test_a_wrong_figure_is_found_corrected_and_backed(tmp_path: Path) -> None:
    model = scripted(
        {"calls": [{"tool": "run_query", "arguments": {"sql": SALES}}]},
        {"say": "The north made 45.50 [r1]."},
        {"say": "The north made 40.50 [r1]."},
    )
    async with open_reading(tmp_path) as toolset:
        with open_store(tmp_path) as store:
            agent = Agent(
                model=model,
                toolset=toolset,
                session=store.create(),
                options=options(requires_evidence=True),
                evidence=ToolsetEvidence(toolset),
            )
            ended, seen = await run_once(agent, "what did the north make?")
    assert ended.outcome == "done" and ended.handles == ("r1",)
    first, last = seen.of(EvidenceChecked)
    assert [f.verdict for f in first.figures] == ["not_found"] and not first.is_final
    assert [f.verdict for f in last.figures] == ["backed"]
    assert "r1 row 1 revenue = 40.5" in last.figures[0].detail
    assert "45.50" in seen.of(UserSaid)[-1].message.text


async def test_a_citation_that_leads_nowhere_is_missing_evidence(tmp_path: Path) -> None:
    async with open_reading(tmp_path) as toolset:
        with open_store(tmp_path) as store:
            agent = Agent(
                model=scripted({"say": "It is 7 [r99]."}, {"say": "It is 7 [r99]."}),
                toolset=toolset,
                session=store.create(),
                options=options(requires_evidence=True),
                evidence=ToolsetEvidence(toolset),
            )
            ended, _ = await run_once(agent, "how many?")
    assert ended.outcome == "evidence_missing"


class Desk:
    """A workspace with 1,000 orders, the change tools on its service, and an agent that uses them."""

    def __init__(self, folder: Path, policy: Mapping[str, Any] | None = None) -> None:
        self.workspace = ChangesWorkspace(folder).make(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, amount DECIMAL(10, 2));"
            "INSERT INTO orders SELECT i, i % 10, i / 4 FROM range(1000) AS r (i)"
        )
        self.service: ChangeService = self.workspace.service(
            policy=PolicySettings.model_validate(policy) if policy else None
        )
        journal = SimpleNamespace(append=lambda *a, **k: None)
        services: Any = SimpleNamespace(changes=self.service, journal=journal, refresh_policy=lambda: None)
        self.toolset = CallerToolset(LocalCaller(Toolset.of((propose_change, change_status)), services), CALLER)

    async def run(
        self, *turns: dict[str, Any], prompt: str | None = None, resume: str | None = None, **more: Any
    ) -> tuple[RunEnded, Seen]:
        with open_store(self.workspace.root) as store:
            session = store.open(resume) if resume else store.create()
            agent = Agent(
                model=scripted(*turns),
                toolset=self.toolset,
                session=session,
                options=options(**more),
                desk=ToolsetDesk(self.toolset),
            )
            ended = await run_once(agent, prompt)
            session.close()
            return ended

    async def approve(self, change: str) -> None:
        row = await self.service.show(change)
        await self.service.approve(change, digest=row.summary.digest, by="ada", channel="terminal", comment="fine")

    @property
    def total(self) -> object:
        return self.workspace.run("SELECT sum(amount) FROM orders WHERE customer = 3")[0][0]


async def test_a_real_change_waits_is_approved_elsewhere_and_is_applied_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = desk.total
    turns = (PROPOSE, {"say": "It is applied."})
    ended, seen = await desk.run(*turns, prompt="double them")
    assert (ended.outcome, ended.waiting) == ("waiting", ("c1",))
    assert seen.of(ApprovalRequested)[0].tool == "propose_change"
    assert desk.total == before
    await desk.approve("c1")
    last, seen = await desk.run(*turns, resume=ended.session)
    assert (last.outcome, last.waiting) == ("done", ())
    assert "c1: applied" in seen.of(UserSaid)[0].message.text
    assert desk.total == before * 2  # type: ignore[operator]
    again, _ = await desk.run(*turns, resume=ended.session)
    assert again.outcome == "done" and desk.total == before * 2  # type: ignore[operator]


async def test_a_real_rejection_reaches_the_model(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    turns = (PROPOSE, {"say": "Left as it is."})
    ended, _ = await desk.run(*turns, prompt="double them")
    await desk.service.reject("c1", by="ada", channel="terminal", comment="only for 2026")
    last, seen = await desk.run(*turns, resume=ended.session)
    assert last.outcome == "denied"
    assert "only for 2026" in seen.of(UserSaid)[0].message.text


async def test_a_resumed_run_goes_on_with_what_a_person_made_of_its_change(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    turns = (PROPOSE, {"say": "It is applied."})
    ended, _ = await desk.run(*turns, prompt="double them")
    before = desk.total
    await desk.service.edit("c1", UPDATE.replace("* 2", "* 3"), requested_by="tui:ada", comment="thrice")
    waiting, _ = await desk.run(*turns, resume=ended.session)
    assert (waiting.outcome, waiting.waiting) == ("waiting", ("c2",))
    await desk.approve("c2")
    last, seen = await desk.run(*turns, resume=ended.session)
    assert (last.outcome, last.waiting) == ("done", ())
    assert "c2: applied" in seen.of(UserSaid)[0].message.text
    assert desk.total == before * 3  # type: ignore[operator]


async def test_a_resumed_run_ends_at_once_when_a_person_said_stop(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    turns = (PROPOSE, {"say": "never said"})
    ended, _ = await desk.run(*turns, prompt="double them")
    await desk.service.reject("c1", by="ada", channel="app", comment=word_stop("wrong table"))
    last, seen = await desk.run(*turns, resume=ended.session)
    assert (last.outcome, last.error) == ("denied", "A person told the agent to stop.")
    assert not seen.of(UserSaid)


async def test_asking_for_a_state_proposes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.service.propose(UPDATE, requested_by="someone else")
    status = {"tool": "change_status", "arguments": {"change": "c1", "wait_seconds": 0}}
    ended, seen = await desk.run({"calls": [status]}, {"say": "It waits."}, prompt="what of c1?")
    assert ended.outcome == "done" and not seen.of(ApprovalRequested)


async def test_a_model_that_waits_in_auto_mode_sees_the_decision(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    status = {"tool": "change_status", "arguments": {"change": "c1", "wait_seconds": 0}}
    ended, _ = await desk.run(
        PROPOSE, {"calls": [status]}, {"say": "It still waits."}, prompt="double them", gate=CallGate(mode="auto")
    )
    assert (ended.outcome, ended.waiting) == ("waiting", ("c1",))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
async def test_a_parameter_that_is_no_finite_number_is_refused_with_a_way_on(tmp_path: Path, value: float) -> None:
    desk = Desk(tmp_path)
    answer = await desk.toolset.call(
        "propose_change", {"sql": "UPDATE orders SET amount = $1", "parameters": [value]}, "1", ignore_progress
    )
    assert answer.is_error and "no finite number" in answer.text and "::DOUBLE" in answer.text


async def ignore_progress(progress: object) -> None:
    """Nothing is shown."""
