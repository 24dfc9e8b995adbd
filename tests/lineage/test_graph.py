"""What the kept lineage answers: up, down, between, over time, and what a change breaks."""

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from datasteward.lineage.graph import Dependent, assess_change, find_paths, find_starts, trace
from datasteward.lineage.resolve import resolve
from datasteward.lineage.schemas import Catalog, Column, ColumnRef, Dataset, DatasetKey
from datasteward.lineage.store import LineageStore, RunStamp, hash_statement
from datasteward.lineage.tables import COMPONENT, SCRIPTS
from datasteward.state import StateDatabase
from tests.support.lineage_projects import open_store, record_edges, record_project

FILE = DatasetKey("file", "raw/orders.csv")


@pytest.fixture
def store() -> Iterator[LineageStore]:
    with open_store() as made:
        record_project(made)
        yield made


def ref(text: str) -> ColumnRef:
    dataset, _, column = text.rpartition(".")
    return ColumnRef(DatasetKey("duckdb", dataset), column)


def names(connection: sqlite3.Connection, start: str, direction: str, **options: object) -> set[str]:
    dataset, _, column = start.rpartition(".")
    starts = find_starts(connection, dataset, [column])
    graph = trace(connection, starts, direction, **options)  # type: ignore[arg-type]  # forwarded from the test
    return {str(n.ref) for n in graph.nodes if n.depth}


def test_a_figure_in_an_answer_is_walked_back_to_the_file(store: LineageStore) -> None:
    found = names(store.connection, "r1.best", "upstream")
    assert {"top.spent", "fct.spent", "stg_orders.total", "raw/orders.csv.amount", "raw/orders.csv.qty"} == found


def test_row_conditions_are_followed_when_asked(store: LineageStore) -> None:
    found = names(store.connection, "fct.spent", "upstream", depth=1, include_indirect=True)
    assert found == {"stg_orders.total", "stg_orders.customer", "customers.id", "customers.name"}


def test_depth_bounds_the_walk_and_the_cut_is_told(store: LineageStore) -> None:
    graph = trace(store.connection, find_starts(store.connection, "r1"), "upstream", depth=2)
    assert {n.ref.dataset.name for n in graph.nodes} == {"r1", "top", "fct"}
    assert graph.is_cut
    assert not trace(store.connection, find_starts(store.connection, "r1"), "upstream", depth=9).is_cut


def test_all_columns_of_a_table_are_traced_in_one_call(store: LineageStore) -> None:
    graph = trace(store.connection, find_starts(store.connection, "FCT"), "upstream", depth=1)
    assert {str(e.edge.target) for e in graph.edges} == {"fct.name", "fct.spent"}


def test_paths_run_from_source_to_target_in_order(store: LineageStore) -> None:
    start = find_starts(store.connection, "raw/orders.csv", ["amount"])[0]
    end = find_starts(store.connection, "top", ["spent"])[0]
    ways = find_paths(store.connection, start, end, include_indirect=False)
    assert [[e.edge.subtype for e in way] for way in ways] == [["transformation", "aggregation", "identity"]]
    assert find_paths(store.connection, end, start) == []


class Contracts:
    def find(self, columns: Sequence[ColumnRef]) -> Sequence[Dependent]:
        wanted = ref("fct.spent")
        return [Dependent(kind="contract", name="sales", column=wanted)] if wanted in columns else []


def test_the_impact_of_a_drop_names_what_breaks_and_who_relies_on_it(store: LineageStore) -> None:
    columns = find_starts(store.connection, "raw/orders.csv", ["qty"])
    impact = assess_change(store.connection, columns, "drop", dependents=[Contracts()])
    assert {str(b) for b in impact.broken} == {"stg_orders.total", "stg_orders"}
    assert {str(a) for a in impact.affected} >= {"fct.spent", "top.spent", "r1.best"}
    assert [d.name for d in impact.dependents] == ["sales"]


def test_a_column_that_only_filters_breaks_the_whole_table(store: LineageStore) -> None:
    impact = assess_change(store.connection, [ref("stg_orders.customer")], "drop")
    assert {str(b) for b in impact.broken} == {"fct"}
    assert "top.name" in {str(a) for a in impact.affected}


def test_a_replaced_table_keeps_its_old_edges_as_history(store: LineageStore) -> None:
    sql = "CREATE OR REPLACE TABLE fct AS SELECT name, 0 AS spent FROM customers"
    found = resolve(sql, Catalog([Dataset(namespace="duckdb", name="customers", kind="table",
        columns=(Column(name="name", type="VARCHAR"),))]))  # fmt: skip
    store.record(found, RunStamp(run_id="later", at=2000.0), statement_hash=hash_statement(sql))
    assert names(store.connection, "fct.spent", "upstream", depth=1) == set()
    assert names(store.connection, "fct.spent", "upstream", depth=1, at=1500.0) == {"stg_orders.total"}
    assert [v.seen_at for v in store.versions(DatasetKey("duckdb", "fct"))] == [1001.0, 2000.0]


