"""Approving what is large or final, what has moved, what was interrupted; and undoing as the policy lets it."""

import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.service import ChangeService
from datasteward.errors import EngineFault
from datasteward_tui.app import StewardApp
from datasteward_tui.history_screen import HistoryScreen
from tests.support.app_desks import UPDATE, enter_inbox, make_desk_app, make_orders, pass_guard, propose
from tests.support.app_runs import SIZES, desk_of, frame, make_app, match_snapshot, type_line, until, until_shown
from tests.support.changes_workspace import ChangesWorkspace, InProcessWriter, TableHooks

pytestmark = pytest.mark.anyio
DELETE_MOST = "DELETE FROM orders WHERE id < 600"
ASKED = "Type how many rows go in orders."
LONG_AGO = 1_700_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> ChangesWorkspace:
    return make_orders(tmp_path / "shop")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_most_of_a_table_goes_only_after_its_rows_were_typed(
    place: ChangesWorkspace, size: tuple[int, int]
) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=size) as pilot:
        await propose(service, DELETE_MOST)
        await enter_inbox(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, ASKED)
        assert "600" not in app.dock.panel.query_one(Input).placeholder
        await pilot.press(*"60", "enter")
        await until_shown(pilot, "'60' is not it: it stands in the first line above")
        assert (await service.status("c1")).status == "waiting"
        await pilot.press(*"600", "enter")
        await until_shown(pilot, "c1 applied in")


async def test_escape_from_typing_the_rows_leaves_the_change_undecided(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, DELETE_MOST)
        await enter_inbox(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, ASKED)
        await pilot.press(*"600", "escape")
        await until(pilot, lambda: app.dock.panel.has_focus)
        assert ASKED not in frame(app)
        assert (await service.status("c1")).status == "waiting"


async def test_a_comment_comes_before_the_rows_and_the_passphrase_after_them(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    service.make_approver("correct horse battery")
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, "DROP TABLE orders")
        await enter_inbox(pilot, app)
        await pilot.press("c", *"as agreed")
        app.dock.panel.guard.lift()
        await pilot.press("enter")
        await until_shown(pilot, ASKED)
        await pilot.press(*"1,000", "enter")
        await until_shown(pilot, "The approver's passphrase.")
        await pilot.press(*"correct horse battery", "enter")
        await until_shown(pilot, "c1 applied in")
        approval = (await service.show("c1")).approval
        assert approval is not None and approval.comment == "as agreed"


async def test_what_breaks_a_check_needs_its_rows_typed_however_few_they_are(place: ChangesWorkspace) -> None:
    check = CheckQuery(name="amounts are positive", query="SELECT count(*) FROM orders WHERE amount < 0")
    service = place.service(hooks=TableHooks(checks=(check,)))
    app = make_app(place.root, has_tools=False, open_desk=desk_of(service))
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, "UPDATE orders SET amount = -1 WHERE id = 3")
        await until_shown(pilot, "check amounts are positive would fail")
        await enter_inbox(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "Type how many rows change in orders.")
        await pilot.press("1", "enter")
        await until_shown(pilot, "c1 applied in")


async def test_after_a_move_the_card_is_of_the_change_that_takes_its_place(place: ChangesWorkspace) -> None:
    writer = HeldWriter()
    service = place.service(writer=writer)
    app = make_app(place.root, has_tools=False, open_desk=desk_of(service))
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await propose(service, "DELETE FROM orders WHERE id < 10")
        await until_shown(pilot, "⚑ 2 waiting")
        app.dock.enter("c1")
        await until(pilot, lambda: _shown(app) == "c1")
        await pass_guard(pilot, app)
        place.run("UPDATE orders SET amount = 1 WHERE id = 96")
        writer.gate.clear()
        await pilot.press("pagedown", "a")
        await until(pilot, lambda: _shown(app) == "c2")
        writer.gate.set()
        await until_shown(pilot, "It waits anew as c3")
        await until(pilot, lambda: _shown(app) == "c3", "the successor")


async def test_undo_turns_the_inbox_to_its_own_proposal(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    await _approve(service, await propose(service))
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, "DELETE FROM orders WHERE id < 10")
        await until(pilot, lambda: _shown(app) == "c2")
        await type_line(pilot, "/undo c1")
        await until_shown(pilot, "c3 would take back c1: it waits for your decision.")
        await pilot.press("f2")
        await until(pilot, lambda: _shown(app) == "c3", "the undo")


