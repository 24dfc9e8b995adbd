"""One writer instance of DuckDB for one job: the user's database, a place for images, and settings nobody can undo."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.changes.confinement import confine_writes
from datasteward.changes.model import SourceView
from datasteward.changes.names import quote_name, quote_text
from datasteward.changes.stamps import ABSENT, stamp_database
from datasteward.errors import ToolError

SCRATCH = "__steward_scratch"
SCRATCH_FULL = "__steward_scratch_full"
IMAGES = "__steward_images"
RECORD = "__steward_record"
STORAGE_VERSION = "v1.0.0"
LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Where the database is, what may be read and written, and how much may be used."""

    database: Path
    catalog: str
    """The name under which statements know the database."""
    allowed: tuple[Path, ...]
    """Folders that statements may read, and the staging folder."""
    temp_folder: Path
    memory_bytes: int
    threads: int
    lock_wait_seconds: float
    """How long another process may hold the database file before that is an error."""
    frozen_at: str
    """ISO 8601 in UTC: what `now()` gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Cursors on one instance: `work` changes inside one transaction, `before` still sees the committed state.

    What `before` notes for `work` goes into databases in memory. A transaction sees such a database as it was when it
    first read from it, or from DuckDB's catalog functions, which look into all of them; so what is noted must be
    there by then. Anything later crosses as Arrow.
    """

    catalog: str
    work: duckdb.DuckDBPyConnection
    before: duckdb.DuckDBPyConnection
    probe: duckdb.DuckDBPyConnection
    """Like `before`, with the user's names in scope, to evaluate the conditions of statements."""
    stamp: str
    """The database file's stamp, taken once no other process could write it; `absent` when this session made it."""


_ready: list[duckdb.DuckDBPyConnection] = []


def make_ready() -> None:
    """Start an empty instance ahead for this process's first session, with DuckDB's own catalog loaded."""
    root = _start_instance()
    root.execute("SELECT count(*) FROM system.main.duckdb_columns()").fetchall()
    root.execute("SELECT system.main.json_serialize_sql('SELECT 1')").fetchall()
    _ready.append(root)


def _start_instance() -> duckdb.DuckDBPyConnection:
    """An instance without threads of its own: those come once it is clear what they may write."""
    root = duckdb.connect(":memory:", config={"threads": 1, "async_threads": 0})
    _freeze_time(root)
    root.execute("; ".join(_SETTINGS))
    for scratch in (SCRATCH, SCRATCH_FULL):
        root.execute(f"ATTACH ':memory:' AS {scratch}")
    return root


_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",
    "SET python_scan_all_frames = false",
    "SET enable_logging = false",
    "SET enable_progress_bar_print = false",
    "SET http_proxy = ''",
    "SET file_search_path = ''",
    "SET preserve_insertion_order = true",
    "SET arrow_lossless_conversion = true",
)
"""What holds wherever the database is; the rest is set, and all of it locked, once that is attached."""


@contextmanager
def open_session(
    settings: SessionSettings,
    *,
    images: Path | None,
    record: Path | None = None,
    sources: Sequence[SourceView] = (),
    create: bool = False,
    staging: Path | None = None,
) -> Iterator[Session]:
    """A session on the database; without `create` a missing file is stood in for by an empty database in memory.

    With `staging` nothing will be committed, and the writer's own process can write only there and what it needs.

    With `create` a missing file is made, and removed again if nothing was committed to it. `images` is the DuckDB file
    for before-images, when an undo record will be written; `record` is attached to be read.
    Raises `ToolError` (busy) when another process holds the database file.
    """
    root = _ready.pop() if _ready else _start_instance()
    stamp = ""
    try:
        stamp = _attach(root, settings, images, record, create)
        path = _make_sources(root, settings.catalog, sources)
        if staging is not None:
            confine_writes([settings.database, settings.temp_folder, staging])
        _lock(root, settings)
        work, before, probe = root.cursor(), root.cursor(), root.cursor()
        instant = f"CAST({quote_text(settings.frozen_at)} AS TIMESTAMPTZ)"
        for cursor in (work, probe):
            cursor.execute(f"SET search_path = {quote_text(path)}; SET VARIABLE {_INSTANT} = {instant}")
        yield Session(
            catalog=settings.catalog,
            work=work,
            before=before,
            probe=probe,
            stamp=stamp,
        )
        for cursor in (probe, before, work):
            cursor.close()
    finally:
        if stamp == ABSENT and create and _is_empty(root, settings.catalog):
            settings.database.unlink(missing_ok=True)
        root.close()


