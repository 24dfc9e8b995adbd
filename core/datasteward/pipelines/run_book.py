"""Plans and the state of runs as files in `.steward/pipelines/`, where every process of the workspace finds them."""

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from datasteward.changes.undone import read_undone
from datasteward.errors import ToolError
from datasteward.pipelines.options import Options
from datasteward.pipelines.plan_model import Plan
from datasteward.pipelines.run_model import RunOutcome, StepOutcome

KEPT_PLANS = 200
NAMED_RUNS = 5
NO_RUNS_HINT = "steward changes list shows what waits for approval."
RunStatus = Literal["running", "done", "partly", "failed", "moved", "stopped"]


class RunRecord(Options):
    """One run as far as it has come; `process_id` tells whether it is still alive."""

    run: str
    pipeline: str
    plan_hash: str
    status: RunStatus
    started: float
    updated: float
    process_id: int
    total: int
    steps: tuple[StepOutcome, ...] = ()
    running: tuple[str, ...] = ()
    message: str = ""
    undone_by: str = ""
    """The change that took the run back; looked up at each reading, never stored."""

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the steps that are done, or None."""
        done = sum(s.status in {"published", "failed", "skipped"} for s in self.steps)
        if self.status != "running" or not done:
            return None
        return round((self.updated - self.started) / done * (self.total - done), 1)


class RunBook:
    """The folder with plans and runs."""

    def __init__(self, state_folder: Path) -> None:
        self._plans = state_folder / "pipelines" / "plans"
        self._runs = state_folder / "pipelines" / "runs"
        self._state_path = state_folder / "state.sqlite"

    def keep_plan(self, plan: Plan) -> None:
        """Store a plan under its hash; the oldest beyond 200 go."""
        self._write(self._plans / f"{plan.hash}.json", plan.model_dump_json())
        old = sorted(self._plans.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)[KEPT_PLANS:]
        for path in old:
            path.unlink(missing_ok=True)

    def find_plan(self, prefix: str) -> Plan:
        """The plan whose hash begins so; raises `ToolError` (not_found) unless it is exactly one."""
        plain = prefix.strip().lower()
        found = sorted(self._plans.glob(f"{plain}*.json")) if re.fullmatch(r"[0-9a-f]{8,64}", plain) else []
        if len(found) != 1:
            raise ToolError(
                f"There is no plan '{prefix}'.",
                code="not_found",
                hint="Plan again and use the hash it gives (at least 8 characters).",
            )
        return Plan.model_validate_json(found[0].read_text("utf-8"))

    def keep_run(self, record: RunRecord) -> None:
        """Store how far a run has come."""
        self._write(self._runs / f"{record.run}.json", record.model_dump_json())

    def read_run(self, run: str) -> RunRecord | None:
        """The run, or None; one whose process is gone counts as stopped."""
        record = self._read(run)
        return None if record is None else _with_undo(record, self.taken_back())

    def taken_back(self) -> dict[str, str]:
        """By which change each run that was taken back was so."""
        return read_undone(self._state_path)

    def _read(self, run: str) -> RunRecord | None:
        path = self._runs / f"{run}.json"
        if not re.fullmatch(r"[a-z0-9_-]+", run) or not path.is_file():
            return None
        record = RunRecord.model_validate_json(path.read_text("utf-8"))
        if record.status == "running" and not _is_alive(record.process_id):
            message = "interrupted; change_status or steward pipeline resume goes on where it stopped"
            return record.model_copy(update={"status": "stopped", "message": message, "running": ()})
        return record

    def runs(self, limit: int = 20) -> tuple[RunRecord, ...]:
        """The newest runs first."""
        paths = sorted(self._runs.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)[:limit]
        undone = self.taken_back()
        return tuple(_with_undo(r, undone) for p in paths if (r := self._read(p.stem)) is not None)

    def need_run(self, run: str) -> RunRecord:
        """The run; raises `ToolError` (not_found) with the newest runs when it has not begun."""
        if (record := self.read_run(run)) is not None:
            return record
        newest = [r.run for r in self.runs(NAMED_RUNS)]
        if not newest:
            raise ToolError(f"There is no run {run}; none has begun yet.", code="not_found", hint=NO_RUNS_HINT)
        told = f"The newest is {newest[0]}" if len(newest) == 1 else f"The newest are {', '.join(newest)}"
        raise ToolError(f"There is no run {run}.", code="not_found", hint=f"{told}. {NO_RUNS_HINT}")

    def ask_to_stop(self, run: str) -> None:
        """Leave word that the run shall stop; raises `ToolError` (not_found) when it is not running."""
        record = self.read_run(run)
        if record is None or record.status != "running":
            raise ToolError(f"{run} is not running.", code="not_found", hint="pipeline_status lists runs.")
        (self._runs / f"{run}.stop").touch()

    def is_asked_to_stop(self, run: str) -> bool:
        """Whether someone asked the run to stop."""
        return (self._runs / f"{run}.stop").exists()

    def forget_stop(self, run: str) -> None:
        """Take the word back."""
        (self._runs / f"{run}.stop").unlink(missing_ok=True)

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        draft.write_text(text, "utf-8")
        draft.replace(path)


class RunReporter:
    """Keeps a run's record up to date from the events that it tells."""

    def __init__(self, book: RunBook, run: str, plan: Plan) -> None:
        self._book = book
        self._steps: dict[str, StepOutcome] = {}
        self._running: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        """How far a step is, where its engine says so."""
        now = time.time()
        self._record = RunRecord(
            run=run,
            pipeline=plan.pipeline,
            plan_hash=plan.hash,
            status="running",
            started=now,
            updated=now,
            process_id=os.getpid(),
            total=len(plan.running),
        )
        book.keep_run(self._record)

    def tell(self, event: str, data: object) -> None:
        """Take an event of the run."""
        if event == "progress" and isinstance(data, dict) and data.get("notes", {}) != self._notes:
            self._notes = dict(data.get("notes", {}))
            self._keep("running", "")
        if event != "step" or not isinstance(data, dict):
            return
        if data.get("status") == "running":
            self._running[str(data["key"])] = str(data["name"])
        else:
            outcome = StepOutcome.model_validate_json(json.dumps(data))
            self._running.pop(outcome.key, None)
            self._steps[outcome.key] = outcome
        self._keep("running", "")

    def finish(self, outcome: RunOutcome) -> None:
        """The run is over."""
        self._running.clear()
        self._steps.update({s.key: s for s in outcome.steps})
        self._keep(outcome.status, outcome.moved or "")

    def fail(self, message: str) -> None:
        """The run could not be begun, or broke off."""
        self._running.clear()
        self._keep("failed", message)

    def _keep(self, status: RunStatus, message: str) -> None:
        self._record = self._record.model_copy(
            update={
                "status": status,
                "message": message,
                "updated": time.time(),
                "steps": tuple(self._steps.values()),
                "running": tuple(
                    f"{n} ({self._notes[k]})" if k in self._notes else n for k, n in self._running.items()
                ),
            }
        )
        self._book.keep_run(self._record)


def _with_undo(record: RunRecord, undone: Mapping[str, str]) -> RunRecord:
    return record.model_copy(update={"undone_by": undone.get(record.run, "")})


def _is_alive(process_id: int) -> bool:
    if os.name == "nt":
        return True
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
