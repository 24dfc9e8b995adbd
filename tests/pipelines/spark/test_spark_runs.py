"""Pipelines with assets on Spark: planned, run, checked, published, and stopped like any others."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from datasteward.errors import ToolError
from datasteward.pipelines.plan_model import Plan
from datasteward.pipelines.problems import PipelineFault
from datasteward.pipelines.run_book import RunBook, RunReporter
from datasteward.pipelines.run_model import RunOutcome
from datasteward.pipelines.statement import KIND, PYTHON_KIND, SPARK_KIND, find_kind
from tests.support.pipeline_workspace import PipelineWorkspace, statuses
from tests.support.steward_process import run_steward

ORDERS = "SELECT * FROM 'data/orders.csv'"
CSV = "id,customer,day,amount\n1,ann,2026-01-01,10.50\n2,bob,2026-01-02,20.25\n3,ann,2026-01-02,5.00\n4,cy,2026-01-03,-1.00\n"
TOTALS = "SELECT customer, count(*) AS orders, sum(id) AS ids, avg(amount) AS mean FROM staging.orders GROUP BY ALL"


@pytest.fixture
def shop(tmp_path: Path, spark_address: str) -> PipelineWorkspace:
    return make_shop(tmp_path, spark_address)


def make_shop(root: Path, spark_address: str) -> PipelineWorkspace:
    workspace = PipelineWorkspace(root)
    connection = f"connections: {{lake: {{kind: spark, url: 'sc://{spark_address}'}}}}\n"
    workspace.write({"pipeline.yaml": connection, "data/orders.csv": CSV, "staging/orders.sql": ORDERS})
    return workspace


def on_spark(sql: str, *lines: str) -> str:
    return "/* @asset\n" + "\n".join(["engine: spark", *lines]) + "\n@end */\n" + sql


def message_of(outcome: RunOutcome, name: str) -> str:
    return next(s.message for s in outcome.steps if s.name == name)


def leftovers(workspace: PipelineWorkspace) -> list[str]:
    folder = workspace.settings.cache_folder
    return [p.name for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []


ODD = (
    "CREATE TABLE odd AS SELECT 1::HUGEINT AS h, 255::UTINYINT AS u, 18446744073709551615::UBIGINT AS ub,"
    " '3f2504e0-4f89-41d3-9a0c-0305e82c3301'::UUID AS id, 'a'::ENUM('a', 'b') AS e,"
    " TIMESTAMPTZ '2026-01-01 12:00:00+02' AS tz, 'ab'::BLOB AS blob"
)
IDS = "SELECT customer, concat_ws(',', sort_array(collect_list(CAST(id AS STRING)))) AS ids FROM staging.orders GROUP BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A pipeline, what its plan said, and what became of it."""

    shop: PipelineWorkspace
    plan: Plan
    outcome: RunOutcome


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, spark_address: str) -> Ran:
    shop = make_shop(tmp_path_factory.mktemp("ran"), spark_address)
    shop.execute(ODD)
    shop.write(
        {
            "marts/here.sql": TOTALS,
            "marts/there.sql": on_spark(TOTALS),
            "marts/good.sql": on_spark(
                "SELECT id, amount FROM staging.orders", "checks: [{expect: amount > 0, on_fail: quarantine}]"
            ),
            "marts/native.sql": on_spark(IDS, "dialect: spark", "columns: {customer: VARCHAR, ids: VARCHAR}"),
            "marts/none.sql": on_spark("SELECT id, customer FROM staging.orders WHERE id > 99"),
            "marts/same.sql": on_spark("SELECT * FROM odd"),
        }
    )
    plan = shop.plan()
    return Ran(shop=shop, plan=plan, outcome=shop.run(plan))


