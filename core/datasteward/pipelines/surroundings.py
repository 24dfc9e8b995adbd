"""What assets can read around the pipeline: tables, views, files and results, with their columns and versions."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

import duckdb

from datasteward.engine.carriers import quote_name
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.engine.gate import AttachedCatalog, FileRules, Gate, GateReport, StoredObject
from datasteward.engine.gate_facts import NamedSource, Refused
from datasteward.engine.gate_made import GrowingCatalog
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import look_into
from datasteward.engine.sources import Sources
from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.lineage.sql_tokens import closing_index, read_tokens
from datasteward.pipelines.connected import ConnectedNames
from datasteward.pipelines.connections import DatabaseConnection
from datasteward.pipelines.loading import RESERVED_SCHEMAS
from datasteward.pipelines.problems import suggest
from datasteward.pipelines.syntax import FileScan

InputKind = Literal["table", "view", "file", "result", "connection"]
EXACT_ROWS = 5_000_000
"""Tables estimated to be longer are compared by their number of rows only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """One file as it was seen: size in bytes and time of change in nanoseconds."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a query names something outside: the parts of a name, or the call of a file function and its paths."""

    parts: tuple[str, ...] = ()
    call: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterInput:
    """Something an asset reads that no asset makes; `version` changes when its content may have changed."""

    name: str
    kind: InputKind
    asked: Asked
    columns: tuple[Column, ...]
    version: str
    rows: int | None = None
    files: tuple[FileState, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Bytes of its files."""
        return sum(f.size for f in self.files)


class Surroundings:
    """The workspace's data as one connection sees it; use from one thread."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        database_name: str | None,
        settings: WorkerSettings,
        assets: Iterable[tuple[str, str]],
        connections: Mapping[str, DatabaseConnection],
    ) -> None:
        self.connection = connection
        self.database_name = database_name
        self._catalog = AttachedCatalog(connection, database_name)
        self._sources = Sources(settings)
        self._names = ConnectedNames(self._sources, connections, settings)
        database = settings.database
        denied = (settings.state_folder, database, database.with_name(database.name + ".wal"))
        self._rules = FileRules(roots=settings.roots, workspace_root=settings.workspace_root, denied=denied)
        self._settings = settings
        self._assets = list(assets)
        self._schemas: list[str] = []
        self._gate: Gate | None = None
        self._root = settings.workspace_root
        self._made: dict[Asked, OuterInput] = {}
        self._known: dict[Asked, OuterInput] = {}

    def check(self, sql: str) -> GateReport:
        """The gate's word on a query; views for the names it uses are not made."""
        if self._gate is None:
            catalog = GrowingCatalog(self._catalog, database_name=self._settings.database.stem)
            for schema, table in self._assets:
                catalog.add_table(schema, table)
            self._gate = Gate(catalog, self._names, self._rules, max_bytes=self._settings.sql_bytes * 4)
        return self._gate.check(sql, intent="read")

    def digest(self) -> str:
        """What the meaning of a query depends on besides its own inputs: folders, and stored definitions of others."""
        mine = {(s.casefold(), t.casefold()) for s, t in self._assets}
        facts: list[object] = [
            installed_version("datasteward"),
            duckdb.__version__,
            self._settings.database.stem,
            self._root,
        ]
        facts += sorted(self._settings.roots)
        for name in sorted(self._catalog.names(), key=lambda n: n.parts):
            schema, table = name.parts[-2:]
            if name.kind == "macro":
                facts.append(self._catalog.macros(table))
            elif (schema.casefold(), table.casefold()) not in mine and schema not in RESERVED_SCHEMAS:
                facts.append(self._catalog.find(schema, table))
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    @property
    def found(self) -> tuple[OuterInput, ...]:
        """Everything that was found so far."""
        return tuple(self._made.values())

    def expect(self, known: Iterable[OuterInput]) -> None:
        """Take the columns of files from what was known of them, where the files are still the same."""
        self._known = {k.asked: k for k in known}

    def ask(self, asked: Asked) -> OuterInput | None:
        """What is meant now by something that was found before, or None; raises `ToolError` as finding it does."""
        return self.scan(asked) if asked.call else self.find(asked.parts)

    def names(self) -> list[str]:
        """Tables, views and files that could be read."""
        tables = [".".join(n.parts).removeprefix("main.") for n in self._catalog.names() if n.kind != "macro"]
        return [*tables, *self._sources.names()]

    def find(self, parts: tuple[str, ...]) -> OuterInput | None:
        """The table, view, file or result of that name, a view of it made where it needs one; None when there is none.

        Raises `ToolError` when a file is there and cannot be read.
        """
        asked = Asked(parts=parts)
        if asked not in self._made:
            found = self._find_connected(asked) or self._find_stored(asked) or self._find_named(asked)
            if found is None:
                return None
            self._made[asked] = found
        return self._made[asked]

    def scan(self, asked: Asked) -> OuterInput:
        """The files that a function such as `read_csv('data/*.csv')` reads; raises `ToolError` as the gate does."""
        if asked not in self._made:
            paths = [p for shown in asked.paths for p in self._allowed(shown)]
            label = ", ".join(asked.paths) or asked.call
            self._made[asked] = self._file_input(asked, label, f"SELECT * FROM {asked.call}", paths)
        return self._made[asked]

    def _find_connected(self, asked: Asked) -> OuterInput | None:
        connection, parts = self._names.find(asked.parts), asked.parts
        if connection is None:
            return None
        source = self._names.resolve(parts)
        if source is None:
            words = f"'{'.'.join(parts)}' cannot be read; a connection gives the tables of its main schema"
            raise ToolError(f"{words}, as {parts[0]}.{parts[-1]}", code="not_found")
        label = f"{parts[0]}.{parts[1]}"
        if connection.type == "sqlite":
            self._make_view(source)
            query = f"SELECT * FROM {quote_name(parts[0])}.{quote_name(parts[1])}"
            return self._file_input(asked, label, query, [source.path])
        stored = self._find_attached(parts[0].casefold(), parts[1])
        where = f"{quote_name(parts[0].casefold())}.main.{quote_name(stored.name)}"
        columns = self._columns(f"SELECT * FROM {where}")
        version, rows, notes = self._version(where, stored, columns)
        return OuterInput(
            name=label, kind="connection", asked=asked, columns=columns, version=version, rows=rows, notes=notes
        )

    def _find_attached(self, database: str, name: str) -> StoredObject:
        rows = self.connection.execute(
            "SELECT table_name, 'table' FROM system.main.duckdb_tables()"
            " WHERE database_name = $db AND schema_name = 'main' UNION ALL SELECT view_name, 'view'"
            " FROM system.main.duckdb_views() WHERE database_name = $db AND schema_name = 'main' AND NOT internal",
            {"db": database},
        ).fetchall()
        kinds = {str(n).casefold(): (str(n), str(k)) for n, k in rows}
        found, kind = kinds.get(name.casefold(), ("", ""))
        if kind == "table":
            return StoredObject(schema="main", name=found, kind="table", sql="")
        tables = [n for n, k in kinds.values() if k == "table"]
        words = "is a view, and a connection gives tables only" if kind else f"is not there{suggest(name, tables)}"
        raise ToolError(f"'{database}.{name}' {words}", code="not_found")

    def _find_stored(self, asked: Asked) -> OuterInput | None:
        parts = asked.parts
        local = parts[1:] if len(parts) == 3 else parts
        schema, name = local if len(local) == 2 else ("main", local[0])
        stored = self._catalog.find(schema, name)
        if stored is None:
            return None
        where = f"{quote_name(self.database_name or '')}.{quote_name(stored.schema)}.{quote_name(stored.name)}"
        columns = self._columns(f"SELECT * FROM {where}")
        version, rows, notes = self._version(where, stored, columns)
        label = stored.name if stored.schema == "main" else f"{stored.schema}.{stored.name}"
        kind: InputKind = "view" if stored.kind == "view" else "table"
        return OuterInput(name=label, kind=kind, asked=asked, columns=columns, version=version, rows=rows, notes=notes)

    def _version(
        self, where: str, stored: StoredObject, columns: Sequence[Column]
    ) -> tuple[str, int | None, tuple[str, ...]]:
        row = self.connection.execute(f"SELECT count(*) FROM {where}").fetchone()
        count = int(row[0]) if row else 0
        shape = hashlib.sha256(repr([(c.name, c.type) for c in columns]).encode()).hexdigest()[:12]
        if count > EXACT_ROWS:
            return f"{shape}:{count}", count, (f"{stored.name} is compared by its number of rows only",)
        names = ", ".join(quote_name(c.name) for c in columns)
        row = self.connection.execute(
            f"SELECT coalesce(sum(h), 0)::VARCHAR, coalesce(bit_xor(h), 0)::VARCHAR"
            f" FROM (SELECT system.main.hash({names}) AS h FROM {where})"
        ).fetchone()
        return f"{shape}:{count}:{row[0]}:{row[1]}" if row else shape, count, ()

    def _find_named(self, asked: Asked) -> OuterInput | None:
        parts = asked.parts
        source = self._sources.resolve(parts)
        if source is not None:
            told = self._make_view(source)
            names = ".".join(quote_name(p) for p in parts)
            if source.kind == "result":
                columns = self._columns(f"FROM {names}")
                return OuterInput(name=source.shown, kind="result", asked=asked, columns=columns, version=source.shown)
            paths = sorted(p for p in source.path.rglob("*") if p.is_file()) if source.path.is_dir() else [source.path]
            return self._file_input(asked, source.shown, f"SELECT * FROM {names}", paths, told)
        if len(parts) != 1 or not ("/" in parts[0] or "." in parts[0]):
            return None
        paths = self._allowed(parts[0])
        matches = tuple(paths) if self._rules.is_pattern(parts[0]) else ()
        told = self._make_view(NamedSource(parts=parts, kind="file", shown=parts[0], path=paths[0], matches=matches))
        return self._file_input(asked, parts[0], f"SELECT * FROM {quote_name(parts[0])}", paths, told)

    def _allowed(self, path: str) -> list[Path]:
        try:
            return list(self._rules.check_read(path))
        except Refused as refused:
            raise ToolError(refused.message, code=refused.code, hint=refused.hint) from refused

    def _make_view(self, source: NamedSource) -> tuple[str, ...]:
        """Make the view of a source, its types chosen by all lines of its files, as a run reads every one of them.

        Returns what is told of the reading, in sentences.
        """
        self._sources.read_whole(source)
        view = self._sources.view(source, self.connection)
        if view.schema != "main" and view.schema not in self._schemas:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS memory.{quote_name(view.schema)}")
            self._schemas.append(view.schema)
            look_into(self.connection, self.database_name, self._schemas)
        name = f"memory.{quote_name(view.schema)}.{quote_name(view.name)}"
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS {view.select}")
        return view.told

    def _file_input(
        self, asked: Asked, label: str, query: str, paths: Iterable[Path], told: Sequence[str] = ()
    ) -> OuterInput:
        states = []
        for path in sorted(set(paths)):
            facts = path.stat()
            shown = path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.as_posix()
            states.append(FileState(path=shown, size=facts.st_size, modified_ns=facts.st_mtime_ns))
        version = hashlib.sha256(repr([(s.path, s.size, s.modified_ns) for s in states]).encode()).hexdigest()[:20]
        known = self._known.get(asked)
        if known is not None and (known.name, known.version) == (label, version):
            return known
        return OuterInput(
            name=label,
            kind="file",
            asked=asked,
            columns=self._columns(query),
            version=version,
            files=tuple(states),
            notes=tuple(f"{label}: {sentence}" for sentence in told),
        )

    def _columns(self, query: str) -> tuple[Column, ...]:
        try:
            rows = self.connection.execute(f"DESCRIBE {query}").fetchall()
        except duckdb.Error as error:
            raise explain_duckdb_error(error, query) from error
        return tuple(Column(name=str(r[0]), type=str(r[1])) for r in rows)


def call_of(sql: str, scan: FileScan) -> Asked:
    """The file function as it is called in the query, without an alias."""
    text = sql[scan.start : scan.end]
    tokens = read_tokens(text)
    opening = next((i for i, t in enumerate(tokens) if t.text == "("), None)
    closing = None if opening is None else closing_index(tokens, opening)
    return Asked(call=text if closing is None else text[: tokens[closing].end], paths=scan.paths)
