"""The other ways to decide: by a rule, after an edit, with a passphrase, by stopping; and the history of it all."""

import tomllib
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from datasteward.changes.model import Parameter
from datasteward.changes.service import ChangeService
from datasteward_tui.app import StewardApp
from datasteward_tui.history_screen import HistoryScreen
from datasteward_tui.inbox import read_policy
from datasteward_tui.key_line import KeyLine
from datasteward_tui.queue_line import QueueLine
from datasteward_tui.rule_screen import RuleScreen
from datasteward_tui.sql_edit_screen import SqlEditScreen
from tests.support.app_desks import (
    EVIL,
    EVIL_SHOWN,
    UPDATE,
    enter_inbox,
    make_desk_app,
    make_orders,
    pass_guard,
    propose,
)
from tests.support.app_runs import SIZES, frame, match_snapshot, type_line, until, until_shown
from tests.support.changes_workspace import ChangesWorkspace

pytestmark = pytest.mark.anyio
PASSPHRASE = "correct horse battery"
HALF_PAST_NINE = 1795253400.0
"""On 21 November 2026, UTC."""


@pytest.fixture
def place(tmp_path: Path) -> ChangesWorkspace:
    return make_orders(tmp_path / "shop")


async def open_rule(pilot: Pilot[None], app: StewardApp, service: ChangeService) -> None:
    """Propose, and ask for the rule that would allow it."""
    await propose(service)
    await enter_inbox(pilot, app)
    await pilot.press("A")
    await until(pilot, partial(_is_on, app, RuleScreen))


async def open_edit(pilot: Pilot[None], app: StewardApp, service: ChangeService) -> None:
    """Propose, and edit the SQL."""
    await propose(service)
    await enter_inbox(pilot, app)
    await pilot.press("e")
    await until(pilot, partial(_is_on, app, SqlEditScreen))


async def test_risk_and_the_policys_verdict_are_shown_with_their_reasons(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, "DELETE FROM orders WHERE id < 600")
        await until_shown(pilot, "■ high risk")
        await until_shown(pilot, "60% of the rows of orders change or go")
        assert "policy  asks  no rule settles it" in frame(app)
        assert app.dock.panel.has_class("-high")


async def test_a_rule_is_shown_before_it_is_written_and_then_decides_the_next_change(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_rule(pilot, app, service)
        await until_shown(pilot, "[[policy.rules]]")
        assert "From now on, without asking" in frame(app)
        screen = app.screen
        assert isinstance(screen, RuleScreen)
        screen.guard.restart()
        await pilot.press("a")
        await until_shown(pilot, "too soon")
        assert not (place.root / "steward.toml").exists()
        screen.guard.lift()
        await pilot.press("a")
        await until_shown(pilot, "c1 applied in")
        rule = tomllib.loads((place.root / "steward.toml").read_text())["policy"]["rules"][0]
        assert rule["max_rows"] == 14
        assert rule["tables"] == ["main.orders"]
        again = UPDATE.replace("'paid' WHERE status = 'open'", "'open' WHERE status = 'paid'").replace("95", "99999")
        assert (await service.propose(again, requested_by="nightly-fix")).status == "applied"


async def test_a_rule_that_cannot_be_is_refused_in_words(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, "COPY orders TO 'data/out.csv'")
        await enter_inbox(pilot, app)
        await pilot.press("A")
        await until_shown(pilot, "No rule can allow this")
        assert (await service.status("c1")).status == "waiting"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("max_row = 3", "unknown key 'max_row'; did you mean max_rows?"),
        ("max_rows = 'few'", "max_rows is 'few': expected a valid integer"),
        ('verdict = "alow"', "verdict is 'alow': expected 'allow', 'ask' or 'deny'"),
        ("max_rows 3", "not TOML"),
        ('[[policy.rules]]\nname = "b"\nverdict = "ask"', "it holds 2 rules: one is accepted"),
        ("[limits]", "unknown table [limits]: only one [[policy.rules]] table is accepted"),
    ],
)
async def test_a_bad_rule_is_told_with_what_is_wrong_until_it_is_mended(
    place: ChangesWorkspace, line: str, reason: str
) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_rule(pilot, app, service)
        screen = app.screen
        assert isinstance(screen, RuleScreen)
        good = '[[policy.rules]]\nname = "a"\n'
        bad = f"{good}{line}" if line.startswith("verdict") else f'{good}verdict = "allow"\n{line}'
        for text, shown in ((bad, reason), (f'{good}verdict = "allow"', "From now on, without asking")):
            screen.guard.lift()
            await pilot.press("e")
            await until(pilot, partial(_is_on, app, SqlEditScreen))
            app.screen.query_one(TextArea).text = text
            await pilot.press("ctrl+s")
            await until_shown(pilot, shown)
            if text == bad:
                screen.guard.lift()
                await pilot.press("a")
                await until_shown(pilot, "mend the rule first: e edits it")
        assert "e edits it" not in frame(app)


