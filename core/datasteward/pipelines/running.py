"""A run: the approved plan checked once more, then its assets built side by side, each published by itself.

Taking up an interrupted run is planning again: what is published is up to date, what is not is still to do.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from datasteward.changes.crash import crash_point
from datasteward.changes.session import IMAGES
from datasteward.engine.carriers import quote_name
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import AttachedFile, open_cursor
from datasteward.pipelines.build_model import QUARANTINE, Guard
from datasteward.pipelines.connected import find_attachments
from datasteward.pipelines.opening import open_for_run
from datasteward.pipelines.preparing import Prepared, prepare
from datasteward.pipelines.run_model import RunJob, RunOutcome
from datasteward.pipelines.runner import Runner, Tell
from datasteward.pipelines.running_checks import find_move
from datasteward.pipelines.state import make_state
from datasteward.pipelines.undoing import ImageKeeper, Kept, objects_of

Finish = Callable[[duckdb.DuckDBPyConnection, RunOutcome], None]


def run_pipeline(
    job: RunJob,
    settings: WorkerSettings,
    tell: Tell,
    stop: threading.Event,
    *,
    guard: Guard = contextlib.nullcontext,
    finish: Finish | None = None,
) -> RunOutcome:
    """Carry the job out; `stop` takes it back between and within steps. One process, which has the database to itself.

    Events told: `step` with a `StepOutcome` as JSON (status `running` when it begins) and `progress`. Raises
    `ToolError` when nothing could be begun; faults of single assets are in the outcome. `guard` is entered around each
    commit, `finish` is called with the outcome while the database is still open.
    """
    started = time.perf_counter()
    images = Path(job.images) if job.images else None
    is_new_database = not settings.database.exists()
    has_begun = False
    attached = find_attachments(job.files(), settings)
    if images is not None:
        attached += (AttachedFile(name=IMAGES, path=images, is_read_only=False),)
    connection = open_for_run(settings, attached)
    try:
        database = settings.database.stem
        cursor = open_cursor(connection, database)
        make_state(cursor, database)
        prepared = prepare(job.files(), job.request, cursor, database, settings)
        moved = find_move(job.approved, prepared.plan, prepared.known.states, job.change)
        if moved is not None:
            return RunOutcome(run=job.run, moved=moved, plan=prepared.plan)
        has_begun = True
        crash_point("run.opened")
        keeper = ImageKeeper(cursor, database, job.change, images) if images else None
        _make_schemas(cursor, database, prepared, keeper)
        if keeper is not None:
            keeper.keep(objects_of(prepared))
        crash_point("run.kept")
        steps = Runner(job, settings, prepared, connection, tell, stop, guard).run()
        crash_point("run.before_record")
        record_hash = keeper.finish() if keeper else None
        crash_point("run.after_record")
        outcome = RunOutcome(
            run=job.run,
            steps=steps,
            record_path=str(images) if images else None,
            record_hash=record_hash,
            record_bytes=images.stat().st_size if images else 0,
            seconds=round(time.perf_counter() - started, 4),
        )
        if finish is not None:
            finish(cursor, outcome)
        crash_point("run.finished")
        return outcome
    finally:
        connection.close()
        if is_new_database and not has_begun:
            for tail in ("", ".wal"):
                settings.database.with_name(settings.database.name + tail).unlink(missing_ok=True)


def _make_schemas(
    cursor: duckdb.DuckDBPyConnection, database: str, prepared: Prepared, keeper: ImageKeeper | None
) -> None:
    nodes = [prepared.analysis.nodes[s.key] for s in prepared.plan.running]
    needed = {n.asset.schema for n in nodes} - {"main"}
    if any(c.on_fail == "quarantine" for n in nodes for c in n.checks):
        needed.add(QUARANTINE)
    if keeper is not None:
        keeper.keep([Kept(kind="schema", schema_name=s, name=s) for s in sorted(needed)])
    for schema in sorted(needed):
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_name(database)}.{quote_name(schema)}")
