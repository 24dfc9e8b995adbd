"""A writer host that starts one process a job and kills it when its time is over or the caller gives up."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from datasteward.changes.crash import CRASH_VARIABLE
from datasteward.errors import EngineFault

MODULE = "datasteward.changes.writer_process"
STDERR_CHARACTERS = 400


@asynccontextmanager
async def _nothing_to_close() -> AsyncIterator[None]:
    yield


class SubprocessWriter:
    """Runs jobs one after another, each in a process of its own.

    `alone` is entered around each job and must make this workspace's readers let go of the database file.
    """

    def __init__(self, alone: Callable[[], AbstractAsyncContextManager[None]] = _nothing_to_close) -> None:
        self._alone = alone
        self._one_at_a_time = asyncio.Lock()

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The job's outcome; raises `EngineFault` when the process died or outlasted its time and is dead.

        A preview that is killed leaves nothing; an apply that is killed is settled by its receipt.
        """
        async with self._one_at_a_time, self._alone():
            return await _run_once(job_json, timeout_seconds)


async def _run_once(job_json: str, timeout_seconds: float) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_bare_environment(),
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            out, errors = await process.communicate(job_json.encode())
    except TimeoutError as error:
        raise EngineFault(f"the writer was stopped after {timeout_seconds:.0f} seconds") from error
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode != 0:
        told = errors.decode("utf-8", "replace").strip()[-STDERR_CHARACTERS:]
        raise EngineFault(f"the writer ended with code {process.returncode}: {told}")
    return out.decode()


def _bare_environment() -> dict[str, str]:
    kept = ("SYSTEMROOT", "PYTHONPATH", CRASH_VARIABLE)
    return {name: os.environ[name] for name in kept if name in os.environ}
