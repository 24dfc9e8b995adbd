"""Several files are read as one table, and what differs between them is told."""

from pathlib import Path

import duckdb

from datasteward.intake.inspect import inspect_file
from datasteward.intake.many import read_many


def test_files_of_different_dialects_and_columns_are_joined_by_name(tmp_path: Path) -> None:
    (tmp_path / "year=2023").mkdir()
    (tmp_path / "year=2024").mkdir()
    (tmp_path / "year=2023" / "a.csv").write_text("id,name\n1,x\n2,y\n3,z\n")
    (tmp_path / "year=2024" / "b.csv").write_text("A title above\n\nname;id;extra\nw;4;q\nv;5;r\nu;6;s\n")
    connection = duckdb.connect()
    plan = read_many(connection, [inspect_file(p) for p in sorted(tmp_path.rglob("*.csv"))], tmp_path / ".cache")
    rows = connection.execute(f"SELECT id, name, extra, year FROM {plan.table_sql} ORDER BY id").fetchall()
    assert rows[0] == (1, "x", None, 2023) and rows[3] == (4, "w", "q", 2024) and len(rows) == 6
    assert any("missing in 1 of 2" in t for t in plan.told)


def test_parquet_files_are_one_scan_with_their_partitions(tmp_path: Path) -> None:
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT i, i % 2 AS k FROM range(10) r(i)) TO '{tmp_path}/out' (FORMAT parquet, PARTITION_BY (k))"
    )
    plan = read_many(
        connection, [inspect_file(p) for p in sorted((tmp_path / "out").rglob("*.parquet"))], tmp_path / "cache"
    )
    assert connection.execute(f"SELECT sum(i), sum(k) FROM {plan.table_sql}").fetchone() == (45, 5)
