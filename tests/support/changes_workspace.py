"""A workspace for tests of changes: real DuckDB and SQLite, a plain inspector, and writers in or out of process."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from datasteward.changes.contract_writing import ContractInspector
from datasteward.changes.execute import run
from datasteward.changes.from_gate import inspect_report
from datasteward.changes.jobs import CheckQuery, WriterPlace
from datasteward.changes.model import ColumnLabel, Preview, SourceView, StatementWork, TableName
from datasteward.changes.policy import PolicySettings
from datasteward.changes.ports import Hooks, Inspected, NoHooks
from datasteward.changes.service import ChangeService
from datasteward.engine.gate import AttachedCatalog, FileRules, Gate, NamedSource
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import open_reader
from datasteward.engine.sources import Sources
from datasteward.errors import EngineFault, ToolError
from datasteward.journal import Journal
from datasteward.state import StateDatabase

TABLE = r'((?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))?)'
HEADS = (
    ("insert", rf"insert\s+(?:or\s+\w+\s+)?into\s+{TABLE}"),
    ("update", rf"(?:with\b.*?\)\s*)?update\s+{TABLE}"),
    ("delete", rf"delete\s+from\s+{TABLE}"),
    ("merge", rf"merge\s+into\s+{TABLE}"),
    ("truncate", rf"truncate\s+(?:table\s+)?{TABLE}"),
    ("copy_to", rf"copy\s+{TABLE}\s+to\b"),
    ("copy_to", r"copy\s+\(()"),
    ("copy_from", rf"copy\s+{TABLE}\s+from\b"),
    ("create_table_as", rf"create\s+(?:or\s+replace\s+)?table\s+(?:if\s+not\s+exists\s+)?{TABLE}"),
    ("create_view", rf"create\s+(?:or\s+replace\s+)?view\s+{TABLE}"),
    ("drop_table", rf"drop\s+table\s+(?:if\s+exists\s+)?{TABLE}"),
    ("alter_table", r"alter\s+table\b()"),
    ("ddl", r"(?:create|drop|alter|comment)\b()"),
)


def name_of(text: str) -> TableName:
    """`s.t` or `"s"."t"` as a table name."""
    parts = [p[1:-1].replace('""', '"') if p[0] == '"' else p for p in re.findall(r'"(?:[^"]|"")+"|\w+', text)]
    return TableName(schema_name=parts[-2] if len(parts) > 1 else "main", name=parts[-1])


class PlainInspector:
    """Tells the kinds of simple statements by their heads; stands in for the gate."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def inspect(self, sql: str) -> Inspected:
        """The statements with what these tests need to know of them."""
        return Inspected(statements=tuple(self._facts(s.query.strip()) for s in duckdb.extract_statements(sql)))

    def _facts(self, sql: str) -> StatementWork:
        found = [(k, m) for k, p in HEADS if (m := re.match(p, sql, re.IGNORECASE | re.DOTALL))]
        if not found:
            raise ToolError("This does not change anything.", code="forbidden")
        kind, match = found[0]
        volatile = tuple(f for f in ("random", "now", "nextval", "uuid") if re.search(rf"\b{f}\s*\(", sql))
        if kind != "copy_to":
            return StatementWork(sql=sql, kind=kind, writes=(name_of(match[1]),) if match[1] else (), volatile=volatile)
        target = re.search(r"\bto\s+'([^']+)'", sql, re.IGNORECASE)
        assert target is not None
        return StatementWork(
            sql=sql,
            kind=kind,
            reads=(name_of(match[1]),) if match[1] else tuple(map(name_of, re.findall(rf"from\s+{TABLE}", sql))),
            target_file=str(self.root / target[1]),
            target_text=target[1],
            target_start=target.start(1) - 1,
            target_end=target.end(1) + 1,
            volatile=volatile,
        )


class GateInspector:
    """The real gate, opened for one text."""

    def __init__(self, workspace: "ChangesWorkspace") -> None:
        self.workspace = workspace

    async def inspect(self, sql: str) -> Inspected:
        """The statements as the gate reads them."""
        w = self.workspace
        folders = {n: w.steward / n for n in ("results", "cache", "temp")}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        settings = WorkerSettings(
            workspace_root=w.root,
            roots=(w.root / "data",),
            database=w.database,
            state_folder=w.steward,
            results_folder=folders["results"],
            cache_folder=folders["cache"],
            temp_folder=folders["temp"],
            memory_bytes=512 << 20,
            temp_bytes=1 << 30,
            threads=2,
            sql_bytes=1 << 16,
        )
        connection = open_reader(
            w.database if w.database.exists() else None,
            roots=settings.roots,
            results=(folders["results"], folders["cache"]),
            memory_limit_bytes=512 << 20,
            threads=2,
            temp_folder=folders["temp"],
            temp_limit_bytes=1 << 30,
        )
        try:
            catalog = AttachedCatalog(connection, "warehouse" if w.database.exists() else None)
            sources = Sources(settings)
            rules = FileRules(roots=settings.roots, workspace_root=w.root, denied=(w.steward, w.database))

            def view_of(source: NamedSource) -> SourceView:
                view = sources.view(source, connection)
                return SourceView(schema_name=view.schema, name=view.name, query=view.select, told=view.told)

            report = Gate(catalog, sources, rules).check(sql, intent="write")
            found = inspect_report(report, view_of)
            return Inspected(statements=found.statements, sources=found.sources)
        finally:
            connection.close()


