"""Conversations as a whole: found again, copied, gone back in, exported, counted; and the rules they work under."""

import time
from datetime import datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from textual.pilot import Pilot

from datasteward_cli.app import Scope
from datasteward_tui.app import StewardApp
from datasteward_tui.blocks import PersonBlock
from datasteward_tui.cost_screen import CostScreen
from datasteward_tui.model_screen import ModelScreen
from datasteward_tui.rewind_screen import RewindScreen
from datasteward_tui.rules_screen import RulesScreen
from datasteward_tui.session_screen import SessionScreen
from tests.support.agent_runs import scripted
from tests.support.app_chats import make_chat_app
from tests.support.app_desks import EVIL, EVIL_SHOWN, pass_guard
from tests.support.app_runs import SIZES, frame, match_snapshot, type_line, until, until_shown
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio
FIX = "UPDATE orders SET amount = amount + 1 WHERE id = 3"
BIRDS = {"when": {"prompt_contains": "birds"}, "say": "Herons eat fish."}
STONES = {"when": {"prompt_contains": "stones"}, "say": "Nothing of note."}
RULE = """
[[policy.rules]]
name = "small fixes of orders"
verdict = "allow"
kinds = ["update"]
tables = ["orders"]
max_rows = 5

[[policy.rules]]
name = "nothing is dropped"
verdict = "deny"
kinds = ["drop_*"]
"""


class OneMorning(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "OneMorning":
        """Half past nine."""
        return cls(2026, 11, 21, 9, 30, tzinfo=tz)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "shop")


def changing(sql: str) -> dict[str, Any]:
    return {"calls": [{"tool": "propose_change", "arguments": {"sql": sql}}]}


async def say(pilot: Pilot[None], app: StewardApp, text: str, answer: str) -> None:
    """Send a message and wait for the end of the run."""
    await type_line(pilot, text)
    await until_shown(pilot, answer)
    await until(pilot, lambda: app.conversation is not None and not app.conversation.is_running)


def persons(app: StewardApp) -> list[str]:
    """What the person said, as the screen has it."""
    return [b.words for b in app.transcript.blocks if isinstance(b, PersonBlock)]


async def test_going_back_to_a_message_keeps_what_was_before_it(folder: Path) -> None:
    app = make_chat_app(folder, scripted({"say": "Answer one."}, {"say": "Answer two."}, {"say": "Answer three."}))
    async with app.run_test(size=(120, 40)) as pilot:
        await say(pilot, app, "first question", "Answer one.")
        await say(pilot, app, "second question", "Answer two.")
        await type_line(pilot, "/rewind")
        await until(pilot, lambda: isinstance(app.screen, RewindScreen))
        await until_shown(pilot, "No change was applied since.")
        await pilot.press("enter")
        await until_shown(pilot, "Back to before that message")
        assert persons(app) == ["first question"]
        assert app.prompt.text == "second question"
        assert "Answer two." not in frame(app)
        app.prompt.put("")
        await say(pilot, app, "other question", "Answer two.")
        await type_line(pilot, "/sessions")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))
        await until(pilot, lambda: frame(app).count("first question") >= 2)


async def test_going_back_offers_to_undo_the_changes_since(folder: Path) -> None:
    turns = (
        changing(FIX), {"say": "Raised."}, changing(FIX.replace("+ 1", "* 2")), {"say": "Doubled."},
    )  # fmt: skip
    app = make_chat_app(folder, scripted(*turns), scope=Scope(folder, no_owner=True))
    (folder / "steward.toml").write_text(RULE)
    before = amounts(folder)
    async with app.run_test(size=(120, 44)) as pilot:
        await until(pilot, lambda: "propose" in app.at_hand)
        await say(pilot, app, "raise it", "Raised.")
        await say(pilot, app, "double it", "Doubled.")
        assert amounts(folder) != before
        await type_line(pilot, "/rewind")
        await until(pilot, lambda: isinstance(app.screen, RewindScreen))
        await until_shown(pilot, "not undone: c2.")
        await pilot.press("up")
        await until_shown(pilot, "not undone: c1, c2.")
        await pilot.press("u")
        await until_shown(pilot, "c3 would take back c2")
        for handle in ("c3", "c4"):
            await until(pilot, lambda handle=handle: is_at(app, handle))  # type: ignore[misc]
            if not app.dock.panel.has_focus:
                await pilot.press("f2")
            await pass_guard(pilot, app)
            await until(pilot, lambda: app.dock.panel.view.is_seen_to_end)
            await pilot.press("a")
            await until_shown(pilot, f"{handle} applied in")
    assert amounts(folder) == before


