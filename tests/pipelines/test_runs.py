"""Runs publish what passed its checks, keep bad rows apart, and leave nothing half done."""

import threading
from pathlib import Path

import pytest

from datasteward.errors import ToolError
from tests.pipelines.test_plans import SHOP
from tests.support.pipeline_workspace import PipelineWorkspace, actions, statuses


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    place = PipelineWorkspace(tmp_path)
    place.write(SHOP)
    return place


def test_a_run_publishes_every_asset_and_the_next_plan_is_empty(shop: PipelineWorkspace) -> None:
    outcome = shop.run()
    assert statuses(outcome) == dict.fromkeys(["staging.stg_orders", "marts.daily", "marts.ids"], "published")
    assert outcome.status == "done"
    assert shop.rows("SELECT count(*), sum(amount) FROM staging.stg_orders") == [(3, 13.5)]
    assert actions(shop.plan()) == {}
    assert statuses(shop.run()) == dict.fromkeys(["staging.stg_orders", "marts.daily", "marts.ids"], "up_to_date")


def test_a_changed_column_runs_only_those_who_read_it(shop: PipelineWorkspace) -> None:
    shop.run()
    shop.write({"staging/stg_orders.sql": "SELECT id, day, amount * 2 AS amount FROM read_csv('data/orders.csv')"})
    plan = shop.plan()
    assert actions(plan) == {"staging.stg_orders": "build", "marts.daily": "build"}
    assert next(s for s in plan.steps if s.name == "marts.daily").reasons == ("staging.stg_orders changes (amount)",)
    shop.run()
    assert shop.rows("SELECT sum(total) FROM marts.daily") == [(27.0,)]
    assert actions(shop.plan()) == {}


def test_a_comment_a_format_and_a_header_note_run_nothing(shop: PipelineWorkspace) -> None:
    shop.run()
    shop.write({"marts/ids.sql": "/* @asset\nowner: me\n*/ -- x\nselect  ID\nfrom staging.stg_orders"})
    assert actions(shop.plan()) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT id FROM staging.stg_orders WHERE id > 1", "its query selects other rows"),
        ("SELECT DISTINCT id FROM staging.stg_orders", "its query selects other rows"),
        ("SELECT id, 1 AS one FROM staging.stg_orders", "columns changed: one"),
        ("/* @asset materialize: view */ SELECT id FROM staging.stg_orders", "settings changed"),
        ("/* @asset\nunique: id\n*/ SELECT id FROM staging.stg_orders", "settings changed"),
    ],
)
def test_what_changes_the_result_runs_with_its_reason(shop: PipelineWorkspace, sql: str, reason: str) -> None:
    shop.run()
    shop.write({"marts/ids.sql": sql})
    step = shop.plan().running[0]
    assert (step.name, reason in step.reasons) == ("marts.ids", True), step.reasons
    assert shop.run().status == "done"
    assert actions(shop.plan()) == {}


def test_a_changed_file_runs_all_that_follows(shop: PipelineWorkspace) -> None:
    shop.run()
    shop.write({"data/orders.csv": "id,day,amount\n7,2026-01-03,1\n"})
    assert actions(shop.plan()) == {"staging.stg_orders": "build", "marts.daily": "build", "marts.ids": "build"}
    shop.run()
    assert shop.rows("FROM marts.ids") == [(7,)]


def test_a_dropped_table_is_built_again(shop: PipelineWorkspace) -> None:
    shop.run()
    shop.execute("DROP TABLE marts.ids")
    plan = shop.plan()
    assert [(s.name, s.reasons) for s in plan.running] == [("marts.ids", ("its table is gone",))]


def test_selectors_choose_what_runs_and_the_rest_is_told(shop: PipelineWorkspace) -> None:
    plan = shop.plan(["marts.ids"])
    assert actions(plan) == {"marts.ids": "build"}
    assert plan.notes == ("staging.stg_orders is out of date and not selected: new",)
    assert actions(shop.plan(["+marts.ids"])) == {"staging.stg_orders": "build", "marts.ids": "build"}
    shop.run()
    assert actions(shop.plan(["marts.daily"], full_refresh=True)) == {"marts.daily": "build"}