async def test_rules_that_do_not_count_until_the_policy_is_signed_are_told_so(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    (place.root / "steward.toml").write_text('[[policy.rules]]\nname = "mine"\nverdict = "allow"\n')
    words = "The policy is not signed"
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "no model")
        await type_line(pilot, "/rules")
        await until_shown(pilot, "Recently blocked")
        assert words not in frame(app)
        await pilot.press("escape")
        service.make_approver(PASSPHRASE)
        await type_line(pilot, "/rules")
        await until_shown(pilot, words)
        assert "steward policy sign" in frame(app)
        await pilot.press("escape")
        service.policy = read_policy(app.workspace)
        service.sign_policy(PASSPHRASE)
        await type_line(pilot, "/rules")
        await until_shown(pilot, "Recently blocked")
        assert words not in frame(app)


async def test_a_change_that_waits_only_for_the_policys_signature_says_so(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    (place.root / "steward.toml").write_text('[[policy.rules]]\nname = "mine"\nverdict = "allow"\n')
    service.policy = read_policy(app.workspace)
    service.make_approver(PASSPHRASE)
    async with app.run_test(size=(140, 50)) as pilot:
        await propose(service)
        await until_shown(pilot, "allows it  by rule 'mine'")
        await until_shown(pilot, "but the policy is not signed")
        service.sign_policy(PASSPHRASE)
        await type_line(pilot, "/changes c1")
        await until(pilot, partial(_is_on, app, HistoryScreen))
        assert (await app.dock.inbox.read("c1")).allow_counts
        assert (await service.status("c1")).status == "waiting"


async def test_escape_from_the_rule_writes_and_approves_nothing(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_rule(pilot, app, service)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert not (place.root / "steward.toml").exists()
        assert (await service.status("c1")).status == "waiting"


async def test_an_edited_text_is_measured_anew_and_asked_again(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_edit(pilot, app, service)
        await pilot.press(*" AND id < 300", "ctrl+s")
        await until_shown(pilot, "c2 takes the place of c1")
        await until(pilot, lambda: app.dock.panel.row is not None and app.dock.panel.row.summary.handle == "c2")
        await until_shown(pilot, "edited  from c1")
        await until_shown(pilot, "orders: 4 of 1,000 rows change")
        assert (await service.status("c1")).status == "replaced"
        assert (await service.status("c2")).status == "waiting"
        await pass_guard(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "c2 applied in")


async def test_an_edit_that_fails_leaves_the_change_as_it_was(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_edit(pilot, app, service)
        await pilot.press(*" AND nowhere = 1", "ctrl+s")
        await until_shown(pilot, "c1 stays as it is:")
        assert (await service.status("c1")).status == "waiting"


async def test_approving_asks_for_the_passphrase_of_an_approvers_key(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    service.make_approver(PASSPHRASE)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service)
        await enter_inbox(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "The approver's passphrase.")
        await pilot.press(*"wrong words", "enter")
        await until_shown(pilot, "The passphrase does not open the approver's key.")
        assert (await service.status("c1")).status == "waiting"
        await pass_guard(pilot, app)
        await pilot.press("a")
        await pilot.press(*PASSPHRASE)
        assert PASSPHRASE not in frame(app)
        await pilot.press("enter")
        await until_shown(pilot, "c1 applied in")
        approval = (await service.show("c1")).approval
        assert approval is not None and approval.signature is not None


async def test_a_rule_under_an_approvers_key_is_signed_with_its_passphrase(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    service.make_approver(PASSPHRASE)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_rule(pilot, app, service)
        screen = app.screen
        assert isinstance(screen, RuleScreen)
        screen.guard.lift()
        await pilot.press("a", *PASSPHRASE, "enter")
        await until_shown(pilot, "c1 applied in")
        assert (
            await service.propose("UPDATE orders SET status = 'x' WHERE id = 1", requested_by="nightly-fix")
        ).status == "applied"


async def test_stop_rejects_all_that_the_agent_has_waiting_and_tells_it_so(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, by="wild")
        await propose(service, "DELETE FROM orders WHERE id < 10", by="calm")
        await propose(service, "DELETE FROM orders WHERE id < 20", by="wild")
        await until_shown(pilot, "⚑ 3 waiting")
        await enter_inbox(pilot, app)
        await until(pilot, lambda: app.dock.panel.row is not None and app.dock.panel.row.summary.handle == "c3")
        await pass_guard(pilot, app)
        await pilot.press("x", *"wrong table", "enter")
        await until_shown(pilot, "wild is told to stop; c3, c1 rejected.")
        found = [await service.status(c) for c in ("c1", "c2", "c3")]
        assert [r.status for r in found] == ["rejected", "waiting", "rejected"]
        assert found[0].comment == "Stop your work here and tell what is left undone. wrong table"


async def test_history_shows_what_became_of_each_change_and_the_proof_of_an_undo(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    await _approve(service, await propose(service))
    await _approve(service, (await service.propose_undo("c1", requested_by="ada")).change)
    await service.reject(await propose(service), by="ada", channel="app", comment="not now")
    async with app.run_test(size=(140, 44)) as pilot:
        app.dock.show_history()
        await until(pilot, lambda: isinstance(app.screen, HistoryScreen))
        await until_shown(pilot, "✗ c3   rejected")
        await until_shown(pilot, "rejected by ada (app)")
        await pilot.press("down")
        await until_shown(pilot, "✓ all is exactly as it was before")
        marks = next(line for line in frame(app).splitlines() if "before c1 =" in line)
        assert marks.split("before c1 =")[1].strip().startswith(marks.split("before c1")[0].split("orders")[-1].strip())
        await pilot.press("down")
        await until_shown(pilot, "undone by c2")
        await pilot.press("u")
        await until_shown(pilot, "c1 was taken back by c2")
        await pilot.press("slash", *"rejected", "enter")
        await until(pilot, lambda: "undone by" not in frame(app))


async def test_changes_that_build_on_each_other_are_undone_one_by_one(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    before = place.fingerprint()
    await _approve(service, await propose(service))
    await _approve(service, await propose(service, "UPDATE orders SET status = 'done' WHERE id IN (96, 99)"))
    async with app.run_test(size=(120, 40)) as pilot:
        app.dock.propose_undo("c2", "c1")
        await until_shown(pilot, "c3 would take back c2")
        await until_shown(pilot, "Then come c1.")
        await enter_inbox(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "c4 would take back c1")
        await until(pilot, lambda: app.dock.panel.row is not None and app.dock.panel.row.summary.handle == "c4")
        await pass_guard(pilot, app)
        await pilot.press("pagedown", "a")
        await until(pilot, lambda: frame(app).count("proven to be as they were") == 2)
    assert place.fingerprint() == before


async def test_a_change_that_comes_while_the_terminal_is_elsewhere_calls_the_person(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(80, 24)) as pilot:
        written: list[str] = []
        assert app._driver is not None
        app._driver.write = written.append  # type: ignore[method-assign, assignment]
        app.on_app_blur()
        await propose(service)
        await until(pilot, lambda: any("\x1b]9;" in w for w in written))
        assert any("\x1b]777;notify;" in w for w in written)


async def test_what_cannot_be_shown_whole_is_not_approved(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        hidden = Parameter(name="1", value="x" * 1_000_000)
        await service.propose("UPDATE orders SET status = $1 WHERE id = 3", requested_by="sly", parameters=(hidden,))
        await until_shown(pilot, "⚑ c1")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "too long to be shown whole")
        assert (await service.status("c1")).status == "waiting"


async def test_hostile_words_are_shown_as_text_in_rules_edits_and_history(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(150, 50)) as pilot:
        await service.propose(f"UPDATE orders SET status = '{EVIL}' WHERE id = 3", requested_by=EVIL, purpose=EVIL)
        await until_shown(pilot, EVIL_SHOWN)
        await enter_inbox(pilot, app)
        for key, screen in (("e", SqlEditScreen), ("A", RuleScreen), ("h", HistoryScreen)):
            await pass_guard(pilot, app)
            await pilot.press(key)
            await until(pilot, partial(_is_on, app, screen))
            await until_shown(pilot, "[@click=app.quit]x[/]␛[2J" if key != "A" else "\\u001b]0;owned")
            assert "\x1b" not in frame(app) and "\u202e" not in frame(app)
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)


def _is_on(app: StewardApp, screen: type) -> bool:
    return isinstance(app.screen, screen)


async def _approve(service: ChangeService, change: str) -> None:
    report = await service.status(change)
    done = await service.approve(change, digest=report.digest, by="ada", channel="app")
    assert done.status == "applied", done.message


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_screens_of_deciding_look_as_they_should(
    place: ChangesWorkspace, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place.root.parent))
    for module in ("approval_panel", "history_screen"):
        monkeypatch.setattr(f"datasteward_tui.{module}.describe_age", lambda _: "4 min")
    monkeypatch.setattr("datasteward_tui.change_effect.describe_seconds", lambda _: "0.01 s")
    app, service = make_desk_app(place, clock=lambda: HALF_PAST_NINE)
    await _approve(service, await propose(service))
    async with app.run_test(size=size) as pilot:
        await propose(service, "DELETE FROM orders WHERE id < 10", by="mcp:claude-code")
        await until_shown(pilot, "orders: 10 of 1,000 rows go")
        await enter_inbox(pilot, app)
        app.dock.panel.view.scroll_home(animate=False, immediate=True)
        await pilot.pause()
        match_snapshot(app, "approval-keys")
        await pilot.press("A")
        await until_shown(pilot, "[[policy.rules]]")
        match_snapshot(app, "approval-rule")
        await pilot.press("escape")
        await pass_guard(pilot, app)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, SqlEditScreen))
        match_snapshot(app, "approval-edit")
        await pilot.press("escape", "h")
        await until_shown(pilot, "✓ c1")
        await pilot.press("down")
        await until_shown(pilot, "approved by ada (app)")
        match_snapshot(app, "history")


async def test_the_mouse_turns_to_others_and_decides_no_sooner_than_the_keys(place: ChangesWorkspace) -> None:
    app, service = make_desk_app(place)
    async with app.run_test(size=(120, 40)) as pilot:
        await propose(service, by="one")
        await propose(service, by="two")
        await until_shown(pilot, "c1 one")
        app.dock.panel.guard.clock = lambda: 0.0
        await pilot.press("f2")
        await until_shown(pilot, "a approve")
        line = next(text for text in frame(app).splitlines() if "c1 one" in text)
        await pilot.click(QueueLine, offset=(line.index("c1 one") - 2, 0))
        await until(pilot, lambda: app.dock.panel.row is not None and app.dock.panel.row.summary.handle == "c1")
        await until_shown(pilot, "a approve")
        await pilot.click(KeyLine, offset=(1, 0))
        await until_shown(pilot, "too soon: have a look first")
        assert (await service.status("c1")).status == "waiting"