def _attach(
    root: duckdb.DuckDBPyConnection, settings: SessionSettings, images: Path | None, record: Path | None, create: bool
) -> str:
    """Attach everything, and return the stamp of the database file, which nobody else can write from now on."""
    name = quote_name(settings.catalog)
    exists = settings.database.exists()
    source = quote_text(str(settings.database)) if exists or create else "':memory:'"
    option = f" (STORAGE_VERSION {quote_text(STORAGE_VERSION)})" if create and not exists else ""
    _attach_patiently(root, f"ATTACH {source} AS {name}{option}", settings)
    if Path(f"{settings.database}.wal").exists():
        with suppress(duckdb.Error):
            root.execute(f"CHECKPOINT {name}")
    if images is not None:
        root.execute(f"ATTACH {quote_text(str(images))} AS {IMAGES}")
    if record is not None:
        root.execute(f"ATTACH {quote_text(str(record))} AS {RECORD} (READ_ONLY)")
    was_absent = not exists and (not create or _is_empty(root, settings.catalog))
    return ABSENT if was_absent else stamp_database(settings.database)


def _is_empty(root: duckdb.DuckDBPyConnection, catalog: str) -> bool:
    """Whether the committed state has no table; what cannot be told counts as not empty."""
    try:
        found = root.execute("SELECT 1 FROM system.main.duckdb_tables() WHERE database_name = ?", [catalog]).fetchone()
    except duckdb.Error:
        return False
    return found is None


def _attach_patiently(root: duckdb.DuckDBPyConnection, sql: str, settings: SessionSettings) -> None:
    deadline = time.monotonic() + settings.lock_wait_seconds
    while True:
        try:
            root.execute(sql)
            return
        except duckdb.IOException as error:
            if "lock" in str(error).lower() and time.monotonic() < deadline:
                threading.Event().wait(LOCK_POLL_SECONDS)
                continue
            raise ToolError(
                f"{settings.database.name} cannot be opened for writing: {error}",
                code="busy",
                hint="Close the other program that holds it, then try again; the approval is kept.",
            ) from error


def _make_sources(root: duckdb.DuckDBPyConnection, catalog: str, sources: Sequence[SourceView]) -> str:
    """Make the views that names outside the database stand for, and return the search path that finds them last."""
    schemas = ["main", *dict.fromkeys(s.schema_name for s in sources if s.schema_name != "main")]
    for schema in schemas[1:]:
        root.execute(f"CREATE SCHEMA memory.{quote_name(schema)}")
    for source in sources:
        root.execute(f"CREATE VIEW memory.{quote_name(source.schema_name)}.{quote_name(source.name)} AS {source.query}")
    return ",".join([f"{quote_name(catalog)}.main", *(f"memory.{quote_name(s)}" for s in schemas)])


def _lock(root: duckdb.DuckDBPyConnection, settings: SessionSettings) -> None:
    folders = ", ".join(quote_text(f"{path}/") for path in settings.allowed)
    settings_of_job = (
        f"SET memory_limit = '{settings.memory_bytes // 1024} KiB'",
        f"SET threads = {settings.threads}" if settings.threads else "RESET threads",
        "RESET async_threads",
        f"SET temp_directory = {quote_text(str(settings.temp_folder))}",
        f"SET allowed_directories = [{folders}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    )
    root.execute("; ".join(settings_of_job))


def _freeze_time(root: duckdb.DuckDBPyConnection) -> None:
    """Macros that the search path has before DuckDB's own functions; defaults of columns use them too.

    Each cursor sets the moment that they give. Those that cannot be frozen fail when they are evaluated: a default that
    is not used does no harm.
    """
    instant = f"system.main.getvariable({quote_text(_INSTANT)})"
    local = f"CAST({instant} AS TIMESTAMP)"
    time = f"CAST({local} AS TIME)"
    meanings = {
        "now": instant,
        "get_current_timestamp": instant,
        "current_timestamp": instant,
        "transaction_timestamp": instant,
        "current_date": f"CAST({local} AS DATE)",
        "today": f"CAST({local} AS DATE)",
        "current_localtimestamp": local,
        "localtimestamp": local,
        "current_localtime": time,
        "localtime": time,
        "get_current_time": f"CAST({time} AS TIMETZ)",
        "current_time": f"CAST({time} AS TIMETZ)",
    }
    meanings.update({name: f"system.main.error({quote_text(VOLATILE_DEFAULT + name)})" for name in _UNFREEZABLE})
    root.execute("; ".join(f"CREATE MACRO memory.main.{name}() AS {meaning}" for name, meaning in meanings.items()))


_INSTANT = "steward_frozen_at"
VOLATILE_DEFAULT = "datasteward: volatile default "
"""Begins the error of a statement that would use a column's default which gives another value each time."""
_UNFREEZABLE = ("random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid")


FROZEN_FUNCTIONS = frozenset(
    {
        "now",
        "get_current_timestamp",
        "current_timestamp",
        "transaction_timestamp",
        "current_date",
        "today",
        "current_localtimestamp",
        "localtimestamp",
        "current_localtime",
        "localtime",
        "get_current_time",
        "current_time",
    }
)
