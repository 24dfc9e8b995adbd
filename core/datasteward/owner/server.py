"""The owner's listener: one socket, connections of two kinds, an idle exit."""

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, Literal

from datasteward.callers import Caller
from datasteward.calling import ToolCaller
from datasteward.errors import EngineFault
from datasteward.owner.address import HAS_UNIX_SOCKETS, TAKEN, connect, make_private_folder
from datasteward.owner.control import serve_control
from datasteward.services import Services

MAX_LINE_BYTES = 16 * 2**20
PREAMBLE_SECONDS = 5.0
logger = logging.getLogger(__name__)

McpHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Caller], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preamble:
    """The first line of a connection, judged."""

    kind: Literal["mcp", "control"]
    caller: Caller


class OwnerServer:
    """Serves MCP and control connections until stopped or idle for long enough."""

    def __init__(self, services: Services, caller: ToolCaller, serve_mcp: McpHandler, *, idle_seconds: float) -> None:
        self.services = services
        self.caller = caller
        self.started_at = time.time()
        self.live: dict[str, Caller] = {}
        self._serve_mcp = serve_mcp
        self._idle_seconds = idle_seconds
        self._last_seen = time.monotonic()
        self._stopping = asyncio.Event()
        self._numbers = count(1)
        self._connections: set[asyncio.Task[None]] = set()
        self._token = secrets.token_urlsafe(32)

    async def serve(self, listener: socket.socket) -> None:
        """Accept connections on a bound socket; returns when stopped or idle, its calls cancelled."""
        server = await asyncio.start_server(self._accept, sock=listener, limit=MAX_LINE_BYTES)
        async with server:
            await self._watch()
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def stop(self) -> None:
        """End `serve`."""
        self._stopping.set()

    def status(self) -> dict[str, Any]:
        """What `steward owner status` shows."""
        engine = self.services.engine
        return {
            "process_id": os.getpid(),
            "version": version("datasteward"),
            "workspace": str(self.services.workspace.root),
            "uptime_seconds": round(time.time() - self.started_at, 1),
            "connections": [
                {"name": c.name, "front_end": c.front_end, "process_id": c.process_id, "connection": c.connection}
                for c in self.live.values()
            ],
            "running_calls": engine.running_calls,
            "workers": list(engine.pool.process_ids),
            "holds_database": engine.pool.has_database_open,
            "log": str(self.services.workspace.owner_log_path),
        }

    async def _watch(self) -> None:
        pause = min(1.0, self._idle_seconds / 4)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            if self.live or self.services.engine.running_calls:
                self._last_seen = time.monotonic()
            elif time.monotonic() - self._last_seen > self._idle_seconds:
                return

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve_connection(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception:
            logger.exception("a connection failed")
        finally:
            self._connections.discard(task)
            self._last_seen = time.monotonic()
            writer.close()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._is_own_user(reader, writer):
            return
        try:
            async with asyncio.timeout(PREAMBLE_SECONDS):
                first = await reader.readuntil(b"\n")
        except (TimeoutError, asyncio.LimitOverrunError):
            return
        preamble = read_preamble(first, next(self._numbers))
        if preamble is None:
            logger.warning("a connection did not say who it is")
            return
        writer.write(TAKEN)
        self.live[preamble.caller.connection] = preamble.caller
        try:
            if preamble.kind == "control":
                await serve_control(self, reader, writer, preamble.caller)
            else:
                await self._serve_mcp(reader, writer, preamble.caller)
        finally:
            self.live.pop(preamble.caller.connection, None)

    async def _is_own_user(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        raw: socket.socket = writer.get_extra_info("socket")
        if HAS_UNIX_SOCKETS:
            uid = peer_user(raw)
            if uid is not None and uid != os.getuid():
                logger.warning("a connection of user %d was refused", uid)
                return False
            return True
        token = (await reader.readuntil(b"\n")).decode("ascii", "replace").strip()
        return hmac.compare_digest(token, self._token)

    @property
    def token(self) -> str:
        """What loopback connections must send first where there are no Unix sockets."""
        return self._token


def read_preamble(line: bytes, number: int) -> Preamble | None:
    """The preamble of a connection, or None when the line is not one."""
    try:
        words = json.loads(line)
    except ValueError:
        return None
    if not isinstance(words, dict) or words.get("steward") != 1 or words.get("kind") not in {"mcp", "control"}:
        return None
    front_end = words.get("front_end")
    process = words.get("process_id")
    return Preamble(
        kind=words["kind"],
        caller=Caller(
            front_end=front_end if front_end in {"mcp", "cli", "tui", "agent"} else "mcp",
            name=str(words.get("name") or "unknown")[:80],
            connection=f"k{number}",
            process_id=process if isinstance(process, int) else None,
            is_model=words.get("is_model") is not False,
        ),
    )


def peer_user(raw: socket.socket) -> int | None:
    """The user id at the other end of a Unix socket, or None where the system does not tell."""
    if sys.platform == "linux":
        _, uid, _ = struct.unpack("3i", raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(uid)
    if sys.platform == "darwin":
        credentials = raw.getsockopt(0, 1, 76)
        return int(struct.unpack_from("I", credentials, 4)[0])
    return None


def bind_socket(path: Path) -> socket.socket:
    """A listening socket at `path`, private to this user; one left by a dead owner is replaced.

    Raises `EngineFault` when somebody listens there already.
    """
    make_private_folder(path.parent)
    if connect_answers(path):
        raise EngineFault("Another owner already serves this workspace.")
    path.unlink(missing_ok=True)
    if not HAS_UNIX_SOCKETS:
        return socket.create_server(("127.0.0.1", 0), backlog=128)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old)
    listener.listen(128)
    return listener


def connect_answers(path: Path) -> bool:
    """Whether somebody accepts connections at `path`."""
    stream = connect(path)
    if stream is None:
        return False
    stream.close()
    return True


def publish_loopback(path: Path, listener: socket.socket, token: str) -> None:
    """Write the private file that tells port and token where there are no Unix sockets."""
    if HAS_UNIX_SOCKETS:
        return
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"port": listener.getsockname()[1], "token": token}))
    draft.replace(path)


def describe_status(status: Mapping[str, Any]) -> str:
    """The status as lines for a person."""
    lines = [
        f"owner {status['process_id']} of {status['workspace']}, version {status['version']},"
        f" up {status['uptime_seconds']:,.0f} s",
        f"running calls: {status['running_calls']}, workers: {len(status['workers'])},"
        f" database {'open' if status['holds_database'] else 'not held'}",
    ]
    lines += [
        f"{c['connection']}: {c['name']} ({c['front_end']}, process {c['process_id']})" for c in status["connections"]
    ]
    lines.append(f"log: {status['log']}")
    return "\n".join(lines)
