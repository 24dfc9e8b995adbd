"""A run: the approved plan checked once more, then its assets built side by side, each published by itself.

Taking up an interrupted run is planning again: what is published is up to date, what is not is still to do.
"""

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from datasteward.changes.crash import crash_point
from datasteward.changes.session import IMAGES
from datasteward.engine.carriers import quote_name, quote_text
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import AttachedFile, open_cursor
from datasteward.errors import Cancelled, ToolError
from datasteward.pipelines.auditing import CheckFailed
from datasteward.pipelines.build_model import QUARANTINE, Build, Guard
from datasteward.pipelines.building import publish
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.opening import open_for_run
from datasteward.pipelines.options import Retry, RetryCause
from datasteward.pipelines.plan_model import PlanStep
from datasteward.pipelines.preparing import Prepared, prepare
from datasteward.pipelines.python_process import run_python_asset
from datasteward.pipelines.run_model import RunJob, RunOutcome, StepOutcome
from datasteward.pipelines.running_checks import find_move
from datasteward.pipelines.state import add_step, make_state
from datasteward.pipelines.state_model import AssetState, Versions
from datasteward.pipelines.undoing import ImageKeeper

Tell = Callable[[str, Mapping[str, Any]], None]
Finish = Callable[[duckdb.DuckDBPyConnection, RunOutcome], None]
PROGRESS_SECONDS = 0.5
WATCH_SECONDS = 0.05


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
    record = [AttachedFile(name=IMAGES, path=images, is_read_only=False)] if images else []
    connection = open_for_run(settings, record)
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
        runner = _Runner(job, settings, prepared, connection, tell, stop, guard)
        steps = runner.run()
        crash_point("run.before_record")
        record_hash = runner.keeper.finish() if runner.keeper else None
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
            finish(runner.main, outcome)
        crash_point("run.finished")
        return outcome
    finally:
        connection.close()
        if is_new_database and not has_begun:
            for tail in ("", ".wal"):
                settings.database.with_name(settings.database.name + tail).unlink(missing_ok=True)