async def test_an_undo_that_the_policy_applies_or_denies_is_told_so(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    await _approve(service, await propose(service))
    service.policy = PolicySettings(rules=(PolicyRule(name="all of mine", verdict="allow"),))
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "/undo c1")
        await until_shown(pilot, "c2 has taken back c1: the policy allows it without asking.")
        assert "waits for your decision" not in frame(app)
        service.policy = PolicySettings(rules=(PolicyRule(name="nothing more", verdict="deny"),))
        await type_line(pilot, "/undo c2")
        await until_shown(pilot, "c3, which would take back c2, is denied by the policy")
        await until_shown(pilot, "nothing more")


async def test_an_approved_change_whose_attempt_broke_off_is_applied_from_the_inbox(place: ChangesWorkspace) -> None:
    app, service = await _interrupted(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "approved, not applied yet")
        await enter_inbox(pilot, app)
        assert "a apply" in frame(app)
        await pilot.press("r")
        await until_shown(pilot, "c1 is approved already: a applies it")
        await pilot.press("a")
        await until_shown(pilot, "c1 applied in")
        await until(pilot, lambda: not app.dock.inbox.waiting)
    assert (await service.status("c1")).status == "applied"


async def test_an_approved_change_whose_attempt_broke_off_is_applied_from_the_history(place: ChangesWorkspace) -> None:
    app, _ = await _interrupted(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "/changes c1")
        await until(pilot, lambda: isinstance(app.screen, HistoryScreen))
        await until_shown(pilot, "a apply c1")
        await until_shown(pilot, "approved, not applied yet")
        assert isinstance(app.screen, HistoryScreen)
        app.screen.guard.lift()
        await pilot.press("a")
        await until_shown(pilot, "c1 applied in")


async def test_a_key_before_the_next_change_is_read_is_told_so(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await propose(service, "DELETE FROM orders WHERE id < 10")
        await until_shown(pilot, "⚑ 2 waiting")
        await enter_inbox(pilot, app)
        panel = app.dock.panel
        other = "c1" if _shown(app) == "c2" else "c2"
        panel.action_step(1)
        panel.action_decide("edit")
        await pilot.pause()
        assert panel._told in {"", f"{other} is being read: press the key again"}
        await until(pilot, lambda: _shown(app) == other)
        assert "being read" not in frame(app)


class HeldWriter(InProcessWriter):
    """Begins no job while its gate is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The outcome."""
        await self.gate.wait()
        return await super().run(job_json, timeout_seconds=timeout_seconds)


class BrokenOnce(InProcessWriter):
    """Dies at its second job, which is the first attempt to apply."""

    jobs = 0

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The outcome; raises `EngineFault` once."""
        self.jobs += 1
        if self.jobs == 2:
            raise EngineFault("the writer was killed")
        return await super().run(job_json, timeout_seconds=timeout_seconds)


async def _interrupted(place: ChangesWorkspace) -> tuple[StewardApp, ChangeService]:
    service = place.service(writer=BrokenOnce(), clock=lambda: LONG_AGO)
    change = await propose(service, UPDATE)
    report = await service.status(change)
    await service.approve(change, digest=report.digest, by="ada", channel="terminal")
    await service.recover()
    assert (await service.status(change)).status == "approved"
    return make_app(place.root, has_tools=False, open_desk=desk_of(service)), service


def _shown(app: StewardApp) -> str | None:
    row = app.dock.panel.row
    return row.summary.handle if row is not None else None


async def _approve(service: ChangeService, change: str) -> None:
    report = await service.status(change)
    done = await service.approve(change, digest=report.digest, by="ada", channel="app")
    assert done.status == "applied", done.message


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


async def _type_fast(pilot: Pilot[None], clock: HandClock, words: str) -> None:
    for letter in words:
        await pilot.press("space" if letter == " " else letter)
        clock.now += 0.15


async def _enter_by_hand(pilot: Pilot[None], app: StewardApp, service: ChangeService) -> HandClock:
    """F2 with one low-risk change waiting that is seen to its end; the panel's clock is moved by hand."""
    panel, clock = app.dock.panel, HandClock()
    await propose(service)
    await until(pilot, lambda: panel.row is not None and panel.view.line_count > 0)
    panel.guard.clock = clock
    await pilot.press("f2")
    await until(pilot, lambda: panel.has_focus and panel.view.is_seen_to_end)
    panel.guard.restart()
    return clock


async def test_a_reason_that_is_typed_at_once_rejects_and_approves_nothing(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 50)) as pilot:
        clock = await _enter_by_hand(pilot, app, service)
        clock.now += 0.3
        await _type_fast(pilot, clock, "ralready done")
        await pilot.press("enter")
        await until_shown(pilot, "c1 rejected. “already done”")
    assert (await service.status("c1")).status == "rejected"


