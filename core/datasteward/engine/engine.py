"""The engine as the owner process uses it: reads with a deadline, results under handles, a lease on the database."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from datasteward.callers import Progress
from datasteward.engine.jobs import (
    ParameterValues,
    QueryJob,
    ResultHead,
    StatementOutcome,
    WorkerSettings,
    head_from_json,
    statement_from_json,
)
from datasteward.engine.pool import WorkerPool, ignore_event
from datasteward.engine.results import ResultStore
from datasteward.engine.worker_process import EventListener
from datasteward.errors import Cancelled, DatastewardError, ToolError
from datasteward.settings import LimitSettings, Settings
from datasteward.workspace import Workspace

HEAD_GRACE_SECONDS = 0.7
"""After the first rows are there, how long a call waits for the rest before it answers with what it has."""

Report = Callable[[Progress], Awaitable[None]]
_HANDLE_WORD = re.compile(r"\br[1-9][0-9]*\b", re.IGNORECASE)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    """A read as a caller asks for it; times in seconds, None for the settings' own."""

    sql: str
    parameters: ParameterValues = None
    max_rows: int | None = None
    timeout_seconds: float | None = None
    head_characters: int = 2000
    is_dry_run: bool = False
    caller_name: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """One statement's answer: its handle (none for a dry run), head, and totals; `row_count` None while storing."""

    handle: str | None
    sql: str
    kind: str
    head: ResultHead
    row_count: int | None
    size_bytes: int
    content_hash: str | None
    cut_reason: str | None
    seconds: float
    is_storing: bool = False
    sources: tuple[tuple[str, str], ...] = ()


QueryListener = Callable[[QueryRequest, QueryResult], None]


class Engine:
    """Reads for any number of callers at once; enter it with `async with`."""

    def __init__(self, workspace: Workspace, settings: Settings, results: ResultStore) -> None:
        self.limits: LimitSettings = settings.limits
        self.results = results
        self._lease_seconds = settings.owner.lease_seconds
        self.worker_settings = make_worker_settings(workspace, settings)
        self.pool = WorkerPool(
            self.worker_settings,
            workspace.owner_log_path,
            warm_workers=settings.owner.warm_workers,
            max_workers=settings.limits.workers,
        )
        self._storing: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last_use = time.monotonic()
        self._calls = 0
        self._listeners: list[QueryListener] = []

    async def __aenter__(self) -> "Engine":
        await asyncio.to_thread(self.results.recover)
        await self.pool.start()
        self._background(self._keep_lease())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.close()

    def on_query(self, listener: QueryListener) -> None:
        """Call `listener` on the event loop with every finished query; it must return at once."""
        self._listeners.append(listener)

    async def query(self, request: QueryRequest, report: Report | None = None) -> list[QueryResult]:
        """Every statement's result in order.

        Raises `ToolError`: what the gate refuses, the engine's own errors explained, timeout, cancelled. When the
        first rows are there but storing all of them takes longer, the last result comes back with `is_storing`.
        """
        deadline = self._deadline(request.timeout_seconds)
        await self._wait_for_storing(request.sql, deadline)
        job = QueryJob(
            sql=request.sql,
            parameters=request.parameters,
            max_rows=min(request.max_rows or self.limits.result_rows, self.limits.result_rows),
            max_bytes=self.limits.result_bytes,
            head_characters=request.head_characters,
            draft_prefix=f"draft-{secrets.token_hex(8)}",
            is_dry_run=request.is_dry_run,
        )
        running = _RunningQuery(self, request, job, deadline)
        return await running.answer(report)

    async def run(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
        report: Report | None = None,
    ) -> Any:
        """Carry out a worker operation under a deadline; raises `ToolError` as it does, or timeout."""
        deadline = self._deadline(timeout_seconds)
        return await self.call_until(deadline, operation, arguments, _progress_listener(report, self._background))

    async def wait_stored(self, handle: str, timeout_seconds: float | None = None) -> None:
        """Return once `handle` is fully stored; raises `ToolError` (timeout) when it takes longer."""
        event = self._storing.get(handle.lower())
        if event is None:
            return
        try:
            async with asyncio.timeout(timeout_seconds or self.limits.timeout_seconds):
                await event.wait()
        except TimeoutError as error:
            raise ToolError(
                f"{handle} is still being stored.", code="timeout", hint="Ask again in a moment."
            ) from error

    @asynccontextmanager
    async def exclusive_database(self) -> AsyncIterator[None]:
        """Inside the block no reader has the database open, so that a writer may."""
        async with self.pool.paused():
            yield

    @property
    def running_calls(self) -> int:
        """Calls in progress."""
        return self._calls

    async def call_until(
        self, deadline: float, operation: str, arguments: Mapping[str, Any], listen: EventListener
    ) -> Any:
        """A pool call bounded by `deadline` (of `time.monotonic`); raises `ToolError` (timeout) past it."""
        self._calls += 1
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await self.pool.call(operation, arguments, listen)
        except TimeoutError as error:
            raise ToolError(
                "Stopped: the time allowed was used up. Nothing was changed.",
                code="timeout",
                hint="Filter or aggregate more, or give a longer timeout_seconds.",
            ) from error
        finally:
            self._calls -= 1
            self._last_use = time.monotonic()

    def _deadline(self, wanted: float | None) -> float:
        return time.monotonic() + min(wanted or self.limits.timeout_seconds, self.limits.max_timeout_seconds)

    async def _wait_for_storing(self, sql: str, deadline: float) -> None:
        for handle in {m.lower() for m in _HANDLE_WORD.findall(sql)} & self._storing.keys() if self._storing else ():
            await self.wait_stored(handle, max(0.1, deadline - time.monotonic()))

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(max(0.05, self._lease_seconds / 4))
            idle = time.monotonic() - self._last_use
            if self._calls == 0 and idle > self._lease_seconds and self.pool.has_database_open:
                await self.pool.release_database()

    def _background(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, DatastewardError):
            logger.error("background work failed", exc_info=error)