def test_an_asset_on_spark_is_published_as_duckdb_would_publish_it(ran: Ran) -> None:
    shop = ran.shop
    assert "marts.there (table on Spark at sc://127.0.0.1:" in ran.plan.to_text(20_000)
    assert set(statuses(ran.outcome).values()) == {"published"}
    assert shop.rows("FROM marts.here ORDER BY ALL") == shop.rows("FROM marts.there ORDER BY ALL")
    assert shop.rows("DESCRIBE marts.here") == shop.rows("DESCRIBE marts.there")
    assert not shop.plan().running
    assert leftovers(shop) == []


def test_bad_rows_from_spark_go_to_quarantine(ran: Ran) -> None:
    assert [s.quarantined for s in ran.outcome.steps if s.name == "marts.good"] == [1]
    assert ran.shop.rows("SELECT count(*) FROM marts.good") == [(3,)]
    assert ran.shop.rows("SELECT id FROM quarantine.marts__good") == [(4,)]


def test_sparks_own_sql_runs_after_what_it_reads(ran: Ran) -> None:
    names = [s.name for s in ran.plan.running]
    assert names.index("staging.orders") < names.index("marts.native")
    assert ran.shop.rows("SELECT ids FROM marts.native WHERE customer = 'ann'") == [("1,3",)]


def test_an_empty_result_of_spark_is_an_empty_table(ran: Ran) -> None:
    assert ran.shop.rows("SELECT count(*) FROM marts.none") == [(0,)]
    assert [r[:2] for r in ran.shop.rows("DESCRIBE marts.none")] == [("id", "BIGINT"), ("customer", "VARCHAR")]


def test_types_that_parquet_lacks_cross_and_come_back(ran: Ran) -> None:
    both = "h, u, ub, id, e, tz::VARCHAR, blob"
    assert ran.shop.rows(f"SELECT {both} FROM marts.same") == ran.shop.rows(f"SELECT {both} FROM odd")
    assert ran.shop.rows("DESCRIBE marts.same") == ran.shop.rows("DESCRIBE odd")


def test_the_time_that_spark_took_is_told_as_the_steps(ran: Ran) -> None:
    seconds = {s.name: s.seconds for s in ran.outcome.steps}
    assert max(seconds.values()) > 0.2
    assert seconds["marts.here"] < max(seconds.values())


def test_how_far_spark_is_stands_in_the_record_of_a_run(ran: Ran) -> None:
    book = RunBook(ran.shop.root / "book")
    reporter = RunReporter(book, "c1", ran.plan)
    reporter.tell("step", {"key": "marts.there", "name": "marts.there", "status": "running"})
    reporter.tell("progress", {"notes": {"marts.there": "1 of 2 Spark tasks"}})
    found = book.read_run("c1")
    assert found is not None
    assert found.running == ("marts.there (1 of 2 Spark tasks)",)


def test_parity_on_the_command_line_ends_well_when_all_is_equal(ran: Ran) -> None:
    told = run_steward(ran.shop.root, "pipeline", "parity", "shop", "-s", "marts.there", "-s", "marts.native")
    assert told.code == 0, told.words
    assert "equal marts.there: 3 rows in DuckDB" in told.out
    assert "skipped marts.native" in told.out
    told = run_steward(ran.shop.root, "pipeline", "parity", "shop", "-s", "marts.absent")
    assert told.code != 0


def test_a_failing_check_leaves_the_published_rows_of_spark_as_they_were(shop: PipelineWorkspace) -> None:
    shop.write({"marts/good.sql": on_spark("SELECT id FROM staging.orders WHERE id < 3")})
    shop.run()
    shop.write({"marts/good.sql": on_spark("SELECT id FROM staging.orders", "checks: [{expect: id < 4}]")})
    assert statuses(shop.run())["marts.good"] == "failed"
    assert shop.rows("SELECT count(*) FROM marts.good") == [(2,)]


