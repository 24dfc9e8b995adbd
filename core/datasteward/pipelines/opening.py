"""The user's database opened for a run: writable, with a place for before-images, and everything else closed."""

import threading
import time
from collections.abc import Sequence

import duckdb

from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import AttachedFile, open_writer
from datasteward.errors import ToolError

LOCK_POLL_SECONDS = 0.05


def open_for_run(settings: WorkerSettings, attached: Sequence[AttachedFile]) -> duckdb.DuckDBPyConnection:
    """A locked instance with the database attached for writing, made when it is missing.

    Waits its turn while another process holds the database file, for as long as the settings say, and then raises
    `ToolError` (busy).
    """
    deadline = time.monotonic() + settings.lock_wait_seconds
    while True:
        try:
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
        except duckdb.IOException as error:
            if "lock" in str(error).lower() and time.monotonic() < deadline:
                threading.Event().wait(LOCK_POLL_SECONDS)
                continue
            raise ToolError(
                f"{settings.database.name} cannot be opened for writing: {error}",
                code="busy",
                hint="Close the other program that holds it, then run again.",
            ) from error
