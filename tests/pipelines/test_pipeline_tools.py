"""The tools an agent plans, runs and watches pipelines with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasteward.callers import Caller
from datasteward.changes.host import SubprocessWriter
from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.service import ChangeService
from datasteward.errors import ToolError
from datasteward.pipelines.change_ports import PipelineInspector
from datasteward.services import Services, open_services, writer_place
from datasteward.settings import Settings
from datasteward.tooling import ToolContext, Toolset
from datasteward_tools.pipeline_status import pipeline_status
from datasteward_tools.plan_pipeline import plan_pipeline
from datasteward_tools.run_pipeline import run_pipeline
from tests.pipelines.test_plans import SHOP
from tests.pipelines.test_run_changes import NoInspector
from tests.pipelines.test_runs import CHECKED
from tests.support.pipeline_workspace import PipelineWorkspace, RunsHere

ALLOW = PolicySettings(rules=(PolicyRule(name="runs", verdict="allow", kinds=("pipeline_run",)),))
TOOLS = Toolset.of((plan_pipeline, run_pipeline, pipeline_status))
Call = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def opened(place: PipelineWorkspace, policy: PolicySettings) -> AsyncIterator[tuple[Services, Call]]:
    settings = Settings()
    async with open_services(place.workspace, settings) as services:
        alone = services.engine.exclusive_database
        changes = ChangeService(
            state=services.state,
            journal=services.journal,
            writer=RunsHere(SubprocessWriter(alone), place.settings, alone),
            inspector=PipelineInspector(NoInspector(), place.root),
            place=writer_place(place.workspace, settings),
            policy=policy,
        )
        services = replace(services, changes=changes)
        caller = Caller(front_end="mcp", name="test")

        async def call(name: str, **arguments: Any) -> Any:
            return await TOOLS.call(name, arguments, ToolContext(services=services, caller=caller, call_id="1"))

        yield services, call


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    place = PipelineWorkspace(tmp_path)
    place.write(SHOP)
    return place


def test_an_agent_plans_runs_and_asks_how_it_went(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": CHECKED.format(limit="50%")})

    async def work() -> None:
        async with opened(shop, ALLOW) as (_, call):
            plan = await call("plan_pipeline")
            assert plan.steps[0].asset == "staging.stg_orders"
            ran = await call("run_pipeline", plan=plan.hash[:12], purpose="first load")
            assert (ran.change, ran.status) == ("c1", "applied"), ran.text
            told = await call("pipeline_status")
            assert "published staging.stg_orders: 2 rows, 1 in quarantine.staging__stg_orders" in told.to_text()
            assert "quarantine of staging.stg_orders: expect amount >= 0: 1" in told.to_text()
            history = await call("pipeline_status", asset="marts.ids")
            assert "c1 published; 2 rows, 0 quarantined" in history.to_text()
            assert (await call("plan_pipeline")).steps == []

    asyncio.run(work())


def test_a_run_that_was_taken_back_says_so_and_by_which_change(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": CHECKED.format(limit="50%")})

    async def work() -> None:
        async with opened(shop, ALLOW) as (services, call):
            plan = await call("plan_pipeline")
            await call("run_pipeline", plan=plan.hash)
            undo = await services.changes.propose_undo("c1", requested_by="test:me")
            await services.changes.approve(undo.change, digest=undo.digest, by="me", channel="terminal")
            told = await call("pipeline_status", run="c1")
            assert told.undone_by == "c2"
            assert "run c1 of shop: done, then taken back by c2," in told.to_text()
            redo = await services.changes.propose_undo("c2", requested_by="test:me")
            await services.changes.approve(redo.change, digest=redo.digest, by="me", channel="terminal")
            again = await call("pipeline_status", run="c1")
            assert again.undone_by is None and "taken back" not in again.to_text()

    asyncio.run(work())


def test_a_run_waits_for_a_person_when_no_rule_allows_it(shop: PipelineWorkspace) -> None:
    async def work() -> None:
        async with opened(shop, PolicySettings()) as (services, call):
            plan = await call("plan_pipeline", select=["+marts.ids"])
            asked = await call("run_pipeline", plan=plan.hash)
            assert asked.status == "waiting"
            assert "c1 waits for a decision" in asked.text and "build marts.ids" in asked.text
            report = await services.changes.status("c1")
            await services.changes.approve("c1", digest=report.digest, by="me", channel="terminal")
            assert (await call("pipeline_status", run="c1")).status == "done"

    asyncio.run(work())
    assert shop.rows("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'daily'") == [(0,)]


def test_a_plan_that_no_longer_holds_is_not_proposed(shop: PipelineWorkspace) -> None:
    async def work() -> None:
        async with opened(shop, ALLOW) as (_, call):
            plan = await call("plan_pipeline")
            shop.write({"marts/ids.sql": "SELECT id + 1 AS id FROM staging.stg_orders"})
            with pytest.raises(ToolError, match=r"no longer holds: marts\.ids is not as planned: its file changed"):
                await call("run_pipeline", plan=plan.hash)
            with pytest.raises(ToolError, match="There is no plan 'abcdefab'"):
                await call("run_pipeline", plan="abcdefab")
            with pytest.raises(ToolError, match="There is no pipeline 'shpo'"):
                await call("plan_pipeline", pipeline="shpo")

    asyncio.run(work())


@pytest.mark.slow
def test_a_long_run_outlives_the_call_and_can_be_stopped(shop: PipelineWorkspace) -> None:
    shop.write({"zz.sql": "SELECT sum(a.range * b.range) AS s FROM range(1000000) a, range(1000000) b"})

    async def work() -> None:
        async with opened(shop, ALLOW) as (_, call):
            plan = await call("plan_pipeline")
            started = await call("run_pipeline", plan=plan.hash, wait_seconds=0)
            assert started.status == "applying"
            async with asyncio.timeout(40):
                while (await call("pipeline_status")).status != "running":
                    await asyncio.sleep(0.1)
                await call("pipeline_status", action="stop")
                while (status := await call("pipeline_status")).status == "running":
                    await asyncio.sleep(0.1)
            assert status.status in {"partly", "failed"}
            assert {s.asset: s.status for s in status.steps}.get("zz") in {"failed", "skipped"}

    asyncio.run(work())


def test_the_definitions_stay_small() -> None:
    import json

    size = sum(len(t.description) + len(json.dumps(t.input_schema())) for t in TOOLS.tools.values())
    assert size < 2600
