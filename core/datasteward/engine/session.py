"""What a worker keeps between calls: the locked connection, the gate, and the views that named sources need."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.gate import AttachedCatalog, FileRules, Gate
from datasteward.engine.gate_facts import GateReport, NamedSource, StatementFacts
from datasteward.engine.gate_parser import Parser
from datasteward.engine.jobs import SourceUse, WorkerSettings
from datasteward.engine.lockdown import open_reader
from datasteward.engine.sources import Sources, SourceView
from datasteward.errors import Cancelled, ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStatement:
    """A statement the gate let through, with what it reads; its views exist when this is returned."""

    sql: str
    kind: str
    sources: tuple[SourceUse, ...]
    told: tuple[str, ...] = ()


class Session:
    """One worker's state; calls come one at a time, `interrupt` from any thread."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.is_cancelled = False
        self.rows_so_far = 0
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._has_database = False
        self._catalog: AttachedCatalog | None = None
        self._gate: Gate | None = None
        self._parser: Parser | None = None
        self._sources = Sources(settings)
        self._views: dict[str, SourceView] = {}
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self._lock = threading.Lock()

    def begin_call(self) -> None:
        """Forget the last call's cancel and counts."""
        self.is_cancelled = False
        self.rows_so_far = 0

    def interrupt(self) -> None:
        """Stop what runs now; safe from another thread."""
        self.is_cancelled = True
        with self._lock:
            for cursor in self._cursors:
                cursor.interrupt()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when the call was taken back."""
        if self.is_cancelled:
            raise Cancelled()

    def count_rows(self, rows: int) -> None:
        """Note how many rows have been read, for progress."""
        self.rows_so_far = rows

    def percent_done(self) -> float | None:
        """The engine's own estimate for the running statement, 0 to 100, or None."""
        with self._lock:
            values = [cursor.query_progress() for cursor in self._cursors]
        known = [v for v in values if v is not None and v >= 0]
        return max(known) if known else None

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own on the locked connection; give it back with `close_cursor`."""
        cursor = self._open().cursor()
        path = self._search_path()
        if path != "memory.main":
            cursor.execute(f"SET search_path = {quote_text(path)}")
        with self._lock:
            self._cursors.append(cursor)
        return cursor

    def _search_path(self) -> str:
        """The database first, then our own views, then the schemas that hold parts of files and `results`."""
        schemas = sorted({view.schema for view in self._views.values()} - {"main"})
        own = ["memory.main", *(f"memory.{quote_name(s)}" for s in schemas)]
        return ",".join([f"{quote_name(self.database_name)}.main", *own] if self.database_name else own)

    def close_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Close a cursor of `cursor()` and every one opened since."""
        with self._lock:
            at = self._cursors.index(cursor)
            closing, self._cursors[at:] = self._cursors[at:], []
        for item in closing:
            item.close()

    def release(self) -> None:
        """Let go of the database file, so that another program may open it."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._gate, self._catalog = None, None, None
        self._views.clear()

    def prepare(self, sql: str) -> list[PreparedStatement]:
        """The statements of `sql`, all let through by the gate, their named sources ready.

        Raises `ToolError`: invalid_arguments for an empty text, or the gate's refusal of the first refused statement.
        """
        self._open()
        assert self._gate is not None
        report = self._gate.check(sql, intent="read")
        self._raise_refusal(report, sql)
        if not report.statements:
            raise ToolError(
                "The SQL holds no statement.",
                code="invalid_arguments",
                hint="Send a query such as FROM orders LIMIT 5.",
            )
        if any(_looks_at_catalog(statement) for statement in report.statements):
            self._drop_views()
        return [self._prepare(statement) for statement in report.statements]

    def _drop_views(self) -> None:
        """Take away the views that earlier calls needed, so that a look at the catalog shows the user's own."""
        assert self._connection is not None
        cursor = self._connection.cursor()
        try:
            for view in self._views.values():
                cursor.execute(f"DROP VIEW IF EXISTS memory.{quote_name(view.schema)}.{quote_name(view.name)}")
        finally:
            cursor.close()
        self._views.clear()

    def _prepare(self, statement: StatementFacts) -> PreparedStatement:
        told = [line for source in statement.named_sources for line in self._ensure_view(source)]
        told += [line for file in statement.files for line in self._sources.tell_call(file, self._open())]
        return PreparedStatement(
            sql=statement.text, kind=statement.kind, sources=_sources_of(statement), told=tuple(dict.fromkeys(told))
        )

    def prepare_by_all_lines(self, sql: str) -> PreparedStatement | None:
        """A statement already let through, its delimited files now read by what all their lines hold.

        None when it reads no such file, or reads them so already. Raises `ToolError` as `prepare` does.
        """
        report = self.check(sql, for_write=False)
        self._raise_refusal(report, sql)
        sources = [source for statement in report.statements for source in statement.named_sources]
        changed = [source for source in sources if self._sources.read_whole(source)]
        return self._prepare(report.statements[0]) if changed else None

    def _raise_refusal(self, report: GateReport, sql: str) -> None:
        refusal = report.refusal
        if refusal is None:
            return
        hint = refusal.hint
        if refusal.code == "syntax" and hint is None:
            hint = self._sources.explain_syntax(refusal.message, sql)
        raise ToolError(refusal.message, code=refusal.code, hint=hint, position=refusal.position)

    def check(self, sql: str, *, for_write: bool) -> GateReport:
        """The gate's report on `sql` without running anything."""
        self._open()
        assert self._gate is not None
        return self._gate.check(sql, intent="write" if for_write else "read")

    def source_view(self, source: NamedSource) -> SourceView:
        """The view of a source that the gate named; raises `ToolError` when its file cannot be read."""
        return self._sources.view(source, self._open())

    def known_names(self) -> list[str]:
        """Names a query may use: tables, views, files and results."""
        tables = [] if self._catalog is None else [n.parts[-1] for n in self._catalog.names()]
        return [*tables, *self._sources.names()]

    @property
    def database_name(self) -> str | None:
        """The attached database's name in SQL, or None when there is no database yet."""
        return self._catalog.database_name if self._catalog is not None else None

    def _open(self) -> duckdb.DuckDBPyConnection:
        has_database = self.settings.database.is_file()
        if self._connection is not None and has_database == self._has_database:
            return self._connection
        self.release()
        self._connection = self._connect(self.settings.database if has_database else None)
        self._has_database = has_database
        self._catalog = AttachedCatalog(self._connection, self.settings.database.stem if has_database else None)
        rules = FileRules(
            roots=self.settings.roots,
            workspace_root=self.settings.workspace_root,
            denied=(self.settings.state_folder, *_database_files(self.settings.database)),
        )
        self._parser = self._parser or Parser()
        self._gate = Gate(self._catalog, self._sources, rules, max_bytes=self.settings.sql_bytes, parser=self._parser)
        return self._connection

    def _connect(self, database: Path | None) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.settings.lock_wait_seconds
        while True:
            try:
                return open_reader(
                    database,
                    roots=self.settings.roots,
                    results=(self.settings.results_folder, self.settings.cache_folder),
                    memory_limit_bytes=self.settings.memory_bytes,
                    threads=self.settings.threads,
                    temp_folder=self.settings.temp_folder / str(os.getpid()),
                    temp_limit_bytes=self.settings.temp_bytes,
                )
            except duckdb.IOException as error:
                self.raise_if_cancelled()
                if "lock" not in str(error).lower() or time.monotonic() > deadline:
                    raise explain_duckdb_error(error, "") from error
                threading.Event().wait(0.05)
            except duckdb.Error as error:
                raise explain_duckdb_error(error, "") from error

    def _ensure_view(self, source: NamedSource) -> tuple[str, ...]:
        """Make the view a source needs if it is not there as it should be; what a reader of it must know."""
        assert self._connection is not None
        view = self._sources.view(source, self._connection)
        if self._views.get(view.key) != view:
            self._make_view(view)
            self._views[view.key] = view
        return view.told

    def _make_view(self, view: SourceView) -> None:
        assert self._connection is not None
        cursor = self._connection.cursor()
        try:
            if view.schema != "main":
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS memory.{quote_name(view.schema)}")
            name = f"memory.{quote_name(view.schema)}.{quote_name(view.name)}"
            cursor.execute(f"CREATE OR REPLACE VIEW {name} AS {view.select}")
        except duckdb.Error as error:
            raise explain_duckdb_error(error, view.select) from error
        finally:
            cursor.close()


def _looks_at_catalog(facts: StatementFacts) -> bool:
    return (
        facts.kind == "show"
        or any(read.kind == "system" for read in facts.reads)
        or any(name.startswith(("duckdb_", "pragma_")) for name in facts.functions)
    )


def _database_files(database: Path) -> tuple[Path, ...]:
    return (database, database.with_name(database.name + ".wal"), database.with_name(database.name + ".tmp"))


def _sources_of(facts: StatementFacts) -> tuple[SourceUse, ...]:
    reads = [SourceUse(kind="view" if r.kind == "view" else "table", name=".".join(r.parts)) for r in facts.reads]
    named = [SourceUse(kind=n.kind, name=n.shown) for n in facts.named_sources]
    files = [SourceUse(kind="file", name=str(f.text)) for f in facts.files]
    return tuple(dict.fromkeys([*reads, *named, *files]))
