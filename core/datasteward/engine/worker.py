"""The worker process: SQL runs here, with an empty environment, locked settings and no descriptor but its own pipes.

Started as `python -I -m datasteward.engine.worker`. The first message is the settings; each later one asks for an
operation or takes one back. When the pipe closes, the process ends at once, whatever it is doing.
"""

import importlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.wire import encode_message, read_message
from datasteward.errors import DatastewardError, ToolError

PROGRESS_SECONDS = 0.5
_ADDRESS_SPACE_FACTOR = 3
_ADDRESS_SPACE_BASE = 4 * 2**30

logger = logging.getLogger(__name__)


class Worker:
    """Reads requests on one thread and carries them out, one at a time, on another."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, settings: WorkerSettings) -> None:
        from datasteward.engine.session import Session

        self._incoming = incoming
        self._outgoing = outgoing
        self._session = Session(settings)
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._write_lock = threading.Lock()
        self._current: int | None = None
        self._taken_back: set[int] = set()

    def run(self) -> None:
        """Serve until the pipe closes."""
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._report_progress, daemon=True).start()
        while True:
            self._carry_out(self._requests.get())

    def _listen(self) -> None:
        while True:
            try:
                message = read_message(self._incoming)
            except (OSError, ValueError):
                message = None
            if message is None:
                os._exit(0)
            if "cancel" in message:
                self._taken_back.add(message["cancel"])
                if message["cancel"] == self._current:
                    self._session.interrupt()
            else:
                self._requests.put(message)

    def _carry_out(self, request: Mapping[str, Any]) -> None:
        from datasteward.engine.operations import find_operation

        call = int(request["id"])
        self._session.begin_call()
        self._current = call
        if call in self._taken_back:
            self._session.interrupt()

        def tell(event: str, data: Mapping[str, Any]) -> None:
            self._send({"id": call, "event": event, "data": data})

        try:
            outcome = find_operation(str(request["op"]))(self._session, request["args"], tell)
            reply: dict[str, Any] = {"id": call, "event": "done", "data": outcome}
        except ToolError as error:
            data = {"code": error.code, "message": error.message, "hint": error.hint, "position": error.position}
            reply = {"id": call, "event": "error", "data": data}
        except DatastewardError as error:
            data = {"code": "unavailable", "message": error.message, "hint": error.hint, "position": None}
            reply = {"id": call, "event": "error", "data": data}
        except MemoryError:
            data = {"code": "too_large", "message": "The call needs more memory than a worker may use."}
            reply = {"id": call, "event": "error", "data": data}
        except Exception as error:
            logger.exception("operation %s failed", request["op"])
            data = {"code": "internal", "message": f"The worker failed: {type(error).__name__}."}
            reply = {"id": call, "event": "error", "data": data}
        finally:
            self._current = None
            self._taken_back.discard(call)
        self._send(reply)

    def _report_progress(self) -> None:
        pause = threading.Event()
        while not pause.wait(PROGRESS_SECONDS):
            call = self._current
            if call is not None:
                percent, rows = self._session.percent_done(), self._session.rows_so_far
                self._send({"id": call, "event": "progress", "data": {"percent": percent, "rows": rows}})

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._write_lock:
            try:
                self._outgoing.write(encode_message(message))
                self._outgoing.flush()
            except OSError:
                os._exit(0)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The process's stdin and stdout moved to private descriptors; what prints by mistake goes to stderr."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return incoming, outgoing


def limit_process(settings: WorkerSettings) -> None:
    """Bound what the kernel will give this process: address space, file size, no core dump."""
    if sys.platform == "win32":
        return
    import resource

    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: max(settings.temp_bytes, 2**30) * 2}
    if sys.platform == "linux":
        wanted[resource.RLIMIT_AS] = settings.memory_bytes * _ADDRESS_SPACE_FACTOR + _ADDRESS_SPACE_BASE
    for kind, limit in wanted.items():
        _, hard = resource.getrlimit(kind)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (allowed, allowed))


def restrict_files(settings: WorkerSettings) -> None:
    """The kernel's own bounds where it has Landlock: data and code readable, results, cache and spill writable."""
    from datasteward.engine.landlock import restrict

    code = {Path(sys.prefix), Path(sys.base_prefix), *(Path(p) for p in sys.path if p and Path(p).exists())}
    system = [
        Path(p) for p in ("/usr/share/zoneinfo", "/etc/localtime", "/lib", "/usr/lib", "/lib64") if Path(p).exists()
    ]
    database = settings.database.parent if settings.database.parent.is_dir() else settings.workspace_root
    report = restrict(
        read=[*settings.roots, database, *code, *system],
        write=[settings.results_folder, settings.cache_folder, settings.temp_folder],
    )
    logger.debug("landlock: %s", report)


def _import_engine() -> None:
    """Load what every query needs before the settings arrive, so that the wait for them is not lost."""
    for module in ("duckdb", "pyarrow.parquet", "datasteward.engine.operations", "datasteward.engine.query"):
        importlib.import_module(module)


def main() -> None:
    """Entry point of the process."""
    logging.basicConfig(level=logging.WARNING, format="worker %(process)d: %(message)s")
    incoming, outgoing = take_pipes()
    _import_engine()

    first = read_message(incoming)
    if first is None:
        return
    settings = WorkerSettings.from_json(first["settings"])
    limit_process(settings)
    restrict_files(settings)
    Worker(incoming, outgoing, settings).run()


if __name__ == "__main__":
    main()
