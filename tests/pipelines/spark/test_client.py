"""The process that speaks with Spark: one query after another, and stopped by ending it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from datasteward.errors import Cancelled, ToolError
from datasteward.pipelines.spark.client import SparkClient, close_clients, take_client
from datasteward.pipelines.spark.computing import SESSION_SETTINGS
from datasteward.pipelines.spark.news import Done, Failed, SparkJob

ENDLESS = "SELECT count(*) AS n FROM range(0, 300000000000) WHERE id % 7 = 1 AND hash(id) % 3 = 1"


@pytest.fixture
def client() -> Iterator[SparkClient]:
    opened = SparkClient()
    yield opened
    opened.close()


def run(client: SparkClient, job: SparkJob, seconds: float = 60, stop: threading.Event | None = None) -> Done | Failed:
    is_stopped = (stop or threading.Event()).is_set
    return client.run(
        job, deadline=time.monotonic() + seconds, is_stopped=is_stopped, progress=lambda done, total: None
    )


def job(address: str, output: Path, sql: str) -> SparkJob:
    return SparkJob(address=address, settings=SESSION_SETTINGS, inputs={}, sql=sql, output=str(output))


def test_one_client_answers_several_jobs_and_a_failed_one_does_not_end_it(
    client: SparkClient, spark_address: str, tmp_path: Path
) -> None:
    assert run(client, job(spark_address, tmp_path / "a", "SELECT 1 AS x")) == Done()
    failed = run(client, job(spark_address, tmp_path / "b", "SELECT nope"))
    assert isinstance(failed, Failed)
    assert failed.kind == "failed"
    assert run(client, job(spark_address, tmp_path / "c", "SELECT 2 AS x")) == Done()
    assert duckdb.execute(f"FROM '{tmp_path}/*/*.parquet' ORDER BY 1").fetchall() == [(1,), (2,)]
    spare = [client]
    assert take_client(spare) is client


def test_a_query_past_its_time_is_interrupted_and_the_client_closed(
    client: SparkClient, spark_address: str, tmp_path: Path
) -> None:
    with pytest.raises(ToolError) as late:
        run(client, job(spark_address, tmp_path / "a", ENDLESS), seconds=3)
    assert late.value.code == "timeout"
    assert not client.is_open
    spare = [client]
    other = take_client(spare)
    assert other is not client
    close_clients([other])
    assert not other.is_open


def test_a_query_that_is_taken_back_ends_at_once(client: SparkClient, spark_address: str, tmp_path: Path) -> None:
    stop = threading.Event()
    timer = threading.Timer(2.0, stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run(client, job(spark_address, tmp_path / "a", ENDLESS), stop=stop)
    timer.join()
    assert time.monotonic() - began < 10


def test_a_client_that_ends_by_itself_tells_its_last_words(
    spark_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyspark.py").write_text("import sys\nsys.exit('out of luck')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = SparkClient()
    failed = run(broken, job(spark_address, tmp_path / "a", "SELECT 1 AS x"))
    assert isinstance(failed, Failed)
    assert "out of luck" in failed.message
    assert not broken.is_open