def is_at(app: StewardApp, handle: str) -> bool:
    """Whether the panel shows that change."""
    row = app.dock.panel.row
    return row is not None and row.summary.handle == handle


def amounts(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT id, amount FROM orders WHERE id < 9 ORDER BY 1").fetchall()


async def test_sessions_are_searched_by_what_was_said_and_exported(folder: Path) -> None:
    app = make_chat_app(folder, scripted(BIRDS, STONES))
    async with app.run_test(size=(120, 40)) as pilot:
        await say(pilot, app, "about birds", "Herons eat fish.")
        await type_line(pilot, "/new")
        await say(pilot, app, "about stones", "Nothing of note.")
        await type_line(pilot, "/sessions")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))
        await until_shown(pilot, "about birds")
        await pilot.press(*"herons")
        await until(pilot, lambda: "about stones" not in dialog(app))
        await until_shown(pilot, "agent: Herons eat fish.")
        await pilot.press("ctrl+e")
        await until_shown(pilot, "Written to")
        written = next(folder.glob("s-*.md")).read_text()
        assert "## You\n\nabout birds" in written and "Herons eat fish." in written
        await type_line(pilot, "/sessions")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))
        await pilot.press("ctrl+l")
        await until(pilot, lambda: bool(list(folder.glob("s-*.sql"))))


def dialog(app: StewardApp) -> str:
    """What the box over the app shows."""
    return "\n".join(line.split("│", 1)[-1] for line in frame(app).splitlines() if "│" in line)


async def test_a_copy_goes_on_apart_from_its_session(folder: Path) -> None:
    app = make_chat_app(folder, scripted({"say": "Answer one."}, {"say": "Answer two."}))
    async with app.run_test(size=(120, 40)) as pilot:
        await say(pilot, app, "first question", "Answer one.")
        assert app.conversation is not None
        first = app.conversation.session_id
        await type_line(pilot, "/fork")
        await until_shown(pilot, "This is a copy now")
        assert app.conversation.session_id != first
        await say(pilot, app, "more", "Answer two.")
        assert first is not None
        assert "more" not in (folder / ".steward" / "sessions" / f"{first}.jsonl").read_text()


async def test_another_model_and_effort_hold_from_the_next_message_on(folder: Path) -> None:
    app = make_chat_app(folder, scripted({"say": "Answer one."}))
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "/model")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen))
        await pilot.press("down", "tab", "tab", "enter")
        await until_shown(pilot, "From the next message on: other · medium.")
        await until_shown(pilot, "other · medium  ")
        await type_line(pilot, "/model")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen))
        await pilot.press(*"my-own:7b")
        await until_shown(pilot, "as typed")
        await pilot.press("enter")
        await until_shown(pilot, "From the next message on: my-own:7b · medium.")


async def test_cost_is_told_by_session_and_model(folder: Path) -> None:
    app = make_chat_app(folder, scripted(BIRDS, STONES))
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "/cost")
        await until_shown(pilot, "Nothing was asked of a model here yet.")
        await pilot.press("escape")
        await say(pilot, app, "about birds", "Herons eat fish.")
        await type_line(pilot, "/new")
        await say(pilot, app, "about stones", "Nothing of note.")
        await type_line(pilot, "/cost")
        await until(pilot, lambda: isinstance(app.screen, CostScreen))
        await until_shown(pilot, "By session, the latest 2")
        shown = frame(app)
        assert "This session" in shown and "By model" in shown and "~$0.0000" in shown
        assert "about birds" in shown


