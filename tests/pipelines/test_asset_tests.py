"""Unit tests in headers run on given rows, never on data; commands make and check what they say."""

from pathlib import Path

from click.testing import CliRunner, Result

from datasteward_cli.app import Scope
from datasteward_cli.pipeline_commands import contract, pipeline
from tests.pipelines.test_checks import CONTRACT
from tests.support.pipeline_workspace import PipelineWorkspace

TESTED = """/* @asset
tests:
  - name: adds up
    given:
      staging.stg_orders: [{{day: 2026-01-01, amount: 2}}, {{day: 2026-01-01, amount: 3.5}}]
    expect: [{{day: 2026-01-01, total: {total}}}]
@end */ SELECT day, sum(amount) AS total FROM staging.stg_orders GROUP BY day"""
FILES = {
    "data/orders.csv": "id,day,amount\n1,2026-01-01,5.5\n2,2026-01-02,-1\n",
    "staging/stg_orders.sql": """/* @asset
tests:
  - given: {data/orders.csv: [{id: 1, amount: -2.0}, {id: 2, amount: 2.0}]}
    expect: [{id: 2}]
@end */ SELECT id, day, amount FROM read_csv('data/orders.csv') WHERE amount > 0""",
}


def run(folder: Path, group: object, *arguments: str) -> Result:
    assert group in {pipeline, contract}
    chosen = pipeline if group is pipeline else contract
    result = CliRunner().invoke(chosen, list(arguments), obj=Scope(folder, no_owner=True), standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_unit_test_compares_what_comes_out_of_given_rows(tmp_path: Path) -> None:
    place = PipelineWorkspace(tmp_path)
    place.write({**FILES, "good.sql": TESTED.format(total="5.5"), "wrong.sql": TESTED.format(total="6")})
    result = run(tmp_path, pipeline, "test")
    assert result.return_value == 10
    assert "ok   staging.stg_orders: test 1" in result.output
    assert "ok   good: adds up" in result.output
    assert "FAIL wrong: adds up" in result.output
    assert "- day=2026-01-01, total=6.0" in result.output
    assert "+ day=2026-01-01, total=5.5" in result.output
    assert not place.database.exists()


def test_init_makes_a_pipeline_whose_own_test_passes(tmp_path: Path) -> None:
    assert "made pipelines/shop" in run(tmp_path, pipeline, "init", "shop").output
    assert "ok   staging.first: test 1" in run(tmp_path, pipeline, "test", "shop").output


def test_taking_up_a_run_when_there_is_none_says_so(tmp_path: Path) -> None:
    PipelineWorkspace(tmp_path)
    assert "No run has begun yet" in run(tmp_path, pipeline, "resume").output


def test_a_contract_is_checked_on_a_file(tmp_path: Path) -> None:
    place = PipelineWorkspace(tmp_path)
    place.write({"data/orders.csv": "k,name,net\n1,a,5\n1,zz,-1\n"})
    (tmp_path / "c.yaml").write_text(CONTRACT)
    result = run(tmp_path, contract, "check", str(tmp_path / "c.yaml"), "--dataset", "orders")
    assert result.return_value == 10
    assert "- column k is BIGINT, the contract promises INTEGER" in result.output
    assert "- unique k: 1 bad" in result.output
    assert "- maxLength name: 1 bad" in result.output


def test_a_broken_promise_names_the_assets_that_relied_on_it(tmp_path: Path) -> None:
    place = PipelineWorkspace(tmp_path)
    place.write({"orders.sql": "SELECT 1 AS k, 'a' AS name, 2.5 AS net", "names.sql": "SELECT name FROM orders"})
    (tmp_path / "a.yaml").write_text(CONTRACT)
    (tmp_path / "b.yaml").write_text(CONTRACT.replace("{name: name, ", "{name: label, "))
    result = run(tmp_path, contract, "diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "--pipeline", "shop")
    assert "breaking: orders: name is no longer promised (read by names)" in result.output
    (tmp_path / "b.yaml").write_text(CONTRACT.replace("physicalType: INTEGER, required: true", "physicalType: BIGINT"))
    result = run(tmp_path, contract, "diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert result.return_value == 10
    assert "breaking: orders: k: INTEGER becomes BIGINT" in result.output
    assert run(tmp_path, contract, "diff", str(tmp_path / "a.yaml"), str(tmp_path / "a.yaml")).return_value == 0
