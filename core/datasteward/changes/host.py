"""A writer host with one process a job, killed when its time is over or the caller gives up."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

from datasteward.changes.crash import CRASH_VARIABLE
from datasteward.errors import EngineFault

MODULE = "datasteward.changes.writer_process"
STDERR_CHARACTERS = 400


@asynccontextmanager
async def _nothing_to_close() -> AsyncIterator[None]:
    yield


class SubprocessWriter:
    """Runs jobs one after another, each in a process of its own.

    `alone` is entered around each job and must make this workspace's readers let go of the database file. With
    `keeps_ready` the process of the next job is started ahead, so that its start and imports are not waited for; it
    opens nothing before its job comes. Whoever asks for that must call `close` in the end.
    """

    def __init__(
        self,
        alone: Callable[[], AbstractAsyncContextManager[None]] = _nothing_to_close,
        *,
        keeps_ready: bool = False,
    ) -> None:
        self._alone = alone
        self._keeps_ready = keeps_ready
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[_Started] | None = None

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The job's outcome; raises `EngineFault` when the process died or outlasted its time and is dead.

        A preview that is killed leaves nothing; an apply that is killed is settled by its receipt.
        """
        async with self._one_at_a_time:
            process = await self._take()
            try:
                async with self._alone():
                    return await _communicate(process, job_json, timeout_seconds)
            finally:
                await _end(process)
                self.prepare()

    def prepare(self) -> None:
        """Start the next job's process now, unless one is ready or none is to be kept."""
        if self._keeps_ready and self._next is None:
            self._next = asyncio.get_running_loop().create_task(_start())

    async def close(self) -> None:
        """End the process that was kept ready; none is kept from now on."""
        self._keeps_ready = False
        if self._next is not None:
            ready, self._next = self._next, None
            with suppress(OSError):
                await _end((await ready).process)

    async def _take(self) -> asyncio.subprocess.Process:
        """A process without a job: the one kept ready if it still lives and has our surroundings, or a new one."""
        if self._next is not None:
            ready, self._next = self._next, None
            try:
                started = await asyncio.shield(ready)
            except asyncio.CancelledError:
                self._next = ready
                raise
            if started.process.returncode is None and started.environment == _bare_environment():
                return started.process
            await _end(started.process)
        return (await _start()).process


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    process: asyncio.subprocess.Process
    environment: dict[str, str]


async def _start() -> _Started:
    environment = _bare_environment()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    return _Started(process=process, environment=environment)


async def _communicate(process: asyncio.subprocess.Process, job_json: str, timeout_seconds: float) -> str:
    try:
        async with asyncio.timeout(timeout_seconds):
            out, errors = await process.communicate(job_json.encode())
    except TimeoutError as error:
        raise EngineFault(f"the writer was stopped after {timeout_seconds:.0f} seconds") from error
    finally:
        await _end(process)
    if process.returncode != 0 or not out:
        told = errors.decode("utf-8", "replace").strip()[-STDERR_CHARACTERS:]
        raise EngineFault(f"the writer ended with code {process.returncode}: {told}")
    return out.decode()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that the process is dead; a caller that gives up meanwhile waits for that too."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def _bare_environment() -> dict[str, str]:
    kept = ("SYSTEMROOT", "PYTHONPATH", CRASH_VARIABLE)
    return {name: os.environ[name] for name in kept if name in os.environ}