async def test_after_a_key_that_was_too_soon_all_are_dead_until_a_pause(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 50)) as pilot:
        clock = await _enter_by_hand(pilot, app, service)
        clock.now += 0.3
        await pilot.press("a")
        await until_shown(pilot, "too soon: have a look first")
        clock.now += 0.15
        await _type_fast(pilot, clock, "lready done x axe car")
        await until_shown(pilot, "keys came too fast, so nothing is decided")
        panel = app.dock.panel
        assert panel.has_focus and not panel.is_asking and len(app.screen_stack) == 1
        assert (await service.status("c1")).status == "waiting"
        clock.now += 0.6
        await pilot.press("a")
        await until_shown(pilot, "c1 applied in")


@pytest.mark.parametrize("words", ["already done", "no, a car", "an axe"])
async def test_words_typed_into_the_panel_approve_nothing_however_late_they_begin(
    place: ChangesWorkspace, words: str
) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 50)) as pilot:
        clock = await _enter_by_hand(pilot, app, service)
        app.dock.panel.hold_seconds = 60
        clock.now += 10
        await _type_fast(pilot, clock, words.replace(",", ""))
        await until_shown(pilot, "keys came too fast, so nothing is decided")
        assert app.dock.panel._held is None
        assert (await service.status("c1")).status == "waiting"


async def test_a_line_for_a_comment_approves_only_after_a_pause(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 50)) as pilot:
        clock = await _enter_by_hand(pilot, app, service)
        clock.now += 10
        await _type_fast(pilot, clock, "create")
        await pilot.press("enter")
        await until_shown(pilot, "too fast to approve")
        assert (await service.status("c1")).status == "waiting"
        clock.now += 0.6
        await pilot.press("enter")
        await until_shown(pilot, "c1 applied in")
        approval = (await service.show("c1")).approval
        assert approval is not None and approval.comment == "reate"


async def test_keys_that_come_at_once_go_into_the_line_that_the_first_opens(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 50)) as pilot:
        clock = await _enter_by_hand(pilot, app, service)
        clock.now += 10
        for letter in "raa":
            app.post_message(events.Key(letter, letter))
        await until(pilot, lambda: app.dock.panel.query_one(Input).value == "aa")
        assert (await service.status("c1")).status == "waiting"


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_typing_the_rows_and_what_was_not_applied_look_as_they_should(
    place: ChangesWorkspace, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place.root.parent))
    for module in ("approval_panel", "history_screen", "queue_line"):
        monkeypatch.setattr(f"datasteward_tui.{module}.describe_age", lambda _: "4 min")
    monkeypatch.setattr("datasteward_tui.change_effect.describe_seconds", lambda _: "0.01 s")
    app, service = await _interrupted(place)
    async with app.run_test(size=size) as pilot:
        await propose(service, DELETE_MOST)
        await until_shown(pilot, "⚑ 2 waiting")
        app.dock.enter("c2")
        await until(pilot, lambda: _shown(app) == "c2")
        await pass_guard(pilot, app)
        await pilot.press("pagedown", "pagedown", "a")
        await until_shown(pilot, ASKED)
        match_snapshot(app, "approval-rows")
        await pilot.press("escape")
        app.dock.enter("c1")
        await until(pilot, lambda: _shown(app) == "c1")
        await until_shown(pilot, "a apply")
        match_snapshot(app, "approval-not-applied")
        await pilot.press("h")
        await until_shown(pilot, "PgUp PgDn")
        await pilot.press("down")
        await until_shown(pilot, "a apply c1")
        await until_shown(pilot, "decided approved by ada")
        match_snapshot(app, "history-not-applied")