def test_windows_of_an_incremental_asset_are_filled_on_spark(shop: PipelineWorkspace) -> None:
    header = ("materialize: incremental", "time: day", "start: 2026-01-01")
    daily = "SELECT day::TIMESTAMP AS day, sum(amount) AS total FROM staging.orders GROUP BY 1"
    shop.write({"marts/daily.sql": on_spark(daily, *header)})
    assert set(statuses(shop.run()).values()) == {"published"}
    assert shop.rows("SELECT count(*) FROM marts.daily") == [(3,)]
    shop.write({"data/orders.csv": CSV + "5,di,2026-01-03,4.00\n"})
    assert statuses(shop.run())["marts.daily"] == "published"
    assert shop.rows("SELECT total FROM marts.daily WHERE day = '2026-01-03'") == [(3.0,)]


def test_rows_are_merged_by_key_from_spark(shop: PipelineWorkspace) -> None:
    latest = "SELECT customer, max(day) AS last_day FROM staging.orders GROUP BY ALL"
    shop.write({"marts/latest.sql": on_spark(latest, "materialize: merge", "unique: [customer]")})
    shop.run()
    shop.write({"data/orders.csv": "id,customer,day,amount\n9,ann,2026-02-01,1.00\n"})
    shop.run()
    assert shop.rows("SELECT count(*), max(last_day)::VARCHAR FROM marts.latest") == [(3, "2026-02-01")]


def test_new_files_are_appended_through_spark(shop: PipelineWorkspace) -> None:
    shop.write(
        {
            "data/inbox/a.csv": "x\n1\n",
            "marts/all.sql": on_spark("SELECT x FROM read_csv('data/inbox/*.csv')", "materialize: append"),
        }
    )
    shop.run()
    shop.write({"data/inbox/b.csv": "x\n2\n3\n"})
    shop.run()
    assert shop.rows("SELECT x FROM marts.all ORDER BY x") == [(1,), (2,), (3,)]


def test_the_engine_may_stand_among_the_defaults(shop: PipelineWorkspace) -> None:
    text = (shop.folder / "pipeline.yaml").read_text()
    view = "/* @asset\nmaterialize: view\n@end */\nSELECT count(*) AS n FROM marts.totals"
    shop.write(
        {"pipeline.yaml": text + "defaults: {engine: spark}\n", "marts/totals.sql": TOTALS, "marts/seen.sql": view}
    )
    assert {s.name: bool(s.engine) for s in shop.plan().steps} == {
        "staging.orders": True,
        "marts.totals": True,
        "marts.seen": False,
    }
    assert set(statuses(shop.run()).values()) == {"published"}


def test_a_column_that_cannot_cross_is_named_when_the_plan_is_made(shop: PipelineWorkspace) -> None:
    shop.execute("CREATE TABLE nested AS SELECT 1 AS id, [1, 2] AS list, INTERVAL 1 DAY AS span")
    shop.write({"marts/plain.sql": on_spark("SELECT id FROM nested")})
    assert statuses(shop.run(shop.plan(["marts.plain"])))["marts.plain"] == "published"
    shop.write({"marts/plain.sql": on_spark("SELECT * FROM nested")})
    with pytest.raises(PipelineFault, match="its columns are id, list, span in DuckDB and would be id on Spark"):
        shop.plan()


def test_what_differs_silently_is_refused_when_the_plan_is_made(shop: PipelineWorkspace) -> None:
    shop.write({"marts/bad.sql": on_spark("SELECT regexp_replace(customer, 'a', 'b') AS x FROM staging.orders")})
    with pytest.raises(PipelineFault, match=r"marts/bad.sql: .*DuckDB replaces the first match and Spark all of them"):
        shop.plan()


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT reflect('java.lang.System', 'exit') AS x FROM staging.orders", "function 'reflect' is not known"),
        ("SELECT TRANSFORM (id) USING 'sh' FROM staging.orders", "runs programs"),
        ("SELECT 1 AS x FROM parquet.`/etc/passwd`", "no asset, table or file 'parquet./etc/passwd'"),
        ("INSERT INTO staging.orders SELECT 1", "exactly one query"),
        ("SELECT 1 AS x; SELECT 2", "exactly one query"),
        ("SELECT 1 AS x FROM staging.order", "did you mean 'staging.orders'"),
    ],
)
def test_native_sql_that_does_more_than_query_named_tables_is_refused(
    shop: PipelineWorkspace, sql: str, reason: str
) -> None:
    shop.write({"marts/bad.sql": on_spark(sql, "dialect: spark", "columns: {x: INTEGER}")})
    with pytest.raises(PipelineFault) as refused:
        shop.plan()
    assert reason in refused.value.message


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("materialize: view",), "a view is computed by whoever reads it"),
        (("dialect: spark",), "needs 'columns"),
        (("dialect: spork",), "not one of duckdb, spark"),
    ],
)
def test_a_header_that_spark_cannot_follow_is_refused(
    shop: PipelineWorkspace, header: tuple[str, ...], reason: str
) -> None:
    shop.write({"marts/bad.sql": on_spark("SELECT 1 AS x", *header)})
    with pytest.raises(PipelineFault) as refused:
        shop.plan()
    assert reason in refused.value.message


