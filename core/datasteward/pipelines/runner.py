"""The steps of a run carried out side by side, each as soon as what it reads is published."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from datasteward.changes.crash import crash_point
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import open_cursor
from datasteward.errors import Cancelled
from datasteward.pipelines.batch import Batch, is_short
from datasteward.pipelines.build_model import QUARANTINE, Build, Guard, quarantine_name_of
from datasteward.pipelines.building import Built, build_step
from datasteward.pipelines.failing import FAULTS, describe_failure, find_passing_cause, is_interruption
from datasteward.pipelines.options import Retry
from datasteward.pipelines.outside_rows import Outside, compute_outside
from datasteward.pipelines.plan_model import PlanStep
from datasteward.pipelines.preparing import Prepared
from datasteward.pipelines.run_model import RunJob, StepOutcome
from datasteward.pipelines.state import StepRow, add_steps
from datasteward.pipelines.state_model import AssetState, Versions

Tell = Callable[[str, Mapping[str, Any]], None]
PROGRESS_SECONDS = 0.5
WATCH_SECONDS = 0.05
TURN_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A step in progress: its cursor, and when (of `time.monotonic`) it is stopped."""

    cursor: duckdb.DuckDBPyConnection
    until: float


class Runner:
    """Carries out the steps of one plan on one open database."""

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
        self._job = job
        self._prepared = prepared
        self._connection = connection
        self._database = settings.database.stem
        self._tell = tell
        self._stop = stop
        self._guard = guard
        self._plan = prepared.plan
        self._nodes = prepared.analysis.nodes
        self._steps = {s.key: s for s in self._plan.steps}
        self._deadline = time.monotonic() + self._plan.timeout_seconds
        self._notes: dict[str, str] = {}
        self._outside = Outside(
            run=job.run,
            settings=settings,
            connections=prepared.analysis.pipeline.options.connections,
            is_stopped=stop.is_set,
            note=self._notes.__setitem__,
        )
        self._versions = {k: s.versions for k, s in prepared.known.states.items()}
        self._rows = {k: t.rows for k, t in prepared.known.tables.items()}
        self._outcomes: dict[str, StepOutcome] = {}
        self._waiting: list[str] = []
        self._alone: set[str] = set()
        """Steps that get a transaction of their own, as one shared with others failed."""
        self._building: dict[str, _Attempt | None] = {}
        """Steps taken by a lane and not yet settled; None between attempts."""
        self._turn = threading.Condition()
        """Guards all of the above that changes, which the lanes and the watcher share."""
        self._is_over = threading.Event()
        self._broken: BaseException | None = None

    def run(self) -> tuple[StepOutcome, ...]:
        """Every step's outcome, in the plan's order."""
        for step in self._plan.steps:
            if step.runs:
                self._waiting.append(step.key)
            else:
                self._outcomes[step.key] = StepOutcome(key=step.key, name=step.name, status="up_to_date")
        count = 1 if self._plan.publish == "all" else self._plan.parallel
        lanes = [threading.Thread(target=self._run_lane, daemon=True) for _ in range(min(count, len(self._waiting)))]
        watcher = threading.Thread(target=self._watch, daemon=True)
        for thread in (*lanes, watcher):
            thread.start()
        for lane in lanes:
            lane.join()
        self._outside.close()
        self._is_over.set()
        watcher.join(timeout=5)
        if self._broken is not None:
            raise self._broken
        with self._turn:
            for key in self._waiting.copy():
                self._skip(key, "the run was stopped" if self._stop.is_set() else "what it reads was not published")
        return tuple(self._outcomes[s.key] for s in self._plan.steps)

    def _run_lane(self) -> None:
        cursor = open_cursor(self._connection, self._database, self._prepared.analysis.schemas)
        batch = Batch(cursor=cursor, database=self._database, pipeline=self._plan.pipeline)
        try:
            while (key := self._take(batch)) is not None:
                if key in self._alone or not self._is_shared(key):
                    self._carry_out_alone(batch, key)
                else:
                    self._carry_out_shared(batch, key)
        except BaseException as error:
            batch.roll_back()
            with self._turn:
                self._broken = self._broken or error
                self._turn.notify_all()
        finally:
            cursor.close()

    def _take(self, batch: Batch) -> str | None:
        """The next step for a lane, its batch published first where the step must not share it; None at the end."""
        while True:
            with self._turn:
                key = self._find_ready(batch.keys)
                fits = not batch.is_open or (key is not None and self._may_join(batch, key))
                if key is not None and fits:
                    self._waiting.remove(key)
                    self._building[key] = None
                    if key not in self._alone:
                        self._tell("step", {"key": key, "name": self._steps[key].name, "status": "running"})
                    return key
                if not batch.is_open:
                    if not self._waiting or not self._building or self._broken is not None or self._stop.is_set():
                        self._turn.notify_all()
                        return None
                    self._turn.wait(TURN_SECONDS)
                    continue
            self._publish(batch)

    def _find_ready(self, own: tuple[str, ...]) -> str | None:
        if self._stop.is_set() or self._broken is not None:
            return None
        for key in self._waiting.copy():
            inputs = self._prepared.analysis.graph.inputs[key]
            missing = [k for k in inputs if k in self._outcomes and self._outcomes[k].status in {"failed", "skipped"}]
            if missing:
                self._skip(key, f"{', '.join(self._steps[k].name for k in missing)} was not published")
            elif all(k in self._outcomes or k in own for k in inputs):
                return key
        return None

    def _may_join(self, batch: Batch, key: str) -> bool:
        if self._plan.publish == "all":
            return True
        return key not in self._alone and not batch.is_due and self._is_shared(key)

    def _is_shared(self, key: str) -> bool:
        if self._plan.publish == "all":
            return True
        state = self._prepared.known.states.get(key)
        node = self._nodes[key]
        rows = [self._rows.get(k) for k in node.inputs]
        rows += [o.rows if o.kind != "file" else 0 for o in node.outer]
        return is_short(self._steps[key], state.seconds if state else None, rows)

    def _carry_out_shared(self, batch: Batch, key: str) -> None:
        """Build a step into the batch; when that fails, what was in the batch is built again one by one."""
        started = time.perf_counter()
        try:
            self._build(batch, key, 1)
        except FAULTS as error:
            others = batch.roll_back()
            is_final = is_interruption(error) or self._plan.publish == "all"
            if is_final:
                self._fail(key, error, started, 1)
            with self._turn:
                self._put_back([*others, *([] if is_final else [key])])
            if self._plan.publish == "all":
                self._give_up(f"nothing was published, as {self._steps[key].name} failed (publish: all)")

    def _publish(self, batch: Batch) -> None:
        started = time.perf_counter()
        try:
            done = batch.commit(self._guard)
        except FAULTS as error:
            keys = batch.roll_back()
            if self._plan.publish == "all":
                self._fail(keys[-1], error, started, 1)
                self._give_up("nothing was published, as the commit failed (publish: all)")
            with self._turn:
                self._put_back([k for k in keys if k not in self._outcomes])
            return
        self._settle_published(done)

    def _give_up(self, message: str) -> None:
        with self._turn:
            self._put_back([k for k in self._building if k not in self._outcomes])
            for key in self._waiting.copy():
                self._skip(key, message)

    def _put_back(self, keys: list[str]) -> None:
        """Let steps be taken again, each by itself; the turn is held."""
        self._alone.update(keys)
        for key in keys:
            self._building.pop(key, None)
        again = {*self._waiting, *keys}
        self._waiting = [k for k in self._steps if k in again]
        self._turn.notify_all()

    def _carry_out_alone(self, batch: Batch, key: str) -> None:
        """Build and publish one step, with its further attempts."""
        retry = self._nodes[key].asset.options.retry or Retry()
        started = time.perf_counter()
        pause, attempt = retry.backoff, 0
        while True:
            attempt += 1
            try:
                self._build(batch, key, attempt)
                done = batch.commit(self._guard)
            except FAULTS as error:
                batch.roll_back()
                cause = find_passing_cause(error)
                if cause not in retry.on or attempt > retry.times or self._is_stopped():
                    self._fail(key, error, started, attempt)
                    return
                self._stop.wait(min(pause, max(0.0, self._deadline - time.monotonic())))
                pause = min(pause * 2, retry.max_backoff)
                continue
            self._settle_published(done)
            return

    def _build(self, batch: Batch, key: str, attempt: int) -> None:
        step, node = self._steps[key], self._nodes[key]
        crash_point(f"step.before:{key}")
        if self._is_stopped():
            raise Cancelled()
        left = max(0.1, self._deadline - time.monotonic())
        allowed = min(node.asset.options.timeout or self._plan.timeout_seconds, left)
        with self._turn:
            self._building[key] = _Attempt(cursor=batch.cursor, until=time.monotonic() + allowed)
        try:
            batch.begin()
            build = self._describe_build(step, attempt)
            began = time.perf_counter()
            with compute_outside(self._outside, build, batch.cursor, allowed) as source:
                seconds = time.perf_counter() - began
                built = build_step(batch.cursor, replace(build, source=source, outside_seconds=seconds))
        finally:
            with self._turn:
                self._building[key] = None
        batch.built.append(built)
        with self._turn:
            self._versions[key] = built.state.versions
            self._rows[key] = built.outcome.rows if step.action != "view" else None

    def _describe_build(self, step: PlanStep, attempt: int) -> Build:
        node = self._nodes[step.key]
        known = self._prepared.known
        stored = known.tables.get(step.key)
        return Build(
            database=self._database,
            pipeline=self._plan.pipeline,
            run=self._job.run,
            change=self._job.change,
            node=node,
            step=step,
            state=known.states.get(step.key),
            stored_kind=stored.kind if stored else None,
            stored_columns=stored.columns if stored else (),
            has_quarantine=f"{QUARANTINE}.{quarantine_name_of(node.asset)}".casefold() in known.tables,
            upstream={k: self._versions[k] for k in node.reads if k in self._versions},
            version=secrets.token_hex(8),
            attempt=attempt,
        )

    def _settle_published(self, done: tuple[Built, ...]) -> None:
        with self._turn:
            for built in done:
                self._settle(built.outcome.key, built.outcome)

    def _fail(self, key: str, error: Exception, started: float, attempts: int) -> None:
        seconds = time.perf_counter() - started
        node = self._nodes[key]
        outcome = describe_failure(node, error, seconds=seconds, attempts=attempts, is_stopped=self._stop.is_set())
        state = AssetState(
            run=self._job.run,
            change=self._job.change,
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            fingerprint=node.print,
            columns=(),
            versions=Versions(rows="", columns={}),
            seconds=outcome.seconds,
            attempts=attempts,
            checks=outcome.checks,
            message=outcome.message,
        )
        cursor = open_cursor(self._connection, self._database)
        try:
            row = StepRow(pipeline=self._plan.pipeline, asset=key, status="failed", state=state)
            add_steps(cursor, self._database, [row])
        except duckdb.Error:
            pass
        finally:
            cursor.close()
        with self._turn:
            self._settle(key, outcome)

    def _skip(self, key: str, message: str) -> None:
        self._settle(key, StepOutcome(key=key, name=self._steps[key].name, status="skipped", message=message))

    def _settle(self, key: str, outcome: StepOutcome) -> None:
        """The end of a step; the turn is held, or no lane runs any more."""
        self._outcomes[key] = outcome
        self._building.pop(key, None)
        if key in self._waiting:
            self._waiting.remove(key)
        self._tell("step", outcome.model_dump(mode="json"))
        self._turn.notify_all()

    def _is_stopped(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._deadline

    def _name_running(self, key: str) -> str:
        note = self._notes.get(key)
        return f"{self._steps[key].name} ({note})" if note else self._steps[key].name

    def _watch(self) -> None:
        """Tell progress, and stop what runs too long or when the run is taken back."""
        told_at = time.monotonic()
        while not self._is_over.wait(WATCH_SECONDS):
            now = time.monotonic()
            with self._turn:
                attempts = {k: a for k, a in self._building.items() if a is not None}
                for attempt in attempts.values():
                    if self._stop.is_set() or now > attempt.until:
                        attempt.cursor.interrupt()
                if now - told_at >= PROGRESS_SECONDS:
                    told_at = now
                    done = sum(o.status != "up_to_date" for o in self._outcomes.values())
                    names = ", ".join(self._name_running(k) for k in attempts)
                    message = f"building {names}" if names else "checking"
                    notes = {k: n for k, n in self._notes.copy().items() if n}
                    facts = {"done": done, "total": len(self._plan.running), "message": message, "notes": notes}
                    self._tell("progress", facts)
