"""Several files are read as one table, and what differs between them is told."""

from pathlib import Path

import duckdb
import pytest

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.many import list_files, read_many


def test_files_of_different_dialects_and_columns_are_joined_by_name(tmp_path: Path) -> None:
    (tmp_path / "year=2023").mkdir()
    (tmp_path / "year=2024").mkdir()
    (tmp_path / "year=2023" / "a.csv").write_text("id,name\n1,x\n2,y\n3,z\n")
    (tmp_path / "year=2024" / "b.csv").write_text("A title above\n\nname;id;extra\nw;4;q\nv;5;r\nu;6;s\n")
    connection = duckdb.connect()
    plan = read_many(connection, [inspect_file(p) for p in list_files(tmp_path)], tmp_path / ".cache")
    rows = connection.execute(f"SELECT id, name, extra, year FROM {plan.table_sql} ORDER BY id").fetchall()
    assert rows[0] == (1, "x", None, 2023) and rows[3] == (4, "w", "q", 2024) and len(rows) == 6
    assert any("missing in 1 of 2" in t for t in plan.told)


def test_parquet_files_are_one_scan_with_their_partitions(tmp_path: Path) -> None:
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT i, i % 2 AS k FROM range(10) r(i)) TO '{tmp_path}/out' (FORMAT parquet, PARTITION_BY (k))"
    )
    plan = read_many(connection, [inspect_file(p) for p in list_files(tmp_path / "out")], tmp_path / "cache")
    assert connection.execute(f"SELECT sum(i), sum(k) FROM {plan.table_sql}").fetchone() == (45, 5)


def test_a_pattern_without_files_says_so(tmp_path: Path) -> None:
    assert [p.name for p in list_files(_put(tmp_path, "a1.csv").parent / "a*.csv")] == ["a1.csv"]
    with pytest.raises(ToolError, match="No file matches"):
        list_files(tmp_path / "*.parquet")


def _put(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("a\n1\n")
    return path
