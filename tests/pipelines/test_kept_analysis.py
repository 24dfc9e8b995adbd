"""What was understood once is taken again as long as nothing it rests on has moved."""

from pathlib import Path

import pytest

from datasteward.errors import ToolError
from datasteward.pipelines.analysis import Analysis, analyse
from datasteward.pipelines.loading import Pipeline
from datasteward.pipelines.surroundings import Surroundings
from tests.pipelines.test_plans import SHOP
from tests.support.pipeline_workspace import PipelineWorkspace, actions


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    place = PipelineWorkspace(tmp_path)
    place.write(SHOP)
    return place


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one name whenever a pipeline is analysed from its files."""
    told: list[str] = []

    def count(pipeline: Pipeline, surroundings: Surroundings) -> Analysis:
        told.append(pipeline.name)
        return analyse(pipeline, surroundings)

    monkeypatch.setattr("datasteward.pipelines.preparing.analyse", count)
    return told


def test_a_second_plan_binds_nothing_and_says_the_same(shop: PipelineWorkspace, analysed: list[str]) -> None:
    first = shop.plan()
    assert shop.plan() == first
    assert shop.run(first).status == "done"
    assert actions(shop.plan()) == {}
    assert len(analysed) == 1


def test_a_file_with_new_rows_is_seen_without_binding_anew(shop: PipelineWorkspace, analysed: list[str]) -> None:
    shop.run()
    shop.write({"data/orders.csv": "id,day,amount\n7,2026-01-03,1.5\n"})
    assert actions(shop.plan())["marts.ids"] == "build"
    assert len(analysed) == 1


def test_a_file_with_another_column_is_understood_anew(shop: PipelineWorkspace, analysed: list[str]) -> None:
    shop.run()
    shop.write({"data/orders.csv": "id,day\n7,2026-01-03\n"})
    with pytest.raises(ToolError, match="amount"):
        shop.plan()
    assert len(analysed) == 2


def test_a_view_of_the_database_is_looked_at_again(shop: PipelineWorkspace, analysed: list[str]) -> None:
    shop.execute("CREATE VIEW seen AS SELECT 1 AS a")
    shop.write({"more.sql": "SELECT a FROM seen"})
    shop.plan()
    shop.execute("CREATE OR REPLACE VIEW seen AS SELECT 2 AS a")
    shop.plan()
    assert len(analysed) == 2


def test_what_is_kept_and_damaged_is_made_again(shop: PipelineWorkspace, analysed: list[str]) -> None:
    shop.plan()
    (kept,) = shop.workspace.cache_folder.glob("pipeline-*.json")
    kept.write_text("{")
    assert shop.plan().running
    assert len(analysed) == 2
