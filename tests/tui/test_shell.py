"""The app without any model: SQL, files, results, keys."""

from pathlib import Path

import duckdb
import pytest

from datasteward_tui.blocks import PersonBlock
from datasteward_tui.call_block import CallBlock
from datasteward_tui.catalog_tree import CatalogTree
from datasteward_tui.help_screen import HelpScreen
from datasteward_tui.reply_block import ReplyBlock
from tests.support.app_runs import SIZES, frame, make_app, match_snapshot, type_line, until, until_shown
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "shop")


async def test_sql_runs_without_a_model_and_its_rows_open_in_the_pane(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "select region, sum(amount) total from 'data/sales.csv' group by all order by 1")
        await until_shown(pilot, "south   20.25")
        await type_line(pilot, "/open r1")
        await until(pilot, lambda: app.pane.grid is not None)
        await until_shown(pilot, "r1 · 2 rows · 2 columns")


async def test_an_error_says_what_where_and_what_next(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "select * from nowhere")
        await until_shown(pilot, "There is no table, file or result 'nowhere'.")
        block = app.transcript.blocks[-1]
        assert isinstance(block, CallBlock)
        assert block.error_position == 14


async def test_a_message_without_a_model_tells_how_to_get_one(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_line(pilot, "which region sells best?")
        await until_shown(pilot, "No model is set up to answer that.")


async def test_names_are_completed_after_an_at_sign(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        app.prompt.put("select * from @ord")
        await until(pilot, lambda: app.choice_list.is_open)
        await pilot.press("tab")
        assert app.prompt.text == "select * from orders"
        app.prompt.put("select @sales.am")
        await until(pilot, lambda: app.choice_list.is_open)
        await pilot.press("enter")
        assert app.prompt.text == "select sales.amount"


async def test_commands_are_offered_and_chosen_with_enter(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", "c", "a", "t")
        await until_shown(pilot, "▸ /catalog")
        await pilot.press("enter")
        await until_shown(pilot, "Tables")
        assert app.prompt.text == ""


async def test_an_unknown_command_names_the_nearest(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_line(pilot, "/catlog")
        await until_shown(pilot, "There is no command /catlog. Did you mean /catalog?")


async def test_history_comes_back_in_the_next_session(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_line(pilot, "select 41")
        await type_line(pilot, "select 42")
    again = make_app(folder)
    async with again.run_test(size=(80, 24)) as pilot:
        await pilot.press("up", "up")
        assert again.prompt.text == "select 41"
        await pilot.press("down")
        assert again.prompt.text == "select 42"
        await pilot.press("ctrl+r")
        again.prompt.put("41")
        await until(pilot, lambda: again.choice_list.is_open)
        await pilot.press("enter")
        assert again.prompt.text == "select 41"


async def test_escape_stops_a_running_query_at_once(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        await type_line(pilot, "select count(*) from range(100000000) a, range(100000) b where a.range % 7 = b.range")
        await until_shown(pilot, "1 running")
        await pilot.press("escape")
        await until_shown(pilot, "stopped")
        await until(pilot, lambda: "1 running" not in frame(app))


async def test_long_input_takes_lines_and_is_sent_whole(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"select", "ctrl+j", "7", "enter")
        await until_shown(pilot, "● SQL")
        block = app.transcript.blocks[-1]
        assert isinstance(block, CallBlock)
        assert block.sql == "select\n7"


async def test_a_long_conversation_opens_at_its_end_and_scrolls(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(100, 30)) as pilot:
        blocks = [
            b
            for i in range(1000)
            for b in (PersonBlock(f"question {i}"), ReplyBlock(f"Answer **{i}** of many words. " * 9))
        ]
        app.transcript.extend(blocks)
        await until_shown(pilot, "question 999")
        drawn = len(app.transcript._drawn)
        assert drawn < 40
        app.transcript.scroll_home(animate=False, immediate=True)
        await until_shown(pilot, "question 0")
        app.transcript.focus()
        await pilot.press("pagedown")
        await until_shown(pilot, "question 5")
        await pilot.resize_terminal(70, 24)
        await pilot.pause()
        app.transcript.go_to_end()
        await until_shown(pilot, "question 999")


async def test_help_lists_keys_and_commands_and_closes(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))


async def test_a_chosen_theme_is_there_the_next_time(folder: Path) -> None:
    kept = folder / "config" / "app.json"
    app = make_app(folder, preferences_path=kept)
    async with app.run_test(size=(100, 24)) as pilot:
        await type_line(pilot, "/theme steward-light")
        await until(pilot, kept.is_file)
    again = make_app(folder, preferences_path=kept)
    async with again.run_test(size=(100, 24)):
        assert again.theme == "steward-light"
    kept.write_text('{"theme": "none such", "more": 1}')
    assert make_app(folder, preferences_path=kept).theme == "steward"


@pytest.mark.parametrize("theme", ["steward", "steward-light", "ansi-dark", "ansi-light", "textual-dark", "dracula"])
async def test_every_theme_draws_the_same_words(folder: Path, theme: str) -> None:
    app = make_app(folder)
    async with app.run_test(size=(100, 24)) as pilot:
        await type_line(pilot, f"/theme {theme}")
        await until(pilot, lambda: app.theme == theme)
        await until_shown(pilot, "Datasteward")


async def test_no_color_draws_without_colours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_line(pilot, "select 1 as one")
        await until_shown(pilot, "● SQL")
        assert app.no_color


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_first_screens_look_as_they_should(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    app = make_app(folder)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        await until_shown(pilot, "/profile orders")
        match_snapshot(app, "welcome")
        await pilot.press("f4")
        await until_shown(pilot, "Tables")
        await until(pilot, lambda: app.pane.query_one(CatalogTree).cursor_line == 1)
        match_snapshot(app, "catalog")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        match_snapshot(app, "help")


async def test_hostile_cells_are_shown_as_text_in_the_grid(folder: Path) -> None:
    hostile = "\x1b]8;;http://evil\x07[@click=app.quit]x[/]\u202e"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS a, repeat('y', 1000000) AS b", [hostile])
        connection.execute(f"COPY t TO '{folder / 'data' / 'hostile.parquet'}' (FORMAT parquet)")
    app = make_app(folder)
    async with app.run_test(size=(120, 30)) as pilot:
        await type_line(pilot, "from 'data/hostile.parquet'")
        await until_shown(pilot, "● SQL")
        await type_line(pilot, "/open r1")
        await until(pilot, lambda: app.pane.grid is not None)
        await until_shown(pilot, "␛]8;;http://evil␇[@click=app.quit]x")
        await pilot.press("right", "enter")
        await until_shown(pilot, "b · VARCHAR · row 1")
        assert "\x1b" not in frame(app)


async def test_charts_open_in_the_pane(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: {"profile", "lineage", "chart"} <= app.at_hand)
        await type_line(pilot, "from 'data/sales.csv'")
        await until_shown(pilot, "● SQL")
        handle = app.transcript.blocks[-1].opens
        await type_line(pilot, f"/chart {handle} bar region amount")
        await until_shown(pilot, f"Chart · {handle} · bar region amount")
        await until_shown(pilot, "█")
        await type_line(pilot, "/profile")
        await until_shown(pilot, "A name is missing.")


async def test_a_typed_change_is_measured_and_waits(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "propose" in app.at_hand)
        await type_line(pilot, "create table typed as select 7 as seven")
        await until_shown(pilot, "Nothing is changed yet: c1 waits for your decision (F2).")


RULES = """
[[policy.rules]]
name = "no drops"
verdict = "deny"
kinds = ["drop_*"]

[[policy.rules]]
name = "small inserts"
verdict = "allow"
kinds = ["insert"]
max_rows = 5
"""


async def test_a_typed_change_that_the_policy_decides_is_told_with_its_real_state(folder: Path) -> None:
    (folder / "steward.toml").write_text(RULES)
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "propose" in app.at_hand)
        await type_line(pilot, "drop table orders")
        await until_shown(pilot, "Nothing is changed: c1 is denied by the policy, rule 'no drops'.")
        assert "waits for your decision" not in frame(app)
        await type_line(pilot, "insert into orders values (5000, 1)")
        await until_shown(pilot, "c2 is applied: the policy allows it without asking. /undo c2")


async def test_a_command_that_needs_no_argument_runs_at_the_first_enter(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "orders")
        await pilot.press(*"/runs")
        await until(pilot, lambda: app.choice_list.is_open)
        await pilot.press("enter")
        await until_shown(pilot, "▏ Runs")
        assert not app.prompt.text and not app.choice_list.is_open
        await pilot.press("f6", *"/open")
        await until(pilot, lambda: app.choice_list.is_open)
        await pilot.press("enter")
        await pilot.pause()
        assert app.prompt.text == "/open "
