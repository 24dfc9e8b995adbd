"""A workspace with a pipeline folder for tests: files written, planned and run in this process or another."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from datasteward.engine.engine import make_worker_settings
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import open_cursor
from datasteward.pipelines.change_ports import PipelineWriter
from datasteward.pipelines.connected import find_attachments
from datasteward.pipelines.loading import PipelineFiles, read_folder
from datasteward.pipelines.opening import open_to_plan
from datasteward.pipelines.plan_model import Plan, PlanRequest
from datasteward.pipelines.preparing import prepare
from datasteward.pipelines.run_model import RunJob, RunOutcome
from datasteward.pipelines.running import run_pipeline
from datasteward.pipelines.writer_process import carry_out
from datasteward.settings import Settings
from datasteward.workspace import Workspace

AS_OF = datetime(2026, 1, 6, 12)


_CHILD = """
import json, sys, threading
from datasteward.engine.jobs import WorkerSettings
from datasteward.pipelines.run_model import RunJob
from datasteward.pipelines.running import run_pipeline
from datasteward.pipelines.writer_process import carry_out
job, settings = json.loads(sys.stdin.read())
outcome = run_pipeline(
    RunJob.model_validate_json(job), WorkerSettings.from_json(settings), lambda e, d: None, threading.Event()
)
sys.stdout.write(outcome.model_dump_json())
"""


@dataclass
class PipelineWorkspace:
    """`root` with `data/`, `pipelines/shop/` and the database."""

    root: Path

    def __post_init__(self) -> None:
        self.workspace = Workspace(root=self.root)
        self.folder = self.root / "pipelines" / "shop"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.root / "data").mkdir(exist_ok=True)
        self.workspace.make_state_folder()

    @property
    def settings(self) -> WorkerSettings:
        """What a worker of this workspace may use."""
        return replace(make_worker_settings(self.workspace, Settings()), lock_wait_seconds=1.0)

    @property
    def database(self) -> Path:
        """The database file."""
        return self.root / "warehouse.duckdb"

    def write(self, files: Mapping[str, str]) -> None:
        """Write pipeline files (`data/…` goes to the data folder)."""
        for name, text in files.items():
            path = self.root / name if name.startswith("data/") else self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def files(self) -> PipelineFiles:
        """The pipeline's files."""
        return read_folder(self.folder)

    def request(self, select: Sequence[str] = (), **options: Any) -> PlanRequest:
        """A request as of a fixed moment."""
        return PlanRequest(select=tuple(select), **{"as_of": AS_OF, **options})

    def plan(self, select: Sequence[str] = (), **options: Any) -> Plan:
        """The plan, made on a locked reader."""
        return self._plan(self.settings.database.is_file(), select, options)

    def plan_without_database(self) -> Plan:
        """The plan as if there were no database."""
        return self._plan(False, (), {})

    def _plan(self, has_database: bool, select: Sequence[str], options: dict[str, Any]) -> Plan:
        settings = self.settings
        database = settings.database if has_database else None
        connection = open_to_plan(settings, database, find_attachments(self.files(), settings))
        here = Path.cwd()
        os.chdir(self.root)
        try:
            name = database.stem if database else None
            cursor = open_cursor(connection, name)
            return prepare(self.files(), self.request(select, **options), cursor, name, settings).plan
        finally:
            os.chdir(here)
            connection.close()

    def job(
        self, plan: Plan | None = None, *, change: str = "", run: str = "run1", images: Path | None = None
    ) -> RunJob:
        """A job that carries out `plan`, or the plan of now."""
        plan = plan or self.plan()
        files = self.files()
        return RunJob(
            run=run,
            change=change,
            folder=files.folder,
            texts=files.texts,
            request=plan.request,
            approved=plan,
            images=str(images) if images else None,
        )

    def run(
        self,
        plan: Plan | None = None,
        *,
        stop: threading.Event | None = None,
        listen: Callable[[str, Any], None] | None = None,
        **options: Any,
    ) -> RunOutcome:
        """Run in this process."""
        job = self.job(plan, **options)
        here = Path.cwd()
        os.chdir(self.root)
        try:
            return run_pipeline(job, self.settings, listen or (lambda e, d: None), stop or threading.Event())
        finally:
            os.chdir(here)

    def run_apart(self, crash_at: str = "", plan: Plan | None = None, **options: Any) -> RunOutcome | None:
        """Run in a process of its own; None when it was killed at the crash point."""
        job = self.job(plan, **options)
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=json.dumps([job.model_dump_json(), self.settings.to_json()]),
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.root,
            env={**os.environ, "DATASTEWARD_CRASH_AT": crash_at},
            check=False,
        )
        if done.returncode == -9 and crash_at:
            return None
        assert done.returncode == 0, done.stderr[-2000:]
        return RunOutcome.model_validate_json(done.stdout)

    def execute(self, sql: str) -> None:
        """Change the database directly."""
        connection = duckdb.connect(str(self.database))
        connection.execute(sql)
        connection.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        connection = duckdb.connect(str(self.database), read_only=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


class RunsHere(PipelineWriter):
    """Carries pipeline runs out in this process, which saves starting one where nothing is about processes."""

    async def carry_out(self, job_json: str, timeout_seconds: float) -> str:
        """The outcome, from a thread."""

        def work() -> str:
            here = Path.cwd()
            os.chdir(self._settings.workspace_root)
            try:
                return carry_out(job_json, self._settings)
            finally:
                os.chdir(here)

        return await asyncio.wait_for(asyncio.to_thread(work), timeout_seconds)


def statuses(outcome: RunOutcome) -> dict[str, str]:
    """What became of each asset."""
    return {s.name: s.status for s in outcome.steps}


def actions(plan: Plan) -> dict[str, str]:
    """What each asset that runs does."""
    return {s.name: s.action for s in plan.running}
