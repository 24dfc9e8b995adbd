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
    """Serve one MCP client until it closes its side or the owner ends; the exit code is 0.

    Raises `EngineFault` when the owner does not start.
    """
    stream = attach(workspace, owner_command(workspace))
    stream.sendall(preamble("mcp", "mcp", client_name, is_model=True))
    if HAS_UNIX_SOCKETS:
        _pump_with_select(stream)
    else:
        _pump_with_threads(stream)
    return 0


def _pump_with_select(stream: socket.socket) -> None:
    descriptor, is_open = stream.fileno(), True
    while True:
        ready, _, _ = select.select([0, descriptor] if is_open else [descriptor], [], [])
        if descriptor in ready:
            data = stream.recv(_CHUNK)
            if not data or not _write_all(data):
                return
        if 0 in ready:
            data = os.read(0, _CHUNK)
            if data:
                stream.sendall(data)
            else:
                is_open = False
                stream.shutdown(socket.SHUT_WR)


def _pump_with_threads(stream: socket.socket) -> None:
    def forward() -> None:
        while data := os.read(0, _CHUNK):
            stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)

    threading.Thread(target=forward, daemon=True).start()
    while data := stream.recv(_CHUNK):
        if not _write_all(data):
            return


def _write_all(data: bytes) -> bool:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, view) :]
    except OSError:
        return False
    return True
