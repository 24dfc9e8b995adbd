"""Assets computed by both engines: what is the same, what differs and where, and what cannot be compared."""

import math
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.spark.comparing import compare_rows
from datasteward.pipelines.spark.parity_host import check_parity
from datasteward.pipelines.spark.parity_model import AssetParity, ColumnParity, InputSample, ParityJob, ParityReport
from datasteward.pipelines.spark.value_kinds import find_mismatches, is_carried
from tests.support.pipeline_workspace import PipelineWorkspace, statuses

TOTALS = "SELECT customer, count(*) AS orders, avg(amount) AS mean FROM orders GROUP BY ALL"


@pytest.fixture
def shop(tmp_path: Path, spark_address: str) -> PipelineWorkspace:
    workspace = PipelineWorkspace(tmp_path)
    workspace.write({"pipeline.yaml": f"connections: {{lake: {{kind: spark, url: 'sc://{spark_address}'}}}}\n"})
    workspace.execute(
        "CREATE TABLE orders AS SELECT i AS id, 'c' || (i % 7) AS customer, (i * 37 % 1000 / 100)::DECIMAL(10,2) AS amount"
        " FROM range(5000) t(i)"
    )
    return workspace


def compare(shop: PipelineWorkspace, **options: object) -> ParityReport:
    files = shop.files()
    return check_parity(ParityJob(folder=files.folder, texts=files.texts, **options), shop.settings)


def test_each_asset_is_told_equal_refused_skipped_or_failed(shop: PipelineWorkspace) -> None:
    shop.write(
        {
            "totals.sql": f"/* @asset\nengine: spark\n@end */\n{TOTALS}",
            "rest.sql": "/* @asset\nengine: spark\n@end */\nSELECT * EXCLUDE (amount) FROM orders WHERE id < 9",
            "own.sql": "/* @asset\nengine: spark\ndialect: spark\ncolumns: {n: BIGINT}\n@end */\n"
            "SELECT count(*) AS n FROM orders",
            "last.sql": "/* @asset\nengine: spark\n@end */\nSELECT max(mean) AS most FROM totals",
            "here.sql": "SELECT median(amount) AS m FROM orders",
        }
    )
    report = compare(shop, sample_rows=1000)
    told = {a.asset: a for a in report.assets}
    assert {n: a.status for n, a in told.items()} == {
        "totals": "equal",
        "rest": "equal",
        "own": "skipped",
        "last": "refused",
    }
    assert (told["totals"].duckdb_rows, told["totals"].spark_rows) == (7, 7)
    assert told["totals"].inputs == (InputSample(relation="orders", rows=1000, is_whole=False),)
    assert "Run the pipeline up to what this asset reads first" in told["last"].message
    assert shop.rows("SELECT count(*) FROM duckdb_tables()") == [(1,)]
    assert [p for p in shop.settings.cache_folder.iterdir() if p.is_dir()] == []


def test_assets_that_run_in_duckdb_today_are_compared_when_an_engine_is_named(shop: PipelineWorkspace) -> None:
    shop.write({"totals.sql": TOTALS, "here.sql": "SELECT median(amount) AS m FROM orders"})
    with pytest.raises(ToolError, match="No selected asset runs on Spark"):
        compare(shop)
    report = compare(shop, engine="spark:lake")
    assert {a.asset: a.status for a in report.assets} == {"totals": "equal", "here": "refused"}
    assert "not known to mean the same" in next(a.message for a in report.assets if a.asset == "here")


def test_databases_that_the_pipeline_names_are_read_by_both_engines(shop: PipelineWorkspace) -> None:
    other = duckdb.connect(str(shop.root / "data" / "old.duckdb"))
    other.execute("CREATE TABLE items AS SELECT range AS id, range % 3 AS kind FROM range(10)")
    other.close()
    connections = (shop.folder / "pipeline.yaml").read_text() + "  old: {kind: database, path: data/old.duckdb}\n"
    text = "/* @asset\nengine: spark\n@end */\nSELECT kind, count(*) AS n FROM old.items GROUP BY ALL"
    shop.write(
        {
            "pipeline.yaml": connections.replace("connections: {", "connections:\n  ").replace("}}", "}"),
            "kinds.sql": text,
        }
    )
    assert [(a.asset, a.status, a.duckdb_rows) for a in compare(shop).assets] == [("kinds", "equal", 3)]
    assert statuses(shop.run()) == {"kinds": "published"}


