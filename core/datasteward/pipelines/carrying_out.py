"""The writer's side of a pipeline run as a change: its preview is its plan, applying it is running it."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb

from datasteward.changes.claims import hold_commit_lock, is_claimed
from datasteward.changes.jobs import Applied, ApplyJob, Failed, Measurement, Moved, PreviewJob
from datasteward.changes.model import Fingerprint, ObjectPrint, Preview, SchemaChange, TableEffect, TableName
from datasteward.changes.names import LEDGER_SCHEMA, quote_name
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import open_cursor
from datasteward.errors import ToolError
from datasteward.pipelines.connected import find_attachments
from datasteward.pipelines.loading import read_folder
from datasteward.pipelines.opening import open_to_plan
from datasteward.pipelines.plan_model import NOTE, Plan, PlanStep
from datasteward.pipelines.preparing import prepare
from datasteward.pipelines.run_book import RunBook, RunReporter
from datasteward.pipelines.run_model import RunJob, RunOutcome, StepOutcome
from datasteward.pipelines.running import run_pipeline
from datasteward.pipelines.statement import PYTHON_KIND, SPARK_KIND, RunStatement, read_statement

PLAN_LINES = 60
STOP_POLL_SECONDS = 0.2


def measure_run(job: PreviewJob, settings: WorkerSettings) -> Measurement:
    """The plan as a preview; it is kept under its hash. Raises `ToolError` when it cannot be planned."""
    statement = _statement(job)
    files = read_folder(settings.workspace_root / statement.folder)
    database = settings.database if settings.database.is_file() else None
    connection = open_to_plan(settings, database, find_attachments(files, settings))
    try:
        name = database.stem if database else None
        cursor = open_cursor(connection, name)
        plan = prepare(files, statement.request, cursor, name, settings).plan.model_copy(
            update={"folder": statement.folder}
        )
    finally:
        connection.close()
    RunBook(settings.state_folder).keep_plan(plan)
    has_code = any(s.language == "python" for s in plan.running)
    if has_code and job.body.statements[0].kind != PYTHON_KIND:
        raise ToolError("A Python asset has just been added.", code="conflict", hint="Plan again and look at it.")
    if any(s.engine for s in plan.running) and job.body.statements[0].kind not in {PYTHON_KIND, SPARK_KIND}:
        raise ToolError("An asset has just been moved to Spark.", code="conflict", hint="Plan again and look at it.")
    if not plan.running:
        raise ToolError(
            f"Everything in {plan.pipeline} is up to date; there is nothing to run.", code="invalid_arguments"
        )
    return describe_plan(plan)


def describe_plan(plan: Plan) -> Measurement:
    """The plan in the terms of changes: what each table was and will be made from, so that an approval covers it."""
    engine = duckdb.__version__
    mark = ObjectPrint(kind="schema", schema_name=LEDGER_SCHEMA, name="plan", exists=True, definition=plan.hash)
    base = [_print(s, exists=s.rows_before is not None, definition="") for s in plan.running]
    after = [_print(s, exists=True, definition=s.fingerprint) for s in plan.running]
    lines = plan.to_text().splitlines()[:PLAN_LINES]
    preview = Preview(
        tables=tuple(_effect(s) for s in plan.running if s.action != "view"),
        schema_changes=tuple(
            SchemaChange(kind="view", name=s.name, action="created" if s.state == 0 else "changed")
            for s in plan.running
            if s.action == "view"
        ),
        downstream=plan.downstream,
        notes=tuple(line.removeprefix(NOTE) for line in lines),
        is_reversible=True,
    )
    return Measurement(
        preview=preview,
        base=Fingerprint(engine=engine, objects=(mark, *base)),
        expected=Fingerprint(engine=engine, objects=(mark, *after)),
        stamp=f"plan:{plan.hash}",
    )


def plan_hash_of(base: Fingerprint) -> str:
    """The plan that a proposal was made of."""
    return next(p.definition for p in base.objects if p.schema_name == LEDGER_SCHEMA and p.name == "plan")


def apply_run(job: ApplyJob, settings: WorkerSettings) -> Applied | Moved | Failed:
    """Run the approved plan, going on with what an interrupted attempt has published.

    Applied as soon as one asset was published; `Failed` when none was, `Moved` when the plan no longer holds.
    """
    statement = _statement(job)
    book = RunBook(settings.state_folder)
    plan = book.find_plan(plan_hash_of(job.base))
    images = settings.state_folder / "undo" / f"{job.change}-run.duckdb"
    images.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = read_folder(settings.workspace_root / statement.folder)
    run_job = RunJob(
        run=job.change,
        change=job.change,
        folder=files.folder,
        texts=files.texts,
        request=statement.request,
        approved=plan,
        images=str(images),
    )
    book.forget_stop(job.change)
    reporter = RunReporter(book, job.change, plan)
    try:
        with _stop_when_asked(book, job.change) as stop:
            outcome = run_pipeline(
                run_job,
                settings,
                reporter.tell,
                stop,
                guard=lambda: _only_while_claimed(job, settings.state_folder),
                finish=lambda cursor, found: _leave_receipt(cursor, settings.database.stem, job, found),
            )
    except ToolError as error:
        reporter.fail(error.message)
        raise
    reporter.finish(outcome)
    if outcome.moved is not None and outcome.plan is not None:
        book.keep_plan(outcome.plan.model_copy(update={"folder": statement.folder}))
        return Moved(reason=outcome.moved, now=describe_plan(outcome.plan))
    if outcome.status == "failed":
        first = next(s for s in outcome.steps if s.status == "failed")
        return Failed(code=first.code or "runtime", message=f"Nothing was published. {_failure(first)}")
    return applied_of(job, outcome)


def _failure(step: StepOutcome) -> str:
    """`marts.daily: …`; a message that begins with the asset's name keeps it once."""
    return step.message if step.message.startswith(f"{step.name} ") else f"{step.name}: {step.message}"


