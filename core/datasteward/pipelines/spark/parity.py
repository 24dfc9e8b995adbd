"""Assets computed by DuckDB and by Spark from the same rows, and what differs told; nothing of it is published.

A process of its own: the job on standard input, the report on standard output.
"""

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import open_cursor
from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.analysis import Analysis, Node
from datasteward.pipelines.connected import find_attachments
from datasteward.pipelines.connections import Connection, SparkConnection, find_spark
from datasteward.pipelines.graph import select_assets
from datasteward.pipelines.inlining import fill_window
from datasteward.pipelines.loading import PipelineFiles
from datasteward.pipelines.opening import open_to_plan
from datasteward.pipelines.preparing import understand
from datasteward.pipelines.spark.client import SparkClient, close_clients, take_client
from datasteward.pipelines.spark.comparing import MAX_SHOWN, compare_rows
from datasteward.pipelines.spark.computing import compute_rows, describe
from datasteward.pipelines.spark.inputs import Input, name_inputs
from datasteward.pipelines.spark.parity_model import AssetParity, ColumnParity, InputSample, ParityJob, ParityReport
from datasteward.pipelines.spark.queries import SparkQuery, translate_named
from datasteward.pipelines.spark.value_kinds import is_carried
from datasteward.pipelines.state_model import Window
from datasteward.pipelines.syntax import Parser

ALL_TIME = Window(start=datetime(1, 1, 1), end=datetime(9999, 1, 1))
MINE = "temp.main.__steward_parity"


def main() -> None:
    """Read the job and the worker's settings, compare, and write the report."""
    wire = os.dup(1)
    os.dup2(2, 1)
    job_json, settings_json = json.loads(sys.stdin.read())
    settings = WorkerSettings.from_json(settings_json)
    os.chdir(settings.workspace_root)
    try:
        report = compare_engines(ParityJob.model_validate(job_json), settings)
    except ToolError as error:
        report = ParityReport(fault=error.message, hint=error.hint)
    except duckdb.Error as error:
        report = ParityReport(fault=explain_duckdb_error(error, "").message)
    with os.fdopen(wire, "wb") as stream:
        stream.write(report.model_dump_json().encode())


def compare_engines(job: ParityJob, settings: WorkerSettings) -> ParityReport:
    """The comparison of the selected assets that run on Spark, or of all selected when the job names an engine.

    The database is only read. Raises `ToolError` when the pipeline cannot be planned or no asset is meant.
    """
    files = PipelineFiles(folder=job.folder, texts=job.texts)
    database = settings.database if settings.database.is_file() else None
    name = database.stem if database else None
    connection = open_to_plan(settings, database, find_attachments(files, settings))
    spare: list[SparkClient] = []
    try:
        analysis = understand(files, open_cursor(connection, name), name, settings)
        cursor = open_cursor(connection, name, analysis.schemas)
        comparer = _Comparer(
            job=job,
            connections=analysis.pipeline.options.connections,
            cache_folder=settings.cache_folder,
            cursor=cursor,
            spare=spare,
        )
        return ParityReport(assets=tuple(comparer.compare(node) for node in _nodes_meant(analysis, job)))
    finally:
        close_clients(spare)
        connection.close()


