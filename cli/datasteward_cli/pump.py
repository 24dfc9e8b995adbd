"""`steward mcp` over stdio: lines between the client and the owner's socket, with the standard library alone.

The client outlives the owner: when the owner ends, open calls are answered with an error and the client's next line
starts another owner, to which the client's handshake is repeated.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from datasteward.errors import EngineFault
from datasteward.owner.address import attach, owner_command, preamble
from datasteward.workspace import Workspace
from datasteward_cli.wire_memory import WireMemory

_CHUNK = 1 << 16
_ATTEMPTS = 3


def run_pump(workspace: Workspace, client_name: str) -> int:
    """Serve one MCP client until it closes its side; returns the exit code.

    Raises `EngineFault` when no owner starts.
    """
    pump = _Pump(workspace, client_name)
    pump.connect()
    for line in _lines(lambda size: os.read(0, size)):
        pump.send(line)
    pump.finish()
    return 0


class _Pump:
    """One client's way to whichever owner serves now; one lock guards memory and stream, one the output."""

    def __init__(self, workspace: Workspace, client_name: str) -> None:
        self._workspace = workspace
        self._name = client_name
        self._memory = WireMemory()
        self._lock = threading.Lock()
        self._output = threading.Lock()
        self._stream: socket.socket | None = None
        self._listener: threading.Thread | None = None

    def connect(self) -> None:
        first = preamble("mcp", "mcp", self._name, is_model=True)
        stream = attach(self._workspace, owner_command(self._workspace), first)
        with self._lock:
            greeting = self._memory.greeting()
            self._stream = stream
        self._listener = threading.Thread(target=self._listen, args=(stream,), daemon=True)
        self._listener.start()
        _send(stream, b"".join(greeting))

    def send(self, line: bytes) -> None:
        """Pass one line of the client on; raises `EngineFault` when the owner has gone and no other starts."""
        for _ in range(_ATTEMPTS):
            if self._stream is None:
                self._connect_or_answer(line)
            with self._lock:
                self._memory.note_sent(line)
                stream = self._stream
            if stream is not None and _send(stream, line):
                return
            with self._lock:
                if self._stream is stream:
                    self._stream = None
                if not self._memory.withdraw(line):
                    return
        with self._lock:
            self._memory.note_sent(line)
        self._give_up_open_calls()

    def finish(self) -> None:
        """The client has closed: let the owner end what it was doing and say its last words."""
        if self._stream is not None:
            try:
                self._stream.shutdown(socket.SHUT_WR)
            except OSError:
                return
            assert self._listener is not None
            self._listener.join()

    def _connect_or_answer(self, line: bytes) -> None:
        try:
            self.connect()
        except EngineFault:
            with self._lock:
                self._memory.note_sent(line)
            self._give_up_open_calls()
            raise

    def _listen(self, stream: socket.socket) -> None:
        for line in _lines(stream.recv):
            with self._lock:
                is_shown = self._memory.is_for_client(line)
            if is_shown and not self._tell(line):
                return
        with self._lock:
            if self._stream is stream:
                self._stream = None
        stream.close()
        self._give_up_open_calls()

    def _give_up_open_calls(self) -> None:
        with self._lock:
            replies = self._memory.replies_of_the_lost()
        for reply in replies:
            self._tell(reply)

    def _tell(self, line: bytes) -> bool:
        with self._output:
            return _write_all(line)


def _lines(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Whole lines as they come; what follows the last line end comes last."""
    rest: list[bytes] = []
    while data := _read(read):
        *whole, tail = data.split(b"\n")
        for part in whole:
            yield b"".join([*rest, part, b"\n"])
            rest = []
        if tail:
            rest.append(tail)
    if rest:
        yield b"".join(rest)


def _read(read: Callable[[int], bytes]) -> bytes:
    try:
        return read(_CHUNK)
    except OSError:
        return b""


def _send(stream: socket.socket, data: bytes) -> bool:
    try:
        stream.sendall(data)
    except OSError:
        return False
    return True


def _write_all(data: bytes) -> bool:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, view) :]
    except OSError:
        return False
    return True