@pytest.mark.parametrize("engine", ["spark:pond", "sparks", "spark:"])
def test_an_engine_that_does_not_exist_is_refused_with_those_that_do(shop: PipelineWorkspace, engine: str) -> None:
    shop.write({"marts/bad.sql": f"/* @asset\nengine: '{engine}'\n@end */\nSELECT 1 AS x"})
    with pytest.raises(PipelineFault, match=r"lake|spark:NAME"):
        shop.plan()


def test_a_python_asset_cannot_be_sent_to_spark(shop: PipelineWorkspace) -> None:
    text = '"""@asset\nengine: spark\ncolumns: {x: INTEGER}\n"""\ndef asset():\n    return [{"x": 1}]\n'
    shop.write({"marts/code.py": text})
    with pytest.raises(PipelineFault, match="runs on this machine"):
        shop.plan()


def test_native_rows_of_another_kind_than_promised_are_not_published(shop: PipelineWorkspace) -> None:
    header = ("dialect: spark", "columns: {id: VARCHAR, share: 'DECIMAL(5,1)'}")
    native = "SELECT id, CAST(0.25 AS DECIMAL(5,2)) AS share FROM staging.orders"
    shop.write({"marts/odd.sql": on_spark(native, *header)})
    outcome = shop.run()
    assert statuses(outcome)["marts.odd"] == "failed"
    told = message_of(outcome, "marts.odd")
    assert "id is BIGINT instead of VARCHAR" in told
    assert "share is DECIMAL(5,2) instead of DECIMAL(5,1)" in told


def test_what_spark_says_is_told_with_the_names_of_the_tables(shop: PipelineWorkspace) -> None:
    header = ("dialect: spark", "columns: {x: INTEGER}")
    shop.write({"marts/odd.sql": on_spark("SELECT nope AS x FROM staging.orders", *header)})
    outcome = shop.run()
    told = message_of(outcome, "marts.odd")
    assert statuses(outcome) == {"staging.orders": "published", "marts.odd": "failed"}
    assert "nope" in told
    assert "input_0" not in told


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="the Spark client is not installed")
    shop = PipelineWorkspace(tmp_path)
    shop.write({"pipeline.yaml": "connections: {lake: {kind: spark, url: 'sc://127.0.0.1:9'}}\n"})
    shop.write({"one.sql": on_spark("SELECT 1 AS x", "retry: {times: 0}")})
    outcome = shop.run()
    assert "No Spark Connect server answers at sc://127.0.0.1:9" in message_of(outcome, "one")


SLOW = "SELECT count(*) AS n FROM a JOIN a b ON a.i <> b.i JOIN a c ON b.i <> c.i WHERE a.i + b.i * c.i <> 7"


def slow(shop: PipelineWorkspace, *header: str) -> None:
    shop.write({"a.sql": "SELECT range AS i FROM range(3000)", "slow.sql": on_spark(SLOW, *header)})


def test_a_query_that_takes_too_long_is_stopped_on_the_server(shop: PipelineWorkspace) -> None:
    slow(shop, "timeout: 2s")
    began = time.monotonic()
    outcome = shop.run()
    assert time.monotonic() - began < 20
    assert statuses(outcome)["slow"] == "failed"
    assert "longer" in message_of(outcome, "slow")
    assert leftovers(shop) == []