CHECKED = """/* @asset
checks:
  - expect: amount >= 0
    on_fail: quarantine
    max: {limit}
  - not_null: id
*/ SELECT id, day, amount FROM read_csv('data/orders.csv')"""


def test_bad_rows_go_to_quarantine_with_the_reason(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": CHECKED.format(limit="50%")})
    outcome = shop.run()
    step = outcome.steps[0]
    assert (step.rows, step.quarantined, step.quarantine) == (2, 1, "quarantine.staging__stg_orders")
    assert shop.rows("SELECT id, _reasons, _run FROM quarantine.staging__stg_orders") == [
        (2, ["expect amount >= 0"], "run1")
    ]
    assert shop.rows("SELECT count(*) FROM marts.ids") == [(2,)]
    shop.write({"data/orders.csv": "id,day,amount\n1,2026-01-01,5.5\n"})
    shop.run()
    assert shop.rows("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'quarantine'") == [(0,)]


def test_over_the_threshold_nothing_is_published_and_those_behind_are_skipped(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": CHECKED.format(limit="10%")})
    outcome = shop.run()
    assert statuses(outcome) == {
        "staging.stg_orders": "failed",
        "marts.daily": "skipped",
        "marts.ids": "skipped",
    }
    assert "expect amount >= 0: 1 bad, over 0.1" in outcome.steps[0].message
    assert shop.rows("SELECT count(*) FROM duckdb_tables() WHERE schema_name <> '_steward'") == [(0,)]
    plan = shop.plan()
    assert "failed before: staging.stg_orders was not published" in plan.running[0].reasons[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "published"),
    [
        ("  - expect: amount >= 0", False),
        ("  - expect: amount >= 0\n    on_fail: warn", True),
        ("  - unique: day", False),
        ("  - unique: id", True),
        ("  - rows: {min: 4}", False),
        ("  - relationship: id -> dim.id", False),
        ("  - query: SELECT count(*) FROM this WHERE amount > 100", True),
    ],
)
def test_a_blocking_check_keeps_the_published_table_as_it_was(
    shop: PipelineWorkspace, rule: str, published: bool
) -> None:
    shop.write(
        {
            "dim.sql": "SELECT 1 AS id",
            "staging/stg_orders.sql": "SELECT 0 AS id, DATE '2026-01-01' AS day, 0.0 AS amount",
        }
    )
    shop.run()
    sql = f"/* @asset\nchecks:\n{rule}\n*/ SELECT id, day, amount FROM read_csv('data/orders.csv')"
    shop.write({"staging/stg_orders.sql": sql})
    outcome = shop.run()
    assert (statuses(outcome)["staging.stg_orders"] == "published") is published
    assert shop.rows("SELECT count(*) FROM staging.stg_orders") == [(3 if published else 1,)]


def test_an_approved_plan_is_refused_when_files_or_state_moved(shop: PipelineWorkspace) -> None:
    plan = shop.plan()
    shop.write({"marts/ids.sql": "SELECT id + 1 AS id FROM staging.stg_orders"})
    outcome = shop.run(plan)
    assert (outcome.status, outcome.moved) == ("moved", "marts.ids is not as planned: its file changed")
    assert not shop.database.exists()
    plan = shop.plan()
    shop.write({"data/orders.csv": "id,day,amount\n1,2026-01-01,5.5\n"})
    assert shop.run(plan).moved == "staging.stg_orders is not as planned: its inputs changed"
    plan = shop.plan()
    shop.run()
    assert "it was published since" in str(shop.run(plan).moved)


@pytest.mark.slow
def test_a_view_and_a_table_take_each_others_place(shop: PipelineWorkspace) -> None:
    shop.write({"marts/ids.sql": "/* @asset materialize: view */ SELECT id FROM staging.stg_orders"})
    shop.run()
    assert shop.rows("SELECT count(*) FROM duckdb_views() WHERE view_name = 'ids'") == [(1,)]
    shop.write({"marts/ids.sql": "SELECT id FROM staging.stg_orders"})
    shop.run()
    assert shop.rows("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'ids'") == [(1,)]


INCREMENTAL = """/* @asset
materialize: incremental
time: day
start: 2026-01-01
*/ SELECT id, day, amount FROM read_csv('data/orders.csv')"""


def test_an_incremental_asset_fills_only_the_windows_that_are_missing(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": INCREMENTAL})
    shop.run()
    assert shop.rows("SELECT count(*) FROM staging.stg_orders") == [(3,)]
    assert actions(shop.plan()) == {}
    later = shop.plan(as_of=shop.request().as_of.replace(day=8))
    step = later.running[0]
    assert [(str(w.start.date()), str(w.end.date())) for w in step.windows] == [("2026-01-06", "2026-01-08")]
    assert step.reasons == ("1 window to fill",)
    shop.run(later)
    assert actions(shop.plan(as_of=shop.request().as_of.replace(day=8))) == {}


def test_a_late_row_replaces_only_the_window_that_differs(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": INCREMENTAL})
    shop.run()
    shop.write({"data/orders.csv": SHOP["data/orders.csv"] + "9,2026-01-01,100\n"})
    plan = shop.plan()
    assert plan.running[0].action == "fill" and plan.running[0].compares_windows
    shop.run(plan)
    assert shop.rows("SELECT id FROM staging.stg_orders ORDER BY id") == [(1,), (2,), (3,), (9,)]
    assert shop.rows("SELECT sum(total) FROM marts.daily") == [(113.5,)]


def test_filling_the_same_window_twice_changes_nothing(shop: PipelineWorkspace) -> None:
    shop.write({"staging/stg_orders.sql": INCREMENTAL})
    shop.run()
    before = shop.rows("FROM staging.stg_orders ORDER BY ALL")
    start = shop.request().as_of.replace(day=1)
    again = shop.plan(["staging.stg_orders"], start=start, end=start.replace(day=3))
    assert [str(w.start.date()) for w in again.running[0].windows] == ["2026-01-01"]
    shop.run(again)
    assert shop.rows("FROM staging.stg_orders ORDER BY ALL") == before


def test_window_marks_bound_what_is_read(shop: PipelineWorkspace) -> None:
    sql = INCREMENTAL + " WHERE day >= @start AND day < @end"
    shop.write({"staging/stg_orders.sql": sql})
    shop.run()
    assert shop.rows("SELECT count(*) FROM staging.stg_orders") == [(3,)]


def test_a_merge_updates_by_key_and_keeps_what_is_gone_from_the_input(shop: PipelineWorkspace) -> None:
    header = "/* @asset\nmaterialize: merge\nunique: id\n*/ "
    shop.write({"staging/stg_orders.sql": header + SHOP["staging/stg_orders.sql"]})
    shop.run()
    shop.write({"data/orders.csv": "id,day,amount\n3,2026-01-02,90.0\n4,2026-01-04,1.0\n"})
    assert actions(shop.plan())["staging.stg_orders"] == "merge"
    shop.run()
    assert shop.rows("SELECT id, amount FROM staging.stg_orders ORDER BY id") == [
        (1, 5.5),
        (2, -1.0),
        (3, 90.0),
        (4, 1.0),
    ]
    shop.write({"data/orders.csv": "id,day,amount\n3,2026-01-02,1.5\n3,2026-01-04,2.5\n"})
    outcome = shop.run()
    assert "unique id: 1 bad" in outcome.steps[0].message
    assert shop.rows("SELECT count(*) FROM staging.stg_orders") == [(4,)]


def test_an_append_takes_each_file_of_a_glob_once(shop: PipelineWorkspace) -> None:
    (shop.root / "data" / "inbox").mkdir()
    shop.write(
        {
            "data/inbox/a.csv": "id,day,amount\n1,2026-01-01,5\n",
            "staging/stg_orders.sql": "/* @asset materialize: append */ SELECT id, day, amount FROM read_csv('data/inbox/*.csv')",
        }
    )
    shop.run()
    assert actions(shop.plan()) == {}
    shop.write({"data/inbox/b.csv": "id,day,amount\n2,2026-01-02,6\n"})
    plan = shop.plan()
    assert plan.running[0].new_files == ("data/inbox/b.csv",)
    shop.run(plan)
    assert shop.rows("SELECT id FROM staging.stg_orders ORDER BY id") == [(1,), (2,)]
    shop.write({"data/inbox/b.csv": "id,day,amount\n2,2026-01-02,6\n3,2026-01-02,6\n"})
    with pytest.raises(ToolError, match=r"b\.csv changed after it was appended"):
        shop.plan()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("drift", "expected"),
    [("evolve", ["id", "day", "amount", "extra"]), ("discard", ["id", "day", "amount"]), ("freeze", None)],
)
def test_a_new_column_is_taken_left_out_or_refused(
    shop: PipelineWorkspace, drift: str, expected: list[str] | None
) -> None:
    shop.write({"staging/stg_orders.sql": f"/* @asset drift: {drift} */ SELECT * FROM read_csv('data/orders.csv')"})
    shop.run()
    shop.write({"data/orders.csv": "id,day,amount,extra\n1,2026-01-01,5.5,x\n"})
    if expected is None:
        with pytest.raises(ToolError, match="its schema is frozen: extra is new"):
            shop.plan()
        return
    assert shop.run().status == "done"
    assert [r[0] for r in shop.rows("DESCRIBE staging.stg_orders")] == expected
    assert actions(shop.plan()) == {}


def test_an_empty_source_publishes_an_empty_table(shop: PipelineWorkspace) -> None:
    shop.write(
        {"empty.sql": "SELECT * FROM staging.stg_orders WHERE false", "after.sql": "SELECT count(*) AS n FROM empty"}
    )
    shop.run()
    assert shop.rows("FROM after") == [(0,)]


@pytest.mark.slow
def test_a_fan_of_a_hundred_assets_runs_side_by_side(shop: PipelineWorkspace) -> None:
    shop.write({"pipeline.yaml": "parallel: 4\n"})
    shop.write({f"fan/f{i}.sql": f"SELECT id + {i} AS id FROM staging.stg_orders" for i in range(100)})
    shop.write({"total.sql": " UNION ALL ".join(f"SELECT * FROM fan.f{i}" for i in range(100))})
    outcome = shop.run()
    assert outcome.status == "done"
    assert shop.rows("SELECT count(*) FROM total") == [(300,)]


def test_a_run_time_fault_fails_its_asset_alone(shop: PipelineWorkspace) -> None:
    shop.write({"bad.sql": "SELECT CAST('x' || id AS INTEGER) AS n FROM staging.stg_orders", "worse.sql": "FROM bad"})
    outcome = shop.run()
    assert statuses(outcome)["bad"] == "failed"
    assert statuses(outcome)["worse"] == "skipped"
    assert statuses(outcome)["marts.daily"] == "published"
    assert "Could not convert string" in next(s for s in outcome.steps if s.name == "bad").message
    assert outcome.status == "partly"


def test_a_timeout_stops_the_asset_and_publishes_nothing_of_it(shop: PipelineWorkspace) -> None:
    shop.write(
        {
            "slow.sql": "/* @asset timeout: 300ms */ SELECT sum(a.range * b.range) AS s FROM range(1000000) a, range(1000000) b"
        }
    )
    outcome = shop.run()
    slow = next(s for s in outcome.steps if s.name == "slow")
    assert (slow.status, slow.code) == ("failed", "timeout")
    assert slow.seconds < 10


def test_a_run_that_is_taken_back_stops_soon_and_the_rest_is_left(shop: PipelineWorkspace) -> None:
    shop.write(
        {"slow.sql": "SELECT sum(a.range * b.range) AS s FROM range(1000000) a, range(1000000) b", "z.sql": "FROM slow"}
    )
    stop = threading.Event()
    timer = threading.Timer(0.7, stop.set)
    timer.start()
    outcome = shop.run(stop=stop)
    timer.join()
    assert statuses(outcome)["slow"] in {"failed", "skipped"}
    assert statuses(outcome)["z"] == "skipped"
    assert outcome.seconds < 15


PYTHON = '''"""@asset
columns: {id: BIGINT, label: VARCHAR}
inputs: {orders: staging.stg_orders}
checks:
  - unique: id
"""
def asset(orders):
    return [{"id": i, "label": f"order {i}"} for i in orders.column("id").to_pylist()]
'''


def test_a_python_asset_gets_its_inputs_and_its_rows_are_published(shop: PipelineWorkspace) -> None:
    shop.write({"marts/labels.py": PYTHON, "after.sql": "SELECT label FROM marts.labels WHERE id = 2"})
    outcome = shop.run()
    assert outcome.status == "done", [s.message for s in outcome.steps]
    assert shop.rows("FROM after") == [("order 2",)]
    assert actions(shop.plan()) == {}
    shop.write({"marts/labels.py": PYTHON.replace("return", "raise ValueError('no luck')\n    return")})
    outcome = shop.run()
    assert "ValueError: no luck" in next(s for s in outcome.steps if s.name == "marts.labels").message
    assert shop.rows("FROM after") == [("order 2",)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "status"), [("warn: 24h", "published"), ("error: 24h", "failed"), ("error: 99999d", "published")]
)
def test_rows_that_are_too_old_warn_or_block(shop: PipelineWorkspace, limits: str, status: str) -> None:
    shop.write(
        {"marts/daily.sql": f"/* @asset\nfresh: {{column: day, {limits}}}\n*/ SELECT day FROM staging.stg_orders"}
    )
    outcome = shop.run()
    step = next(s for s in outcome.steps if s.name == "marts.daily")
    assert step.status == status
    assert any(c.action in {"warned", "blocked"} for c in step.checks) == ("99999" not in limits)


@pytest.mark.slow
def test_side_by_side_failures_and_images_do_not_get_in_each_others_way(shop: PipelineWorkspace) -> None:
    shop.write({"pipeline.yaml": "parallel: 4\n"})
    shop.write({f"f{i}.sql": f"SELECT CAST('x' || id AS INTEGER) AS n{i} FROM staging.stg_orders" for i in range(8)})
    shop.write({f"g{i}.sql": f"SELECT id + {i} AS id FROM staging.stg_orders" for i in range(8)})
    outcome = shop.run(change="c1", images=shop.workspace.undo_folder / "c1-run.duckdb")
    found = statuses(outcome)
    assert [found[f"f{i}"] for i in range(8)] == ["failed"] * 8
    assert [found[f"g{i}"] for i in range(8)] == ["published"] * 8
    assert outcome.record_hash is not None
    assert shop.rows("SELECT count(*) FROM _steward.steps WHERE status = 'failed'") == [(8,)]


def test_a_passing_fault_is_tried_again_and_a_lasting_one_is_told(shop: PipelineWorkspace) -> None:
    path = shop.root / "data" / "orders.csv"
    text = path.read_text()
    shop.write(
        {
            "staging/stg_orders.sql": "/* @asset\nretry: {times: 20, backoff: 50ms, max_backoff: 100ms}\n*/ "
            + SHOP["staging/stg_orders.sql"]
        }
    )

    def vanish(event: str, data: dict[str, object]) -> None:
        if event == "step" and data["status"] == "running" and data["name"] == "staging.stg_orders":
            path.unlink()
            threading.Timer(0.4, path.write_text, [text]).start()

    outcome = shop.run(listen=vanish)
    assert outcome.status == "done", outcome.steps[0].message
    assert outcome.steps[0].attempts > 1
    path.write_text(text + "8,2026-01-03,1\n")
    shop.write(
        {"staging/stg_orders.sql": "/* @asset\nretry: {times: 1, backoff: 50ms}\n*/ " + SHOP["staging/stg_orders.sql"]}
    )
    outcome = shop.run(listen=lambda e, d: path.unlink(missing_ok=True) if e == "step" else None)
    assert (outcome.steps[0].status, outcome.steps[0].attempts) == ("failed", 2)
    assert shop.rows("SELECT count(*) FROM staging.stg_orders") == [(3,)]


def test_two_runs_at_once_one_waits_or_is_told(shop: PipelineWorkspace) -> None:
    import duckdb

    holder = duckdb.connect(str(shop.database))
    try:
        with pytest.raises(AssertionError, match="cannot be opened for writing"):
            shop.run_apart(plan=PipelineWorkspace(shop.root).plan_without_database())
    finally:
        holder.close()
