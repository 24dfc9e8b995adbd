"""A small toolset on a real DuckDB, with proposals that are decided at a desk kept in SQLite.

Enough of the product to test the agent without it: reads that can be interrupted, changes that wait, are approved by
another process and are applied once.
"""

import asyncio
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from datasteward_agent.plans import Plan
from datasteward_agent.toolset import OnProgress, ProposalState, ToolAnswer, ToolDefinition, ToolProgress

_SQL = {
    "type": "object",
    "properties": {"sql": {"type": "string"}},
    "required": ["sql"],
    "additionalProperties": False,
}
DEFINITIONS = (
    ToolDefinition(name="run_query", description="Rows of a query.", input_schema=_SQL, read_only=True),
    ToolDefinition(name="propose_change", description="Propose a change.", input_schema=_SQL, read_only=False),
)


@dataclass(slots=True)
class Call:
    """One call as it came in, and when it began and ended in the order of all beginnings and ends."""

    name: str
    arguments: Mapping[str, Any]
    began: int
    ended: int | None = None
    is_cancelled: bool = False


class SqliteDesk:
    """Proposals in one SQLite file and the DuckDB file they change; any process may open both."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "desk.sqlite"
        self.database = folder / "desk.duckdb"
        with self._connect() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS proposal"
                " (id INTEGER PRIMARY KEY, sql TEXT, status TEXT, comment TEXT DEFAULT '', writes TEXT DEFAULT '[]')"
            )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10, isolation_level=None)

    def _run(self, sql: str, *values: Any) -> list[Any]:
        connection = self._connect()
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def propose(self, sql: str, status: str = "waiting", writes: tuple[str, ...] = ()) -> str:
        rows = self._run(
            "INSERT INTO proposal (sql, status, writes) VALUES (?, ?, ?) RETURNING id", sql, status, json.dumps(writes)
        )
        return f"c{rows[0][0]}"

    def decide(self, proposal_id: str, status: str, comment: str = "") -> None:
        self._run(
            "UPDATE proposal SET status = ?, comment = ? WHERE id = ? AND status = 'waiting'",
            status,
            comment,
            int(proposal_id[1:]),
        )

    def state(self, proposal_id: str) -> ProposalState:
        rows = self._run("SELECT status, comment FROM proposal WHERE id = ?", int(proposal_id[1:]))
        return ProposalState(proposal_id=proposal_id, status=rows[0][0], comment=rows[0][1])

    async def look(self, proposal_id: str) -> ProposalState:
        return self.state(proposal_id)

    async def wait(self, proposal_id: str, timeout_seconds: float) -> ProposalState:
        for _ in range(int(timeout_seconds / 0.01)):
            state = self.state(proposal_id)
            if state.status != "waiting":
                return state
            await asyncio.sleep(0.01)
        return self.state(proposal_id)

    async def apply(self, proposal_id: str) -> ProposalState:
        taken = self._run(
            "UPDATE proposal SET status = 'applied' WHERE id = ? AND status = 'approved' RETURNING sql",
            int(proposal_id[1:]),
        )
        if taken:
            with duckdb.connect(str(self.database)) as connection:
                connection.execute(taken[0][0])
        return self.state(proposal_id)

    async def withdraw(self, proposal_id: str, reason: str) -> ProposalState:
        self.decide(proposal_id, "rejected", reason)
        return self.state(proposal_id)

    async def approve(self, proposal_id: str, comment: str) -> ProposalState:
        self.decide(proposal_id, "approved", comment)
        return self.state(proposal_id)

    async def grant(self, proposal_id: str, plan: Plan) -> ProposalState:
        self.decide(proposal_id, "approved", f"by plan {plan.plan_id}")
        return self.state(proposal_id)


@dataclass(slots=True)
class DuckToolset:
    """`run_query` on an in-memory database; `propose_change` puts proposals on `desk`.

    `failures` maps a tool to error answers given before it works; `texts` to texts that stand in for its results.
    """

    desk: SqliteDesk | None = None
    failures: dict[str, list[ToolAnswer]] = field(default_factory=dict)
    extra: tuple[ToolDefinition, ...] = ()
    proposal_status: str = "waiting"
    writes: tuple[str, ...] = ()
    connection: duckdb.DuckDBPyConnection = field(default_factory=lambda: duckdb.connect(":memory:"))
    calls: list[Call] = field(default_factory=list)
    _handles: Any = field(default_factory=lambda: count(1))
    _moments: Any = field(default_factory=lambda: count(1))

    def definitions(self) -> Sequence[ToolDefinition]:
        return (*DEFINITIONS, *self.extra)

    async def call(self, name: str, arguments: Mapping[str, Any], call_id: str, on_progress: OnProgress) -> ToolAnswer:
        record = Call(name, arguments, next(self._moments))
        self.calls.append(record)
        await on_progress(ToolProgress(done=0, total=1, message="begun"))
        try:
            if self.failures.get(name):
                return self.failures[name].pop(0)
            if name == "propose_change":
                return self._propose(str(arguments["sql"]))
            return await self._query(str(arguments["sql"]))
        except asyncio.CancelledError:
            record.is_cancelled = True
            raise
        finally:
            record.ended = next(self._moments)

    def _propose(self, sql: str) -> ToolAnswer:
        assert self.desk is not None
        proposal_id = self.desk.propose(sql, self.proposal_status, self.writes)
        return ToolAnswer(
            text=f"{proposal_id} {self.proposal_status}: {sql}",
            structured={
                "change": proposal_id,
                "status": self.proposal_status,
                "digest": "d" * 64,
                "writes": list(self.writes),
            },
        )

    async def _query(self, sql: str) -> ToolAnswer:
        cursor = self.connection.cursor()
        task = asyncio.create_task(asyncio.to_thread(_fetch, cursor, sql))
        try:
            columns, rows = await asyncio.shield(task)
        except asyncio.CancelledError:
            cursor.interrupt()
            await asyncio.wait({task}, timeout=5)
            task.exception()
            raise
        except duckdb.Error as error:
            return ToolAnswer(text=f"binder: {error}", is_error=True, code="binder")
        handle = f"r{next(self._handles)}"
        lines = [" | ".join(columns), *(" | ".join(map(str, row)) for row in rows[:20])]
        return ToolAnswer(
            text=f"{handle}: {len(rows)} rows\n" + "\n".join(lines),
            structured={"results": [{"handle": handle, "rows": len(rows), "data": [list(map(str, r)) for r in rows]}]},
            handles=(handle,),
        )


def _fetch(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[Any]]:
    done = cursor.execute(sql)
    return [d[0] for d in done.description or []], done.fetchall()