def test_a_run_that_is_taken_back_stops_the_query(shop: PipelineWorkspace) -> None:
    slow(shop)
    stop = threading.Event()
    timer = threading.Timer(3.0, stop.set)
    timer.start()
    began = time.monotonic()
    outcome = shop.run(stop=stop)
    timer.join()
    assert time.monotonic() - began < 20
    assert statuses(outcome)["slow"] in {"failed", "skipped"}
    assert leftovers(shop) == []


def test_moving_an_asset_to_spark_runs_it_again_and_needs_an_approval_of_its_own_kind(shop: PipelineWorkspace) -> None:
    shop.write({"marts/totals.sql": TOTALS})
    shop.run()
    assert find_kind(shop.folder) == KIND
    shop.write({"marts/totals.sql": on_spark(TOTALS)})
    assert [s.name for s in shop.plan().running] == ["marts.totals"]
    assert find_kind(shop.folder) == SPARK_KIND
    shop.write({"marts/code.py": '"""@asset\ncolumns: {x: INTEGER}\n"""\ndef asset():\n    return []\n'})
    assert find_kind(shop.folder) == PYTHON_KIND


def test_a_server_elsewhere_is_named_in_the_plan_as_a_place_data_goes_to(shop: PipelineWorkspace) -> None:
    shop.write({"pipeline.yaml": "connections: {lake: {kind: spark, url: 'sc://spark.example:15002'}}\n"})
    shop.write({"marts/totals.sql": on_spark(TOTALS)})
    plan = shop.plan()
    assert "sends what it reads to sc://spark.example:15002, another machine" in plan.to_text()
    moved = shop.folder / "pipeline.yaml"
    moved.write_text(moved.read_text().replace("spark.example", "other.example"))
    assert shop.plan().hash != plan.hash


def test_an_exchange_folder_outside_the_data_roots_is_refused(shop: PipelineWorkspace, spark_address: str) -> None:
    outside = "connections: {lake: {kind: spark, url: 'sc://" + spark_address + "', exchange: '/tmp'}}\n"
    shop.write({"pipeline.yaml": outside, "marts/totals.sql": on_spark(TOTALS)})
    assert "not below a data root" in message_of(shop.run(), "marts.totals")
    inside = outside.replace("'/tmp'", "data/exchange")
    shop.write({"pipeline.yaml": inside})
    assert statuses(shop.run())["marts.totals"] == "published"


def test_the_missing_client_says_what_to_install(shop: PipelineWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = shop.root / "hidden"
    hidden.mkdir()
    (hidden / "pyspark.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    shop.write({"marts/totals.sql": on_spark(TOTALS)})
    assert "Spark client, which is not installed" in message_of(shop.run(), "marts.totals")


def test_faults_keep_their_hint(shop: PipelineWorkspace) -> None:
    with pytest.raises(ToolError) as refused:
        shop.write({"marts/bad.sql": on_spark("SELECT ln(id) AS x FROM staging.orders")})
        shop.plan()
    assert "dialect: spark" in refused.value.message


@pytest.mark.parametrize(
    "point",
    [
        "step.built",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("step.begun", "step.before_commit", "step.after_commit")),
    ],
)
def test_a_run_that_is_killed_around_spark_goes_on_where_it_stopped(shop: PipelineWorkspace, point: str) -> None:
    shop.write({"marts/totals.sql": on_spark(TOTALS)})
    assert shop.run_apart(f"{point}:marts.totals") is None
    is_published = point == "step.after_commit"
    assert shop.rows("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'marts'") == [(int(is_published),)]
    assert [s.name for s in shop.plan().running] == ([] if is_published else ["marts.totals"])
    assert "failed" not in statuses(shop.run(run="run2")).values()
    assert shop.rows("SELECT count(*) FROM marts.totals") == [(3,)]
    assert is_published or leftovers(shop) == []
