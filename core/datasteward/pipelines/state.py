"""What was published, kept in the user's own database (schema `_steward`) so that it travels with the data.

Rows are only ever added: one for each step of each run. The newest published one of an asset is its state.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from datasteward.engine.carriers import quote_name
from datasteward.pipelines.state_model import AssetState

SCHEMA = "_steward"
TABLE = "steps"
StepStatus = Literal["published", "failed", "skipped"]
_ticks = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of one run, as it is recorded."""

    pipeline: str
    asset: str
    status: StepStatus
    state: AssetState


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


def add_steps(connection: duckdb.DuckDBPyConnection, database: str, rows: Sequence[StepRow]) -> None:
    """Record steps inside the caller's transaction."""
    values: list[object] = []
    for row in rows:
        sequence = time.time_ns() // 1000 * 1000 + next(_ticks) % 1000
        state = row.state
        values += [sequence, state.run, state.change, row.pipeline, row.asset, row.status, state.model_dump_json()]
    marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(rows))
    if rows:
        connection.execute(f"INSERT INTO {quote_name(database)}.{SCHEMA}.{TABLE} VALUES {marks}", values)


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
