"""Unit tests of assets: rows given for the inputs, and the rows that must come out, in an empty database."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from datasteward.engine.carriers import quote_name
from datasteward.lineage.rewriting import replace_files
from datasteward.lineage.schemas import Column
from datasteward.pipelines.analysis import SAMPLE_WINDOW, Analysis, Node
from datasteward.pipelines.checks import literal
from datasteward.pipelines.inlining import fill_window
from datasteward.pipelines.options import AssetTest
from datasteward.pipelines.problems import suggest
from datasteward.pipelines.testing_model import TestOutcome

MAX_DIFFERENCES = 5


def run_asset_tests(analysis: Analysis, selected: frozenset[str]) -> tuple[TestOutcome, ...]:
    """Every unit test of the selected SQL assets; the data is not looked at."""
    outcomes = []
    for node in analysis.ordered:
        if node.asset.key in selected:
            for number, test in enumerate(node.asset.options.tests, 1):
                outcomes.append(_run_test(analysis, node, test, test.name or f"test {number}"))
    return tuple(outcomes)


def _run_test(analysis: Analysis, node: Node, test: AssetTest, name: str) -> TestOutcome:
    if node.asset.language != "sql":
        told = ("unit tests in the header are for SQL assets; test a Python asset with pytest",)
        return TestOutcome(asset=node.asset.name, name=name, passed=False, differences=told)
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false; SET lock_configuration = true")
        differences = _compare(connection, analysis, node, test)
    except (duckdb.Error, ValueError) as error:
        differences = (str(error).split("\n\n", 1)[0],)
    finally:
        connection.close()
    return TestOutcome(asset=node.asset.name, name=name, passed=not differences, differences=differences)


def _compare(connection: duckdb.DuckDBPyConnection, analysis: Analysis, node: Node, test: AssetTest) -> tuple[str, ...]:
    inputs: dict[str, tuple[Column, ...]] = {
        analysis.nodes[k].asset.name: analysis.nodes[k].columns for k in node.inputs
    }
    inputs |= {o.name: o.columns for o in node.outer}
    given = {_find(name, inputs): rows for name, rows in test.given.items()}
    files = {o.name: o.columns for o in node.outer if o.kind == "file"}
    rewritten = replace_files(fill_window(node.sql, SAMPLE_WINDOW).strip().rstrip(";"), files)
    for table in rewritten.tables:
        name = next(n for n in files if n in table.files)
        _make_table(connection, table.table.path, table.table.columns, given.get(name, ()))
    scanned = {n for t in rewritten.tables for n in t.files}
    for name, columns in inputs.items():
        if name not in scanned:
            _make_table(connection, _path_of(name), columns, given.get(name, ()))
    connection.execute(f"CREATE TEMP TABLE found AS {rewritten.sql}")
    return _differences(connection, node, test.expect)


def _path_of(name: str) -> tuple[str, ...]:
    """The parts by which SQL names an input: of a file, its friendly name."""
    if "/" in name:
        return (name.rsplit("/", 1)[-1].split(".", 1)[0],)
    return tuple(name.split("."))


def _find(name: str, inputs: Mapping[str, tuple[Column, ...]]) -> str:
    found = [
        n for n in inputs if name.casefold() in {n.casefold(), n.split(".")[-1].casefold(), _path_of(n)[-1].casefold()}
    ]
    if len(found) != 1:
        raise ValueError(f"'given' names '{name}', which the asset does not read{suggest(name, inputs)}")
    return found[0]


def _make_table(
    connection: duckdb.DuckDBPyConnection,
    path: tuple[str, ...],
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    if len(path) > 1:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_name(path[0])}")
    table = ".".join(quote_name(p) for p in path)
    declared = ", ".join(f"{quote_name(c.name)} {c.type}" for c in columns)
    connection.execute(f"CREATE TABLE {table} ({declared})")
    _insert(connection, table, columns, rows)


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]
) -> None:
    known = {c.name.casefold(): c.name for c in columns}
    for row in rows:
        for name in row:
            if name.casefold() not in known:
                raise ValueError(f"there is no column '{name}'{suggest(name, known.values())}")
        names = ", ".join(quote_name(known[n.casefold()]) for n in row)
        values = ", ".join(literal(v) for v in row.values())
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({values})")


def _differences(
    connection: duckdb.DuckDBPyConnection, node: Node, expected: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    named = {n.casefold() for row in expected for n in row}
    columns = [c for c in node.columns if c.name.casefold() in named] if expected else list(node.columns)
    declared = ", ".join(f"{quote_name(c.name)} {c.type}" for c in node.columns)
    connection.execute(f"CREATE TEMP TABLE wanted ({declared})")
    _insert(connection, "wanted", node.columns, expected)
    names = ", ".join(quote_name(c.name) for c in columns)
    told = []
    for sign, first, second in (("-", "wanted", "found"), ("+", "found", "wanted")):
        rows = connection.execute(
            f"SELECT {names} FROM {first} EXCEPT ALL SELECT {names} FROM {second} LIMIT {MAX_DIFFERENCES}"
        ).fetchall()
        told += [f"{sign} {', '.join(f'{c.name}={v!s}' for c, v in zip(columns, row, strict=True))}" for row in rows]
    return tuple(told)