def _nodes_meant(analysis: Analysis, job: ParityJob) -> list[Node]:
    selected = select_assets(analysis.graph, job.select)
    nodes = [n for n in analysis.ordered if n.asset.key in selected and n.asset.is_stored]
    if job.engine is None:
        nodes = [n for n in nodes if n.asset.engine != "duckdb"]
    if not nodes:
        raise ToolError(
            "No selected asset runs on Spark.",
            code="not_found",
            hint="Give --engine spark to compare assets that DuckDB computes today.",
        )
    return nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Both:
    """One query in both dialects, reading its inputs by the same names."""

    duckdb_sql: str
    spark: SparkQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparer:
    job: ParityJob
    connections: Mapping[str, Connection]
    cache_folder: Path
    cursor: duckdb.DuckDBPyConnection
    spare: list[SparkClient]

    def compare(self, node: Node) -> AssetParity:
        """One asset on both engines; a fault is an outcome."""
        asset = node.asset
        if asset.language != "sql":
            told = "only DuckDB's SQL can be computed by both engines"
            return AssetParity(asset=asset.name, status="skipped", message=told)
        try:
            connection = find_spark(self.job.engine or asset.engine, self.connections)
            assert connection is not None
            both = self._make_both(node)
        except (ToolError, duckdb.Error) as error:
            return AssetParity(asset=asset.name, status="refused", message=_words(error))
        folder = self.cache_folder / f"parity-{secrets.token_hex(6)}"
        folder.mkdir(mode=0o700, parents=True)
        client = take_client(self.spare)
        try:
            return self._compute_both(node, both, connection, client, folder)
        except (ToolError, duckdb.Error) as error:
            return AssetParity(asset=asset.name, status="failed", message=_words(error))
        finally:
            self.spare.append(client)
            shutil.rmtree(folder, ignore_errors=True)

    def _make_both(self, node: Node) -> _Both:
        sql = fill_window(node.sql, ALL_TIME).strip().rstrip(";")
        query = Parser().parse(node.asset, sql)
        named = name_inputs(query, lambda _, relation: describe(self.cursor, relation))
        found = translate_named(named, [c.name for c in node.columns])
        return _Both(duckdb_sql=named.sql, spark=replace(found, inputs=named.inputs))

    def _compute_both(
        self, node: Node, both: _Both, connection: SparkConnection, client: SparkClient, folder: Path
    ) -> AssetParity:
        began = time.perf_counter()
        rows = compute_rows(
            client,
            connection,
            both.spark,
            self.cursor,
            folder,
            timeout_seconds=self.job.timeout_seconds,
            is_stopped=lambda: False,
            progress=lambda done, total: None,
            row_limit=self.job.sample_rows,
        )
        spark_seconds = time.perf_counter() - began
        samples = tuple(_sample(self.cursor, entry, folder) for entry in both.spark.inputs)
        began = time.perf_counter()
        self.cursor.execute(f"CREATE OR REPLACE TEMP TABLE {MINE.rsplit('.', 1)[-1]} AS {both.duckdb_sql}")
        told = AssetParity(
            asset=node.asset.name,
            status="equal",
            inputs=samples,
            duckdb_rows=_count(self.cursor, MINE),
            duckdb_seconds=round(time.perf_counter() - began, 4),
            spark_seconds=round(spark_seconds, 4),
        )
        theirs = f"read_parquet({quote_text(str(rows / '*.parquet'))})" if any(rows.glob("*.parquet")) else None
        return _judge(told, self.cursor, theirs, node.columns)


def _judge(
    told: AssetParity, cursor: duckdb.DuckDBPyConnection, theirs: str | None, planned: tuple[Column, ...]
) -> AssetParity:
    """The outcome with the types and rows compared; `theirs` is None when Spark wrote no file, as it had no row."""
    found = describe(cursor, theirs) if theirs else planned
    columns = _columns(planned, found)
    told = told.model_copy(update={"columns": columns, "spark_rows": _count(cursor, theirs) if theirs else 0})
    if len(found) != len(columns) or not all(c.is_carried for c in columns):
        return told.model_copy(update={"status": "differs"})
    different = compare_rows(cursor, MINE, theirs or f"(FROM {MINE} LIMIT 0)", planned)
    counted = zip(columns, different.by_column, strict=True)
    return told.model_copy(
        update={
            "status": "differs" if different.only_left or different.only_right else "equal",
            "columns": tuple(c.model_copy(update={"differing_rows": n}) for c, n in counted),
            "only_duckdb": different.only_left[:MAX_SHOWN],
            "only_spark": different.only_right[:MAX_SHOWN],
        }
    )


def _sample(cursor: duckdb.DuckDBPyConnection, entry: Input, folder: Path) -> InputSample:
    """Give DuckDB the rows that Spark was given, under the same name."""
    file = f"read_parquet({quote_text(str(folder / f'{entry.name}.parquet'))})"
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quote_name(entry.name)} AS SELECT * FROM {file}")
    rows = _count(cursor, file)
    return InputSample(relation=entry.label, rows=rows, is_whole=rows == _count(cursor, entry.relation))


def _count(cursor: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _columns(planned: tuple[Column, ...], found: tuple[Column, ...]) -> tuple[ColumnParity, ...]:
    have = {c.name.casefold(): c.type for c in found}
    return tuple(
        ColumnParity(
            name=c.name,
            duckdb_type=c.type,
            spark_type=have.get(c.name.casefold()),
            is_carried=is_carried(c.type, have.get(c.name.casefold(), "")),
        )
        for c in planned
    )


def _words(error: Exception) -> str:
    if isinstance(error, duckdb.CatalogException):
        return f"{str(error).splitlines()[0]} Run the pipeline up to what this asset reads first."
    if isinstance(error, ToolError):
        return f"{error.message.rstrip('.')}. {error.hint}" if error.hint else error.message
    return str(error).splitlines()[0]


if __name__ == "__main__":
    main()
