"""A session on a Spark Connect server, by the few calls that computing a query into Parquet files needs.

The messages are those of Spark 3.5 to 4.x (`spark/connect/*.proto`), encoded by `wire`; only this module's process
needs `grpc`.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import grpc

from datasteward.pipelines.spark.wire import integer, message, pair, read_fields, text

CONNECT_SECONDS = 10.0
CALL_SECONDS = 60.0
LARGEST_MESSAGE_BYTES = 128 * 2**20
CLIENT = "datasteward"
_SERVICE = "/spark.connect.SparkConnectService/"
_INTERRUPT_ALL = 1
_FAIL_IF_EXISTS = 3
_PROGRESS = 18

Progress = Callable[[int, int], None]
"""Told how many tasks are done, and how many there are so far."""
FaultKind = Literal["unreachable", "cancelled", "failed"]


class SparkFault(Exception):
    """What the server, or the way to it, said instead of an answer."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class SparkSession:
    """One session; `interrupt` may be called from another thread, everything else from one."""

    def __init__(self, address: str) -> None:
        """Connect to `host:port`; raises `SparkFault` (unreachable) when nobody answers in time."""
        self._id = str(uuid.uuid4())
        limits = [("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.insecure_channel(address, options=limits)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=CONNECT_SECONDS)
        except grpc.FutureTimeoutError as error:
            self._channel.close()
            raise SparkFault("unreachable", f"nobody answered within {CONNECT_SECONDS:.0f} s") from error

    def configure(self, settings: Mapping[str, str]) -> None:
        """Set what the session's queries run under."""
        pairs = [pair(1, key, value) for key, value in settings.items()]
        self._call("Config", self._head(), message(3, message(1, *pairs)), text(4, CLIENT))

    def name_files(self, name: str, paths: Iterable[str]) -> None:
        """Make `name` mean the rows of these Parquet files for the session's queries."""
        source = message(2, text(1, "parquet"), *(text(4, path) for path in paths))
        view = message(1, message(2, source)) + text(2, name) + integer(4, 1)
        self._execute(message(3, view), None)

    def write_rows(self, sql: str, path: str, progress: Progress | None = None) -> None:
        """Compute a query into Parquet files in the folder `path`, which must not exist yet."""
        rows = message(1, message(10, text(1, sql)))
        self._execute(message(2, rows, text(2, "parquet"), text(3, path), integer(5, _FAIL_IF_EXISTS)), progress)

    def interrupt(self) -> None:
        """Stop whatever the session computes; what waits for it gets `SparkFault` (cancelled)."""
        self._call("Interrupt", self._head(), text(3, CLIENT), integer(4, _INTERRUPT_ALL))

    def close(self) -> None:
        """Let the server forget the session."""
        try:
            self._call("ReleaseSession", self._head(), text(3, CLIENT))
        except SparkFault:
            pass
        self._channel.close()

    def _head(self) -> bytes:
        return text(1, self._id) + message(2, text(1, CLIENT), text(2, CLIENT))

    def _execute(self, command: bytes, progress: Progress | None) -> None:
        call = self._channel.unary_stream(f"{_SERVICE}ExecutePlan")
        request = self._head() + message(3, message(2, command)) + text(4, CLIENT)
        try:
            for answer in call(request):
                for field in read_fields(answer) if progress is not None else ():
                    if field.number == _PROGRESS and isinstance(field.value, bytes) and progress is not None:
                        progress(*_count_tasks(field.value))
        except grpc.RpcError as error:
            raise _fault(error) from error

    def _call(self, method: str, *parts: bytes) -> None:
        try:
            self._channel.unary_unary(_SERVICE + method)(b"".join(parts), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise _fault(error) from error


def _count_tasks(progress: bytes) -> tuple[int, int]:
    done = total = 0
    for stage in read_fields(progress):
        if stage.number == 1 and isinstance(stage.value, bytes):
            facts = {f.number: f.value for f in read_fields(stage.value) if isinstance(f.value, int)}
            total += facts.get(2, 0)
            done += facts.get(3, 0)
    return done, total


def _fault(error: grpc.RpcError) -> SparkFault:
    code, words = error.code(), str(error.details() or "").strip()
    if code == grpc.StatusCode.CANCELLED or "OPERATION_CANCELED" in words or "INTERRUPTED" in words.upper()[:200]:
        return SparkFault("cancelled", words)
    if code == grpc.StatusCode.UNAVAILABLE:
        return SparkFault("unreachable", words)
    return SparkFault("failed", words or str(code))
