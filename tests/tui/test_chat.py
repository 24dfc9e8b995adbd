"""Talking to a model: what it says, calls, plans and asks, and how a person stops and steers it."""

import asyncio
from pathlib import Path

import pytest

from datasteward_agent.models.scripted import Script
from datasteward_agent.toolset import EvidenceReport, FigureVerdict
from datasteward_tui.call_block import CallBlock
from datasteward_tui.plan_screen import PlanScreen
from datasteward_tui.question_screen import QuestionScreen
from datasteward_tui.reply_block import ReplyBlock
from datasteward_tui.session_screen import SessionScreen
from tests.support.agent_runs import scripted
from tests.support.app_chats import PacedModel, make_chat_app
from tests.support.app_runs import SIZES, frame, match_snapshot, type_line, until, until_shown
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio
SQL = "SELECT region, sum(amount) AS total FROM 'data/sales.csv' GROUP BY ALL ORDER BY 1"
ANSWER = "North sold **40.5** [r1] and south 20.25 [r1].\n\n- north leads\n- by 20.25"
TURNS = (
    {"say": "I look at the sales.", "calls": [{"tool": "run_query", "arguments": {"sql": SQL}}]},
    {"say": ANSWER},
)
PLAN = {
    "goal": "Clean the orders",
    "steps": [
        {"title": "profile orders", "reads": ["orders"]},
        {"title": "fix the status", "reads": ["orders"], "writes": ["orders"], "expected": "14 rows"},
        {"title": "rebuild the mart", "writes": ["mart.revenue"], "why": "it reads orders"},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "shop")


class FixedEvidence:
    """Verdicts that are known beforehand."""

    async def check(self, text: str, handles: tuple[str, ...]) -> EvidenceReport:
        """Backed, then derived."""
        if "40.5" not in text:
            return EvidenceReport()
        at, by = text.index("40.5"), text.rindex("20.25")
        return EvidenceReport(
            figures=(
                FigureVerdict(text="40.5", verdict="backed", start=at, end=at + 4),
                FigureVerdict(text="20.25", verdict="backed", start=text.index("20.25"), end=text.index("20.25") + 5),
                FigureVerdict(text="20.25", verdict="derived", start=by, end=by + 5),
            )
        )


async def test_an_answer_comes_with_its_calls_folded_and_its_figures_marked(folder: Path) -> None:
    app = make_chat_app(folder, scripted(*TURNS), evidence=FixedEvidence())
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "what sells best?")
        await until_shown(pilot, "North sold 40.5✓ [r1] and south 20.25✓ [r1].")
        await until_shown(pilot, "by 20.25≈")
        await until_shown(pilot, "● run_query  SELECT region")
        assert "r1 · 2 rows" in frame(app)
        await pilot.press("ctrl+o")
        await until_shown(pilot, "north    40.5")
        await type_line(pilot, "/open r1")
        await until(pilot, lambda: app.pane.grid is not None)


async def test_escape_stops_a_reply_keeps_what_arrived_and_gives_queued_words_back(folder: Path) -> None:
    model = PacedModel(Script.model_validate({"turns": [{"say": "one two three four"}, {"say": "never"}]}))
    model.gate = asyncio.Event()
    app = make_chat_app(folder, model)
    async with app.run_test(size=(100, 30)) as pilot:
        await type_line(pilot, "begin")
        await until_shown(pilot, "one two")
        await type_line(pilot, "and then this")
        await until_shown(pilot, "1 queued")
        await pilot.press("escape")
        await until_shown(pilot, "Stopped.")
        assert app.prompt.text == "and then this"
        assert "one two" in frame(app)
        assert "never" not in frame(app)
        assert app.conversation is not None
        await until(pilot, lambda: app.conversation is not None and not app.conversation.is_running)


async def test_queued_words_are_sent_when_the_run_is_over(folder: Path) -> None:
    model = PacedModel(Script.model_validate({"turns": [{"say": "one two three four"}, {"say": "second answer"}]}))
    model.gate = asyncio.Event()
    app = make_chat_app(folder, model)
    async with app.run_test(size=(100, 30)) as pilot:
        await type_line(pilot, "begin")
        await until_shown(pilot, "one two")
        await type_line(pilot, "go on")
        await until_shown(pilot, "queued")
        model.gate.set()
        await until_shown(pilot, "second answer")


async def test_typing_while_a_reply_streams_is_not_disturbed(folder: Path) -> None:
    model = PacedModel(Script.model_validate({"turns": [{"say": "one two three four"}]}))
    model.gate = asyncio.Event()
    app = make_chat_app(folder, model)
    async with app.run_test(size=(100, 30)) as pilot:
        await type_line(pilot, "begin")
        await until_shown(pilot, "one two")
        await pilot.press(*"next words")
        model.gate.set()
        await until_shown(pilot, "four")
        assert app.prompt.text == "next words"