def test_running_the_same_statement_again_only_moves_its_time() -> None:
    with open_store() as store:
        record_project(store)
        before = store.connection.execute("SELECT count(*) FROM lineage_edge").fetchone()
        record_project(store, at=5000.0)
        assert store.connection.execute("SELECT count(*) FROM lineage_edge").fetchone() == before
        assert store.connection.execute("SELECT min(last_at), min(first_at) FROM lineage_edge").fetchone() == (
            5000.0,
            1000.0,
        )


def test_a_renamed_table_can_be_walked_through_its_old_name(store: LineageStore) -> None:
    catalog = Catalog(
        [Dataset(namespace="duckdb", name="fct", kind="table", columns=(Column(name="spent", type="DOUBLE"),))]
    )
    found = resolve("ALTER TABLE fct RENAME TO facts", catalog)
    store.record(found, RunStamp(run_id="rename", at=2000.0), statement_hash="rename")
    assert "stg_orders.total" in names(store.connection, "facts.spent", "upstream")
    old = store.dataset(DatasetKey("duckdb", "fct"))
    assert old is not None
    assert (old.dropped_at, old.renamed_to) == (2000.0, "facts")


def test_a_renamed_column_and_a_dropped_table_keep_history(store: LineageStore) -> None:
    catalog = Catalog(
        [Dataset(namespace="duckdb", name="fct", kind="table", columns=(Column(name="spent", type="DOUBLE"),))]
    )
    store.record(
        resolve("ALTER TABLE fct RENAME COLUMN spent TO money", catalog),
        RunStamp(run_id="c", at=2000.0),
        statement_hash="c",
    )
    assert names(store.connection, "fct.money", "upstream", depth=1) == {"fct.spent"}
    store.record(resolve("DROP TABLE fct", catalog), RunStamp(run_id="d", at=3000.0), statement_hash="d")
    assert names(store.connection, "fct.spent", "upstream", depth=1) == set()
    assert names(store.connection, "fct.spent", "upstream", depth=1, at=2500.0) == {"stg_orders.total"}
    assert "fct" not in {k.name for k in store.list_datasets()}


def test_pruning_forgets_ended_edges_first_and_keeps_to_its_bound() -> None:
    with open_store() as store:
        record_edges(store, [(f"a{i}.x", f"b{i}.x") for i in range(50)], at=10.0, run_id="old")
        record_edges(store, [(f"c{i}.x", f"d{i}.x") for i in range(50)], at=20.0, run_id="new")
        store.connection.execute("UPDATE lineage_edge SET ended_at = 11 WHERE last_at = 10 AND id % 2 = 0")
        assert store.prune(before=15.0) == 25
        assert store.prune(before=15.0, max_edges=60) == 15
        assert store.connection.execute("SELECT count(*) FROM lineage_edge").fetchone() == (60,)
        assert names(store.connection, "d1.x", "upstream") == {"c1.x"}


def test_a_cycle_ends() -> None:
    with open_store() as store:
        record_edges(store, [("a.x", "b.x"), ("b.x", "c.x"), ("c.x", "a.x")])
        assert names(store.connection, "a.x", "upstream", depth=50) == {"b.x", "c.x"}
        assert len(find_paths(store.connection, ref("a.x"), ref("c.x"))) == 1


def test_the_store_lives_in_the_workspace_state(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path / "state.sqlite")
    state.migrate(COMPONENT, SCRIPTS)
    with state.connection() as connection:
        record_project(LineageStore(connection))
    with state.connection(write=False) as connection:
        assert "fct.spent" in names(connection, "r1.best", "upstream")
    state.close()


@pytest.mark.slow
def test_a_deep_question_to_a_large_graph_is_answered_in_time() -> None:
    with open_store() as store:
        dice = random.Random(1)
        pairs = [
            (f"t{layer - 1}_{dice.randrange(500)}.c{dice.randrange(5)}", f"t{layer}_{table}.c{column}")
            for layer in range(1, 20)
            for table in range(500)
            for column in range(5)
            for _ in range(4)
        ]
        record_edges(store, pairs)
        started = time.process_time()
        graph = trace(store.connection, find_starts(store.connection, "t12_7", ["c3"]), "upstream", depth=5)
        seconds = time.process_time() - started
        assert len(graph.nodes) > 1000
        assert seconds < 0.5
