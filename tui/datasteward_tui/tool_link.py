"""The app's connection to the tools: made at the first need, made anew when the owner process has ended."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from datasteward.callers import Caller
from datasteward.calling import Report, ToolAnswer, ToolCaller, ToolDefinition
from datasteward.errors import EngineFault

CALLER = Caller(front_end="tui", name="steward", is_model=False)
T = TypeVar("T")


class Held(Generic[T]):
    """A context manager's value, entered and left in one task of its own."""

    def __init__(self, open_value: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open_value = open_value
        self._ready: asyncio.Future[T] | None = None
        self._release = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def get(self) -> T:
        """The value; raises what opening it raised, and tries anew at the next call."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._release = asyncio.Event()
            self._task = asyncio.create_task(self._hold(self._ready, self._release))
        return await asyncio.shield(self._ready)

    @property
    def value(self) -> T | None:
        """The value if it is there now."""
        ready = self._ready
        return ready.result() if ready is not None and ready.done() and not ready.exception() else None

    async def drop(self, timeout_seconds: float = 5.0) -> None:
        """Leave the context, if it was entered."""
        self._release.set()
        task, self._task, self._ready = self._task, None, None
        if task is not None:
            done, _ = await asyncio.wait({task}, timeout=timeout_seconds)
            if not done:
                task.cancel()

    async def _hold(self, ready: "asyncio.Future[T]", release: asyncio.Event) -> None:
        try:
            async with self._open_value() as value:
                ready.set_result(value)
                await release.wait()
        except Exception as error:
            if not ready.done():
                ready.set_exception(error)
                ready.exception()
            if self._ready is ready:
                self._ready = None


class LastingTools:
    """A `ToolCaller` that is opened at the first need, and anew when the process behind it has ended."""

    def __init__(self, open_tools: Callable[[], AbstractAsyncContextManager[ToolCaller]]) -> None:
        self._held = Held(open_tools)
        self._known: Sequence[ToolDefinition] = ()
        self.on_lost: Callable[[], None] = lambda: None
        """Called when a connection turned out to be gone."""

    async def open(self) -> ToolCaller:
        """The tools behind, connected; raises what connecting raised."""
        tools = await self._held.get()
        self._known = tools.definitions()
        return tools

    def definitions(self) -> Sequence[ToolDefinition]:
        """Every tool there is, as of the last connection."""
        return self._known

    async def call(
        self, name: str, arguments: Mapping[str, Any] | None, caller: Caller, report: Report | None = None
    ) -> ToolAnswer:
        """The answer. A read whose process ended is asked once more of a new one; raises `EngineFault`."""
        tools = await self.open()
        try:
            return await tools.call(name, arguments, caller, report)
        except EngineFault:
            await self._let_go(tools)
            if not any(d.name == name and d.is_read_only for d in tools.definitions()):
                raise
        return await (await self.open()).call(name, arguments, caller, report)

    async def _let_go(self, tools: ToolCaller) -> None:
        """Drop the connection, unless another call has already made a new one."""
        if self._held.value is tools:
            self.on_lost()
            await self._held.drop()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._held.drop()


class ToolLink:
    """Calls tools for the person at the terminal."""

    def __init__(self, open_tools: Callable[[], AbstractAsyncContextManager[ToolCaller]]) -> None:
        self.tools = LastingTools(open_tools)

    async def definitions(self) -> Sequence[ToolDefinition]:
        """Every tool there is."""
        return (await self.tools.open()).definitions()

    async def call(self, name: str, arguments: Mapping[str, Any], report: Report | None = None) -> ToolAnswer:
        """The answer, as `LastingTools.call` gives it."""
        return await self.tools.call(name, arguments, CALLER, report)

    async def close(self) -> None:
        """Let go of the connection."""
        await self.tools.close()
