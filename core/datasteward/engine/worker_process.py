"""A worker process seen from the owner: one call at a time, taken back by interrupt and, if that fails, by kill."""

import asyncio
import itertools
import logging
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.wire import HEADER, MAX_MESSAGE_BYTES, encode_message
from datasteward.errors import EngineFault, ToolError

INTERRUPT_SECONDS = 2.0
"""How long a worker may take to stop after an interrupt before it is killed."""

EventListener = Callable[[str, Mapping[str, Any]], None]
_calls = itertools.count(1)
logger = logging.getLogger(__name__)


class WorkerDied(EngineFault):
    """The worker process ended in mid-call through no fault of the call's own cancel."""


@dataclass(slots=True, kw_only=True)
class _Pending:
    call: int
    outcome: asyncio.Future[Any]
    listen: EventListener


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerProcess:
    """Started by `start_worker`; `has_database_open` is true from its first call until `release`."""

    process: asyncio.subprocess.Process
    reading: asyncio.Task[None] | None = None
    pending: _Pending | None = field(default=None)
    has_database_open: bool = False
    calls_made: int = 0
    last_used: float = 0.0

    @property
    def is_alive(self) -> bool:
        """False once the process has ended or its pipe is closed."""
        return self.process.returncode is None and self.reading is not None and not self.reading.done()

    async def call(self, operation: str, arguments: Mapping[str, Any], listen: EventListener) -> Any:
        """The operation's outcome; raises `ToolError` as the worker told it, `WorkerDied` when it ended in between.

        When the awaiting task is cancelled the worker is interrupted; it is killed if it has not stopped in 2 s.
        """
        if self.pending is not None:
            raise RuntimeError("a worker carries out one call at a time")
        loop = asyncio.get_running_loop()
        call = next(_calls)
        pending = _Pending(call=call, outcome=loop.create_future(), listen=listen)
        self.pending = pending
        self.calls_made += 1
        self.has_database_open = operation != "release"
        try:
            self._send({"id": call, "op": operation, "args": dict(arguments)})
            return await asyncio.shield(pending.outcome)
        except asyncio.CancelledError:
            await self._stop(pending)
            raise
        finally:
            if pending.outcome.done() and not pending.outcome.cancelled():
                pending.outcome.exception()
            self.pending = None

    async def _stop(self, pending: _Pending) -> None:
        self._send({"cancel": pending.call})
        done, _ = await asyncio.wait([pending.outcome], timeout=INTERRUPT_SECONDS)
        if not done:
            logger.warning("worker %d did not stop within %.0f s and is killed", self.process.pid, INTERRUPT_SECONDS)
            self.kill()
            await asyncio.wait([pending.outcome], timeout=INTERRUPT_SECONDS)

    def kill(self) -> None:
        """End the process at once."""
        if self.process.returncode is None:
            try:
                if os.name == "nt":
                    self.process.kill()
                else:
                    os.kill(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    async def close(self) -> None:
        """Close the pipe, which ends an idle worker, and wait for it; a busy one is killed."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(1.0):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        if self.reading is not None:
            await asyncio.wait([self.reading], timeout=1.0)

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        if not self.process.stdin.is_closing():
            self.process.stdin.write(encode_message(message))

    async def read_replies(self) -> None:
        """Hand each message to the call it belongs to, until the pipe closes."""
        import json

        assert self.process.stdout is not None
        try:
            while True:
                (length,) = HEADER.unpack(await self.process.stdout.readexactly(HEADER.size))
                if length > MAX_MESSAGE_BYTES:
                    break
                body = await self.process.stdout.readexactly(length)
                self._deliver(json.loads(body.decode("utf-8", "surrogatepass")))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, struct.error):
            pass
        finally:
            self.kill()
            if self.pending is not None and not self.pending.outcome.done():
                self.pending.outcome.set_exception(WorkerDied("The worker process ended in the middle of the call."))

    def _deliver(self, message: Mapping[str, Any]) -> None:
        pending = self.pending
        if pending is None or message["id"] != pending.call or pending.outcome.done():
            return
        data = message["data"]
        if message["event"] == "done":
            pending.outcome.set_result(data)
        elif message["event"] == "error":
            pending.outcome.set_exception(
                ToolError(data["message"], code=data["code"], hint=data.get("hint"), position=data.get("position"))
            )
        else:
            pending.listen(message["event"], data)


async def start_worker(settings: WorkerSettings, log_path: Path, module: str) -> WorkerProcess:
    """A new worker running `module`, with an empty environment and no descriptor but its pipes and the log.

    Raises `EngineFault` when the process cannot be started.
    """
    try:
        with log_path.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-X",
                "utf8",
                "-m",
                module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=_bare_environment(),
                cwd=settings.workspace_root,
                start_new_session=True,
            )
    except OSError as error:
        raise EngineFault(f"A worker process could not be started: {error}.") from error
    worker = WorkerProcess(process=process)
    assert process.stdin is not None
    process.stdin.write(encode_message({"settings": settings.to_json()}))
    worker.reading = asyncio.create_task(worker.read_replies())
    return worker


def _bare_environment() -> dict[str, str]:
    """Nothing, save what Windows needs to start a process at all."""
    return {k: os.environ[k] for k in ("SYSTEMROOT", "TEMP", "TMP") if k in os.environ} if os.name == "nt" else {}
