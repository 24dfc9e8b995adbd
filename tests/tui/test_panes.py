"""Lineage as a graph, profiles with their distributions, schemas: what opens beside the conversation."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from textual.pilot import Pilot

from datasteward_tui.app import StewardApp
from datasteward_tui.catalog_tree import CatalogTree
from datasteward_tui.lineage_view import LineageView
from datasteward_tui.profile_view import ProfileView
from tests.support.app_runs import SIZES, frame, make_app, match_snapshot, type_line, until, until_shown

pytestmark = pytest.mark.anyio

EVIL = "\x1b]8;;http://evil\x07[@click=app.quit]x[/]\u202e"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shop = tmp_path / "shop"
    (shop / "data").mkdir(parents=True)
    rows = "\n".join(f"{i},{['north', 'south', 'east', 'north'][i % 4]},{(i * 37) % 500}.25" for i in range(1, 401))
    (shop / "data" / "orders.csv").write_text(f"id,region,amount\n{rows}\n")
    (shop / "data" / "regions.csv").write_text("region,manager\nnorth,Ann\nsouth,Ben\neast,Cid\n")
    with duckdb.connect(str(shop / "warehouse.duckdb")) as connection:
        connection.execute("CREATE TABLE targets AS SELECT 'north' AS region, 5000 AS goal")
    return shop


QUERIES = (
    "from 'data/orders.csv'",
    "select region, sum(amount) as revenue from r1 group by all order by all",
    "select r2.region, revenue, goal, manager from r2 join targets using (region) join regions using (region)",
)


async def trace(pilot: Pilot[None], app: StewardApp) -> LineageView:
    """Run the queries and open the lineage of the second."""
    await until(pilot, lambda: "lineage" in app.at_hand)
    for number, sql in enumerate(QUERIES, start=1):
        await type_line(pilot, sql)
        await until(pilot, has_result(app, f"r{number}"))
    await type_line(pilot, "/lineage r2")
    await until(pilot, lambda: bool(app.pane.query(LineageView)))
    view = app.pane.query_one(LineageView)
    await until(pilot, lambda: view.has_focus)
    return view


def has_result(app: StewardApp, handle: str) -> Callable[[], bool]:
    """Whether the last block names the result."""
    return lambda: app.transcript.blocks[-1].opens == handle


async def test_lineage_is_a_graph_that_arrow_keys_walk_through(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(150, 40)) as pilot:
        view = await trace(pilot, app)
        names = [b.name for b in view.sight.boxes]
        assert names[view.focus_spot.box] == "r2"
        await pilot.press("left")
        assert names[view.focus_spot.box] == "r1"
        await pilot.press("left")
        assert names[view.focus_spot.box] == "data/orders.csv"
        await pilot.press("right", "right", "right")
        assert names[view.focus_spot.box] == "r3"
        await pilot.press("c", "down", "down")
        assert view.has_columns
        await until_shown(pilot, "r3.revenue")
        await until_shown(pilot, "identity of r2.revenue")
        await pilot.press("t")
        await until_shown(pilot, "upstream of r2")
        await pilot.press("t", "g")
        await until_shown(pilot, "Lineage · r3")
        await pilot.press("f5")
        await until(pilot, lambda: app.pane.size.width == 150)
        await pilot.press("f5")
        await until(pilot, lambda: app.pane.size.width < 80)


async def test_a_profile_shows_distributions_and_opens_the_rows_of_a_finding(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(150, 40)) as pilot:
        await until(pilot, lambda: "profile" in app.at_hand)
        await type_line(pilot, "/profile orders amount")
        await until(pilot, lambda: bool(app.pane.query(ProfileView)))
        await until_shown(pilot, "▔▔▔▔")
        await until_shown(pilot, "median")
        await pilot.press("up", "enter")
        await until_shown(pilot, "north")
        await pilot.press("i")
        assert app.prompt.text == "region"


async def test_the_results_of_the_catalog_go_on_to_older_ones(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "profile" in app.at_hand)
        for start in (1, 41, 81):
            sql = "; ".join(f"SELECT {n} AS n" for n in range(start, start + 40))
            assert not (await app.link.call("run_query", {"sql": sql})).is_error
        await type_line(pilot, "/results")
        await until_shown(pilot, "▸ r120")
        tree = app.pane.query_one(CatalogTree)
        await until(pilot, lambda: tree.has_focus and tree.cursor_node is not None and tree.cursor_node.data == "r120")
        await pilot.press("end")
        await until_shown(pilot, "older results: Enter lists them")
        await pilot.press("enter")
        await until_shown(pilot, "▸ r70")
        assert tree.cursor_node is not None and tree.cursor_node.data == "r70"
        await pilot.press("end")
        await until_shown(pilot, "▸ r1 ")
        assert "older results" not in frame(app)
        await pilot.press("enter")
        await until_shown(pilot, "r1 · 1 row · 1 column")


async def test_a_schema_puts_names_into_the_prompt(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        await type_line(pilot, "/schema orders")
        await until_shown(pilot, "Schema · orders")
        await pilot.pause()
        await pilot.press("down", "enter")
        assert app.prompt.text == "orders.region"


async def test_a_word_that_names_a_dataset_opens_by_a_click(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(150, 40)) as pilot:
        await until_shown(pilot, "/profile targets")
        await type_line(pilot, "what is in targets?")
        await until_shown(pilot, "what is in targets?")
        line = next(i for i, text in enumerate(frame(app).split("\n")) if "❯ what is in targets?" in text)
        await pilot.click("#transcript", offset=(16, line))
        await until(pilot, lambda: app.pane.grid is not None)
        await until_shown(pilot, "r1 · 1 row")


async def test_a_click_folds_a_call_and_opens_its_result(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(150, 40)) as pilot:
        await until_shown(pilot, "/profile targets")
        await type_line(pilot, QUERIES[0])
        await until(pilot, has_result(app, "r1"))
        await until_shown(pilot, "388 more rows")
        line = next(i for i, text in enumerate(frame(app).split("\n")) if "● SQL" in text)
        await pilot.click("#transcript", offset=(2, line))
        await until(pilot, lambda: "388 more rows" not in frame(app))
        x = frame(app).split("\n")[line].index(" r1 ") + 1
        await pilot.click("#transcript", offset=(x, line))
        await until_shown(pilot, "r1 · 400 rows")


async def test_keys_for_what_is_below_do_nothing_while_a_screen_is_over_it(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(150, 40)) as pilot:
        await type_line(pilot, QUERIES[0])
        await until(pilot, has_result(app, "r1"))
        await type_line(pilot, "/open r1")
        await until_shown(pilot, "r1 · 400 rows")
        await until(pilot, lambda: app.pane.grid is not None and app.pane.grid.has_focus)
        await pilot.press("enter")
        await until_shown(pilot, "id · BIGINT · row 1")
        await pilot.press("f3", "f4", "f5", "f6", "ctrl+r", "x")
        assert app.pane.is_shown and app.pane.size.width < 80 and not app.prompt.text
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.pane.grid is not None and app.pane.grid.has_focus


async def test_hostile_names_and_values_stay_text_in_every_view(folder: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT ? AS \"{EVIL}\", repeat('y', 1000000) AS b", [EVIL])
        connection.execute(f"COPY t TO '{folder / 'data' / 'evil.parquet'}' (FORMAT parquet)")
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "profile" in app.at_hand)
        await type_line(pilot, "from 'data/evil.parquet'")
        await until(pilot, has_result(app, "r1"))
        for command, title in (("profile", "Profile"), ("schema", "Schema"), ("lineage", "Lineage")):
            await type_line(pilot, f"/{command} r1" if command == "lineage" else f"/{command} evil")
            await until_shown(pilot, f"{title} · ")
            await pilot.pause()
            await pilot.press(*(["c"] if command == "lineage" else ["enter"] if command == "profile" else []))
            await until_shown(pilot, "␛]8;;")
            assert "\x1b" not in frame(app) and "\u202e" not in frame(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_panes_look_as_they_should(
    folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    app = make_app(folder)
    async with app.run_test(size=size) as pilot:
        view = await trace(pilot, app)
        app.transcript.clear()
        await pilot.pause()
        match_snapshot(app, "lineage")
        await pilot.press("c", "down", "down")
        assert view.has_columns
        await pilot.pause()
        match_snapshot(app, "lineage-columns")
        await type_line(pilot, "/profile orders amount")
        await until(pilot, lambda: bool(app.pane.query(ProfileView)))
        await until_shown(pilot, "median")
        match_snapshot(app, "profile")
        await type_line(pilot, "/open r1")
        await until(pilot, lambda: app.pane.grid is not None)
        await until_shown(pilot, "r1 · 400 rows")
        app.transcript.clear()
        await pilot.pause()
        match_snapshot(app, "grid")
        await type_line(pilot, "/chart r2 bar region revenue")
        await until_shown(pilot, "Chart · r2")
        await pilot.pause()
        match_snapshot(app, "chart")
