"""How many steps share a transaction: short ones a few, a run with `publish: all` every one."""

from pathlib import Path

import pytest

from tests.pipelines.test_plans import SHOP
from tests.support.pipeline_workspace import PipelineWorkspace, actions, statuses

BAD = "/* @asset\nchecks: [expect: id < 3]\n@end */ SELECT id FROM marts.ids"


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    place = PipelineWorkspace(tmp_path)
    place.write({**SHOP, "pipeline.yaml": "publish: all\n"})
    return place


def tables(place: PipelineWorkspace) -> int:
    return int(place.rows("SELECT count(*) FROM duckdb_tables() WHERE schema_name <> '_steward'")[0][0])


def test_a_run_published_together_is_there_as_a_whole(shop: PipelineWorkspace) -> None:
    plan = shop.plan()
    assert plan.to_text().splitlines()[0].endswith("published together, all or nothing")
    assert shop.run(plan).status == "done"
    assert tables(shop) == 3
    assert actions(shop.plan()) == {}


def test_one_failing_check_takes_the_whole_run_back(shop: PipelineWorkspace) -> None:
    shop.write({"zz.sql": BAD})
    outcome = shop.run()
    assert statuses(outcome) == {
        "staging.stg_orders": "skipped",
        "marts.daily": "skipped",
        "marts.ids": "skipped",
        "zz": "failed",
    }
    assert outcome.status == "failed"
    assert outcome.steps[0].message == "nothing was published, as zz failed (publish: all)"
    assert tables(shop) == 0
    shop.write({"zz.sql": BAD.replace("< 3", "> 0")})
    assert shop.run().status == "done"


@pytest.mark.parametrize("point", ["step.built:marts.ids", "step.before_commit:staging.stg_orders"])
def test_a_run_killed_before_its_one_commit_has_published_nothing(shop: PipelineWorkspace, point: str) -> None:
    assert shop.run_apart(point) is None
    assert tables(shop) == 0
    assert shop.run().status == "done"


def test_an_approval_does_not_hold_for_another_way_of_publishing(shop: PipelineWorkspace) -> None:
    plan = shop.plan()
    shop.write({"pipeline.yaml": "publish: each\n"})
    assert shop.run(plan).moved == "it was planned to publish all, now it is each"


def test_a_failing_step_does_not_take_the_short_ones_beside_it_with_it(shop: PipelineWorkspace) -> None:
    shop.write({"pipeline.yaml": "parallel: 2\n", "zz.sql": BAD, "after.sql": "FROM zz"})
    shop.write({f"fan/f{i}.sql": f"SELECT id + {i} AS id FROM marts.ids" for i in range(8)})
    told: list[str] = []
    outcome = shop.run(
        listen=lambda event, data: told.append(data["name"]) if data.get("status") == "published" else None
    )
    assert {s.name for s in outcome.steps if s.status != "published"} == {"zz", "after"}
    assert sorted(told) == sorted(s.name for s in outcome.steps if s.status == "published")
    assert shop.rows("SELECT count(*), count(DISTINCT asset) FROM _steward.steps WHERE status = 'published'") == [
        (11, 11)
    ]
