"""What the attached database holds, read so that nothing stored in it can disguise it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb

from datasteward.engine.gate_facts import CatalogName, ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A table or view; `sql` is its definition as DuckDB prints it."""

    schema: str
    name: str
    kind: ObjectKind
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMacro:
    """One form of a macro: its parameters and its body, an expression or (for a table macro) a query."""

    schema: str
    name: str
    parameters: tuple[str, ...]
    definition: str
    is_table: bool


class CatalogView(Protocol):
    """What the gate asks about the database; names are compared without regard to case."""

    @property
    def database_name(self) -> str | None:
        """The name under which the database is attached, or None when there is none."""
        ...

    def find(self, schema: str, name: str) -> StoredObject | None:
        """The table or view of that name."""
        ...

    def has_schema(self, schema: str) -> bool:
        """Whether the database holds that schema."""
        ...

    def macros(self, name: str) -> Sequence[StoredMacro]:
        """Every form of every macro of that name, whatever its schema."""
        ...

    def macro_names(self) -> Iterable[str]:
        """The names of all stored macros, in lower case."""
        ...

    def names(self) -> Sequence[CatalogName]:
        """Every table, view and macro."""
        ...


class AttachedCatalog:
    """The catalog of the database attached as `database_name`, read once and again after `refresh`.

    It reads through a cursor of its own, whose search path is the empty in-memory catalog, calls DuckDB's catalog
    functions by their full name and uses no other function, so that stored macros and views are never consulted.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, database_name: str | None) -> None:
        self._connection = connection
        self._database_name = database_name
        self._objects: dict[tuple[str, str], StoredObject] = {}
        self._macros: dict[str, list[StoredMacro]] = {}
        self._schemas: frozenset[str] = frozenset()
        self._is_read = False

    @property
    def database_name(self) -> str | None:
        """The name under which the database is attached."""
        return self._database_name

    def refresh(self) -> None:
        """Read the catalog again at the next question."""
        self._is_read = False

    def find(self, schema: str, name: str) -> StoredObject | None:
        """The table or view of that name, or None."""
        self._read()
        return self._objects.get((schema.casefold(), name.casefold()))

    def has_schema(self, schema: str) -> bool:
        """Whether the database holds that schema."""
        self._read()
        return schema.casefold() in self._schemas

    def macros(self, name: str) -> Sequence[StoredMacro]:
        """Every form of every macro of that name, in any schema."""
        self._read()
        return self._macros.get(name.casefold(), ())

    def macro_names(self) -> Iterable[str]:
        """The names of all stored macros, in lower case."""
        self._read()
        return self._macros.keys()

    def names(self) -> Sequence[CatalogName]:
        """Every table, view and macro with its schema."""
        self._read()
        found = [CatalogName(parts=(o.schema, o.name), kind=o.kind) for o in self._objects.values()]
        return [*found, *(CatalogName(parts=(f[0].schema, f[0].name), kind="macro") for f in self._macros.values())]

    def _read(self) -> None:
        if self._is_read:
            return
        self._objects, self._macros, self._schemas = {}, {}, frozenset()
        if self._database_name is not None:
            cursor = self._connection.cursor()
            try:
                self._read_objects(cursor)
                self._read_macros(cursor)
            finally:
                cursor.close()
        self._is_read = True

    def _read_objects(self, cursor: duckdb.DuckDBPyConnection) -> None:
        kinds: tuple[tuple[ObjectKind, str], ...] = (
            ("table", "SELECT schema_name, table_name, sql, database_name FROM system.main.duckdb_tables()"),
            ("view", "SELECT schema_name, view_name, sql, database_name FROM system.main.duckdb_views()"),
        )
        for kind, sql in kinds:
            for schema, name, definition, database in cursor.execute(sql).fetchall():
                if database == self._database_name:
                    item = StoredObject(schema=schema, name=name, kind=kind, sql=definition or "")
                    self._objects[schema.casefold(), name.casefold()] = item
        schemas = cursor.execute("SELECT schema_name, database_name FROM system.main.duckdb_schemas()").fetchall()
        self._schemas = frozenset(schema.casefold() for schema, database in schemas if database == self._database_name)

    def _read_macros(self, cursor: duckdb.DuckDBPyConnection) -> None:
        rows = cursor.execute(
            "SELECT database_name, schema_name, function_name, parameters, macro_definition, function_type"
            " FROM system.main.duckdb_functions() WHERE NOT internal"
        ).fetchall()
        for database, schema, name, parameters, definition, kind in rows:
            if database == self._database_name:
                macro = StoredMacro(
                    schema=schema,
                    name=name,
                    parameters=tuple(parameters or ()),
                    definition=definition or "",
                    is_table=kind == "table_macro",
                )
                self._macros.setdefault(name.casefold(), []).append(macro)
