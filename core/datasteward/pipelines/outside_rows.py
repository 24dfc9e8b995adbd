"""Rows of assets that DuckDB does not compute: their inputs handed out and what comes back, as Parquet files."""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.engine.jobs import WorkerSettings
from datasteward.pipelines.analysis import Node
from datasteward.pipelines.build_model import Build
from datasteward.pipelines.connections import Connection, find_spark
from datasteward.pipelines.python_process import run_python_asset

if TYPE_CHECKING:
    from datasteward.pipelines.spark.client import SparkClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What computing rows outside needs of the run it belongs to."""

    run: str
    settings: WorkerSettings
    connections: Mapping[str, Connection]
    is_stopped: Callable[[], bool]
    note: Callable[[str, str], None]
    """Given a step's key and how far it is, in words for progress; no words when that is no longer true."""
    spare_clients: "list[SparkClient]" = field(default_factory=list)
    """Processes that speak with Spark, between two queries."""

    def close(self) -> None:
        """Let go of what was kept between steps."""
        if self.spare_clients:
            from datasteward.pipelines.spark.client import close_clients

            close_clients(self.spare_clients)


@contextlib.contextmanager
def compute_outside(
    outside: Outside, build: Build, cursor: duckdb.DuckDBPyConnection, timeout_seconds: float
) -> Iterator[str | None]:
    """The Parquet file with the asset's rows for as long as it is needed; None for an asset that DuckDB computes."""
    connection = find_spark(build.node.asset.engine, outside.connections)
    if connection is not None:
        from datasteward.pipelines.spark.steps import spark_rows

        with spark_rows(outside, build, connection, cursor, timeout_seconds) as source:
            yield source
    elif build.node.asset.language == "python":
        with _python_rows(outside, build.node, cursor, timeout_seconds) as source:
            yield source
    else:
        yield None


@contextlib.contextmanager
def _python_rows(
    outside: Outside, node: Node, cursor: duckdb.DuckDBPyConnection, timeout_seconds: float
) -> Iterator[str]:
    settings = outside.settings
    folder = settings.cache_folder / f"python-{outside.run}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        inputs = {}
        for name in node.asset.parameters:
            table = (node.asset.options.inputs or {}).get(name, name.replace("__", "."))
            parts = ".".join(quote_name(p) for p in table.split("."))
            path = folder / f"{name}.parquet"
            cursor.execute(f"COPY (SELECT * FROM {parts}) TO {quote_text(str(path))} (FORMAT parquet)")
            inputs[name] = path
        rows = run_python_asset(
            folder,
            node.asset.body,
            inputs,
            memory_bytes=settings.memory_bytes,
            file_bytes=settings.temp_bytes,
            timeout_seconds=timeout_seconds,
            is_stopped=outside.is_stopped,
        )
        yield str(rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
