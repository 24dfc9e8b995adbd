"""The workspace's durable state: one SQLite database that every process of the workspace may open."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datasteward.errors import ConfigError, ToolError

BUSY_TIMEOUT_SECONDS = 10.0


class StateDatabase:
    """`state.sqlite` in WAL mode; each thread keeps a connection of its own.

    Components call `migrate` once with their ordered list of scripts; a database of a newer version than the
    program knows is refused with `ConfigError`, never changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._open)

    def migrate(self, component: str, scripts: Sequence[str]) -> None:
        """Bring `component`'s tables to version `len(scripts)`, each script once and in one transaction.

        Raises `ConfigError` when the file was written by a newer version.
        """
        with self.connection() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_version (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"
            )
            row = connection.execute("SELECT version FROM schema_version WHERE component = ?", (component,)).fetchone()
            have = int(row[0]) if row else 0
            if have > len(scripts):
                raise ConfigError(
                    f"{self.path.name} holds version {have} of '{component}', this program knows {len(scripts)}.",
                    hint="Upgrade datasteward, or point --workspace at another folder.",
                )
            for script in scripts[have:]:
                for statement in _split_script(script):
                    connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_version VALUES (?, ?)"
                " ON CONFLICT (component) DO UPDATE SET version = excluded.version",
                (component, len(scripts)),
            )

    @contextmanager
    def connection(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction: committed at the end, rolled back when the block raises.

        `write=False` gives a read snapshot. Raises `ToolError` (busy, disk_full) with what to do.
        """
        connection = self._thread_connection()
        try:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise _explain(error, self.path) from error

    def close(self) -> None:
        """Close the connections of every thread, as happens by itself when nothing refers to this object any more."""
        with self._lock:
            _close_all(self._open)
        self._local = threading.local()

    def _thread_connection(self) -> sqlite3.Connection:
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is not None:
            return existing
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        except (sqlite3.Error, OSError) as error:
            raise _explain(error, self.path) from error
        self._local.connection = connection
        with self._lock:
            self._open.append(connection)
        return connection


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


def _split_script(script: str) -> Iterator[str]:
    buffer = ""
    for piece in script.split(";")[:-1] if script.rstrip().endswith(";") else script.split(";"):
        buffer += f"{piece};"
        if sqlite3.complete_statement(buffer):
            yield buffer
            buffer = ""
    if buffer.strip(" ;\n\t"):
        yield buffer


def _explain(error: Exception, path: Path) -> Exception:
    text = str(error)
    if "locked" in text or "busy" in text:
        return ToolError(
            f"{path.name} is held by another process: {text}.", code="busy", hint="Try again in a few seconds."
        )
    if "full" in text:
        return ToolError(
            f"No space left to write {path.name}.",
            code="disk_full",
            hint="Free some space (steward results prune removes old results) and call again; nothing was lost.",
        )
    if "not a database" in text or "malformed" in text:
        return ConfigError(
            f"{path.name} is damaged: {text}.",
            hint="Move the file away to start with an empty state; results and undo records stay on disk.",
        )
    if isinstance(error, OSError) or "unable to open" in text or "readonly" in text:
        return ConfigError(f"{path} cannot be opened for writing: {text}.", hint="Check the folder's owner and rights.")
    return ToolError(f"{path.name}: {text}.", code="internal")
