"""A small project whose lineage is kept in a database, and large made-up graphs, for lineage tests."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from datasteward.lineage.edges import Edge, StatementLineage
from datasteward.lineage.resolve import resolve, retarget
from datasteward.lineage.schemas import Catalog, Column, ColumnRef, Dataset, DatasetKey
from datasteward.lineage.store import LineageStore, RunStamp, hash_statement
from datasteward.lineage.tables import SCRIPTS
from tests.support.lineage_cases import make_dataset

FILES = {
    "raw/orders.csv": (
        Column(name="id", type="BIGINT"),
        Column(name="customer", type="BIGINT"),
        Column(name="amount", type="DOUBLE"),
        Column(name="qty", type="BIGINT"),
        Column(name="email", type="VARCHAR"),
    )
}
STEPS = (
    "CREATE TABLE stg_orders AS SELECT id, customer, amount * qty AS total, md5(email) AS email"
    " FROM 'raw/orders.csv' WHERE qty > 0",
    "CREATE TABLE fct AS SELECT c.name, sum(o.total) AS spent, count(*) AS orders"
    " FROM stg_orders o JOIN customers c ON c.id = o.customer GROUP BY ALL",
    "CREATE VIEW top AS SELECT name, spent FROM fct ORDER BY spent DESC LIMIT 10",
)


@contextmanager
def open_store() -> Iterator[LineageStore]:
    """An empty store in memory."""
    connection = sqlite3.connect(":memory:")
    for script in SCRIPTS:
        connection.executescript(script)
    try:
        yield LineageStore(connection)
    finally:
        connection.close()


def record_project(store: LineageStore, *, at: float = 1000.0) -> Catalog:
    """Run the steps' lineage into the store, one second apart, and an answer `r1` from the last; the catalog after."""
    catalog = Catalog([make_dataset("customers", {"id": "BIGINT", "name": "VARCHAR"})])
    for index, sql in enumerate(STEPS):
        found = resolve(sql, catalog, files=FILES)
        store.record(found, RunStamp(run_id=f"run{index}", at=at + index), statement_hash=hash_statement(sql))
        made = Dataset(
            namespace=found.target.namespace,
            name=found.target.name,
            kind="view" if found.kind == "create_view" else "table",
            columns=found.output_schema,
        )
        catalog = catalog.with_dataset(made)
    answer = retarget(resolve("SELECT max(spent) AS best FROM top", catalog), DatasetKey("result", "r1"))
    store.record(answer, RunStamp(run_id="r1", at=at + 3), statement_hash="answer", target_kind="result")
    return catalog


def record_edges(
    store: LineageStore, pairs: Sequence[tuple[str, str]], *, at: float = 1.0, run_id: str = "made"
) -> None:
    """Identity edges between columns written `dataset.column`, in one statement."""
    edges = tuple(Edge(source=_ref(a), target=_ref(b), subtype="identity") for a, b in pairs)
    made = StatementLineage(
        kind="other", outputs=(), inputs=(), target=DatasetKey("duckdb", "x"), edges=edges, confidence="bound"
    )
    store.record(made, RunStamp(run_id=run_id, at=at), statement_hash=run_id)


def _ref(text: str) -> ColumnRef:
    dataset, _, column = text.rpartition(".")
    return ColumnRef(DatasetKey("duckdb", dataset), column)