async def test_rules_are_listed_with_what_was_recently_blocked(folder: Path) -> None:
    (folder / "steward.toml").write_text(RULE)
    turns = (
        changing("DROP TABLE orders"),
        {"calls": [{"tool": "run_query", "arguments": {"sql": "SELECT * FROM read_text('/etc/passwd')"}}]},
        {"say": "It is not allowed."},
    )
    app = make_chat_app(folder, scripted(*turns), scope=Scope(folder, no_owner=True))
    async with app.run_test(size=(120, 44)) as pilot:
        await until(pilot, lambda: "propose" in app.at_hand)
        await say(pilot, app, "drop it", "It is not allowed.")
        await type_line(pilot, "/rules")
        await until(pilot, lambda: isinstance(app.screen, RulesScreen))
        await until_shown(pilot, "small fixes of orders")
        shown = frame(app)
        assert "at most 5" in shown
        assert "c1 denied" in shown
        assert "refused by the gate" in shown


async def test_rules_open_in_the_editor_and_come_back_as_edited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_chat_app(folder, scripted({"say": "x"}), scope=Scope(folder, no_owner=True))
    async with app.run_test(size=(120, 44)) as pilot:
        await type_line(pilot, "/rules")
        await until_shown(pilot, "There are no rules: every change is asked about.")
        await pilot.press("e")
        await until(pilot, lambda: not isinstance(app.screen, RulesScreen))


async def test_a_notice_of_the_provider_is_shown_from_the_start(folder: Path) -> None:
    app = make_chat_app(folder, scripted({"say": "x"}), notice="This model ends on the 30th.")
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "This model ends on the 30th.")


async def test_hostile_words_are_shown_as_text_in_every_list(folder: Path) -> None:
    (folder / "steward.toml").write_text(
        '[[policy.rules]]\nname = "[@click=app.quit]x[/]\\u001b[2J"\nverdict = "ask"\n'
    )
    app = make_chat_app(folder, scripted({"say": EVIL}), scope=Scope(folder, no_owner=True))
    async with app.run_test(size=(140, 44)) as pilot:
        await until(pilot, lambda: "propose" in app.at_hand)
        assert app.conversation is not None
        app.conversation.model = EVIL
        app._typed_at = time.monotonic()
        block = PersonBlock(EVIL)
        app.say(block)
        await app.conversation.send(block)
        for command, screen in (
            ("/sessions", SessionScreen), ("/rewind", RewindScreen), ("/model", ModelScreen), ("/cost", CostScreen),
        ):  # fmt: skip
            await type_line(pilot, command)
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))  # type: ignore[misc]
            await until(pilot, lambda: EVIL_SHOWN[:20] in dialog(app))
            assert "\x1b" not in frame(app) and "\u202e" not in frame(app)
            await pilot.press("escape")
        await type_line(pilot, "/rules")
        await until_shown(pilot, "[@click=app.quit]x[/]␛[2J")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_screens_of_sessions_look_as_they_should(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setattr("datasteward_agent.session_store.datetime", OneMorning)
    monkeypatch.setattr("datasteward_agent.session_store.secrets", SimpleNamespace(token_hex=lambda _: "abc123"))
    (folder / "steward.toml").write_text(RULE)
    app = make_chat_app(
        folder, scripted({"say": "North leads."}, {"say": "By far."}), scope=Scope(folder, no_owner=True)
    )
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        await say(pilot, app, "which region leads?", "North leads.")
        await say(pilot, app, "by how much?", "By far.")
        for name, shown in (
            ("rewind", "No change was applied"),
            ("model", "its own"),
            ("cost", "By session"),
            ("rules", "Recently"),
        ):
            await type_line(pilot, f"/{name}")
            await until_shown(pilot, shown)
            match_snapshot(app, name)
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
        await type_line(pilot, "/sessions")
        await until_shown(pilot, "2 turns")
        match_snapshot(app, "sessions")
