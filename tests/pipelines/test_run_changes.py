"""A run is a change: proposed with its plan, approved by digest, applied, taken back."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest

from datasteward.changes.host import SubprocessWriter
from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.ports import Inspected
from datasteward.changes.render import render_preview, render_report
from datasteward.changes.service import ChangeService
from datasteward.errors import ToolError
from datasteward.journal import Journal
from datasteward.pipelines.carrying_out import describe_plan
from datasteward.pipelines.change_ports import PipelineInspector, PipelineWriter
from datasteward.pipelines.run_book import RunBook
from datasteward.pipelines.statement import RunStatement, find_folder
from datasteward.services import writer_place
from datasteward.settings import Settings
from datasteward.state import StateDatabase
from tests.pipelines.test_plans import SHOP
from tests.pipelines.test_run_crashes import contents, published
from tests.pipelines.test_runs import CHECKED
from tests.support.pipeline_workspace import PipelineWorkspace, RunsHere, actions

T = TypeVar("T")


class NoInspector:
    """Knows no SQL."""

    async def inspect(self, sql: str) -> Inspected:
        """Refuse."""
        raise ToolError("not a run", code="forbidden")


class Place(PipelineWorkspace):
    """A workspace with a change service."""

    def service(self, policy: PolicySettings | None = None, *, apart: bool = False) -> ChangeService:
        return ChangeService(
            state=StateDatabase(self.workspace.state_path),
            journal=Journal(self.workspace.journal_folder),
            writer=(PipelineWriter if apart else RunsHere)(SubprocessWriter(), self.settings),
            inspector=PipelineInspector(NoInspector(), self.root),
            place=writer_place(self.workspace, Settings()),
            policy=policy or PolicySettings(),
        )

    def statement(self, **options: Any) -> str:
        folder = find_folder(self.root, "shop")
        return RunStatement(folder=folder, request=self.request(**options)).to_text()

    @property
    def book(self) -> RunBook:
        return RunBook(self.workspace.state_folder)


@pytest.fixture
def shop(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write(SHOP)
    return place


def do(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_a_run_waits_for_approval_and_is_then_applied_once(shop: Place) -> None:
    async def work() -> None:
        service = shop.service()
        report = await service.propose(shop.statement(), requested_by="test:me")
        shown = render_report(report, with_rows=True)
        assert "created: its rows are known when it has run" in shown and "0 -> 0" not in shown
        assert report.status == "waiting"
        assert {t.table.label for t in report.preview.tables} == {"staging.stg_orders", "marts.daily", "marts.ids"}
        assert any("build marts.daily" in n for n in report.preview.notes)
        assert not shop.database.exists()
        applied = await service.approve(report.change, digest=report.digest, by="me", channel="terminal")
        assert applied.status == "applied", applied.message
        assert (await service.apply(report.change)).status == "applied"

    do(work())
    assert set(published(shop).values()) == {1}
    record = shop.book.read_run("c1")
    assert record is not None and record.status == "done" and len(record.steps) == 3
    assert actions(shop.plan()) == {}


def test_the_texts_of_a_run_say_each_thing_once_and_count_in_words(shop: Place) -> None:
    plan = shop.plan()
    step = plan.running[0].model_copy(update={"rows_before": 1, "rows_estimate": 1, "input_bytes": 1})
    told = plan.model_copy(update={"notes": ("data/orders.csv: a doubt",), "steps": (step,)})
    assert "note: data/orders.csv: a doubt" in told.to_text().splitlines()
    assert "  1 row now; about 1 row to write; 1 byte of files" in told.to_text()
    assert "note: data/orders.csv: a doubt" in render_preview(describe_plan(told).preview).splitlines()


def test_a_run_is_taken_back_with_its_tables_quarantine_and_state(shop: Place) -> None:
    shop.run()
    before = contents(shop)
    shop.write(
        {"staging/stg_orders.sql": CHECKED.format(limit="90%"), "new/one.sql": "SELECT count(*) AS n FROM marts.ids"}
    )

    async def work() -> None:
        service = shop.service()
        report = await service.propose(shop.statement(), requested_by="test:me")
        await service.approve(report.change, digest=report.digest, by="me", channel="terminal")
        assert shop.rows("SELECT count(*) FROM marts.ids") == [(2,)]
        assert "quarantine.staging__stg_orders" in contents(shop)
        undo = await service.propose_undo(report.change, requested_by="test:me")
        done = await service.approve(undo.change, digest=undo.digest, by="me", channel="terminal")
        assert (done.status, done.proven) == ("applied", True), done.message

    do(work())
    assert contents(shop) == before
    assert shop.rows("SELECT count(*) FROM duckdb_schemas() WHERE schema_name IN ('new', 'quarantine')") == [(0,)]
    assert set(actions(shop.plan())) == {"staging.stg_orders", "marts.daily", "marts.ids", "new.one"}


def test_of_tables_that_grow_only_the_touched_rows_are_kept(shop: Place) -> None:
    for path in SHOP:
        (shop.folder / path if not path.startswith("data/") else shop.root / path).unlink()
    rows = "".join(f"{i},2026-01-0{i % 5 + 1}\n" for i in range(1000))
    shop.write({"data/in/a.csv": f"id,day\n{rows}", "data/days.csv": f"id,day\n{rows}"})
    shop.write(
        {
            "log.sql": "/* @asset materialize: append */ SELECT * FROM read_csv('data/in/*.csv')",
            "days.sql": "/* @asset\nmaterialize: incremental\ntime: day\nstart: 2026-01-01\nlate: lookback\nlookback: 1\n"
            "@end */ SELECT * FROM read_csv('data/days.csv')",
        }
    )
    shop.run()
    before = contents(shop)
    shop.write({"data/in/b.csv": "id,day\n7,2026-01-07\n7,2026-01-07\n"})
    shop.write({"data/days.csv": f"id,day\n{rows}2000,2026-01-05\n"})

    async def work() -> None:
        service = shop.service()
        report = await service.propose(shop.statement(), requested_by="test:me")
        await service.approve(report.change, digest=report.digest, by="me", channel="terminal")
        assert shop.rows("SELECT (SELECT count(*) FROM log), (SELECT count(*) FROM days)") == [(1002, 1001)]
        images = duckdb.connect(str(shop.workspace.undo_folder / f"{report.change}-run.duckdb"), read_only=True)
        sizes = dict(images.execute("SELECT table_name, estimated_size FROM duckdb_tables()").fetchall())
        images.close()
        assert max(n for t, n in sizes.items() if t.startswith(("object", "removed", "added"))) < 300
        undo = await service.propose_undo(report.change, requested_by="test:me")
        done = await service.approve(undo.change, digest=undo.digest, by="me", channel="terminal")
        assert (done.status, done.proven) == ("applied", True), done.message

    do(work())
    assert contents(shop) == before
    assert set(actions(shop.plan())) == {"log", "days"}


def test_a_run_whose_inputs_moved_asks_again_with_the_new_plan(shop: Place) -> None:
    async def work() -> None:
        service = shop.service()
        report = await service.propose(shop.statement(), requested_by="test:me")
        shop.write({"data/orders.csv": "id,day,amount\n1,2026-01-01,5.5\n"})
        moved = await service.approve(report.change, digest=report.digest, by="me", channel="terminal")
        assert (moved.status, moved.message) == ("moved", "staging.stg_orders is not as planned: its inputs changed")
        again = await service.status(str(moved.successor))
        applied = await service.approve(again.change, digest=again.digest, by="me", channel="terminal")
        assert applied.status == "applied"

    do(work())
    assert shop.rows("SELECT id FROM marts.ids") == [(1,)]


def test_a_run_killed_in_the_middle_is_taken_up_by_asking_for_its_state(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        service = shop.service(apart=True)
        report = await service.propose(shop.statement(), requested_by="test:me")
        monkeypatch.setenv("DATASTEWARD_CRASH_AT", "step.before_commit:marts.ids")
        killed = await service.approve(report.change, digest=report.digest, by="me", channel="terminal")
        assert killed.status == "approved"
        record = shop.book.read_run(report.change)
        assert record is not None and record.status == "stopped"
        monkeypatch.delenv("DATASTEWARD_CRASH_AT")
        done = await service.status(report.change, wait_seconds=30)
        assert done.status == "applied", done.message
        undo = await service.propose_undo(report.change, requested_by="test:me")
        back = await service.approve(undo.change, digest=undo.digest, by="me", channel="terminal")
        assert back.proven

    do(work())
    assert contents(shop) == {}


def test_a_policy_may_allow_runs_and_a_run_that_publishes_nothing_fails(shop: Place) -> None:
    policy = PolicySettings(rules=(PolicyRule(name="nightly", verdict="allow", kinds=("pipeline_run",)),))

    async def work() -> None:
        service = shop.service(policy)
        shop.write({"staging/stg_orders.sql": CHECKED.format(limit="0")})
        with pytest.raises(
            ToolError, match=r"Nothing was published. staging.stg_orders was not published: .*over 0 rows"
        ):
            await service.propose(shop.statement(), requested_by="test:me")
        assert (await service.status("c1")).status == "failed"
        shop.write({"staging/stg_orders.sql": CHECKED.format(limit="1")})
        assert (await service.propose(shop.statement(), requested_by="test:me")).status == "applied"
        with pytest.raises(ToolError, match="up to date"):
            await service.propose(shop.statement(), requested_by="test:me")

    do(work())


def test_sql_that_is_no_run_goes_to_the_other_inspector(shop: Place) -> None:
    with pytest.raises(ToolError, match="not a run"):
        do(shop.service().propose("DELETE FROM x", requested_by="test:me"))


def test_a_rule_for_runs_does_not_allow_python_code(shop: Place) -> None:
    policy = PolicySettings(rules=(PolicyRule(name="nightly", verdict="allow", kinds=("pipeline_run",)),))
    shop.write({"p.py": '"""@asset\ncolumns: {a: BIGINT}\n"""\ndef asset():\n    return [{"a": 1}]\n'})

    async def work() -> None:
        service = shop.service(policy)
        report = await service.propose(shop.statement(), requested_by="test:me")
        assert report.status == "waiting"
        assert any("runs the Python code of p.py" in n for n in report.preview.notes)
        done = await service.approve(report.change, digest=report.digest, by="me", channel="terminal")
        assert done.status == "applied"

    do(work())
    assert shop.rows("FROM p") == [(1,)]
