"""The user's database opened for a run: writable, with a place for before-images, and everything else closed."""

import threading
import time
from pathlib import Path

import duckdb

from datasteward.changes.session import IMAGES
from datasteward.engine.carriers import quote_text
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import _CLOSED_SETTINGS, _attach, _close_files
from datasteward.errors import ToolError

STORAGE_VERSION = "v1.0.0"
LOCK_POLL_SECONDS = 0.05


def open_for_run(
    settings: WorkerSettings, images: Path | None, extra: tuple[Path, ...] = ()
) -> duckdb.DuckDBPyConnection:
    """A locked instance with the database attached for writing, made when it is missing.

    Files below the roots, the caches and `extra` are readable. Waits its turn while another process holds the database
    file, for as long as the settings say, and then raises `ToolError` (busy).
    """
    deadline = time.monotonic() + settings.lock_wait_seconds
    while True:
        try:
            return _open(settings, images, extra)
        except duckdb.IOException as error:
            if "lock" in str(error).lower() and time.monotonic() < deadline:
                threading.Event().wait(LOCK_POLL_SECONDS)
                continue
            raise ToolError(
                f"{settings.database.name} cannot be opened for writing: {error}",
                code="busy",
                hint="Close the other program that holds it, then run again.",
            ) from error


def _open(settings: WorkerSettings, images: Path | None, extra: tuple[Path, ...]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": settings.threads, "allow_unsigned_extensions": False})
    try:
        connection.execute(f"SET memory_limit = '{settings.memory_bytes}B'")
        connection.execute(f"SET temp_directory = {quote_text(str(settings.temp_folder))}")
        connection.execute(f"SET max_temp_directory_size = '{settings.temp_bytes}B'")
        for setting in _CLOSED_SETTINGS:
            connection.execute(setting)
        connection.execute(_attach(settings.database, False, STORAGE_VERSION))
        if images is not None:
            connection.execute(f"ATTACH {quote_text(str(images))} AS {IMAGES}")
        _close_files(connection, (*settings.roots, settings.results_folder, settings.cache_folder, *extra))
    except BaseException:
        connection.close()
        raise
    return connection
