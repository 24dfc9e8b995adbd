"""Stored macros and views that take the place of DuckDB's own neither blind the gate nor slip past it."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from tests.support.gate_sandbox import FriendlyNames

from datasteward.engine.gate import AttachedCatalog, FileRules, Gate
from datasteward.engine.lockdown import open_reader

EVIL = "(SELECT max(content) FROM read_text('/etc/hostname'))"


class Planted:
    def __init__(self, root: Path, *statements: str) -> None:
        database = root / "w.duckdb"
        maker = duckdb.connect(str(database))
        for statement in ("CREATE TABLE orders AS SELECT 1 AS id, [1] AS l", *statements):
            maker.execute(statement)
        maker.close()
        self.connection = open_reader(
            database,
            roots=[root],
            results=[],
            memory_limit_bytes=2**27,
            threads=1,
            temp_folder=root / "spill",
            temp_limit_bytes=2**24,
        )
        catalog = AttachedCatalog(self.connection, "w")
        self.gate = Gate(catalog, FriendlyNames(root), FileRules(roots=[root], workspace_root=root))
        self.names = {n.parts[-1] for n in catalog.names()}

    def is_allowed(self, sql: str) -> bool:
        return self.gate.check(sql, intent="read").refusal is None


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path.resolve()


def test_planted_catalog_functions_do_not_hide_anything_from_the_catalog_view(root: Path) -> None:
    planted = Planted(
        root,
        "CREATE MACRO lower(x) AS 'blind'",
        'CREATE MACRO "="(a, b) AS false',
        "CREATE VIEW duckdb_views AS SELECT 1 AS nothing",
        "CREATE MACRO duckdb_tables() AS TABLE SELECT 'orders' AS nothing",
        "CREATE MACRO duckdb_functions() AS TABLE SELECT 'none' AS nothing",
        f"CREATE VIEW v AS SELECT {EVIL} AS x",
    )
    assert {"orders", "lower", "duckdb_views", "duckdb_tables", "v"} <= planted.names
    assert not planted.is_allowed("FROM v")
    assert planted.is_allowed("FROM orders")


@pytest.mark.parametrize(
    ("name", "parameters", "sql"),
    [
        ("upper", "x", "SELECT upper('a')"),
        ("+", "a, b", "SELECT 1 + 1"),
        ("||", "a, b", "SELECT 'a' || 'b'"),
        ("~~", "a, b", "SELECT 'a' LIKE 'b'"),
        ("list_value", "a", "SELECT [1]"),
        ("list_concat", "a, b", "SELECT list_append([1], 2)"),
        ("count_star", "", "SELECT count(*) FROM orders"),
        ("min", "x", "SUMMARIZE orders"),
        ("max", "x", "SUMMARIZE orders"),
        ("first", "x", "SHOW ALL TABLES"),
        ("struct_pack", "x", "SELECT orders FROM orders"),
        ("unpivot_list", "x", "UNPIVOT orders ON id"),
        ("trunc", "x", "SELECT INTERVAL (1) DAY"),
        ("lower", "x", "FROM pg_catalog.pg_type"),
    ],
)
def test_a_macro_in_the_place_of_a_function_is_judged_wherever_duckdb_calls_it(
    root: Path, name: str, parameters: str, sql: str
) -> None:
    planted = Planted(root, f'CREATE MACRO "{name}"({parameters}) AS {EVIL}')
    assert not planted.is_allowed(sql)
    assert planted.gate.check(f'DROP MACRO "{name}"', intent="write").refusal is None


def test_macros_and_views_that_call_each_other_end(root: Path) -> None:
    planted = Planted(
        root,
        "CREATE MACRO a(x) AS x + 1",
        "CREATE OR REPLACE MACRO b(x) AS a(a(x))",
        "CREATE VIEW v1 AS SELECT b(id) AS n FROM orders",
        "CREATE VIEW v2 AS SELECT * FROM v1 JOIN v1 AS again USING (n)",
    )
    assert planted.is_allowed("FROM v2, v1")


def test_the_catalog_is_read_again_only_when_told(root: Path) -> None:
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{root}/x.duckdb' AS x")
    catalog = AttachedCatalog(connection, "x")
    assert list(catalog.names()) == []
    connection.execute("CREATE TABLE x.t (a INTEGER)")
    assert catalog.find("main", "t") is None
    catalog.refresh()
    assert catalog.find("MAIN", "T") is not None
    connection.close()
