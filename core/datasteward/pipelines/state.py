"""What was published, kept in the user's own database (schema `_steward`) so that it travels with the data.

Rows are only ever added: one for each step of each run. The newest published one of an asset is its state.
"""

import itertools
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import duckdb

from datasteward.engine.carriers import quote_name
from datasteward.pipelines.fingerprints import AssetPrint
from datasteward.pipelines.inlining import Window
from datasteward.pipelines.options import Options

SCHEMA = "_steward"
TABLE = "steps"
StepStatus = Literal["published", "failed", "skipped"]
_ticks = itertools.count()


class Versions(Options):
    """Which content of an asset: one mark for its rows, one for each column's values (lower-case names)."""

    rows: str
    columns: Mapping[str, str]


class SeenFile(Options):
    """A file that was read: path, bytes, time of change in nanoseconds."""

    path: str
    size: int
    modified_ns: int


class WindowState(Options):
    """A span of time that is filled; ISO 8601, UTC."""

    start: datetime
    end: datetime

    def to_window(self) -> Window:
        """As the planner takes it."""
        return Window(start=self.start, end=self.end)


class CheckResult(Options):
    """What a check found: `bad` rows, or the number a table check gives."""

    name: str
    bad: int
    action: str


class AssetState(Options):
    """What was known of an asset when it was last published."""

    run: str
    change: str = ""
    at: str
    fingerprint: AssetPrint
    columns: tuple[tuple[str, str], ...]
    versions: Versions
    outer: Mapping[str, str] = {}
    reads: Mapping[str, Versions] = {}
    files: tuple[SeenFile, ...] = ()
    windows: tuple[WindowState, ...] = ()
    rows: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    attempts: int = 1
    null_shares: Mapping[str, float] = {}
    checks: tuple[CheckResult, ...] = ()
    message: str = ""
    sequence: int = 0
    pipeline: str = ""


def has_state(connection: duckdb.DuckDBPyConnection, database: str) -> bool:
    """Whether the database has been run into before."""
    row = connection.execute(
        "SELECT 1 FROM system.main.duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
        [database, SCHEMA, TABLE],
    ).fetchone()
    return row is not None


def make_state(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Make the schema and the table when they are missing."""
    schema = f"{quote_name(database)}.{SCHEMA}"
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {schema}.{TABLE} (sequence BIGINT NOT NULL, run VARCHAR NOT NULL, change VARCHAR"
        " NOT NULL, pipeline VARCHAR NOT NULL, asset VARCHAR NOT NULL, status VARCHAR NOT NULL, body VARCHAR NOT NULL)"
    )


def add_step(
    connection: duckdb.DuckDBPyConnection,
    database: str,
    *,
    pipeline: str,
    asset: str,
    status: StepStatus,
    state: AssetState,
) -> None:
    """Record a step inside the caller's transaction."""
    sequence = time.time_ns() // 1000 * 1000 + next(_ticks) % 1000
    connection.execute(
        f"INSERT INTO {quote_name(database)}.{SCHEMA}.{TABLE} VALUES (?, ?, ?, ?, ?, ?, ?)",
        [sequence, state.run, state.change, pipeline, asset, status, state.model_dump_json()],
    )


def read_states(connection: duckdb.DuckDBPyConnection, database: str | None) -> dict[str, AssetState]:
    """The newest published state of every asset, by key."""
    if database is None or not has_state(connection, database):
        return {}
    rows = connection.execute(
        f"SELECT asset, arg_max(body, sequence), max(sequence), arg_max(pipeline, sequence)"
        f" FROM {quote_name(database)}.{SCHEMA}.{TABLE} WHERE status = 'published' GROUP BY asset"
    ).fetchall()
    return {
        str(key): AssetState.model_validate_json(body).model_copy(
            update={"sequence": int(sequence), "pipeline": str(pipeline)}
        )
        for key, body, sequence, pipeline in rows
    }


def read_failures(connection: duckdb.DuckDBPyConnection, database: str | None) -> dict[str, str]:
    """The message of each asset whose newest step failed, by key."""
    if database is None or not has_state(connection, database):
        return {}
    rows = connection.execute(
        f"SELECT asset, arg_max(body, sequence) FROM {quote_name(database)}.{SCHEMA}.{TABLE}"
        " WHERE status <> 'skipped' GROUP BY asset HAVING arg_max(status, sequence) = 'failed'"
    ).fetchall()
    return {str(key): AssetState.model_validate_json(body).message for key, body in rows}


def read_history(
    connection: duckdb.DuckDBPyConnection, database: str, *, asset: str | None = None, limit: int = 50
) -> list[tuple[str, str, AssetState]]:
    """Steps, newest first: asset key, status, state."""
    if not has_state(connection, database):
        return []
    rows = connection.execute(
        f"SELECT asset, status, body FROM {quote_name(database)}.{SCHEMA}.{TABLE}"
        " WHERE ? IS NULL OR asset = ? ORDER BY sequence DESC LIMIT ?",
        [asset, asset, limit],
    ).fetchall()
    return [(str(k), str(s), AssetState.model_validate_json(b)) for k, s, b in rows]
