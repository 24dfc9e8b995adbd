"""TPC-H's queries give equal rows in DuckDB and on the Spark Connect server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.spark_cases import SparkCases

QUERIES = [f"q{n:02}" for n in range(1, 23)]


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, spark_address: str) -> Iterator[SparkCases]:
    folder = shared_data / "tpc" / "tpch_sf0.01"
    if not folder.is_dir():
        pytest.skip("the TPC-H tables are not among the outside cases")
    cases = SparkCases.open(Path(tmp_path_factory.mktemp("tpch")), spark_address)
    for path in sorted(folder.glob("*.parquet")):
        cases.add(path.stem, f"FROM '{path}'")
    yield cases
    cases.close()


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_tpch_gives_equal_rows_on_both_engines(tpch: SparkCases, shared_data: Path, name: str) -> None:
    sql = (shared_data / "tpc" / "queries" / "tpch" / f"{name}.sql").read_text().strip().rstrip(";")
    different = tpch.differences(sql)
    assert (different.only_left, different.only_right) == ((), ())
