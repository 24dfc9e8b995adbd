"""A step of a run whose rows Spark computes; checking and publishing them is the same as for every step."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from datasteward.engine.jobs import WorkerSettings
from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.build_model import Build, kept_columns
from datasteward.pipelines.building import rows_query
from datasteward.pipelines.connections import SparkConnection
from datasteward.pipelines.outside_rows import Outside
from datasteward.pipelines.spark.client import take_client
from datasteward.pipelines.spark.computing import compute_rows, describe, source_of
from datasteward.pipelines.spark.inputs import Place
from datasteward.pipelines.spark.queries import SparkQuery, fill_native, take_native, translate_query
from datasteward.pipelines.state_model import Window
from datasteward.pipelines.syntax import Parser


@contextlib.contextmanager
def spark_rows(
    outside: Outside,
    build: Build,
    connection: SparkConnection,
    cursor: duckdb.DuckDBPyConnection,
    timeout_seconds: float,
) -> Iterator[str]:
    """What `read_parquet` takes for the step's rows, for as long as the block lasts.

    Raises as `compute_rows` does, and `ToolError` when the rows are not such as were planned.
    """
    name = build.node.asset.name
    _remove_leftovers(outside)
    folder = _exchange_folder(connection, outside.settings) / f"spark-{outside.run}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700 if connection.exchange is None else 0o777, parents=True)
    client = take_client(outside.spare_clients)
    try:
        rows = compute_rows(
            client,
            connection,
            _query_of(build, cursor),
            cursor,
            folder,
            timeout_seconds=timeout_seconds,
            is_stopped=outside.is_stopped,
            progress=lambda done, total: outside.note(build.step.key, f"{done} of {total} Spark tasks"),
        )
        yield source_of(cursor, rows, kept_columns(build), asset=name)
    finally:
        outside.spare_clients.append(client)
        outside.note(build.step.key, "")
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(outside: Outside) -> None:
    """What a killed run left in the workspace's cache; as runs have the database to themselves, it is nobody's."""
    for folder in outside.settings.cache_folder.glob("spark-*"):
        if not folder.name.startswith(f"spark-{outside.run}-"):
            shutil.rmtree(folder, ignore_errors=True)


def _query_of(build: Build, cursor: duckdb.DuckDBPyConnection) -> SparkQuery:
    asset = build.node.asset

    def columns_of(_: Place, relation: str) -> tuple[Column, ...]:
        return describe(cursor, relation)

    if asset.language == "spark":
        windows = [Window(start=w.start, end=w.end) for w in build.step.windows]
        return take_native(fill_native(build.node.sql, asset.options.time, windows), columns_of)
    query = Parser().parse(asset, rows_query(build))
    return translate_query(query, columns_of, [c.name for c in kept_columns(build)])


def _exchange_folder(connection: SparkConnection, settings: WorkerSettings) -> Path:
    if connection.exchange is None:
        return settings.cache_folder
    folder = (settings.workspace_root / connection.exchange).resolve()
    if not any(folder.is_relative_to(root) for root in settings.roots):
        raise ToolError(
            f"The exchange folder {folder} of {connection.url} is not below a data root of this workspace.",
            code="forbidden",
            hint="Add it to the roots in steward.toml, or name a folder below one of them.",
        )
    return folder
