"""A plan made on an open connection: files loaded, assets analysed, and compared with what the database holds."""

from dataclasses import dataclass

import duckdb

from datasteward.engine.jobs import WorkerSettings
from datasteward.lineage.rewriting import read_view_query
from datasteward.pipelines.analysis import Analysis, analyse
from datasteward.pipelines.connected import databases_of
from datasteward.pipelines.kept_analysis import keep_analysis, recall_analysis
from datasteward.pipelines.loading import Pipeline, PipelineFiles, load_pipeline
from datasteward.pipelines.plan_model import Plan, PlanRequest
from datasteward.pipelines.planning import Known, StoredTable, make_plan
from datasteward.pipelines.state import SCHEMA, read_failures, read_states
from datasteward.pipelines.surroundings import Surroundings
from datasteward.pipelines.syntax import Parser, read_query


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan with what it was made from."""

    plan: Plan
    analysis: Analysis
    known: Known


def prepare(
    files: PipelineFiles,
    request: PlanRequest,
    connection: duckdb.DuckDBPyConnection,
    database_name: str | None,
    settings: WorkerSettings,
) -> Prepared:
    """The plan of a pipeline's files at this moment; raises `ToolError` with every fault of the files."""
    analysis = understand(files, connection, database_name, settings)
    known = read_known(connection, database_name, analysis.pipeline)
    plan = make_plan(analysis, known, request).model_copy(update={"folder": files.folder})
    return Prepared(plan=plan, analysis=analysis, known=known)


def understand(
    files: PipelineFiles,
    connection: duckdb.DuckDBPyConnection,
    database_name: str | None,
    settings: WorkerSettings,
) -> Analysis:
    """The pipeline's assets bound to what is there, taken from an earlier time where nothing moved.

    The databases that the pipeline names are attached to `connection`. Raises `ToolError` with every fault of the files.
    """
    pipeline = load_pipeline(files)
    assets = [(a.schema, a.table) for a in pipeline.assets]
    surroundings = Surroundings(connection, database_name, settings, assets, databases_of(files))
    analysis = recall_analysis(settings.cache_folder, files, pipeline, surroundings)
    if analysis is None:
        analysis = analyse(pipeline, surroundings)
        keep_analysis(settings.cache_folder, files, analysis, surroundings)
    return analysis


def read_known(connection: duckdb.DuckDBPyConnection, database_name: str | None, pipeline: Pipeline) -> Known:
    """States, tables and failures, and the views outside the pipeline with what each reads."""
    tables = read_stored(connection, database_name)
    mine = {a.key for a in pipeline.assets}
    return Known(
        states=read_states(connection, database_name),
        tables=tables,
        failures=read_failures(connection, database_name),
        outside=_outside_views(connection, database_name, mine),
    )


def read_stored(connection: duckdb.DuckDBPyConnection, database_name: str | None) -> dict[str, StoredTable]:
    """Every table and view of the database by key; rows are the engine's own count, None for views."""
    if database_name is None:
        return {}
    columns: dict[str, list[tuple[str, str]]] = {}
    for schema, table, name, kind in connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM system.main.duckdb_columns()"
        " WHERE database_name = ? AND NOT internal ORDER BY schema_name, table_name, column_index",
        [database_name],
    ).fetchall():
        columns.setdefault(f"{schema}.{table}".casefold(), []).append((str(name), str(kind)))
    found = {}
    for schema, name, kind, rows in connection.execute(
        "SELECT schema_name, table_name, 'table', estimated_size FROM system.main.duckdb_tables()"
        " WHERE database_name = $db AND NOT internal AND NOT temporary UNION ALL"
        " SELECT schema_name, view_name, 'view', NULL FROM system.main.duckdb_views()"
        " WHERE database_name = $db AND NOT internal AND NOT temporary",
        {"db": database_name},
    ).fetchall():
        if schema == SCHEMA:
            continue
        key = f"{schema}.{name}".casefold()
        found[key] = StoredTable(kind=str(kind), rows=rows, columns=tuple(columns.get(key, ())))
    return found


def _outside_views(
    connection: duckdb.DuckDBPyConnection, database_name: str | None, mine: set[str]
) -> dict[str, tuple[str, ...]]:
    if database_name is None:
        return {}
    rows = connection.execute(
        "SELECT schema_name, view_name, sql FROM system.main.duckdb_views() WHERE database_name = ? AND NOT internal",
        [database_name],
    ).fetchall()
    outside: dict[str, tuple[str, ...]] = {}
    parser = Parser() if rows else None
    for schema, name, sql in rows:
        if f"{schema}.{name}".casefold() in mine or parser is None:
            continue
        query = read_view_query(str(sql)) or ""
        document = parser.serialize(query)
        if not document.get("error") and document["statements"]:
            label = str(name) if schema == "main" else f"{schema}.{name}"
            outside[label] = tuple(t.key for t in read_query(query, document["statements"][0]["node"]).tables)
    return outside
