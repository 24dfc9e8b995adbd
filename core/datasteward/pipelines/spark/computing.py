"""Rows computed on a Spark Connect server: inputs go out as Parquet files, the result comes back as Parquet files.

The conversation with the server is held by a process of its own, so that nothing of Spark's client is loaded into the
one that writes the database, and so that it can be ended.
"""

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.errors import Cancelled, ToolError
from datasteward.lineage.schemas import Column
from datasteward.pipelines.connections import SparkConnection
from datasteward.pipelines.spark.news import NEWS, Done, Failed, News, SparkJob, TasksDone
from datasteward.pipelines.spark.queries import SparkQuery
from datasteward.pipelines.spark.value_kinds import find_mismatches

MODULE = "datasteward.pipelines.spark.process"
POLL_SECONDS = 0.1
STOP_SECONDS = 3.0
"""How long an interrupted query may take to end before its process is killed."""
WORDS_CHARACTERS = 600
SESSION_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}
"""What makes Spark fail where DuckDB fails, and read moments as DuckDB does."""
Progress = Callable[[int, int], None]


def compute_rows(
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
    true.
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
    with (folder / "client.txt").open("w+b") as words:
        outcome = _converse(job, words, deadline, is_stopped, progress)
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


def _converse(
    job: SparkJob, words: BinaryIO, deadline: float, is_stopped: Callable[[], bool], progress: Progress
) -> Done | Failed:
    """How the job ended; what its process writes besides goes to `words`, and is told when it ends without news."""
    kept: dict[str, Any] = {k: os.environ[k] for k in ("SYSTEMROOT", "PYTHONPATH") if k in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        env=kept,
        start_new_session=True,
        text=True,
        encoding="utf-8",
    )
    assert process.stdin is not None
    heard: queue.Queue[News | None] = queue.Queue()
    listener = threading.Thread(target=_listen, args=(process, heard), daemon=True)
    listener.start()
    try:
        process.stdin.write(job.model_dump_json() + "\n")
        process.stdin.flush()
        outcome = _follow(heard, deadline, is_stopped, progress)
    except BrokenPipeError:
        outcome = None
    finally:
        _end(process)
        listener.join(timeout=STOP_SECONDS)
    if outcome is None:
        words.seek(0)
        told = words.read().decode("utf-8", "replace").strip()[-WORDS_CHARACTERS:]
        return Failed(kind="failed", message=f"the process that speaks with it ended by itself: {told}")
    return outcome


def _follow(
    heard: "queue.Queue[News | None]", deadline: float, is_stopped: Callable[[], bool], progress: Progress
) -> Done | Failed | None:
    while True:
        if is_stopped():
            raise Cancelled()
        if time.monotonic() > deadline:
            raise ToolError("The query took longer on Spark than it may and was stopped.", code="timeout")
        try:
            news = heard.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        match news:
            case TasksDone():
                progress(news.done, news.total)
            case _:
                return news


def _listen(process: "subprocess.Popen[str]", heard: "queue.Queue[News | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        heard.put(NEWS.validate_json(line))
    heard.put(None)


def _end(process: "subprocess.Popen[str]") -> None:
    """Have the query interrupted if it still runs, and see the process gone."""
    assert process.stdin is not None
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


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
