"""Pipeline runs among the changes: the ports of the change service, with runs sent their own way."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from datasteward.changes.crash import CRASH_VARIABLE
from datasteward.changes.jobs import JOB, ApplyJob, PreviewJob
from datasteward.changes.model import StatementWork
from datasteward.changes.ports import Inspected, Inspector, WriterHost
from datasteward.engine.jobs import WorkerSettings
from datasteward.errors import EngineFault
from datasteward.pipelines.statement import KINDS, find_folder, find_kind, read_statement

MODULE = "datasteward.pipelines.writer_process"
LONGEST_RUN_SECONDS = 7 * 86400.0
"""A bound for a process that hangs; a run ends itself by the timeout of its pipeline."""
STDERR_CHARACTERS = 400


@asynccontextmanager
async def _nothing_to_close() -> AsyncIterator[None]:
    yield


class PipelineInspector:
    """Reads `RUN PIPELINE` texts itself and leaves every other text to the inspector given."""

    def __init__(self, inner: Inspector, root: Path) -> None:
        self._inner = inner
        self._root = root

    async def inspect(self, sql: str) -> Inspected:
        """The run as one statement of kind `pipeline_run` (or of Python or Spark assets), or what the inner inspector says."""
        found = read_statement(sql)
        if found is None:
            return await self._inner.inspect(sql)
        folder = self._root / find_folder(self._root, found.folder)
        kind = await asyncio.to_thread(find_kind, folder)
        return Inspected(statements=(StatementWork(sql=found.to_text(), kind=kind),))


class PipelineWriter:
    """Carries out pipeline runs in a process of their own and hands every other job to the writer given.

    `alone` is entered around each job and must make this workspace's readers let go of the database file.
    """

    def __init__(
        self,
        inner: WriterHost,
        settings: WorkerSettings,
        alone: Callable[[], AbstractAsyncContextManager[None]] = _nothing_to_close,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._alone = alone
        self._one_at_a_time = asyncio.Lock()

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The job's outcome; raises `EngineFault` when the process died or outlasted its time and is dead."""
        job = JOB.validate_json(job_json)
        is_run = isinstance(job, PreviewJob | ApplyJob) and any(s.kind in KINDS for s in job.body.statements)
        if not is_run:
            return await self._inner.run(job_json, timeout_seconds=timeout_seconds)
        bound = LONGEST_RUN_SECONDS if isinstance(job, ApplyJob) else timeout_seconds
        async with self._one_at_a_time, self._alone():
            return await self.carry_out(job_json, bound)

    async def carry_out(self, job_json: str, timeout_seconds: float) -> str:
        """The outcome of a pipeline's job from a process of its own; raises `EngineFault` as `run` does."""
        return await _run_once(json.dumps([job_json, self._settings.to_json()]), timeout_seconds)


async def _run_once(request: str, timeout_seconds: float) -> str:
    kept = ("SYSTEMROOT", "PYTHONPATH", CRASH_VARIABLE)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in kept if name in os.environ},
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            out, errors = await process.communicate(request.encode())
    except TimeoutError as error:
        raise EngineFault(f"the run was stopped after {timeout_seconds:.0f} seconds") from error
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode != 0:
        told = errors.decode("utf-8", "replace").strip()[-STDERR_CHARACTERS:]
        raise EngineFault(f"the run's process ended with code {process.returncode}: {told}")
    return out.decode()