class InProcessWriter:
    """Runs jobs in this process, one at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The outcome."""
        async with self.lock:
            return await asyncio.to_thread(run, job_json)


_CHILD = "from datasteward.changes.writer_process import main; main()"


@dataclass
class ProcessWriter:
    """Runs each job in a process of its own, which `crash_at` may kill at a named point."""

    crash_at: str = ""
    limit_file_bytes: int = 0
    memory: dict[str, str] = field(default_factory=dict)

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The outcome; raises `EngineFault` when the process died."""
        return await asyncio.to_thread(self._run, job_json, timeout_seconds)

    def _run(self, job_json: str, timeout_seconds: float) -> str:
        code = _CHILD
        if self.limit_file_bytes:
            code = (
                "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
                f"resource.setrlimit(resource.RLIMIT_FSIZE, ({self.limit_file_bytes},) * 2);" + code
            )
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=job_json,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env={**os.environ, "DATASTEWARD_CRASH_AT": self.crash_at},
            check=False,
        )
        if done.returncode != 0:
            raise EngineFault(f"the writer ended with {done.returncode}: {done.stderr[-300:]}")
        return done.stdout


class TableHooks(NoHooks):
    """Hooks with fixed checks, downstream names and labels."""

    def __init__(
        self,
        checks: tuple[CheckQuery, ...] = (),
        downstream: tuple[str, ...] = (),
        labels: tuple[ColumnLabel, ...] = (),
    ) -> None:
        self.checks, self.downstream, self.given = checks, downstream, labels

    async def downstream_of(self, statements: object, preview: Preview) -> tuple[str, ...]:
        """The fixed names."""
        return self.downstream

    async def checks_for(self, statements: object) -> tuple[CheckQuery, ...]:
        """The fixed checks."""
        return self.checks

    async def labels(self) -> tuple[ColumnLabel, ...]:
        """The fixed labels."""
        return self.given


@dataclass
class ChangesWorkspace:
    """Paths of one test workspace, and services on it."""

    root: Path
    memory_bytes: int = 512 << 20
    lock_wait_seconds: float = 0.5

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def steward(self) -> Path:
        """`.steward`."""
        return self.root / ".steward"

    def make(self, sql: str = "") -> "ChangesWorkspace":
        """Create the folders, and the database with these statements."""
        for name in ("", "undo", "temp", "journal", "staging"):
            (self.steward / name).mkdir(parents=True, exist_ok=True)
        (self.root / "data").mkdir(exist_ok=True)
        if sql:
            self.run(sql)
        return self

    def run(self, sql: str) -> list[tuple[object, ...]]:
        """Run SQL straight on the database file, as another program would."""
        connection = duckdb.connect(str(self.database))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def place(self) -> WriterPlace:
        """Where the writer works."""
        return WriterPlace(
            workspace_root=str(self.root),
            database=str(self.database),
            catalog="warehouse",
            roots=(str(self.root / "data"),),
            state_folder=str(self.steward),
            memory_bytes=self.memory_bytes,
            threads=2,
            lock_wait_seconds=self.lock_wait_seconds,
        )

    def service(
        self,
        *,
        policy: PolicySettings | None = None,
        writer: object | None = None,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.time,
        with_gate: bool = False,
    ) -> ChangeService:
        """A service with its own connections, as another process would have."""
        return ChangeService(
            state=StateDatabase(self.steward / "state.sqlite"),
            journal=Journal(self.steward / "journal"),
            writer=writer or InProcessWriter(),  # type: ignore[arg-type]
            inspector=ContractInspector(GateInspector(self) if with_gate else PlainInspector(self.root), self.root),
            place=self.place(),
            policy=policy or PolicySettings(),
            hooks=hooks,
            clock=clock,
        )

    def fingerprint(self) -> str:
        """Everything that the user can see in the database, as one text; our ledger left out."""
        if not self.database.exists():
            return "[]"
        connection = duckdb.connect(str(self.database))
        try:
            tables = connection.execute(
                "SELECT schema_name, table_name, sql FROM duckdb_tables() WHERE schema_name <> '_steward' ORDER BY ALL"
            ).fetchall()
            facts: list[object] = [list(t) for t in tables]
            for schema, table, _ in tables:
                row = connection.execute(
                    "SELECT count(*), sum(hash(__r))::VARCHAR, bit_xor(hash(__r))::VARCHAR FROM"
                    f' "{schema.replace(chr(34), chr(34) * 2)}"."{table.replace(chr(34), chr(34) * 2)}" AS __r'
                ).fetchone()
                facts.append(row)
            for query in (
                "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
                "SELECT sql FROM duckdb_indexes() ORDER BY ALL",
                "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name <> '_steward' ORDER BY ALL",
                "SELECT type_name, labels::VARCHAR FROM duckdb_types() WHERE NOT internal ORDER BY ALL",
            ):
                facts.append(connection.execute(query).fetchall())
            return json.dumps(facts)
        finally:
            connection.close()

    def tables(self) -> dict[str, tuple[object, ...]]:
        """The exact print of each table in schema main."""
        names = self.run("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY 1")
        return {
            str(n): self.run(f"SELECT count(*), sum(hash(__r)), bit_xor(hash(__r)) FROM {n} AS __r")[0]
            for (n,) in names
        }

    def receipts(self) -> list[str]:
        """Handles of the changes that the database has receipts of."""
        if not self.database.exists():
            return []
        try:
            return [str(r[0]) for r in self.run("SELECT change FROM _steward.receipts")]
        except duckdb.CatalogException:
            return []


KILLED = -signal.SIGKILL
