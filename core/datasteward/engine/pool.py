"""The warm workers of a workspace: handed out one call each, more started when all are busy, dead ones replaced."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.worker_process import EventListener, WorkerDied, WorkerProcess, start_worker
from datasteward.errors import EngineFault, ToolError

GROW_SECONDS = 0.05
"""How long a call waits for a warm worker before another one is started."""
SURPLUS_SECONDS = 20.0
"""How long a worker beyond the warm ones may idle before it goes."""
READER_MODULE = "datasteward.engine.worker"
logger = logging.getLogger(__name__)


def ignore_event(event: str, data: Mapping[str, Any]) -> None:
    """An `EventListener` for calls that nobody watches."""


class WorkerPool:
    """Hands out workers first come, first served; at most `max_workers` run at once."""

    def __init__(self, settings: WorkerSettings, log_path: Path, *, warm_workers: int, max_workers: int) -> None:
        self.settings = settings
        self._log_path = log_path
        self._warm = min(warm_workers, max_workers)
        self._max = max_workers
        self._idle: list[WorkerProcess] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._starting = 0
        self._is_closed = False
        self._paused = False
        self._resumed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._background: set[asyncio.Task[None]] = set()
        self._workers: dict[int, WorkerProcess] = {}
        self._in_use: set[int] = set()

    async def start(self) -> None:
        """Start the first warm worker; the others follow in the background once it is ready."""
        if self._warm:
            first = await self._start()
            self._in_background(self._warm_up(first))
        self._in_background(self._retire_surplus())

    async def _warm_up(self, first: WorkerProcess) -> None:
        worker: WorkerProcess | None = first
        while worker is not None:
            try:
                await worker.call("warm_up", {}, ignore_event)
            except (ToolError, EngineFault) as error:
                logger.info("warming up: %s", error)
            self._give_back(worker)
            worker = await self._start() if len(self._workers) < self._warm and not self._is_closed else None

    async def _retire_surplus(self) -> None:
        """Let workers beyond the warm ones go once they have been idle for a while, the longest idle first."""
        while True:
            await asyncio.sleep(SURPLUS_SECONDS / 4)
            oldest = time.monotonic() - SURPLUS_SECONDS
            for worker in list(self._idle):
                if len(self._idle) > self._warm and worker.last_used < oldest:
                    self._idle.remove(worker)
                    self._forget(worker)
                    await worker.close()

    @asynccontextmanager
    async def worker(self, *, is_fresh: bool = False) -> AsyncIterator[WorkerProcess]:
        """A worker for one call, newly started with `is_fresh`; given back, or replaced when it died, at the end."""
        chosen = await self._take(is_fresh=is_fresh)
        try:
            yield chosen
        finally:
            self._give_back(chosen)

    async def call(self, operation: str, arguments: Mapping[str, Any], listen: EventListener = ignore_event) -> Any:
        """Carry out a read in some worker; one whose worker died under it is run again once.

        Raises `ToolError` as the operation does, `EngineFault` when the second worker died too.
        """
        for attempt in (1, 2):
            try:
                async with self.worker(is_fresh=attempt == 2) as worker:
                    return await worker.call(operation, arguments, listen)
            except WorkerDied:
                if attempt == 2:
                    raise
                logger.warning("a worker died during %s; running it again", operation)
        raise AssertionError("unreachable")

    async def release_database(self) -> None:
        """Let every idle worker close the database file."""
        for worker in [w for w in self._idle if w.has_database_open]:
            if worker in self._idle:
                self._idle.remove(worker)
                self._in_use.add(worker.process.pid)
                try:
                    await worker.call("release", {}, ignore_event)
                except EngineFault:
                    pass
                finally:
                    self._give_back(worker)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """No worker runs or holds the database inside the block: running calls end first, new ones wait."""
        while self._paused:
            await self._resumed.wait()
        self._paused = True
        self._resumed.clear()
        try:
            await self._quiet.wait()
            for worker in [w for w in self._idle if w.has_database_open]:
                try:
                    await worker.call("release", {}, ignore_event)
                except EngineFault:
                    worker.kill()
            yield
        finally:
            self._paused = False
            self._resumed.set()
            self._wake()

    async def close(self) -> None:
        """End every worker."""
        self._is_closed = True
        for waiter in self._waiting:
            waiter.cancel()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*(w.close() for w in list(self._workers.values())), return_exceptions=True)
        self._workers.clear()
        self._idle.clear()

    @property
    def has_database_open(self) -> bool:
        """Whether some worker holds the database file."""
        return any(w.has_database_open and w.is_alive for w in self._workers.values())

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The live workers' process ids."""
        return tuple(pid for pid, w in self._workers.items() if w.is_alive)

    async def _take(self, *, is_fresh: bool) -> WorkerProcess:
        patience = GROW_SECONDS
        while True:
            if self._is_closed:
                raise EngineFault("The engine is shutting down.")
            if not self._paused:
                while self._idle and not is_fresh:
                    worker = self._idle.pop()
                    if worker.is_alive:
                        self._mark_used(worker)
                        return worker
                    self._forget(worker)
                running = len(self._in_use) + self._starting
                if running < self._max and (is_fresh or patience == 0 or running < max(1, self._warm)):
                    return await self._start()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                async with asyncio.timeout(patience or None):
                    await waiter
            except TimeoutError:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                patience = 0.0
            except asyncio.CancelledError:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                elif waiter.done() and not waiter.cancelled():
                    self._wake()
                raise

    async def _start(self) -> WorkerProcess:
        self._starting += 1
        try:
            worker = await start_worker(self.settings, self._log_path, READER_MODULE)
        finally:
            self._starting -= 1
        self._workers[worker.process.pid] = worker
        self._mark_used(worker)
        return worker

    def _mark_used(self, worker: WorkerProcess) -> None:
        self._in_use.add(worker.process.pid)
        self._quiet.clear()

    def _give_back(self, worker: WorkerProcess) -> None:
        self._in_use.discard(worker.process.pid)
        if not self._in_use:
            self._quiet.set()
        if not worker.is_alive or worker.pending is not None:
            worker.kill()
            self._forget(worker)
        else:
            worker.last_used = time.monotonic()
            self._idle.append(worker)
        self._wake()

    def _forget(self, worker: WorkerProcess) -> None:
        self._workers.pop(worker.process.pid, None)

    def _wake(self) -> None:
        while self._waiting and not self._paused:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
