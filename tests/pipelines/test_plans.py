"""What a plan says before anything is touched."""

from pathlib import Path

import pytest

from datasteward.errors import ToolError
from tests.support.pipeline_workspace import PipelineWorkspace, actions

SHOP = {
    "data/orders.csv": "id,day,amount\n1,2026-01-01,5.5\n2,2026-01-02,-1\n3,2026-01-02,9\n",
    "staging/stg_orders.sql": "SELECT id, day, amount FROM read_csv('data/orders.csv')",
    "marts/daily.sql": "SELECT day, sum(amount) AS total FROM staging.stg_orders GROUP BY day",
    "marts/ids.sql": "SELECT id FROM {{ ref('stg_orders') }}",
}


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    place = PipelineWorkspace(tmp_path)
    place.write(SHOP)
    return place


def test_a_first_plan_runs_everything_in_order_and_knows_every_type(shop: PipelineWorkspace) -> None:
    plan = shop.plan()
    assert actions(plan) == {"staging.stg_orders": "build", "marts.daily": "build", "marts.ids": "build"}
    assert plan.running[0].name == "staging.stg_orders"
    daily = next(s for s in plan.steps if s.name == "marts.daily")
    assert [(c.name, c.type) for c in daily.columns] == [("day", "DATE"), ("total", "DOUBLE")]
    assert daily.reasons == ("new",)
    assert "plan " in plan.to_text() and "build marts.daily (table): new" in plan.to_text()
    assert not shop.database.exists()


def test_the_hash_is_the_same_until_something_moves(shop: PipelineWorkspace) -> None:
    first = shop.plan()
    shop.write({"marts/ids.sql": "-- a comment\nSELECT\n  id\nFROM {{ ref('stg_orders') }}"})
    assert shop.plan().hash == first.hash
    shop.write({"marts/ids.sql": "SELECT id + 1 AS id FROM {{ ref('stg_orders') }}"})
    second = shop.plan()
    assert second.hash != first.hash
    shop.write({"data/orders.csv": "id,day,amount\n1,2026-01-01,5.5\n"})
    assert shop.plan().hash != second.hash


@pytest.mark.parametrize(
    ("path", "sql", "expected"),
    [
        ("marts/x.sql", "SELECT *\nFROM staging.stg_order", r"marts/x.sql:2:6: there is no asset, table or file 'staging.stg_order', did you mean 'staging.stg_orders'\?"),
        ("marts/x.sql", "SELECT amonut FROM staging.stg_orders", r"marts/x.sql:1:8: Referenced column \"amonut\" not found in FROM clause, did you mean 'amount'\?"),
        ("marts/x.sql", "SELECT id + DATE '2026-01-01' + day AS x FROM staging.stg_orders", r"marts/x.sql:1:\d+: "),
        ("x.sql", "SELECT * FROM x", "x reads itself"),
        ("x.sql", "SELECT * FROM read_csv('data/none.csv')", r"x.sql:1:15: .*data/none.csv"),
        ("x.sql", "SELECT * FROM read_csv('/etc/passwd')", "x.sql:1:15: "),
        ("x.sql", "SELECT getenv('HOME') AS h", "x.sql:1:"),
        ("x.sql", "/* @asset\nunique: kk\n*/ SELECT 1 AS k", r"the header names a column 'kk'"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_told_with_its_place(shop: PipelineWorkspace, path: str, sql: str, expected: str) -> None:
    shop.write({path: sql})
    with pytest.raises(ToolError, match=expected):
        shop.plan()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("expect: amonut > 0", "the check 'expect amonut > 0': Referenced column"),
        ("expect: id > 0); DROP TABLE marts.ids; SELECT (1", "the check"),
        ("expect: (SELECT count(*) FROM read_text('/etc/passwd')) > 0", "the check"),
        ("query: SELECT count(*) FROM read_csv('/etc/passwd')", "the check 'query'"),
        ("query: DELETE FROM this RETURNING 1", "the check 'query'"),
        ("query: SELECT length(getenv('HOME'))", "the check 'query'"),
        ("relationship: id -> staging.nothing.id", "the check 'relationship"),
    ],
)
def test_a_check_is_held_to_the_same_gate_as_a_query(shop: PipelineWorkspace, rule: str, expected: str) -> None:
    header = f'checks:\n  - {rule.split(": ", 1)[0]}: "{rule.split(": ", 1)[1]}"'
    shop.write({"marts/x.sql": f"/* @asset\n{header}\n@end */ SELECT id, amount FROM staging.stg_orders"})
    with pytest.raises(ToolError, match=expected):
        shop.plan()


def test_python_code_is_named_in_the_plan(shop: PipelineWorkspace) -> None:
    shop.write({"p.py": '"""@asset\ncolumns: {a: BIGINT}\n"""\ndef asset():\n    return []\n'})
    step = next(s for s in shop.plan().steps if s.name == "p")
    assert step.destructive == ("runs the Python code of p.py, which can do what you can",)


def test_a_cycle_is_one_clear_error(shop: PipelineWorkspace) -> None:
    shop.write({"a.sql": "SELECT * FROM b", "b.sql": "SELECT * FROM a"})
    with pytest.raises(ToolError, match="is part of a cycle: a reads b reads a"):
        shop.plan()


def test_an_ephemeral_asset_is_part_of_those_that_read_it(shop: PipelineWorkspace) -> None:
    shop.write(
        {
            "staging/stg_orders.sql": "/* @asset materialize: ephemeral */ SELECT id, day, amount FROM read_csv('data/orders.csv');",
            "staging/big.sql": "/* @asset materialize: ephemeral */ SELECT * FROM staging.stg_orders WHERE amount > 1",
            "marts/daily.sql": "WITH x AS (SELECT * FROM staging.big) SELECT day, sum(x.amount) AS total FROM x JOIN staging.stg_orders USING (id, day) GROUP BY day",
        }
    )
    plan = shop.plan()
    assert actions(plan) == {"marts.daily": "build", "marts.ids": "build"}
    assert "data/orders.csv" in plan.steps[0].inputs


def test_a_table_that_the_pipeline_did_not_make_is_named_before_it_is_replaced(shop: PipelineWorkspace) -> None:
    shop.execute("CREATE SCHEMA marts; CREATE TABLE marts.ids AS SELECT 1 AS id; CREATE VIEW v AS FROM marts.ids")
    plan = shop.plan()
    step = next(s for s in plan.steps if s.name == "marts.ids")
    assert step.destructive == ("replaces the table marts.ids, which this pipeline did not make",)
    assert step.rows_before == 1
    assert plan.downstream == ("v",)
