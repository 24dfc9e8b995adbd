"""A session on a Spark Connect server: the few calls of Spark's own client that computing into Parquet files needs."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from grpc import RpcError, StatusCode
from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession as Client
from pyspark.sql.connect.shell.progress import ProgressHandler, StageInfo

ATTEMPTS = 3

Progress = Callable[[int, int], None]
"""Told how many tasks are done, and how many there are so far."""
FaultKind = Literal["unreachable", "cancelled", "failed"]


class SparkFault(Exception):
    """What the server, or the way to it, said instead of an answer."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class SparkSession:
    """One session; `interrupt` may be called from another thread, everything else from one.

    Every method raises `SparkFault`: unreachable, cancelled (after `interrupt`) or failed.
    """

    def __init__(self, address: str) -> None:
        """A session on `host:port`; the first call finds out whether somebody answers there."""
        self._is_interrupted = False
        self._spark = Client.builder.remote(f"sc://{address}").create()
        self._spark.client.set_retry_policies(
            [DefaultPolicy(max_retries=ATTEMPTS, initial_backoff=200, max_backoff=2000)]
        )

    def configure(self, settings: Mapping[str, str]) -> None:
        """Set what the session's queries run under."""
        for key, value in settings.items():
            self._try(self._spark.conf.set, key, value)

    def name_files(self, name: str, paths: Iterable[str]) -> None:
        """Make `name` mean the rows of these Parquet files for the session's queries."""
        rows = self._spark.read.parquet(*paths)
        self._try(rows.createOrReplaceTempView, name)

    def write_rows(self, sql: str, path: str, progress: Progress | None = None) -> None:
        """Compute a query into Parquet files in the folder `path`, which must not exist yet."""
        report = _Report(progress or (lambda done, total: None))
        self._spark.registerProgressHandler(report)
        try:
            self._try(lambda: self._spark.sql(sql).write.mode("error").parquet(path))
        finally:
            self._spark.removeProgressHandler(report)

    def interrupt(self) -> None:
        """Stop whatever the session computes; what waits for it gets `SparkFault` (cancelled)."""
        self._is_interrupted = True
        self._try(self._spark.interruptAll)

    def close(self) -> None:
        """Let the server forget the session."""
        try:
            self._try(self._spark.stop)
        except SparkFault:
            pass

    def _try(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except (PySparkException, RpcError) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> SparkFault:
        cause = error if isinstance(error, RpcError) else error.__cause__ or error.__context__
        if isinstance(cause, RpcError) and cause.code() == StatusCode.UNAVAILABLE and not self._is_interrupted:
            return SparkFault("unreachable", str(cause.details()))
        return SparkFault("cancelled" if self._is_interrupted else "failed", str(error))


class _Report(ProgressHandler):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(
        self, stages: Iterable[StageInfo] | None, inflight_tasks: int, operation_id: str | None, done: bool
    ) -> None:
        counted = list(stages or ())
        if counted:
            self._progress(sum(s.num_completed_tasks for s in counted), sum(s.num_tasks for s in counted))