async def test_a_plan_is_edited_and_the_agent_reads_the_comments(folder: Path) -> None:
    turns = ({"calls": [{"tool": "submit_plan", "arguments": PLAN}]}, {"say": "I do it your way."})
    app = make_chat_app(folder, scripted(*turns))
    async with app.run_test(size=(120, 40)) as pilot:
        app._typed_at = -100.0
        await type_line(pilot, "clean the orders")
        await _open_plan(pilot, app)
        screen = app.screen
        assert isinstance(screen, PlanScreen)
        screen.guard.restart()
        await pilot.press("a")
        assert isinstance(app.screen, PlanScreen)
        await pilot.press("down", "down", "x", "up", "c", *"only paid ones", "enter")
        await until_shown(pilot, "“only paid ones”")
        screen.guard.lift()
        await pilot.press("a")
        await until_shown(pilot, "I do it your way.")
        await until_shown(pilot, "p1 approved.")
        assert app.conversation is not None and app.conversation._session is not None
        told = "\n".join(m.model_dump_json() for m in app.conversation._session.state.messages)
        assert "only paid ones" in told
        assert "Dropped: rebuild the mart" in told


async def _open_plan(pilot, app) -> None:  # type: ignore[no-untyped-def]
    await until(pilot, lambda: isinstance(app.screen, PlanScreen) or app.screen_person.has_waiting)
    if not isinstance(app.screen, PlanScreen):
        await pilot.press("f7")
    await until(pilot, lambda: isinstance(app.screen, PlanScreen))


async def test_a_plan_never_opens_over_what_is_being_typed(folder: Path) -> None:
    turns = ({"calls": [{"tool": "submit_plan", "arguments": PLAN}]}, {"say": "So be it."})
    app = make_chat_app(folder, scripted(*turns))
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "clean the orders")
        await pilot.press(*"and a")
        await until_shown(pilot, "p1 waits for your review: F7 opens it.")
        await pilot.press("a")
        assert app.prompt.text == "and aa"
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        await pilot.press("r", *"not today", "enter")
        await until_shown(pilot, "p1 rejected. “not today”")


async def test_a_question_is_answered_by_number(folder: Path) -> None:
    call = {"tool": "ask_user", "arguments": {"question": "Which year?", "options": ["2025", "2026"]}}
    app = make_chat_app(folder, scripted({"calls": [call]}, {"say": "Then 2026."}))
    async with app.run_test(size=(100, 30)) as pilot:
        await type_line(pilot, "revenue?")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen) or app.screen_person.has_waiting)
        if not isinstance(app.screen, QuestionScreen):
            await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        await pilot.press("2", "enter")
        await until_shown(pilot, "Then 2026.")


async def test_the_mode_is_on_one_key_and_always_in_sight(folder: Path) -> None:
    app = make_chat_app(folder, scripted({"say": "ok"}))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "◆ ask")
        await pilot.press("shift+tab")
        await until_shown(pilot, "◆ auto")
        await type_line(pilot, "/mode plan")
        await until_shown(pilot, "◆ plan")


async def test_a_session_is_resumed_with_all_that_was_said(folder: Path) -> None:
    app = make_chat_app(folder, scripted(*TURNS))
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "what sells best?")
        await until_shown(pilot, "north leads")
        await until(pilot, lambda: app.conversation is not None and not app.conversation.is_running)
    again = make_chat_app(folder, scripted(*TURNS, {"say": "Nothing else."}))
    async with again.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "/sessions")
        await until(pilot, lambda: isinstance(again.screen, SessionScreen))
        await until_shown(pilot, "what sells best?")
        await pilot.press("enter")
        await until_shown(pilot, "north leads")
        kinds = [type(b) for b in again.transcript.blocks]
        assert CallBlock in kinds
        assert ReplyBlock in kinds
        await type_line(pilot, "anything else?")
        await until_shown(pilot, "Nothing else.")


async def test_hostile_words_of_a_model_are_shown_as_text(folder: Path) -> None:
    evil = "\x1b]0;owned\x07 [@click=app.quit]press[/] \u202eabc &#27;[2J"
    app = make_chat_app(folder, scripted({"say": evil}))
    async with app.run_test(size=(100, 30)) as pilot:
        await type_line(pilot, "hello")
        await until_shown(pilot, "[@click=app.quit]press[/]")
        assert "\x1b" not in frame(app)
        assert "␛]0;owned␇" in frame(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_conversation_looks_as_it_should(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setattr("datasteward_tui.call_block.format_seconds", lambda _: "9 ms")
    app = make_chat_app(folder, scripted(*TURNS), evidence=FixedEvidence())
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        await type_line(pilot, "what sells best?")
        await until_shown(pilot, "by 20.25≈")
        await until(pilot, lambda: app.conversation is not None and not app.conversation.is_running)
        match_snapshot(app, "chat")
