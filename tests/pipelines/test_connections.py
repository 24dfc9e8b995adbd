"""Databases that a pipeline names are read like any other source, and only read."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from datasteward.errors import ToolError
from tests.support.pipeline_workspace import PipelineWorkspace, actions

YAML = """connections:
  erp: {kind: database, path: data/erp.duckdb}
  till: {kind: database, path: data/till.db, type: sqlite}
"""


@pytest.fixture
def place(tmp_path: Path) -> PipelineWorkspace:
    made = PipelineWorkspace(tmp_path)
    erp = duckdb.connect(str(tmp_path / "data" / "erp.duckdb"))
    erp.execute("CREATE TABLE orders AS SELECT range AS id, range * 1.5 AS amount FROM range(4)")
    erp.execute("CREATE VIEW seen AS FROM orders; CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS a")
    erp.close()
    till = sqlite3.connect(tmp_path / "data" / "till.db")
    till.executescript("CREATE TABLE sales (id INTEGER, shop TEXT); INSERT INTO sales VALUES (1, 'a'), (2, 'b')")
    till.close()
    made.write(
        {"pipeline.yaml": YAML, "joined.sql": "SELECT id, amount, shop FROM erp.orders JOIN till.sales USING (id)"}
    )
    return made


def test_tables_of_attached_databases_are_inputs(place: PipelineWorkspace) -> None:
    plan = place.plan()
    assert plan.running[0].inputs == ("erp.orders", "till.sales")
    assert place.run(plan).status == "done"
    assert place.rows("SELECT id, amount, shop FROM joined ORDER BY id") == [(1, 1.5, "a"), (2, 3, "b")]
    assert actions(place.plan()) == {}


def test_new_rows_in_either_database_are_seen(place: PipelineWorkspace) -> None:
    place.run()
    erp = duckdb.connect(str(place.root / "data" / "erp.duckdb"))
    erp.execute("UPDATE orders SET amount = 9 WHERE id = 1")
    erp.close()
    assert place.plan().running[0].reasons == ("erp.orders changed",)
    place.run()
    till = sqlite3.connect(place.root / "data" / "till.db")
    till.executescript("INSERT INTO sales VALUES (3, 'c')")
    till.close()
    assert place.plan().running[0].reasons == ("till.sales changed",)
    place.run()
    assert place.rows("SELECT count(*), max(amount) FROM joined") == [(3, 9)]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM erp.ordrs", r"'erp.ordrs' is not there, did you mean 'orders'"),
        ("SELECT * FROM erp.seen", r"'erp.seen' is a view, and a connection gives tables only"),
        ("SELECT * FROM erp.other.t", r"a connection gives the tables of its main schema, as erp.t"),
        ("SELECT * FROM till.sale", r"sales"),
        ("/* @asset materialize: view */ SELECT * FROM erp.orders", r"a view cannot read 'erp.orders'"),
    ],
)
def test_what_a_connection_does_not_give_is_told(place: PipelineWorkspace, sql: str, told: str) -> None:
    place.write({"joined.sql": sql})
    with pytest.raises(ToolError, match=told):
        place.plan()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("erp: {kind: database, path: data/none.duckdb}", "the connection 'erp' has no file at data/none.duckdb"),
        ("erp: {kind: database, path: ../x.duckdb}", "the connection 'erp' is outside the data folders"),
        ("erp: {kind: database, path: data/till.db}", "is not a duckdb file, but sqlite: data/till.db"),
        ("warehouse: {kind: database, path: data/erp.duckdb}", "'warehouse' has a name that is taken"),
        ("erp: {kind: database, path: .steward/state.sqlite, type: sqlite}", "the workspace's own file"),
    ],
)
def test_a_connection_that_cannot_be_used_is_told_before_anything_is_read(
    place: PipelineWorkspace, line: str, told: str
) -> None:
    place.workspace.state_path.touch()
    place.write({"pipeline.yaml": f"connections:\n  {line}\n", "joined.sql": "SELECT 1 AS a"})
    with pytest.raises(ToolError, match=told):
        place.plan()


def test_a_database_that_another_program_holds_is_told(place: PipelineWorkspace) -> None:
    held = place.root / "data" / "erp.duckdb"
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder, pytest.raises(ToolError, match=r"(?s)cannot be opened.*erp\.duckdb") as told:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        place.plan()
    assert told.value.code == "busy"
    assert not place.database.exists()


def test_sheets_of_a_workbook_are_sources(place: PipelineWorkspace, shared_data: Path) -> None:
    shutil.copyfile(shared_data / "files" / "calamine" / "any_sheets.xlsx", place.root / "data" / "book.xlsx")
    place.write({"joined.sql": 'SELECT * FROM book."Visible"'})
    assert place.run().status == "done"
    assert actions(place.plan()) == {}
