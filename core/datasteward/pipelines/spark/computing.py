"""Rows computed on a Spark Connect server: inputs go out as Parquet files, the result comes back as Parquet files."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.connections import SparkConnection
from datasteward.pipelines.spark.client import Progress, SparkClient
from datasteward.pipelines.spark.news import Failed, SparkJob
from datasteward.pipelines.spark.queries import SparkQuery
from datasteward.pipelines.spark.value_kinds import find_mismatches

WORDS_CHARACTERS = 600
SESSION_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}
"""What makes Spark fail where DuckDB fails, and read moments as DuckDB does."""


def compute_rows(
    client: SparkClient,
    connection: SparkConnection,
    query: SparkQuery,
    cursor: duckdb.DuckDBPyConnection,
    folder: Path,
    *,
    timeout_seconds: float,
    is_stopped: Callable[[], bool],
    progress: Progress,
    row_limit: int | None = None,
) -> Path:
    """The folder, inside `folder`, of the Parquet files with the query's rows; none when there are no rows.

    `row_limit` takes only so many rows of each input. Raises `ToolError` with Spark's words when it refuses or fails
    (runtime), cannot be reached (unavailable) or takes too long (timeout), and `Cancelled` when `is_stopped()` turns
    true; `client` is closed after the last two.
    """
    deadline = time.monotonic() + timeout_seconds
    inputs = {}
    limit = "" if row_limit is None else f" LIMIT {row_limit}"
    for entry in query.inputs:
        path = folder / f"{entry.name}.parquet"
        rows = f"SELECT {', '.join(entry.export.parts)} FROM {entry.relation}{limit}"
        cursor.execute(f"COPY ({rows}) TO {quote_text(str(path))} (FORMAT parquet)")
        inputs[entry.name] = str(path)
    output = folder / "rows"
    job = SparkJob(
        address=connection.address, settings=SESSION_SETTINGS, inputs=inputs, sql=query.sql, output=str(output)
    )
    outcome = client.run(job, deadline=deadline, is_stopped=is_stopped, progress=progress)
    if isinstance(outcome, Failed):
        raise _explain(outcome, connection, query)
    return output


def source_of(cursor: duckdb.DuckDBPyConnection, rows: Path, columns: Sequence[Column], *, asset: str) -> str:
    """What `read_parquet` takes for the rows of `asset`, having seen that they are such as `columns` promise.

    A server that had no row to write may have written no file; then an empty one is made. Raises `ToolError` when
    columns are missing or of another kind.
    """
    source = rows / "*.parquet"
    if not any(rows.glob("*.parquet")):
        rows.mkdir(exist_ok=True)
        nothing = ", ".join(f"CAST(NULL AS {c.type}) AS {quote_name(c.name)}" for c in columns)
        path = quote_text(str(rows / "none.parquet"))
        cursor.execute(f"COPY (SELECT {nothing} WHERE false) TO {path} (FORMAT parquet)")
    found = describe(cursor, f"read_parquet({quote_text(str(source))})")
    problems = find_mismatches(columns, found)
    if problems:
        raise ToolError(f"{asset}: Spark's rows are not what the plan says: {'; '.join(problems)}.", code="runtime")
    return str(source)


def describe(cursor: duckdb.DuckDBPyConnection, relation: str) -> tuple[Column, ...]:
    """The columns of a table, table function or file as SQL writes it after FROM."""
    rows = cursor.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return tuple(Column(name=str(r[0]), type=str(r[1])) for r in rows)


def _explain(failed: Failed, connection: SparkConnection, query: SparkQuery) -> ToolError:
    match failed.kind:
        case "missing":
            return ToolError(
                "Assets on Spark need the Spark client, which is not installed.",
                code="not_found",
                hint="pip install 'datasteward[spark]'",
            )
        case "unreachable":
            return ToolError(
                f"No Spark Connect server answers at {connection.url}: {_shorten(failed.message)}",
                code="unavailable",
                hint="Start the server, or mend the address under connections: in pipeline.yaml.",
            )
        case "cancelled":
            return ToolError(f"Spark stopped the query: {_shorten(failed.message)}", code="runtime")
        case "failed":
            left = [f"{c.name} ({c.type})" for i in query.inputs for c in i.export.left_behind]
            hint = f"Not handed to Spark, for their types: {', '.join(left)}." if left else None
            return ToolError(f"Spark: {_shorten(_with_names(failed.message, query))}", code="runtime", hint=hint)


def _with_names(words: str, query: SparkQuery) -> str:
    names = {i.name: i.label for i in query.inputs}
    return re.sub(r"`?\b(input_\d+)\b`?", lambda m: names.get(m[1], m[0]), words)


def _shorten(words: str) -> str:
    """What a person can use of an error: without the plan and the query that Spark puts behind it."""
    told = re.split(r"\n== SQL|\n+JVM stacktrace|;\s*line \d+|;?\n'", words.strip(), maxsplit=1)[0].strip()
    return told if len(told) <= WORDS_CHARACTERS else told[: WORDS_CHARACTERS - 1] + "…"
