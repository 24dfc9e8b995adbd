"""Tables of any length in the pane, and what starting the app imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from datasteward_tui.result_pages import ResultPages
from tests.support.app_runs import frame, make_app, type_line, until, until_shown
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio
ROWS = 300_000
SQL = (
    f"!SELECT range AS id, (range * 7919) % 1000003 AS mixed, range::HUGEINT AS big, [range] AS list,"
    f" CASE WHEN range % 5 = 0 THEN NULL ELSE 'n' || range END AS name FROM range({ROWS})"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "shop", with_database=False)


async def test_a_long_table_pages_jumps_sorts_and_filters(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, SQL)
        await until(pilot, (folder / ".steward" / "results" / "r1.parquet").exists)
        await until_shown(pilot, "● SQL")
        await type_line(pilot, "/open r1")
        await until(pilot, lambda: app.pane.grid is not None and app.pane.grid.has_focus)
        grid = app.pane.grid
        assert grid is not None
        await pilot.press("pagedown", "down", "right")
        assert (grid.row > 10, grid.column) == (True, 1)
        await pilot.press("G")
        await until_shown(pilot, f"{ROWS:,} ")
        await until(pilot, lambda: bool(grid.pages.peek(ROWS - 1, 1)))
        await pilot.press("s")
        await until(pilot, lambda: grid.sorted_by == (1, False))
        await until_shown(pilot, "by mixed ↑")
        rows = grid.pages.peek(0, 3)
        assert rows is not None
        assert [row[1] for row in rows] == sorted((i * 7919) % 1000003 for i in range(ROWS))[:3]
        await pilot.press("s")
        await until(pilot, lambda: grid.sorted_by == (1, True))
        await pilot.press("slash")
        await pilot.press(*"id < 3", "enter")
        await until_shown(pilot, "FROM r1 WHERE id < 3")
        await until_shown(pilot, "r2 · 3 rows")


async def test_a_column_that_only_duckdb_orders_is_sorted_by_a_query(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await type_line(pilot, "!SELECT (9 + range * 2)::HUGEINT AS big FROM range(3)")
        await until_shown(pilot, "● SQL")
        await type_line(pilot, "/open r1")
        await until(pilot, lambda: app.pane.grid is not None and app.pane.grid.has_focus)
        await pilot.press("s")
        await until_shown(pilot, 'FROM r1 ORDER BY "big" ASC NULLS LAST')


async def test_sorting_puts_nulls_last_both_ways(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_line(pilot, "!SELECT * FROM (VALUES (2), (NULL), (1)) t(a)")
        await until_shown(pilot, "● SQL")
        pages = ResultPages(folder / ".steward" / "results" / "r1.parquet")
        for is_descending, expected in ((False, [1, 2, None]), (True, [2, 1, None])):
            pages.sort(0, is_descending=is_descending)
            assert [row[0] for row in pages.peek(0, 3) or ()] == expected
        pages.sort(None)
        pages.load(0, 3)
        assert [row[0] for row in pages.peek(0, 3) or ()] == [2, None, 1]


async def test_rows_that_are_gone_are_said_to_be_gone(folder: Path) -> None:
    app = make_app(folder)
    async with app.run_test(size=(120, 30)) as pilot:
        await type_line(pilot, "/open r77")
        await until_shown(pilot, "The rows of r77 are not stored any more.")
        assert "Traceback" not in frame(app)


def test_the_app_starts_without_what_it_does_not_need_yet() -> None:
    code = (
        "import json, sys; import datasteward_tui.app;"
        "print(json.dumps([m for m in ('anthropic', 'mcp', 'pyarrow', 'duckdb', 'sqlglot', 'pydantic',"
        " 'cryptography', 'datasteward_agent') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []
