"""Reviewing a plan: every step can be dropped, moved, reworded, edited and commented, and a yes grants what is left."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from textual.pilot import Pilot

from datasteward_cli.app import Scope
from datasteward_tui.app import StewardApp
from datasteward_tui.lines_view import LinesView
from datasteward_tui.plan_screen import PlanScreen
from datasteward_tui.question_screen import QuestionScreen
from datasteward_tui.sql_edit_screen import SqlEditScreen
from tests.support.agent_runs import scripted
from tests.support.app_chats import make_chat_app
from tests.support.app_desks import EVIL, EVIL_SHOWN, pass_guard
from tests.support.app_runs import SIZES, frame, match_snapshot, type_line, until, until_shown
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio
FIX = "UPDATE orders SET amount = amount + 1 WHERE id = 3"
DROP = "DELETE FROM orders WHERE id = 5"
PLAN: dict[str, Any] = {
    "goal": "Mend the orders that the export broke",
    "steps": [
        {"title": "Count orders by customer", "reads": ["orders"], "expected": "7 customers"},
        {
            "title": "Raise the amount of order 3",
            "reads": ["orders"],
            "writes": ["orders"],
            "sql": FIX,
            "expected": "1 row",
            "why": "the export rounded it down",
        },
        {"title": "Remove order 5", "writes": ["orders"], "sql": DROP, "expected": "1 row"},
    ],
}
SUBMIT = {"calls": [{"tool": "submit_plan", "arguments": PLAN}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "shop")


async def open_plan(pilot: Pilot[None], app: StewardApp) -> PlanScreen:
    """Ask for the plan, open it, and let the guard run out."""
    await type_line(pilot, "mend the orders")
    await until(pilot, lambda: isinstance(app.screen, PlanScreen) or app.screen_person.has_waiting)
    if not isinstance(app.screen, PlanScreen):
        await pilot.press("f7")
    await until(pilot, lambda: isinstance(app.screen, PlanScreen))
    screen = app.screen
    assert isinstance(screen, PlanScreen)
    await until(pilot, lambda: screen.query_one(LinesView).line_count > 0)
    screen.guard.lift()
    return screen


def told(app: StewardApp) -> str:
    """Everything the model was told."""
    assert app.conversation is not None and app.conversation._session is not None
    return "\n".join(getattr(part, "text", "") for m in app.conversation._session.state.messages for part in m.parts)


async def test_the_agent_sees_every_edit_comment_and_the_new_order(folder: Path) -> None:
    app = make_chat_app(folder, scripted(SUBMIT, {"say": "I do it your way."}))
    async with app.run_test(size=(120, 44)) as pilot:
        await open_plan(pilot, app)
        await pilot.press("down", "e")
        await until(pilot, lambda: isinstance(app.screen, SqlEditScreen))
        await pilot.press(*" AND amount < 9", "ctrl+s")
        await until_shown(pilot, "edited")
        await pilot.press("t", *" now", "enter", "c", *"mind the cents", "enter", "i", "J")
        await until_shown(pilot, "“mind the cents”")
        await until_shown(pilot, "nothing yet: its change is asked for")
        await pilot.press("up", "up", "x")
        await until_shown(pilot, "dropped")
        await pilot.press("a")
        await until_shown(pilot, "I do it your way.")
        words = told(app)
    assert "Step “Raise the amount of order 3 now” was “Raise the amount of order 3”." in words
    assert "The SQL of step “Raise the amount of order 3 now” was changed" in words
    assert f"{FIX} AND amount < 9" in words
    assert "mind the cents" in words
    assert "Dropped: Count orders by customer" in words
    assert "The steps are in another order." in words
    assert words.index("1. Remove order 5") < words.index("2. Raise the amount of order 3 now")
    assert "its change is asked for" in words


async def test_approving_needs_the_end_of_a_long_plan_in_sight(folder: Path) -> None:
    steps = [{"title": f"step {n}", "reads": ["orders"], "why": "so"} for n in range(30)]
    submit = {"calls": [{"tool": "submit_plan", "arguments": {"goal": "much", "steps": steps}}]}
    app = make_chat_app(folder, scripted(submit, {"say": "Begun."}))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_plan(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "look to the end first")
        for _ in range(29):
            await pilot.press("down")
        await until_shown(pilot, "▸ ☑ 30")
        await pilot.press("a")
        await until_shown(pilot, "Begun.")


async def test_escape_leaves_the_plan_waiting(folder: Path) -> None:
    app = make_chat_app(folder, scripted(SUBMIT, {"say": "never"}))
    async with app.run_test(size=(120, 44)) as pilot:
        await open_plan(pilot, app)
        await pilot.press("c", "x", "escape")
        assert isinstance(app.screen, PlanScreen)
        await pilot.press("escape")
        await until_shown(pilot, "The run waits for a decision.")
        assert "never" not in frame(app)


def changing(sql: str) -> dict[str, Any]:
    return {"calls": [{"tool": "propose_change", "arguments": {"sql": sql}}]}


def amounts(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT id, amount FROM orders WHERE id IN (3, 5) ORDER BY 1").fetchall()


async def test_an_approved_plan_applies_its_own_sql_and_asks_about_anything_else(folder: Path) -> None:
    before = amounts(folder)
    turns = (SUBMIT, changing(FIX), changing("UPDATE orders SET amount = 0 WHERE id = 5"), {"say": "All done."})
    app = make_chat_app(folder, scripted(*turns), scope=Scope(folder, no_owner=True))
    async with app.run_test(size=(120, 44)) as pilot:
        await open_plan(pilot, app)
        await pilot.press("a")
        await until_shown(pilot, "c1 applied. “granted by plan p1, step 2, approved at the terminal”")
        await until_shown(pilot, "⚑ c2 · 1 of 1")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await until(pilot, lambda: app.dock.panel.view.is_seen_to_end)
        await pilot.press("r", *"not in the plan", "enter")
        await until_shown(pilot, "All done.")
    after = amounts(folder)
    assert [float(b[1]) - float(a[1]) for a, b in zip(before, after, strict=True)] == [1.0, 0.0]


async def test_step_by_step_asks_about_each_change(folder: Path) -> None:
    app = make_chat_app(
        folder, scripted(SUBMIT, changing(FIX), {"say": "All done."}), scope=Scope(folder, no_owner=True)
    )
    before = amounts(folder)
    async with app.run_test(size=(120, 44)) as pilot:
        await open_plan(pilot, app)
        await pilot.press("s")
        await until_shown(pilot, "⚑ c1 · 1 of 1")
        assert amounts(folder) == before
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await until(pilot, lambda: app.dock.panel.view.is_seen_to_end)
        await pilot.press("a")
        await until_shown(pilot, "All done.")
    assert amounts(folder) != before


async def test_an_agents_change_that_is_edited_goes_on_as_its_successor(folder: Path) -> None:
    app = make_chat_app(folder, scripted(changing(FIX), {"say": "So be it."}), scope=Scope(folder, no_owner=True))
    async with app.run_test(size=(120, 44)) as pilot:
        await type_line(pilot, "raise it")
        await until_shown(pilot, "⚑ c1 · 1 of 1")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, SqlEditScreen))
        await pilot.press(*" OR id = 5", "ctrl+s")
        await until_shown(pilot, "⚑ c2 · 1 of 1")
        await until_shown(pilot, "edited  from c1")
        await pass_guard(pilot, app)
        await until(pilot, lambda: app.dock.panel.view.is_seen_to_end)
        await pilot.press("a")
        await until_shown(pilot, "So be it.")
        assert "c2 is applied." in told(app)


async def test_stop_ends_the_run_of_the_asking_agent(folder: Path) -> None:
    app = make_chat_app(folder, scripted(changing(FIX), {"say": "never said"}), scope=Scope(folder, no_owner=True))
    async with app.run_test(size=(120, 44)) as pilot:
        await type_line(pilot, "raise it")
        await until_shown(pilot, "⚑ c1 · 1 of 1")
        await pilot.press("f2")
        await pass_guard(pilot, app)
        await pilot.press("x", *"wrong day", "enter")
        await until_shown(pilot, "A person told the agent to stop.")
        assert "never said" not in frame(app)


async def test_hostile_words_of_a_plan_and_a_question_are_shown_as_text(folder: Path) -> None:
    step = {"title": EVIL, "writes": [EVIL], "why": EVIL, "sql": EVIL, "expected": EVIL}
    submit = {"calls": [{"tool": "submit_plan", "arguments": {"goal": EVIL, "steps": [step]}}]}
    question = {"calls": [{"tool": "ask_user", "arguments": {"question": EVIL, "options": [EVIL]}}]}
    app = make_chat_app(folder, scripted(submit, question, {"say": "ok"}))
    async with app.run_test(size=(120, 44)) as pilot:
        await open_plan(pilot, app)
        assert frame(app).count(EVIL_SHOWN) >= 6
        assert "\x1b" not in frame(app) and "\u202e" not in frame(app)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen) or app.screen_person.has_waiting)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        assert f"1  {EVIL_SHOWN}" in frame(app)
        assert "\x1b" not in frame(app)
        await pilot.press("1", "enter")
        await until_shown(pilot, "ok")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_plan_and_question_look_as_they_should(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setattr("datasteward_tui.call_block.format_seconds", lambda _: "9 ms")
    question = {"tool": "ask_user", "arguments": {"question": "Which year do you mean?", "options": ["2025", "2026"]}}
    app = make_chat_app(folder, scripted(SUBMIT, {"calls": [question]}, {"say": "ok"}))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        screen = await open_plan(pilot, app)
        await pilot.press("down", "c", *"only if it is still open", "enter")
        match_snapshot(app, "plan")
        await pilot.press("pagedown", "pagedown")
        await until(pilot, lambda: screen.query_one(LinesView).is_seen_to_end)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen) or app.screen_person.has_waiting)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        match_snapshot(app, "question")
        await pilot.press("escape")