class _RunningQuery:
    """One query from dispatch to stored results, answering early when storing outlasts the first rows."""

    def __init__(self, engine: Engine, request: QueryRequest, job: QueryJob, deadline: float) -> None:
        self._engine = engine
        self._request = request
        self._job = job
        self._deadline = deadline
        self._heads: dict[int, ResultHead] = {}
        self._first_head = asyncio.Event()
        self._started = time.perf_counter()

    async def answer(self, report: Report | None) -> list[QueryResult]:
        progress = _progress_listener(report, self._engine._background)

        def listen(event: str, data: Mapping[str, Any]) -> None:
            if event == "head":
                self._heads[int(data["index"])] = head_from_json(data["head"])
                self._first_head.set()
            else:
                progress(event, data)

        work = self._engine._background(self._engine.call_until(self._deadline, "query", asdict(self._job), listen))
        try:
            await self._wait(work)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        if not work.done():
            return [await self._answer_early(work)]
        return await self._finish(await self._outcomes(work), None)

    async def _wait(self, work: asyncio.Task[Any]) -> None:
        """Until the work is done, or a single statement's head has been there for the grace time."""
        head = self._engine._background(self._first_head.wait())
        await asyncio.wait([work, head], return_when=asyncio.FIRST_COMPLETED)
        head.cancel()
        if not work.done():
            await asyncio.wait([work], timeout=HEAD_GRACE_SECONDS)
        if not work.done() and set(self._heads) != {0}:
            await asyncio.wait([work])

    async def _outcomes(self, work: asyncio.Task[Any]) -> list[StatementOutcome]:
        try:
            return [statement_from_json(data) for data in await work]
        except asyncio.CancelledError as error:
            raise Cancelled() from error

    async def _answer_early(self, work: asyncio.Task[Any]) -> QueryResult:
        head = self._heads[0]
        handle = await asyncio.to_thread(
            self._engine.results.reserve, self._request.sql, head.columns, self._request.caller_name
        )
        self._engine._storing[handle] = asyncio.Event()
        self._engine._background(self._store_later(work, handle))
        return QueryResult(
            handle=handle,
            sql=self._request.sql,
            kind="select",
            head=head,
            row_count=None,
            size_bytes=0,
            content_hash=None,
            cut_reason=None,
            seconds=time.perf_counter() - self._started,
            is_storing=True,
        )

    async def _store_later(self, work: asyncio.Task[Any], handle: str) -> None:
        try:
            await self._finish(await self._outcomes(work), handle)
        except DatastewardError as error:
            await asyncio.to_thread(self._engine.results.fail, handle, error.message)
        finally:
            self._engine._storing.pop(handle).set()

    async def _finish(self, outcomes: list[StatementOutcome], reserved: str | None) -> list[QueryResult]:
        handles = await asyncio.to_thread(self._adopt, outcomes, reserved)
        results = [_query_result(outcome, handle) for outcome, handle in zip(outcomes, handles, strict=True)]
        for result in results:
            for listener in self._engine._listeners:
                listener(self._request, result)
        return results

    def _adopt(self, outcomes: list[StatementOutcome], reserved: str | None) -> list[str | None]:
        handles: list[str | None] = []
        for index, outcome in enumerate(outcomes):
            if outcome.draft is None:
                handles.append(None)
            elif index == 0 and reserved is not None:
                self._engine.results.complete(reserved, outcome)
                handles.append(reserved)
            else:
                handles.append(self._engine.results.adopt(outcome, self._request.caller_name))
        return handles


def _query_result(outcome: StatementOutcome, handle: str | None) -> QueryResult:
    draft = outcome.draft
    return QueryResult(
        handle=handle,
        sql=outcome.sql,
        kind=outcome.kind,
        head=outcome.head,
        row_count=draft.row_count if draft else None,
        size_bytes=draft.size_bytes if draft else 0,
        content_hash=draft.content_hash if draft else None,
        cut_reason=draft.cut_reason if draft else None,
        seconds=outcome.seconds,
        sources=tuple((s.kind, s.name) for s in outcome.sources),
    )


def _progress_listener(report: Report | None, spawn: Callable[[Any], Any]) -> EventListener:
    if report is None:
        return ignore_event

    def listen(event: str, data: Mapping[str, Any]) -> None:
        if event != "progress":
            return
        percent, rows = data.get("percent"), int(data.get("rows") or 0)
        if rows:
            spawn(report(Progress(done=rows, message=f"{rows:,} rows read")))
        elif percent is not None and percent > 0:
            spawn(report(Progress(done=percent, total=100, message="running")))
        else:
            spawn(report(Progress(done=0, message=str(data.get("message") or "running"))))

    return listen


def make_worker_settings(workspace: Workspace, settings: Settings) -> WorkerSettings:
    """What a worker of this workspace may use; raises `ConfigError` for a data root that is not there."""
    import os

    return WorkerSettings(
        workspace_root=workspace.root,
        roots=settings.data_roots(workspace),
        database=settings.database_path(workspace),
        state_folder=workspace.state_folder,
        results_folder=workspace.results_folder,
        cache_folder=workspace.cache_folder,
        temp_folder=workspace.temp_folder,
        memory_bytes=settings.limits.memory,
        temp_bytes=settings.limits.temp,
        threads=settings.limits.threads or os.cpu_count() or 1,
        sql_bytes=settings.limits.sql_bytes,
        intake=settings.intake.options(),
    )