class _Runner:
    def __init__(
        self,
        job: RunJob,
        settings: WorkerSettings,
        prepared: Prepared,
        connection: duckdb.DuckDBPyConnection,
        tell: Tell,
        stop: threading.Event,
        guard: Guard,
    ) -> None:
        self.guard = guard
        self.job = job
        self.settings = settings
        self.prepared = prepared
        self.connection = connection
        self.database = settings.database.stem
        self.tell = tell
        self.stop = stop
        self.plan = prepared.plan
        self.steps = {s.key: s for s in self.plan.steps}
        self.deadline = time.monotonic() + self.plan.timeout_seconds
        self.versions = {k: s.versions for k, s in prepared.known.states.items()}
        self.outcomes: dict[str, StepOutcome] = {}
        self.running: dict[str, _Running] = {}
        self.idle: list[duckdb.DuckDBPyConnection] = []
        self.lock = threading.Lock()
        """Guards `running`, `idle`, `versions` and the keeper, which the step threads and the watcher share."""
        self.main = open_cursor(connection, self.database)
        self.keeper: ImageKeeper | None = None
        if job.images:
            self.keeper = ImageKeeper(self.main, self.database, job.change, Path(job.images))

    def run(self) -> tuple[StepOutcome, ...]:
        """Every step's outcome, in the plan's order."""
        self._make_schemas()
        for step in self.plan.steps:
            if not step.runs:
                self.outcomes[step.key] = StepOutcome(key=step.key, name=step.name, status="up_to_date")
        watching = threading.Thread(target=self._watch, daemon=True)
        self.is_over = threading.Event()
        watching.start()
        try:
            self._run_all()
        finally:
            self.is_over.set()
            watching.join(timeout=5)
        return tuple(self.outcomes[s.key] for s in self.plan.steps)

    def _run_all(self) -> None:
        waiting = [s.key for s in self.plan.running]
        pending: dict[Future[StepOutcome], str] = {}
        with ThreadPoolExecutor(max_workers=self.plan.parallel) as pool:
            while waiting or pending:
                for key in self._ready(waiting, free=self.plan.parallel - len(pending)):
                    waiting.remove(key)
                    pending[pool.submit(self._run_step, self.steps[key])] = key
                if not pending:
                    break
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    key = pending.pop(future)
                    self._settle(key, future.result())
        for key in waiting:
            self._skip(key, "the run was stopped" if self.stop.is_set() else "what it reads was not published")

    def _ready(self, waiting: list[str], *, free: int) -> list[str]:
        ready: list[str] = []
        for key in list(waiting):
            inputs = self.prepared.analysis.graph.inputs[key]
            broken = [k for k in inputs if k in self.outcomes and self.outcomes[k].status in {"failed", "skipped"}]
            if self.stop.is_set():
                break
            if broken:
                waiting.remove(key)
                names = ", ".join(self.steps[k].name for k in broken)
                self._skip(key, f"{names} was not published")
                return self._ready(waiting, free=free)
            if all(k in self.outcomes for k in inputs) and len(ready) < free:
                ready.append(key)
        return ready

    def _skip(self, key: str, message: str) -> None:
        self._settle(key, StepOutcome(key=key, name=self.steps[key].name, status="skipped", message=message))

    def _settle(self, key: str, outcome: StepOutcome) -> None:
        self.outcomes[key] = outcome
        if outcome.status == "failed":
            self._record_failure(key, outcome)
        self.tell("step", outcome.model_dump(mode="json"))

    def _record_failure(self, key: str, outcome: StepOutcome) -> None:
        node = self.prepared.analysis.nodes[key]
        state = AssetState(
            run=self.job.run,
            change=self.job.change,
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            fingerprint=node.print,
            columns=(),
            versions=Versions(rows="", columns={}),
            seconds=outcome.seconds,
            attempts=outcome.attempts,
            checks=outcome.checks,
            message=outcome.message,
        )
        pipeline = self.plan.pipeline
        with self.lock, contextlib.suppress(duckdb.Error):
            add_step(self.main, self.database, pipeline=pipeline, asset=key, status="failed", state=state)

    def _make_schemas(self) -> None:
        needed = {self.prepared.analysis.nodes[s.key].asset.schema for s in self.plan.running} - {"main"}
        if any(
            c.on_fail == "quarantine" for s in self.plan.running for c in self.prepared.analysis.nodes[s.key].checks
        ):
            needed.add(QUARANTINE)
        for schema in sorted(needed):
            if self.keeper is not None:
                self.keeper.keep("schema", schema, schema)
            self.main.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_name(self.database)}.{quote_name(schema)}")

    def _run_step(self, step: PlanStep) -> StepOutcome:
        """The outcome of one step with its further attempts; faults are outcomes, not exceptions."""
        node = self.prepared.analysis.nodes[step.key]
        retry = node.asset.options.retry or Retry()
        started = time.perf_counter()
        self.tell("step", {"key": step.key, "name": step.name, "status": "running"})
        pause, attempt = retry.backoff, 0
        while True:
            attempt += 1
            try:
                return self._attempt(step, attempt)
            except CheckFailed as error:
                return self._failed(step, error, started, attempt).model_copy(update={"checks": error.results})
            except (duckdb.Error, OSError, ToolError) as error:
                cause = _passing_cause(error)
                if cause not in retry.on or attempt > retry.times or self._is_stopped():
                    return self._failed(step, error, started, attempt)
                self.stop.wait(min(pause, max(0.0, self.deadline - time.monotonic())))
                pause = min(pause * 2, retry.max_backoff)

    def _failed(self, step: PlanStep, error: Exception, started: float, attempt: int) -> StepOutcome:
        if isinstance(error, ToolError):
            explained = error
        elif isinstance(error, duckdb.Error):
            explained = explain_duckdb_error(error, self.prepared.analysis.nodes[step.key].sql)
        else:
            explained = ToolError(f"{step.name}: {error}", code="runtime")
        if isinstance(explained, Cancelled) and not self.stop.is_set():
            explained = ToolError(f"{step.name} took longer than it may; nothing of it was published.", code="timeout")
        return StepOutcome(
            key=step.key,
            name=step.name,
            status="failed",
            seconds=round(time.perf_counter() - started, 4),
            attempts=attempt,
            message=explained.message,
            code=explained.code,
        )

    def _attempt(self, step: PlanStep, attempt: int) -> StepOutcome:
        crash_point(f"step.before:{step.key}")
        if self._is_stopped():
            raise Cancelled()
        node = self.prepared.analysis.nodes[step.key]
        allowed = min(
            node.asset.options.timeout or self.plan.timeout_seconds, max(0.1, self.deadline - time.monotonic())
        )
        with self.lock:
            cursor = self.idle.pop() if self.idle else open_cursor(self.connection, self.database)
            self.running[step.key] = _Running(cursor=cursor, until=time.monotonic() + allowed)
            self._keep_images(step)
        try:
            with self._python_rows(step, cursor, allowed) as source:
                published = publish(cursor, self._build(step, attempt, source))
            with self.lock:
                self.versions[step.key] = published.state.versions
            return published.outcome
        finally:
            with self.lock:
                del self.running[step.key]
                self.idle.append(cursor)

    def _keep_images(self, step: PlanStep) -> None:
        if self.keeper is None:
            return
        asset = self.prepared.analysis.nodes[step.key].asset
        self.keeper.keep("table", asset.schema, asset.table)
        self.keeper.keep("view", asset.schema, asset.table)
        self.keeper.keep("table", QUARANTINE, _quarantine_name(asset))
        crash_point(f"step.kept:{step.key}")

    def _build(self, step: PlanStep, attempt: int, source: str | None) -> Build:
        node = self.prepared.analysis.nodes[step.key]
        stored = self.prepared.known.tables.get(step.key)
        return Build(
            database=self.database,
            pipeline=self.plan.pipeline,
            run=self.job.run,
            change=self.job.change,
            node=node,
            step=step,
            state=self.prepared.known.states.get(step.key),
            stored_kind=stored.kind if stored else None,
            stored_columns=stored.columns if stored else (),
            has_quarantine=f"{QUARANTINE}.{_quarantine_name(node.asset)}".casefold() in self.prepared.known.tables,
            upstream={k: self.versions[k] for k in node.reads if k in self.versions},
            version=secrets.token_hex(8),
            source=source,
            guard=self.guard,
            attempt=attempt,
        )

    @contextlib.contextmanager
    def _python_rows(self, step: PlanStep, cursor: duckdb.DuckDBPyConnection, allowed: float) -> Iterator[str | None]:
        node = self.prepared.analysis.nodes[step.key]
        if node.asset.language != "python":
            yield None
            return
        folder = self.settings.cache_folder / f"python-{self.job.run}-{secrets.token_hex(4)}"
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
                memory_bytes=self.settings.memory_bytes,
                file_bytes=self.settings.temp_bytes,
                timeout_seconds=allowed,
                is_stopped=self.stop.is_set,
            )
            yield str(rows)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _is_stopped(self) -> bool:
        return self.stop.is_set() or time.monotonic() > self.deadline

    def _watch(self) -> None:
        """Tell progress, and stop what runs too long or when the run is taken back."""
        told_at = time.monotonic()
        while not self.is_over.wait(WATCH_SECONDS):
            now = time.monotonic()
            with self.lock:
                names = [self.steps[k].name for k in self.running]
                for step in self.running.values():
                    if self.stop.is_set() or now > step.until:
                        step.cursor.interrupt()
            if now - told_at >= PROGRESS_SECONDS:
                told_at = now
                done = sum(o.status != "up_to_date" for o in self.outcomes.copy().values())
                message = f"building {', '.join(names)}" if names else "checking"
                self.tell("progress", {"done": done, "total": len(self.plan.running), "message": message})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A step in progress: its cursor, and when (of `time.monotonic`) it is stopped."""

    cursor: duckdb.DuckDBPyConnection
    until: float


def _quarantine_name(asset: Asset) -> str:
    return asset.table if asset.schema == "main" else f"{asset.schema}__{asset.table}"


def _passing_cause(error: Exception) -> RetryCause | None:
    """Why a fault may pass by itself, or None when trying again would not help."""
    text = str(error)
    if isinstance(error, duckdb.TransactionException) or "Conflict on" in text or "conflict" in text.lower():
        return "conflict"
    if "Could not set lock" in text or "Conflicting lock" in text or getattr(error, "code", "") == "busy":
        return "lock"
    if isinstance(error, duckdb.IOException | OSError):
        return "io"
    return None
