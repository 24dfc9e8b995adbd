"""The inbox: what waits is shown with its rows, and only a deliberate key in the panel decides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasteward.changes.model import Preview, TableEffect, TableName
from datasteward.changes.render import render_report
from datasteward.changes.reports import ChangeReport
from datasteward_tui.change_words import describe_seconds, summarise_effect
from tests.support.app_desks import UPDATE, make_desk_app, make_orders, pass_guard, propose
from tests.support.app_runs import SIZES, frame, match_snapshot, until, until_shown
from tests.support.changes_workspace import ChangesWorkspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> ChangesWorkspace:
    return make_orders(tmp_path / "shop")


async def test_a_waiting_change_shows_its_rows_and_never_takes_the_focus(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await until_shown(pilot, "⚑ c1 · 1 of 1")
        await until_shown(pilot, "orders: 14 of 1,000 rows change")
        assert app.prompt.has_focus
        await pilot.press(*"say a yes")
        assert app.prompt.text == "say a yes"
        assert (await service.status("c1")).status == "waiting"


async def test_a_key_right_after_entering_decides_nothing(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await until_shown(pilot, "orders: 14 of 1,000 rows change")
        app.dock.panel.guard.clock = lambda: 0.0
        await pilot.press("f2", "a")
        await until_shown(pilot, "too soon: have a look first")
        assert (await service.status("c1")).status == "waiting"


async def test_approving_applies_and_undo_brings_it_back(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    before = place.fingerprint()
    async with app.run_test(size=(120, 50)) as pilot:
        await propose(service)
        await until_shown(pilot, "can be undone")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "c1 applied in")
        assert place.fingerprint() != before
        await pilot.press("h")
        await until_shown(pilot, "u undo c1")
        await pilot.press("u")
        await until_shown(pilot, "c2 would take back c1")
        await until(pilot, lambda: app.dock.panel.row is not None and app.dock.panel.row.summary.handle == "c2")
        assert app.dock.panel.has_focus
        app.dock.panel.guard.lift()
        await pilot.press("a")
        await until_shown(pilot, "proven to be as they were before")
    assert place.fingerprint() == before


async def test_a_reason_reaches_whoever_proposed(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await until_shown(pilot, "orders: 14 of 1,000 rows change")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("r")
        await until_shown(pilot, "Why not?")
        await pilot.press(*"cents matter", "enter")
        await until_shown(pilot, "c1 rejected. “cents matter”")
        report = await service.status("c1")
        assert (report.status, report.comment) == ("rejected", "cents matter")


async def test_escape_takes_a_reason_back_and_leaves_the_change_waiting(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await until_shown(pilot, "orders: 14 of 1,000 rows change")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("r", "n", "o", "escape")
        await until(pilot, lambda: app.dock.panel.has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: app.prompt.has_focus)
        assert (await service.status("c1")).status == "waiting"
        assert app.dock.panel.display


async def test_approving_needs_the_end_of_the_preview_in_sight(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    sql = "; ".join(f"UPDATE orders SET amount = amount + {n} WHERE id < 5" for n in range(1, 30))
    async with app.run_test(size=(80, 24)) as pilot:
        await propose(service, sql)
        await until_shown(pilot, "⚑ c1")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "look to the end first")
        assert (await service.status("c1")).status == "waiting"
        panel = app.dock.panel
        for _ in range(60):
            await pilot.press("pagedown")
            if panel.view.is_seen_to_end:
                break
        await pilot.press("a")
        await until_shown(pilot, "c1 applied in")


async def test_a_change_that_was_decided_elsewhere_is_not_decided_again(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await until_shown(pilot, "orders: 14 of 1,000 rows change")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await service.reject("c1", by="bob", channel="terminal")
        await pilot.press("a")
        await until(pilot, lambda: "c1:" in app.transcript.text() or app.dock.panel.row is None)
        assert (await service.status("c1")).status == "rejected"


async def test_many_wait_and_are_gone_through(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, by="one")
        await propose(service, "DELETE FROM orders WHERE id < 10", by="two")
        await until_shown(pilot, "⚑ 2 waiting")
        await pilot.press("f2")
        seen = set()
        for _ in range(2):
            await until(pilot, lambda: app.dock.panel.row is not None)
            row = app.dock.panel.row
            assert row is not None
            seen.add(row.proposal.requested_by)
            await pilot.press("right")
            await until(pilot, lambda row=row: app.dock.panel.row is not row)
        assert seen == {"one", "two"}
        assert "● c1 one" in frame(app) or "▲ c1 one" in frame(app)
        assert "c2 two" in frame(app)


async def test_hostile_words_of_a_proposal_are_shown_as_text(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        evil = "[@click=app.quit]x[/]\x1b[2J\u202e"
        await service.propose(UPDATE, requested_by=evil, purpose=evil)
        await until_shown(pilot, "[@click=app.quit]x[/]␛[2J‹U+202E›")
        assert "\x1b" not in frame(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_inbox_looks_as_it_should(
    place: ChangesWorkspace, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place.root.parent))
    monkeypatch.setattr("datasteward_tui.approval_panel.describe_age", lambda _: "4 min")
    monkeypatch.setattr("datasteward_tui.change_effect.describe_seconds", lambda _: "0.01 s")
    app, service = make_desk_app(place)
    async with app.run_test(size=size) as pilot:
        await propose(service)
        await until_shown(pilot, "orders: 14 of 1,000 rows change")
        await until_shown(pilot, "⚑ 1 waiting")
        match_snapshot(app, "approvals")
        await pilot.press("f2")
        await until_shown(pilot, "a approve")
        await pilot.press("p")
        await until_shown(pilot, "whole preview")
        match_snapshot(app, "approval-whole")


def test_estimates_of_a_run_are_told_until_it_is_applied() -> None:
    table = TableEffect(
        table=TableName(name="days"), action="replaced", rows_before=422, rows_after=422, is_estimated=True
    )
    preview = Preview(tables=(table,))
    report = ChangeReport(change="c11", status="applied", message="", digest="", preview=preview)
    told = render_report(report, reader="person")
    assert "tables of the run: days\nsteward pipeline status c11 tells its rows" in told and "422" not in told
    assert "\npipeline_status c11 tells its rows" in render_report(report)
    assert "422 -> about 422" in render_report(replace(report, status="waiting"))
    assert summarise_effect(preview, applied_as="c11") == "run of days, /runs c11 tells its rows"
    assert summarise_effect(preview) == "days rebuilt, 422 → about 422 rows"


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"inserted": 1, "rows_before": 9}, "beers: 1 row comes in"),
        ({"inserted": 3, "rows_before": 9}, "beers: 3 rows come in"),
        ({"updated": 1, "deleted": 2, "rows_before": 9}, "beers: 1 of 9 rows changes, 2 of 9 rows go"),
        ({"updated": 2, "deleted": 1, "rows_before": 9}, "beers: 2 of 9 rows change, 1 of 9 rows goes"),
        ({"action": "dropped", "deleted": 1, "rows_before": 1}, "beers dropped, 1 → 0 rows"),
        ({"action": "created", "inserted": 1, "rows_after": 1, "rows_before": 0}, "beers created, 0 → 1 row"),
    ],
)
def test_one_is_not_many_in_what_a_change_does(effect: dict[str, Any], words: str) -> None:
    given = {"action": "rows", "rows_after": 0, **effect}
    table = TableEffect(table=TableName(name="beers"), **given)
    assert summarise_effect(Preview(tables=(table,))) == words


def test_a_measurement_is_never_said_to_have_taken_no_time() -> None:
    assert [describe_seconds(s) for s in (0.0, 0.0042, 0.01, 1.25)] == ["1 ms", "4 ms", "0.01 s", "1.25 s"]
