"""Lineage of what changes data: applied, undone, failed, and applied by another process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import duckdb
import pytest

from datasteward.changes.model import StatementWork, TableName
from datasteward.changes.policy import PolicySettings
from datasteward.lineage.change_capture import describe_by_tables
from datasteward.lineage.change_operation import resolve_statements
from datasteward.lineage.graph import LineageGraph, find_starts, trace
from datasteward.lineage.schemas import Catalog, Column, Dataset, DatasetKey
from datasteward.lineage.store import LineageStore
from datasteward.services import Services, open_services
from datasteward.settings import load_settings
from datasteward.workspace import find_workspace
from tests.support.changes_workspace import ChangesWorkspace
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def open_workspace(folder: Path) -> AsyncIterator[Services]:
    make_workspace(folder)
    async with open_workspace_again(folder) as services:
        yield services


@asynccontextmanager
async def open_workspace_again(folder: Path) -> AsyncIterator[Services]:
    workspace = find_workspace(folder)
    async with open_services(workspace, load_settings(workspace, environment={})) as services:
        yield services


async def apply(services: Services, *statements: str) -> list[str]:
    """Propose and approve each as a change of its own, and wait for its lineage."""
    handles = []
    for sql in statements:
        proposed = await services.changes.propose(sql, requested_by="test")
        done = await services.changes.approve(proposed.change, digest=proposed.digest, by="me", channel="terminal")
        assert done.status == "applied", done.message
        handles.append(done.change)
    assert await services.capture.settle(30)
    return handles


async def undo(services: Services, change: str) -> str:
    proposed = await services.changes.propose_undo(change, requested_by="test")
    done = await services.changes.approve(proposed.change, digest=proposed.digest, by="me", channel="terminal")
    assert done.status == "applied", done.message
    assert await services.capture.settle(30)
    return done.change


def look(services: Services, name: str, columns: Sequence[str] = (), *, at: float | None = None) -> LineageGraph:
    with services.lineage.reading() as connection:
        starts = find_starts(connection, name, columns)
        return trace(connection, starts, "upstream", depth=10, include_indirect=True, at=at)


def edges(services: Services, name: str, columns: Sequence[str] = ()) -> set[str]:
    """What leads to the dataset now, as `source > target subtype run`."""
    return {
        f"{e.edge.source} > {e.edge.target} {e.edge.subtype} {e.run_id}" for e in look(services, name, columns).edges
    }


async def test_what_each_kind_of_change_writes_is_traced_to_its_source(tmp_path: Path) -> None:
    async with open_workspace(tmp_path) as services:
        await apply(
            services,
            "CREATE TABLE fct AS SELECT region, sum(amount) AS money FROM 'data/sales.csv' GROUP BY region",
            "CREATE VIEW top AS SELECT region, money * 2 AS twice FROM fct",
            "INSERT INTO fct SELECT 'all', sum(amount) FROM orders",
            "UPDATE fct SET money = money + o.amount FROM orders o WHERE o.id = 1",
            "MERGE INTO fct USING (FROM sales WHERE id < 3) AS s ON s.region = fct.region WHEN MATCHED THEN UPDATE SET money = s.amount",
            "COPY fct TO 'data/out.parquet'",
            "COPY (SELECT region AS id, money AS amount FROM fct LIMIT 0) TO 'data/back.csv'",
            "DELETE FROM fct WHERE money < 0",
        )
        fct = edges(services, "fct")
        assert "data/sales.csv.amount > fct.money aggregation c1" in fct
        assert "data/sales.csv.region > fct.region identity c1" in fct
        assert "orders.amount > fct.money aggregation c3" in fct
        assert "orders.amount > fct.money transformation c4" in fct
        assert "data/sales.csv.amount > fct.money identity c5" in fct
        assert "fct.money > top.twice transformation c2" in edges(services, "top", ["twice"])
        out = edges(services, "data/out.parquet", ["money"])
        assert {"fct.money > data/out.parquet.money identity c6", "orders.amount > fct.money aggregation c3"} <= out
        with services.lineage.reading() as connection:
            record = LineageStore(connection).dataset(DatasetKey("file", "data/out.parquet"))
            assert record is not None and record.kind == "export"
            weak = connection.execute("SELECT run_id, notes FROM lineage_run WHERE confidence <> 'bound'").fetchall()
            assert weak == []


async def test_an_import_is_traced_to_the_file_that_was_read(tmp_path: Path) -> None:
    async with open_workspace(tmp_path) as services:
        await apply(services, "CREATE TABLE bare (id BIGINT, region VARCHAR, amount DOUBLE)")
        await apply(services, "COPY bare FROM 'data/sales.csv' (HEADER)")
        assert "data/sales.csv.amount > bare.amount identity c2" in edges(services, "bare")


async def test_renames_and_drops_keep_history(tmp_path: Path) -> None:
    async with open_workspace(tmp_path) as services:
        handles = await apply(
            services,
            "CREATE TABLE one AS SELECT id, amount FROM orders",
            "ALTER TABLE one RENAME COLUMN amount TO money",
            "ALTER TABLE one RENAME TO two",
            "CREATE TABLE three AS SELECT money FROM two",
            "DROP TABLE two",
        )
        before = (await services.changes.show(handles[3])).applied_at
        assert before is not None
        then = {str(n.ref) for n in look(services, "three", ["money"], at=before).nodes}
        assert {"two.money", "one.money", "one.amount", "orders.amount"} <= then
        with services.lineage.reading() as connection:
            store = LineageStore(connection)
            one, two = (store.dataset(DatasetKey("duckdb", n)) for n in ("one", "two"))
        assert one is not None and one.renamed_to == "two"
        assert two is not None and two.dropped_at is not None and two.renamed_to is None


async def test_taking_a_change_back_takes_its_lineage_back_and_again(tmp_path: Path) -> None:
    async with open_workspace(tmp_path) as services:
        (made,) = await apply(services, "CREATE TABLE t AS SELECT id, amount FROM orders")
        first = edges(services, "t")
        (replaced,) = await apply(services, "CREATE OR REPLACE TABLE t AS SELECT id FROM 'data/sales.csv'")
        assert edges(services, "t") == {f"data/sales.csv.id > t.id identity {replaced}"}
        back = await undo(services, replaced)
        assert {e.replace(made, back) for e in first} == edges(services, "t")
        again = await undo(services, back)
        assert edges(services, "t") == {f"data/sales.csv.id > t.id identity {again}"}
        (other,) = await apply(services, "CREATE TABLE u AS SELECT id FROM orders")
        gone = await undo(services, other)
        assert edges(services, "u") == set()
        with services.lineage.reading() as connection:
            record = LineageStore(connection).dataset(DatasetKey("duckdb", "u"))
            runs = connection.execute("SELECT job FROM lineage_run WHERE run_id = ?", (gone,)).fetchall()
        assert record is not None and record.dropped_at is not None
        assert runs == [("undo",)]


async def test_a_dropped_table_that_is_brought_back_is_no_longer_gone(tmp_path: Path) -> None:
    async with open_workspace(tmp_path) as services:
        await apply(services, "CREATE TABLE t AS SELECT id FROM orders")
        (dropped,) = await apply(services, "DROP TABLE t")
        assert edges(services, "t") == set()
        back = await undo(services, dropped)
        assert f"orders.id > t.id identity {back}" in edges(services, "t")


async def test_a_change_applied_elsewhere_is_captured_once_by_who_comes_next(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    place = ChangesWorkspace(tmp_path).make()
    elsewhere = place.service(policy=PolicySettings(), with_gate=True)
    proposed = await elsewhere.propose("CREATE TABLE far AS SELECT amount FROM orders", requested_by="x")
    await elsewhere.approve(proposed.change, digest=proposed.digest, by="me", channel="terminal")
    for _ in range(2):
        async with open_workspace_again(tmp_path) as services:
            assert await services.capture.settle(30)
            assert edges(services, "far") == {f"orders.amount > far.amount identity {proposed.change}"}
            assert await services.capture.changes.catch_up() == ()
            with services.lineage.reading() as connection:
                assert connection.execute("SELECT count(*) FROM lineage_run").fetchone()[0] == 1


async def test_a_change_whose_tables_are_gone_is_told_by_tables(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    place = ChangesWorkspace(tmp_path).make()
    elsewhere = place.service(with_gate=True)
    for sql in ("CREATE TABLE a AS SELECT id FROM orders", "INSERT INTO orders SELECT id, 0 FROM a", "DROP TABLE a"):
        proposed = await elsewhere.propose(sql, requested_by="x")
        await elsewhere.approve(proposed.change, digest=proposed.digest, by="me", channel="terminal")
    with duckdb.connect(str(place.database)) as connection:
        connection.execute("DROP TABLE orders")
    async with open_workspace_again(tmp_path) as services:
        assert await services.capture.settle(30)
        with services.lineage.reading() as connection:
            told = connection.execute("SELECT run_id, confidence FROM lineage_run ORDER BY id").fetchall()
            store = LineageStore(connection)
            record = store.dataset(DatasetKey("duckdb", "a"))
    assert [r for r, _ in told] == ["c1", "c2", "c3"]
    assert record is not None and record.dropped_at is not None


def test_statements_that_build_on_each_other_are_bound_in_turn() -> None:
    old = Dataset(
        namespace="duckdb",
        name="old",
        kind="table",
        columns=(Column(name="a", type="INTEGER"), Column(name="b", type="INTEGER")),
    )
    found = resolve_statements(
        [
            "CREATE TABLE new AS SELECT a + b AS a, b FROM old",
            "DROP TABLE old",
            "ALTER TABLE new RENAME TO old",
            "ALTER TABLE old RENAME COLUMN x TO b",
            "ALTER TABLE lost.t RENAME TO u",
            "not sql at all",
        ],
        Catalog([old]),
        files={},
        known={},
        root=Path("/"),
    )
    assert [f.lineage.confidence if f.lineage else None for f in found] == ["bound"] * 5 + [None]
    assert found[3].lineage is not None
    assert [(c.kind, c.column, c.new_name) for c in found[3].lineage.changes] == [("rename_column", "x", "b")]


async def test_a_change_that_failed_is_kept_without_edges(tmp_path: Path) -> None:
    async with open_workspace(tmp_path) as services:
        proposed = await services.changes.propose("INSERT INTO orders SELECT 1, 2", requested_by="test")
        with services.state.connection() as connection:
            connection.execute("UPDATE changes SET status = 'failed'")
            connection.execute(
                "INSERT INTO change_events (number, at, event, fields, entry_hash)"
                """ VALUES (1, 1.0, 'change.failed', '{"code": "constraint"}', 'x')"""
            )
        assert await services.capture.changes.catch_up() == (proposed.change,)
        with services.lineage.reading() as connection:
            runs = connection.execute("SELECT run_id, kind, error FROM lineage_run").fetchall()
            count = connection.execute("SELECT count(*) FROM lineage_edge").fetchone()[0]
    assert runs == [("c1", "insert", "not applied: constraint")]
    assert count == 0


def test_what_cannot_be_bound_is_told_by_what_the_gate_saw() -> None:
    work = StatementWork(
        sql="?",
        kind="copy_to",
        reads=(TableName(name="a"), TableName(schema_name="s", name="b")),
        read_files=("/w/data/x.csv",),
        target_file="/w/out.csv",
    )
    told = describe_by_tables(work, Path("/w"))
    assert (told.kind, told.confidence, told.target.name) == ("copy_to", "table", "out.csv")
    assert [e.source.dataset.name for e in told.edges] == ["a", "s.b", "data/x.csv"]
    assert {e.subtype for e in told.edges} == {"reads"}
