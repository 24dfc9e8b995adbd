"""Pipeline runs in the app: watched while they go on, opened by their name, their rows a key away."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from datasteward.changes.store import ChangeStore
from datasteward.pipelines.plan_model import Plan
from datasteward.pipelines.run_book import RunBook, RunReporter
from datasteward.pipelines.run_model import StepOutcome
from datasteward.state import StateDatabase
from datasteward_tui.app import StewardApp
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.run_list import RunList
from datasteward_tui.run_monitor import RunMonitor
from tests.support.app_runs import SIZES, frame, make_app, match_snapshot, type_line, until, until_shown
from tests.support.pipeline_workspace import PipelineWorkspace

pytestmark = pytest.mark.anyio

FILES = {
    "data/orders.csv": "id,amount,region\n1,10.5,north\n2,-1,south\n3,30,north\n4,7,east\n",
    "staging/orders.sql": (
        "/* @asset\nchecks:\n  - expect: amount >= 0\n    on_fail: quarantine\n    max: 50%\n@end */\n"
        "SELECT id, amount, region FROM 'data/orders.csv'\n"
    ),
    "marts/by_region.sql": "SELECT region, sum(amount) AS revenue FROM staging.orders GROUP BY ALL\n",
    "marts/broken.sql": (
        "/* @asset\nchecks:\n  - expect: revenue > 1000\n@end */\nSELECT revenue FROM marts.by_region\n"
    ),
}


class HeldRun:
    """A real run in a thread, told in the run book, that waits before it tells of one more asset until it is let on."""

    def __init__(self, shop: PipelineWorkspace, told_before: int | None = None) -> None:
        self.shop = shop
        self.book = RunBook(shop.workspace.state_folder)
        self.plan: Plan = shop.plan().model_copy(update={"folder": "pipelines/shop"})
        self.book.keep_plan(self.plan)
        self.reporter = RunReporter(self.book, "c1", self.plan)
        self.gate = threading.Event()
        self.is_held = threading.Event()
        self._left = told_before
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.reporter.finish(self.shop.run(self.plan, run="c1", change="c1", listen=self._listen))

    def _listen(self, event: str, data: Any) -> None:
        if event == "step" and data.get("status") != "running" and self._left is not None:
            self._left -= 1
            if self._left < 0 and not self.is_held.is_set():
                self.is_held.set()
                assert self.gate.wait(60)
        self.reporter.tell(event, data)


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    found = PipelineWorkspace(tmp_path / "shop")
    found.write(FILES)
    return found


async def test_a_run_is_watched_from_the_status_line_to_its_end(shop: PipelineWorkspace) -> None:
    run = HeldRun(shop, told_before=1)
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=(150, 40)) as pilot:
        run.thread.start()
        await asyncio.to_thread(run.is_held.wait, 60)
        await until_shown(pilot, "▶ c1 1/3")
        await type_line(pilot, "/runs c1")
        await until_shown(pilot, "Run c1 · shop")
        await until_shown(pilot, "1 of 3 assets")
        monitor = app.pane.query_one(RunMonitor)
        assert {s.state for s in monitor.sight.steps} <= {"published", "failed", "running", "waiting"}
        run.gate.set()
        await until_shown(pilot, "✗ marts.broken")
        await until_shown(pilot, "Run c1 of shop has ended: 2 of 3 assets published.")
        await until(pilot, lambda: "▶ c1" not in frame(app))
        app.prompt.put("why did @c1")
        await until_shown(pilot, "▸ c1  run  shop partly · 3 of 3 assets")
        run.thread.join(30)


async def test_rows_and_quarantined_rows_of_an_asset_are_a_key_away(shop: PipelineWorkspace) -> None:
    run = HeldRun(shop)
    run.thread.start()
    await asyncio.to_thread(run.thread.join, 60)
    app = make_app(shop.root)
    async with app.run_test(size=(150, 40)) as pilot:
        await type_line(pilot, "/open c1")
        await until_shown(pilot, "Run c1 · shop")
        monitor = app.pane.query_one(RunMonitor)
        await until(pilot, lambda: monitor.has_focus)
        assert monitor.sight.steps[0].name == "staging.orders"
        await pilot.press("w")
        await until(pilot, lambda: app.pane.grid is not None)
        await until_shown(pilot, "r1 · 1 row")
        await type_line(pilot, "/runs")
        await until(pilot, lambda: bool(app.pane.query(RunList)))
        await until(pilot, lambda: app.pane.query_one(RunList).has_focus)
        await pilot.press("enter")
        await until_shown(pilot, "Run c1 · shop")


async def test_what_a_step_is_doing_is_told_beside_its_name(shop: PipelineWorkspace) -> None:
    run = HeldRun(shop)
    record = run.book.read_run("c1")
    assert record is not None
    run.book.keep_run(record.model_copy(update={"running": ("staging.orders (3 of 10 tasks)",)}))
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=(120, 30)) as pilot:
        await type_line(pilot, "/runs c1")
        await until_shown(pilot, "◔ staging.orders")
        await until_shown(pilot, "running · 3 of 10 tasks")
        assert len(app.pane.query_one(RunMonitor).sight.steps) == 3


async def test_a_run_whose_process_is_gone_is_told_as_stopped(shop: PipelineWorkspace) -> None:
    run = HeldRun(shop)
    record = run.book.read_run("c1")
    assert record is not None
    run.book.keep_run(record.model_copy(update={"process_id": 2**22 + 1}))
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=(120, 30)) as pilot:
        await type_line(pilot, "/runs c1")
        await until_shown(pilot, "interrupted; change_status or steward")
        assert not app.runs


async def test_a_run_that_was_taken_back_says_by_which_change(shop: PipelineWorkspace) -> None:
    run = HeldRun(shop)
    run.thread.start()
    await asyncio.to_thread(run.thread.join, 60)
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=(120, 30)) as pilot:
        await type_line(pilot, "/runs c1")
        await until_shown(pilot, "Run c1 · shop")
        assert "taken back" not in frame(app)
        take_back(shop, "c1", by="c2")
        await until_shown(pilot, "↶ taken back by c2")
        await type_line(pilot, "/runs")
        await until_shown(pilot, "undone by c2")


def take_back(shop: PipelineWorkspace, run: str, by: str) -> None:
    """Leave word in the state database that a run was taken back."""
    store = ChangeStore(StateDatabase(shop.workspace.state_path))
    with store.state.connection() as connection:
        connection.execute(
            "INSERT INTO changes (number, status, created_at, expires_at, requested_by, title, digest, undone_by,"
            " message, proposal, stamp, staging, verdict) VALUES (?, 'applied', 0, 0, '', '', ?, ?, '', '', '', '', '')",
            (int(run[1:]), "0" * 64, int(by[1:])),
        )


async def test_hostile_words_in_a_run_stay_text(shop: PipelineWorkspace) -> None:
    evil = "\x1b]8;;http://evil\x07[@click=app.quit]x[/]\u202e"
    run = HeldRun(shop)
    record = run.book.read_run("c1")
    assert record is not None
    step = StepOutcome(key=evil, name=evil, status="failed", message=evil + "y" * 1_000_000, quarantine=evil)
    run.book.keep_run(record.model_copy(update={"pipeline": evil, "steps": (step,), "message": evil}))
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=(120, 30)) as pilot:
        await until_shown(pilot, "▶ c1")
        for command in ("/runs", "/runs c1"):
            await type_line(pilot, command)
            await until_shown(pilot, "␛]8;;http://")
            assert "\x1b" not in frame(app) and "\u202e" not in frame(app)
        await until_shown(pilot, "✗ ␛]8;;")


async def test_the_mouse_opens_runs_rows_and_keys(shop: PipelineWorkspace) -> None:
    run = HeldRun(shop)
    run.thread.start()
    await asyncio.to_thread(run.thread.join, 60)
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=(120, 30)) as pilot:
        await until_shown(pilot, "No data files or tables")
        app.say(NoticeBlock("Run c1 has ended.", opens="c1"))
        await until_shown(pilot, "Run c1 has ended.")
        await click_words(pilot, app, "c1 has", "#transcript")
        await until_shown(pilot, "Run c1 · shop")
        await until_shown(pilot, "● staging.orders")
        assert "build: new" in frame(app)
        await click_words(pilot, app, "● staging.orders", "#detail")
        await until_shown(pilot, "expect amount >= 0: 1 quarantined")
        await click_words(pilot, app, "Esc close", "#detail")
        await until(pilot, lambda: not app.pane.is_shown)


async def click_words(pilot: Pilot[None], app: StewardApp, words: str, selector: str) -> None:
    """Click where words begin on the screen."""
    lines = frame(app).split("\n")
    y = next(i for i, line in enumerate(lines) if words in line)
    region = app.screen.query_one(selector).region
    await pilot.click(selector, offset=(cell_len(lines[y][: lines[y].index(words)]) - region.x, y - region.y))
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_run_looks_as_it_should(
    shop: PipelineWorkspace, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(shop.root.parent))
    run = HeldRun(shop)
    run.thread.start()
    await asyncio.to_thread(run.thread.join, 60)
    record = run.book.read_run("c1")
    assert record is not None
    steps = tuple(s.model_copy(update={"seconds": 0.25}) for s in record.steps)
    run.book.keep_run(record.model_copy(update={"steps": steps, "started": 0.0, "updated": 1.5}))
    app = make_app(shop.root, has_tools=False)
    async with app.run_test(size=size) as pilot:
        await type_line(pilot, "/runs c1")
        await until_shown(pilot, "Run c1 · shop")
        await until(pilot, lambda: app.pane.query_one(RunMonitor).has_focus)
        await pilot.press("space")
        await pilot.pause()
        match_snapshot(app, "run")
