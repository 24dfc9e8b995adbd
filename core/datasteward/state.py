"""The workspace's durable state: one SQLite database that every process of the workspace may open."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasteward.errors import ConfigError, ToolError

BUSY_TIMEOUT_SECONDS = 10.0
CLOSE_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Held:
    """A thread's connection, and the lock that it has while it is in use: SQLite does not bear to be closed under one."""

    connection: sqlite3.Connection
    use: threading.RLock = field(default_factory=threading.RLock)


class StateDatabase:
    """`state.sqlite` in WAL mode; each thread keeps a connection of its own.

    Components call `migrate` once with their ordered list of scripts; a database of a newer version than the
    program knows is refused with `ConfigError`, never changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: list[_Held] = []
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
        held = self._thread_connection()
        connection = held.connection
        with held.use:
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
        """Close the connections of every thread, as happens by itself when nothing refers to this object any more.

        A transaction that is under way is waited for.
        """
        with self._lock:
            self._local = threading.local()
            _close_all(self._open)

    def _thread_connection(self) -> _Held:
        existing: _Held | None = getattr(self._local, "held", None)
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
        held = _Held(connection)
        with self._lock:
            self._local.held = held
            self._open.append(held)
        return held


def _close_all(connections: list[_Held]) -> None:
    while connections:
        held = connections.pop()
        if held.use.acquire(timeout=CLOSE_WAIT_SECONDS):
            held.connection.close()
            held.use.release()


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
