"""Finding and starting the owner of a workspace, with the standard library alone.

The owner listens on a Unix socket in a folder of this user (0700); on Windows it listens on a loopback port and the
socket path is a private file that names port and token. Whoever connects first sends one line of JSON, the preamble,
that says who it is; MCP or control messages follow, one JSON object a line.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasteward.errors import EngineFault
from datasteward.file_lock import hold_file_lock
from datasteward.workspace import Workspace

START_SECONDS = 30.0
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX") and sys.platform != "win32"
TAKEN = b"\n"
"""What the owner sends when it has read a preamble and serves the connection."""
_RETRY_SECONDS = 0.005
_PAUSE_SECONDS = 0.05
_ATTEMPTS = 20


def connect(path: Path) -> socket.socket | None:
    """A connection to whoever listens at `path`, or None when nobody does."""
    if HAS_UNIX_SOCKETS:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.connect(str(path))
        except OSError:
            stream.close()
            return None
        return stream
    return _connect_loopback(path)


def _connect_loopback(path: Path) -> socket.socket | None:
    try:
        address = json.loads(path.read_text())
        stream = socket.create_connection(("127.0.0.1", int(address["port"])), timeout=2)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    stream.settimeout(None)
    stream.sendall(f"{address['token']}\n".encode())
    return stream


def attach(workspace: Workspace, start_command: Sequence[str], first_line: bytes) -> socket.socket:
    """A connection to the workspace's owner, which is started when nobody answers; `first_line` is the preamble.

    Processes that arrive together start one owner: the others wait at a file lock. A socket left behind by a killed
    owner is replaced, and a connection that an ending owner still took is made again. Raises `EngineFault` with the
    owner's last words when it does not come up in 30 s.
    """
    for _ in range(_ATTEMPTS):
        stream = connect(workspace.socket_path)
        if stream is None:
            workspace.make_state_folder()
            make_private_folder(workspace.socket_folder)
            with hold_file_lock(workspace.state_folder / "starting.lock"):
                stream = connect(workspace.socket_path) or _start(workspace, start_command)
        if is_taken(stream, first_line):
            return stream
        time.sleep(_PAUSE_SECONDS)
    raise EngineFault(
        "The owner process of this workspace takes no connection of ours.",
        hint="steward owner stop ends it, and the next command starts another.",
    )


def is_taken(stream: socket.socket, first_line: bytes) -> bool:
    """Say who we are and wait for the owner's word (one line end); False, and closed, when it went away instead."""
    stream.settimeout(START_SECONDS)
    try:
        stream.sendall(first_line)
        word = stream.recv(1)
    except OSError:
        word = b""
    if word != TAKEN:
        stream.close()
        return False
    stream.settimeout(None)
    return True


def _start(workspace: Workspace, command: Sequence[str]) -> socket.socket:
    with workspace.owner_log_path.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=workspace.root,
            start_new_session=True,
            close_fds=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        stream = connect(workspace.socket_path)
        if stream is not None:
            return stream
        if process.poll() is not None:
            break
        time.sleep(_RETRY_SECONDS)
    raise EngineFault(
        "The owner process of this workspace did not start." + _last_words(workspace.owner_log_path, log_start),
        hint="steward doctor tells what is wrong; --no-owner does without a background process.",
    )


def _last_words(log_path: Path, start: int) -> str:
    try:
        with log_path.open("rb") as log:
            log.seek(start)
            text = log.read(20_000).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    lines = text.splitlines()
    return f" It said: {lines[-1][:500]}" if lines else ""


def make_private_folder(folder: Path) -> None:
    """Create `folder` for this user alone; raises `EngineFault` when it belongs to someone else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        stat = folder.lstat()
        if stat.st_uid != os.getuid() or folder.is_symlink():
            raise EngineFault(f"{folder} belongs to another user.", hint="Set XDG_RUNTIME_DIR to a folder of your own.")
        if stat.st_mode & 0o077:
            folder.chmod(0o700)


def preamble(kind: str, front_end: str, name: str, *, is_model: bool) -> bytes:
    """The first line of a connection: protocol 1, `mcp` or `control`, and who speaks."""
    words: Mapping[str, object] = {
        "steward": 1,
        "kind": kind,
        "front_end": front_end,
        "name": name,
        "process_id": os.getpid(),
        "is_model": is_model,
    }
    return json.dumps(words, separators=(",", ":")).encode() + b"\n"


def owner_command(workspace: Workspace) -> list[str]:
    """How the owner process of a workspace is started."""
    return [sys.executable, "-m", "datasteward_cli.owner_process", str(workspace.root)]