def applied_of(job: ApplyJob, outcome: RunOutcome) -> Applied:
    """The receipt of a run."""
    return Applied(
        attempt=job.attempt,
        is_new=True,
        record_path=outcome.record_path,
        record_hash=outcome.record_hash,
        record_bytes=outcome.record_bytes,
        result=None,
        seconds=outcome.seconds,
    )


def _statement(job: PreviewJob | ApplyJob) -> RunStatement:
    found = read_statement(job.body.statements[0].sql)
    if found is None:
        raise ToolError("This is not a pipeline run.", code="internal")
    return found


def _print(step: PlanStep, *, exists: bool, definition: str) -> ObjectPrint:
    schema, name = step.name.split(".") if "." in step.name else ("main", step.name)
    kind = "view" if step.materialize == "view" else "table"
    return ObjectPrint(kind=kind, schema_name=schema, name=name, exists=exists, definition=definition)


def _effect(step: PlanStep) -> TableEffect:
    schema, name = step.name.split(".") if "." in step.name else ("main", step.name)
    before, estimate = step.rows_before or 0, step.rows_estimate or 0
    replaces = step.action == "build" and step.rows_before is not None
    return TableEffect(
        table=TableName(schema_name=schema, name=name),
        action="created" if step.rows_before is None else "replaced" if replaces else "rows",
        inserted=estimate,
        deleted=before if replaces else 0,
        rows_before=before,
        rows_after=estimate if replaces or step.rows_before is None else max(before, estimate),
        is_estimated=True,
    )


@contextlib.contextmanager
def _only_while_claimed(job: ApplyJob, state_folder: Path) -> Iterator[None]:
    with hold_commit_lock(state_folder):
        if not is_claimed(state_folder, job.change, job.attempt):
            raise ToolError(
                f"The approval of {job.change} no longer holds; this asset was not published.", code="conflict"
            )
        yield


def _leave_receipt(cursor: duckdb.DuckDBPyConnection, database: str, job: ApplyJob, outcome: RunOutcome) -> None:
    """The proof that the run came to its end, so that it is never carried out twice."""
    if outcome.status == "failed":
        return
    schema = f"{quote_name(database)}.{LEDGER_SCHEMA}"
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {schema}.receipts"
        " (digest VARCHAR PRIMARY KEY, change VARCHAR NOT NULL, body VARCHAR NOT NULL)"
    )
    body = applied_of(job, outcome).model_dump_json()
    with _only_while_claimed(job, Path(job.place.state_folder)):
        cursor.execute(f"INSERT OR REPLACE INTO {schema}.receipts VALUES (?, ?, ?)", [job.digest, job.change, body])


@contextlib.contextmanager
def _stop_when_asked(book: RunBook, run: str) -> Iterator[threading.Event]:
    stop, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(STOP_POLL_SECONDS):
            if book.is_asked_to_stop(run):
                stop.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        over.set()
        watcher.join(timeout=2)
        book.forget_stop(run)
