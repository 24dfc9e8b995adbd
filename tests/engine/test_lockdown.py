"""The locked instance: what stays possible for trusted code, and what nobody can do any more."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from datasteward.engine.lockdown import open_cursor, open_reader, open_writer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = (tmp_path / "it's here").resolve()
    (folder / "data").mkdir(parents=True)
    (folder / "data/x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "outside.csv").write_text("a\n1\n")
    connection = duckdb.connect(str(folder / "my base.duckdb"))
    connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    connection.close()
    return folder


@pytest.fixture
def reader(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_reader(
        root / "my base.duckdb",
        roots=[root / "data"],
        results=[],
        memory_limit_bytes=2**28,
        threads=1,
        temp_folder=root / "spill",
        temp_limit_bytes=2**24,
    )
    yield connection
    connection.close()


def test_a_cursor_finds_the_database_first_and_then_the_memory_catalog(reader: duckdb.DuckDBPyConnection) -> None:
    reader.cursor().execute("CREATE VIEW memory.main.t AS SELECT 99 AS a")
    reader.cursor().execute("CREATE VIEW memory.main.only_here AS SELECT 7 AS a")
    cursor = open_cursor(reader, "my base")
    assert cursor.execute("FROM t").fetchall() == [(1,)]
    assert cursor.execute("FROM only_here").fetchall() == [(7,)]


def test_trusted_code_makes_views_named_like_paths_over_allowed_files(
    reader: duckdb.DuckDBPyConnection, root: Path
) -> None:
    path = str(root / "data/x.csv").replace("'", "''")
    reader.cursor().execute(f"CREATE OR REPLACE VIEW memory.main.\"data/x.csv\" AS FROM read_csv('{path}')")
    assert open_cursor(reader, "my base").execute("SELECT b FROM 'data/x.csv'").fetchall() == [(2,)]


def test_trusted_code_registers_arrow_on_its_own_cursor(reader: duckdb.DuckDBPyConnection) -> None:
    cursor = open_cursor(reader, "my base")
    cursor.register("arrived", pa.table({"n": [1, 2]}))
    assert cursor.execute("SELECT sum(n) FROM arrived").fetchall() == [(3,)]


def test_a_dynamic_pivot_runs_on_the_read_only_database(reader: duckdb.DuckDBPyConnection) -> None:
    assert open_cursor(reader, "my base").execute("PIVOT t ON a USING count(*)").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SET threads = 4",
        "RESET memory_limit",
        "SET enable_external_access = true",
        "INSERT INTO t VALUES (2)",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FROM read_csv('../outside.csv')",
        "COPY (SELECT 1) TO '/tmp/steward_escape.csv'",
        "ATTACH '/tmp/steward_escape.duckdb'",
        "FROM 'https://example.com/x.csv'",
        "FROM python_side",
    ],
)
def test_the_lock_holds_without_the_gate(reader: duckdb.DuckDBPyConnection, sql: str) -> None:
    python_side = pa.table({"n": [1]})
    with pytest.raises(duckdb.Error):
        open_cursor(reader, "my base").execute(sql).fetchall()
    assert python_side.num_rows == 1


def test_a_writer_makes_a_file_that_older_duckdb_reads(root: Path) -> None:
    connection = open_writer(
        root / "new.duckdb",
        roots=[root / "data"],
        results=[],
        memory_limit_bytes=2**28,
        threads=1,
        temp_folder=root / "spill",
        temp_limit_bytes=2**24,
    )
    cursor = open_cursor(connection, "new")
    cursor.execute("CREATE TABLE made (a INTEGER)")
    assert cursor.execute(
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'new'"
    ).fetchone()
    connection.close()
    assert int.from_bytes((root / "new.duckdb").read_bytes()[12:20], "little") == 64


def test_no_database_is_no_obstacle(root: Path) -> None:
    connection = open_reader(
        None,
        roots=[root / "data"],
        results=[],
        memory_limit_bytes=2**28,
        threads=1,
        temp_folder=root / "spill",
        temp_limit_bytes=2**24,
    )
    assert open_cursor(connection, None).execute("SELECT 1").fetchall() == [(1,)]
    connection.close()
