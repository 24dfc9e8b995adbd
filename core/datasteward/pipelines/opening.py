"""The user's database opened for a pipeline, with the databases that it names, and everything else closed."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import AttachedFile, open_reader, open_writer
from datasteward.errors import ToolError

LOCK_POLL_SECONDS = 0.05


def open_for_run(settings: WorkerSettings, attached: Sequence[AttachedFile]) -> duckdb.DuckDBPyConnection:
    """A locked instance with the database attached for writing, made when it is missing.

    Waits its turn while another process holds one of the files, for as long as the settings say, and then raises
    `ToolError` (busy).
    """

    def open_once() -> duckdb.DuckDBPyConnection:
        return open_writer(
            settings.database,
            roots=settings.roots,
            results=(settings.results_folder, settings.cache_folder),
            memory_limit_bytes=settings.memory_bytes,
            threads=settings.threads,
            temp_folder=settings.temp_folder,
            temp_limit_bytes=settings.temp_bytes,
            attached=attached,
        )

    return _open_patiently(
        open_once, settings.lock_wait_seconds, f"{settings.database.name} cannot be opened for writing"
    )


def open_to_plan(
    settings: WorkerSettings, database: Path | None, attached: Sequence[AttachedFile]
) -> duckdb.DuckDBPyConnection:
    """A locked instance with `database`, when there is one, attached to be read; waits and raises as a run does."""

    def open_once() -> duckdb.DuckDBPyConnection:
        return open_reader(
            database,
            roots=settings.roots,
            results=(settings.results_folder, settings.cache_folder),
            memory_limit_bytes=settings.memory_bytes,
            threads=settings.threads,
            temp_folder=settings.temp_folder,
            temp_limit_bytes=settings.temp_bytes,
            attached=attached,
        )

    return _open_patiently(open_once, settings.lock_wait_seconds, "The databases cannot be opened")


def _open_patiently(
    open_once: Callable[[], duckdb.DuckDBPyConnection], wait_seconds: float, words: str
) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return open_once()
        except duckdb.IOException as error:
            if "lock" in str(error).lower() and time.monotonic() < deadline:
                threading.Event().wait(LOCK_POLL_SECONDS)
                continue
            hint = "Close the other program that holds it, then try again."
            raise ToolError(f"{words}: {error}", code="busy", hint=hint) from error
