"""Opens DuckDB with everything closed that a query does not need, and the settings locked."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.engine.carriers import quote_name, quote_text

_CLOSED_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",
    "SET python_scan_all_frames = false",
    "SET enable_logging = false",
    "SET enable_progress_bar = true",
    "SET enable_progress_bar_print = false",
    "SET http_proxy = ''",
    "SET file_search_path = ''",
    "SET errors_as_json = false",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedFile:
    """One more DuckDB file, attached under `name` before files are closed."""

    name: str
    path: Path
    is_read_only: bool = True


def open_reader(
    database: Path | None,
    *,
    roots: Iterable[Path],
    results: Iterable[Path],
    memory_limit_bytes: int,
    threads: int,
    temp_folder: Path,
    temp_limit_bytes: int,
    attached: Iterable[AttachedFile] = (),
) -> duckdb.DuckDBPyConnection:
    """A locked in-memory instance with `database` attached read-only under its stem, and beside it what is `attached`.

    Files below `roots` and `results` are readable; settings cannot be changed any more. Every cursor starts with an
    empty search path: take cursors for users' SQL from `open_cursor`. Raises `duckdb.Error` when the file cannot be
    opened (IOException while another process holds it).
    """
    return _open(
        database,
        is_read_only=True,
        folders=(*roots, *results),
        memory_limit_bytes=memory_limit_bytes,
        threads=threads,
        temp_folder=temp_folder,
        temp_limit_bytes=temp_limit_bytes,
        attached=attached,
    )


def open_writer(
    database: Path,
    *,
    roots: Iterable[Path],
    results: Iterable[Path],
    memory_limit_bytes: int,
    threads: int,
    temp_folder: Path,
    temp_limit_bytes: int,
    storage_version: str = "v1.0.0",
    attached: Iterable[AttachedFile] = (),
) -> duckdb.DuckDBPyConnection:
    """Like `open_reader` with the database open for changes; a new file gets `storage_version` (bytes, threads)."""
    return _open(
        database,
        is_read_only=False,
        folders=(*roots, *results),
        memory_limit_bytes=memory_limit_bytes,
        threads=threads,
        temp_folder=temp_folder,
        temp_limit_bytes=temp_limit_bytes,
        storage_version=storage_version,
        attached=attached,
    )


def open_cursor(
    connection: duckdb.DuckDBPyConnection, database_name: str | None, schemas: Iterable[str] = ()
) -> duckdb.DuckDBPyConnection:
    """A cursor on which bare names mean the database's, then those of the in-memory catalog and of its `schemas`."""
    cursor = connection.cursor()
    look_into(cursor, database_name, schemas)
    return cursor


def look_into(cursor: duckdb.DuckDBPyConnection, database_name: str | None, schemas: Iterable[str]) -> None:
    """Make a cursor find names as `open_cursor` says; a schema in memory is found only where it is named here."""
    path = ["memory.main", *(f"memory.{quote_name(s)}" for s in schemas)]
    if database_name is not None:
        path.insert(0, f"{quote_name(database_name)}.main")
    if len(path) > 1:
        cursor.execute(f"SET search_path = {quote_text(','.join(path))}")


def _open(
    database: Path | None,
    *,
    is_read_only: bool,
    folders: tuple[Path, ...],
    memory_limit_bytes: int,
    threads: int,
    temp_folder: Path,
    temp_limit_bytes: int,
    storage_version: str | None = None,
    attached: Iterable[AttachedFile] = (),
) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": threads, "allow_unsigned_extensions": False})
    try:
        connection.execute(f"SET memory_limit = '{memory_limit_bytes}B'")
        connection.execute(f"SET temp_directory = {quote_text(str(temp_folder))}")
        connection.execute(f"SET max_temp_directory_size = '{temp_limit_bytes}B'")
        for setting in _CLOSED_SETTINGS:
            connection.execute(setting)
        if database is not None:
            connection.execute(_attach(database, is_read_only, storage_version))
        for file in attached:
            option = " (READ_ONLY)" if file.is_read_only else ""
            connection.execute(f"ATTACH {quote_text(str(file.path))} AS {quote_name(file.name)}{option}")
        _close_files(connection, folders)
        if database is not None:
            path = f"{quote_name(database.stem)}.main,memory.main"
            connection.execute(f"SET search_path = {quote_text(path)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _attach(database: Path, is_read_only: bool, storage_version: str | None) -> str:
    options = ["READ_ONLY"] if is_read_only else []
    if storage_version is not None and not database.exists():
        options.append(f"STORAGE_VERSION {quote_text(storage_version)}")
    extra = f" ({', '.join(options)})" if options else ""
    return f"ATTACH {quote_text(str(database))} AS {quote_name(database.stem)}{extra}"


def _close_files(connection: duckdb.DuckDBPyConnection, folders: tuple[Path, ...]) -> None:
    allowed = sorted(
        {f"{folder.resolve()}{os.sep}" for folder in folders} | {f"{folder}{os.sep}" for folder in folders}
    )
    listed = ", ".join(quote_text(folder) for folder in allowed)
    connection.execute(f"SET allowed_directories = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
