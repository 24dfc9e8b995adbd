"""`steward mcp` over stdio: bytes between the client and the owner's socket, with the standard library alone."""

import os
import select
import socket
import sys
import threading

from datasteward.owner.address import HAS_UNIX_SOCKETS, attach, owner_command, preamble
from datasteward.workspace import Workspace

_CHUNK = 1 << 16


def run_pump(workspace: Workspace, client_name: str) -> int:
    """Serve one MCP client until it closes its side; the exit code is 0, or 1 when the owner ended before that.

    Raises `EngineFault` when the owner does not start.
    """
    stream = attach(workspace, owner_command(workspace))
    stream.sendall(preamble("mcp", "mcp", client_name, is_model=True))
    is_closed_by_client = _pump_with_select(stream) if HAS_UNIX_SOCKETS else _pump_with_threads(stream)
    if is_closed_by_client:
        return 0
    print("steward: the owner process ended; start this server again and a new one is started", file=sys.stderr)
    return 1


def _pump_with_select(stream: socket.socket) -> bool:
    """True when the client closed its side first."""
    descriptor, is_open = stream.fileno(), True
    while True:
        ready, _, _ = select.select([0, descriptor] if is_open else [descriptor], [], [])
        if descriptor in ready:
            data = _receive(stream)
            if not data:
                return not is_open
            if not _write_all(data):
                return True
        if 0 in ready:
            data = os.read(0, _CHUNK)
            if data:
                try:
                    stream.sendall(data)
                except OSError:
                    return False
            else:
                is_open = False
                stream.shutdown(socket.SHUT_WR)


def _pump_with_threads(stream: socket.socket) -> bool:
    """True when the client closed its side first."""
    closed = threading.Event()

    def forward() -> None:
        while data := os.read(0, _CHUNK):
            stream.sendall(data)
        closed.set()
        stream.shutdown(socket.SHUT_WR)

    threading.Thread(target=forward, daemon=True).start()
    while data := stream.recv(_CHUNK):
        if not _write_all(data):
            return True
    return closed.is_set()


def _receive(stream: socket.socket) -> bytes:
    try:
        return stream.recv(_CHUNK)
    except OSError:
        return b""


def _write_all(data: bytes) -> bool:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, view) :]
    except OSError:
        return False
    return True
