"""The recorded runs as OpenLineage reports, in the order they ended."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from datasteward.lineage.edges import OutputColumn, StatementKind, StatementLineage
from datasteward.lineage.openlineage import RunReport
from datasteward.lineage.schemas import Column, Dataset, DatasetKey
from datasteward.lineage.store import LineageStore, read_edges

LEFT_OUT = ("answer",)
"""Jobs that no event is written of: an answer's columns are its figures, which are data."""
_NOWHERE = DatasetKey("query", "answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """One statement of a run as kept; `at` is when it ended, in seconds since 1970, `seconds` how long it took."""

    number: int
    run_id: str
    job: str
    at: float
    sql: str
    seconds: float | None
    error: str | None
    lineage: StatementLineage


def read_runs(connection: sqlite3.Connection, *, since: float = 0.0) -> Iterator[RecordedRun]:
    """The runs that ended at `since` or later, oldest first, with the edges they wrote."""
    marks = ", ".join("?" * len(LEFT_OUT))
    rows = connection.execute(
        "SELECT id, run_id, job, at, sql, seconds, error, kind, outputs, inputs, target, confidence, statement_hash"
        f" FROM lineage_run WHERE at >= ? AND kind <> '' AND job NOT IN ({marks}) ORDER BY at, id",
        (since, *LEFT_OUT),
    ).fetchall()
    for row in rows:
        target = DatasetKey(*json.loads(row[10])) if row[10] else _NOWHERE
        ids = connection.execute("SELECT id FROM lineage_edge WHERE statement_hash = ? ORDER BY id", (row[12],))
        edges = [] if row[6] else read_edges(connection, [int(i) for (i,) in ids.fetchall()])
        kind: StatementKind = row[7]
        lineage = StatementLineage(
            kind=kind if row[10] else "other",
            outputs=tuple(OutputColumn(name=n, type=t) for n, t in json.loads(row[8])),
            inputs=tuple(DatasetKey(*pair) for pair in json.loads(row[9])),
            target=target,
            edges=tuple(e.edge for e in edges),
            confidence=row[11],
        )
        yield RecordedRun(
            number=row[0],
            run_id=row[1],
            job=row[2],
            at=row[3],
            sql=row[4],
            seconds=row[5],
            error=row[6],
            lineage=lineage,
        )


def report_run(connection: sqlite3.Connection, run: RecordedRun, *, namespace: str) -> tuple[RunReport, RunReport]:
    """A run's START and its COMPLETE or FAIL, with the schemas its inputs had then."""
    last: Literal["COMPLETE", "FAIL"] = "FAIL" if run.error else "COMPLETE"
    run_id = f"{namespace}/{run.run_id}/{run.number}/{run.at:.6f}"
    job = _name_job(run)
    start = RunReport(
        event_type="START",
        run_id=run_id,
        at=run.at - (run.seconds or 0.0),
        job_namespace=namespace,
        job_name=job,
        sql=run.sql or None,
    )
    store = LineageStore(connection)
    keys = dict.fromkeys([*run.lineage.inputs, *(() if run.lineage.outputs else (run.lineage.target,))])
    end = RunReport(
        event_type=last,
        run_id=run_id,
        at=run.at,
        job_namespace=namespace,
        job_name=job,
        sql=run.sql or None,
        lineage=run.lineage,
        schemas=tuple(_schema_at(store, key, run.at) for key in keys),
        error=run.error,
    )
    return start, end


def _name_job(run: RecordedRun) -> str:
    """The same for the same work: a file's statement by its place, other statements by their text."""
    if run.job.count(":") or not run.sql:
        return run.job or run.run_id
    digest = hashlib.sha256(run.sql.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{run.job or 'statement'}.{digest}"


def _schema_at(store: LineageStore, key: DatasetKey, at: float) -> Dataset:
    columns: tuple[Column, ...] = ()
    for version in store.versions(key):
        if version.seen_at <= at or not columns:
            columns = version.columns
    return Dataset(namespace=key.namespace, name=key.name, kind="table", columns=columns)
