"""A connection to the owner for front ends: calls tools there as if they were here."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from datasteward.callers import Caller, FrontEnd, Progress
from datasteward.calling import Report, ToolAnswer, ToolDefinition
from datasteward.errors import EngineFault, ToolError
from datasteward.owner.address import attach, connect, is_taken, owner_command, preamble
from datasteward.workspace import Workspace

MAX_LINE_BYTES = 64 * 2**20


class OwnerClient:
    """A `ToolCaller` over the owner's socket; any number of calls at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Any], Report | None]] = {}
        self._definitions: tuple[ToolDefinition, ...] = ()
        self._reports: set[asyncio.Task[Any]] = set()

    def definitions(self) -> Sequence[ToolDefinition]:
        """Every tool of the owner, as read when the connection was made."""
        return self._definitions

    async def call(
        self, name: str, arguments: Mapping[str, Any] | None, caller: Caller, report: Report | None = None
    ) -> ToolAnswer:
        """The owner's answer; raises `EngineFault` when the owner is gone before it came."""
        params = {"name": name, "arguments": dict(arguments or {}), "client": caller.name}
        return ToolAnswer(**await self.request("call_tool", params, report))

    async def request(self, method: str, params: Mapping[str, Any] | None = None, report: Report | None = None) -> Any:
        """The reply of a control method; a cancel of the awaiting task is passed on."""
        number = next(self._numbers)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (future, report)
        try:
            await self._send({"id": number, "method": method, "params": dict(params or {})})
            return await future
        except asyncio.CancelledError:
            with contextlib.suppress(EngineFault):
                await self._send({"cancel": number})
            raise
        finally:
            self._waiting.pop(number, None)

    async def _open(self) -> None:
        listed = await self.request("list_tools")
        self._definitions = tuple(ToolDefinition(**d) for d in listed)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._deliver(json.loads(line))
        except (ConnectionError, ValueError):
            pass
        finally:
            for future, _ in self._waiting.values():
                if not future.done():
                    future.set_exception(
                        EngineFault("The owner process ended.", hint="Call again: it is started anew.")
                    )

    def _deliver(self, message: Mapping[str, Any]) -> None:
        future, report = self._waiting.get(message["id"], (None, None))
        if future is None or future.done():
            return
        if "progress" in message:
            if report is not None:
                task = asyncio.ensure_future(report(Progress(**message["progress"])))
                self._reports.add(task)
                task.add_done_callback(self._reports.discard)
        elif "error" in message:
            error = message["error"]
            future.set_exception(ToolError(error["message"], code=error["code"]))
        else:
            future.set_result(message["result"])

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            await self._writer.drain()
        except ConnectionError as error:
            raise EngineFault("The owner process ended.", hint="Call again: it is started anew.") from error


@asynccontextmanager
async def open_owner(
    workspace: Workspace, *, front_end: FrontEnd, name: str, is_model: bool, start: bool = True
) -> AsyncIterator[OwnerClient]:
    """A connection to the workspace's owner, started when needed.

    Raises `EngineFault` when it does not start or, with `start=False`, when none is running.
    """
    hello = preamble("control", front_end, name, is_model=is_model)
    if start:
        stream = await asyncio.to_thread(attach, workspace, owner_command(workspace), hello)
    else:
        stream = await asyncio.to_thread(_join, workspace, hello)
    async with _speak(stream) as client:
        yield client


def _join(workspace: Workspace, hello: bytes) -> socket.socket:
    stream = connect(workspace.socket_path)
    if stream is None or not is_taken(stream, hello):
        raise EngineFault("No owner process is running for this workspace.", hint="The next call starts one.")
    return stream


@asynccontextmanager
async def _speak(stream: socket.socket) -> AsyncIterator[OwnerClient]:
    stream.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=stream, limit=MAX_LINE_BYTES)
    client = OwnerClient(reader, writer)
    listening = asyncio.get_running_loop().create_task(client._listen())
    try:
        await client._open()
        yield client
    finally:
        writer.close()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