def test_faults_of_the_files_are_told_as_when_planning(shop: PipelineWorkspace) -> None:
    shop.write({"totals.sql": "SELECT nope FROM orders"})
    with pytest.raises(ToolError, match=r"totals\.sql"):
        compare(shop, engine="spark")


def test_a_difference_is_told_by_column_with_some_rows() -> None:
    told = AssetParity(
        asset="totals",
        status="differs",
        inputs=(InputSample(relation="orders", rows=10, is_whole=True),),
        columns=(
            ColumnParity(name="a", duckdb_type="INTEGER", spark_type="INTEGER", is_carried=True, differing_rows=2),
            ColumnParity(name="b", duckdb_type="DATE", spark_type="VARCHAR", is_carried=False),
            ColumnParity(name="c", duckdb_type="DATE", spark_type=None, is_carried=False),
        ),
        duckdb_rows=3,
        spark_rows=4,
        only_duckdb=(("1", None, "x"),),
        only_spark=(("2", "y", "x"),),
    ).to_text()
    assert told.splitlines() == [
        "differs totals: 3 rows in DuckDB (0.00 s), 4 on Spark (0.00 s); from 10 of orders",
        "  a: differs in 2 rows",
        "  b: DATE in DuckDB, VARCHAR on Spark",
        "  c: missing on Spark",
        "  only DuckDB: 1, NULL, x",
        "  only Spark: 2, y, x",
    ]


def test_rows_are_compared_as_multisets_and_columns_that_differ_are_counted() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE l AS FROM (VALUES (1, 'a', 0.1::DOUBLE), (1, 'a', 0.1), (2, 'b', 0.2)) t(i, s, f)")
    connection.execute("CREATE TABLE r AS FROM (VALUES (1, 'a', 0.1::DOUBLE), (2, 'x', 0.2), (2, 'b', 0.2)) t(i, s, f)")
    columns = [Column(name="i", type="INTEGER"), Column(name="s", type="VARCHAR"), Column(name="f", type="DOUBLE")]
    found = compare_rows(connection, "l", "r", columns)
    assert (found.only_left, found.only_right) == ((("1", "a", "0.1"),), (("2", "x", "0.2"),))
    assert found.by_column == (1, 1, 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 3) | st.none(), st.floats(-1e6, 1e6) | st.none() | st.just(math.nan)), max_size=12
    ),
)
@settings(max_examples=25, deadline=None)
def test_an_order_of_rows_and_a_last_digit_make_no_difference(rows: list[tuple[int | None, float | None]]) -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE l (i INTEGER, f DOUBLE); CREATE TABLE r (i INTEGER, f DOUBLE)")
    nudged = [(i, None if f is None else f * (1 + 2e-16)) for i, f in reversed(rows)]
    if rows:
        connection.executemany("INSERT INTO l VALUES (?, ?)", rows)
        connection.executemany("INSERT INTO r VALUES (?, ?)", nudged)
    columns = [Column(name="i", type="INTEGER"), Column(name="f", type="DOUBLE")]
    found = compare_rows(connection, "l", "r", columns)
    assert (found.only_left, found.only_right) == ((), ())
    connection.execute("INSERT INTO r VALUES (9, 1)")
    assert compare_rows(connection, "l", "r", columns).only_right == (("9", "1.0"),)


@pytest.mark.parametrize(
    ("planned", "found", "carried"),
    [
        ("HUGEINT", "DECIMAL(29,0)", True),
        ("HUGEINT", "DECIMAL(29,1)", False),
        ("DECIMAL(38,2)", "DECIMAL(25,2)", True),
        ("DECIMAL(10,2)", "DECIMAL(21,6)", False),
        ("DOUBLE", "DECIMAL(10,2)", True),
        ("DECIMAL(10,2)", "DOUBLE", False),
        ("BIGINT", "INTEGER", True),
        ("INTEGER", "DOUBLE", False),
        ("TIMESTAMP", "DATE", True),
        ("DATE", "TIMESTAMP", False),
        ("VARCHAR", "INTEGER", False),
        ("INTEGER", "VARCHAR", False),
        ("INTEGER[]", "INTEGER[]", True),
        ("INTEGER[]", "BIGINT[]", False),
    ],
)
def test_a_type_is_carried_when_no_value_is_bent(planned: str, found: str, carried: bool) -> None:
    assert is_carried(planned, found) is carried
    told = find_mismatches([Column(name="x", type=planned)], [Column(name="X", type=found)])
    assert bool(told) is not carried
