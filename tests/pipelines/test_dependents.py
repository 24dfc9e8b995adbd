"""Who asks what a change breaks is told the assets that read it."""

from pathlib import Path

import pytest

from datasteward.lineage.pipeline_assets import PipelineAssets
from datasteward.lineage.schemas import FILE_NAMESPACE, ColumnRef, DatasetKey
from tests.pipelines.test_plans import SHOP
from tests.support.pipeline_workspace import PipelineWorkspace


@pytest.fixture
def shop(tmp_path: Path) -> PipelineWorkspace:
    place = PipelineWorkspace(tmp_path)
    place.execute("CREATE TABLE rates AS SELECT 1 AS code, 2.0 AS rate")
    place.write({**SHOP, "rated.sql": "SELECT i.id, r.rate FROM marts.ids AS i CROSS JOIN rates AS r"})
    place.plan()
    return place


def readers(place: PipelineWorkspace, namespace: str, name: str, column: str = "") -> list[str]:
    assets = PipelineAssets(root=place.root, cache_folder=place.workspace.cache_folder)
    found = assets.find([ColumnRef(DatasetKey(namespace, name), column)])
    assert all(d.kind == "pipeline" for d in found)
    return sorted(d.name for d in found)


def test_assets_that_read_a_column_of_an_asset_are_named(shop: PipelineWorkspace) -> None:
    assert readers(shop, "duckdb", "staging.stg_orders", "amount") == ["shop/marts/daily.sql"]
    assert readers(shop, "duckdb", "staging.stg_orders", "ID") == ["shop/marts/ids.sql"]
    assert readers(shop, "duckdb", "staging.stg_orders") == ["shop/marts/daily.sql", "shop/marts/ids.sql"]


def test_assets_that_read_a_table_or_a_file_are_named(shop: PipelineWorkspace) -> None:
    assert readers(shop, "duckdb", "rates", "rate") == ["shop/rated.sql"]
    assert readers(shop, "duckdb", "rates", "code") == []
    assert readers(shop, FILE_NAMESPACE, "data/orders.csv", "day") == ["shop/staging/stg_orders.sql"]
    assert readers(shop, FILE_NAMESPACE, "data/other.csv") == []


def test_a_pipeline_that_is_gone_and_a_damaged_note_are_left_out(shop: PipelineWorkspace) -> None:
    (shop.workspace.cache_folder / "pipeline-0.json").write_text("[")
    assert readers(shop, "duckdb", "rates") == ["shop/rated.sql"]
    shop.folder.rename(shop.root / "elsewhere")
    assert readers(shop, "duckdb", "rates") == []
