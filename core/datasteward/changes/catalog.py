"""What the user's database holds: tables with their columns, keys and indexes, and every object's definition."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datasteward.changes.model import ObjectKind, TableName
from datasteward.changes.names import LEDGER_SCHEMA

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; `expression` is a default or what a generated column computes."""

    name: str
    type: str
    is_nullable: bool
    is_generated: bool
    expression: str | None
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """A base table: columns in order, the columns of a key without nulls (or none), and what it refers to."""

    table: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    parents: tuple[str, ...]
    has_triggers: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(c.name for c in self.columns)

    @property
    def types(self) -> dict[str, str]:
        """The type of each column by name."""
        return {c.name: c.type for c in self.columns}

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of the columns that can be written, which leaves out generated ones."""
        return tuple(c.name for c in self.columns if not c.is_generated)


ObjectKey = tuple[ObjectKind, str, str]
_COUNTER = re.compile(r" START -?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogObject:
    """One object: the SQL that makes it, what must run after its rows are back, and the order it was made in."""

    kind: ObjectKind
    schema_name: str
    name: str
    order: int
    create_sql: str
    after_sql: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """Comments on the object, under the empty name, and on its columns."""
    is_exact: bool = True
    """False when `create_sql` may leave something out, as parameter defaults of macros are not in the catalog."""

    def is_same_but_for_notes(self, other: "CatalogObject") -> bool:
        """Whether nothing but the comments on it tells the two apart."""
        return (self.order, self.create_sql, self.indexes) == (other.order, other.create_sql, other.indexes)

    @property
    def definition(self) -> str:
        """SHA-256 of everything that defines it."""
        made = _COUNTER.sub("", self.create_sql) if self.kind == "sequence" else self.create_sql
        return hashlib.sha256(json.dumps([made, *self.after_sql]).encode()).hexdigest()


Row = tuple[object, ...]


def _rows(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: list[object]) -> list[Row]:
    return connection.execute(sql, parameters).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Base tables by (schema, name) and objects by (kind, schema, name), without our own ledger."""

    tables: Mapping[tuple[str, str], TableShape]
    objects: Mapping[ObjectKey, CatalogObject]


def read_catalog(
    connection: "duckdb.DuckDBPyConnection", catalog: str, *, only_tables: Iterable[str] | None = None
) -> Catalog:
    """What the database holds as this connection sees it.

    With `only_tables` no other kinds of objects, and only the tables with these names in any schema; all tables where
    one has a trigger, which may write to any.
    """
    triggered = _read_triggered(connection, catalog)
    names = None if only_tables is None or triggered else sorted({n.lower() for n in only_tables})
    columns = _read_columns(connection, catalog, names)
    found = _read_tables(connection, catalog, columns, names)
    keys, parents = _read_keys(connection, catalog, columns, names)
    tables = {
        (o.schema_name, o.name): TableShape(
            table=TableName(schema_name=o.schema_name, name=o.name),
            columns=tuple(columns.get((o.schema_name, o.name), ())),
            key=keys.get((o.schema_name, o.name), ()),
            parents=tuple(parents.get((o.schema_name, o.name), ())),
            has_triggers=(o.schema_name, o.name) in triggered,
        )
        for o in found
    }
    if only_tables is None:
        found += [
            *_read_schemas(connection, catalog),
            *_read_sequences(connection, catalog),
            *_read_types(connection, catalog),
            *_read_views(connection, catalog, columns),
            *_read_macros(connection, catalog),
        ]
    objects = {(o.kind, o.schema_name, o.name): o for o in found if LEDGER_SCHEMA not in {o.schema_name, o.name}}
    return Catalog(tables=tables, objects=objects)


Columns = Mapping[tuple[str, str], list[Column]]
Names = list[str] | None
_NAMED = " AND ($2 IS NULL OR list_contains($2::VARCHAR[], lower(table_name)))"


def _read_triggered(connection: "duckdb.DuckDBPyConnection", catalog: str) -> set[tuple[str, str]]:
    rows = _rows(
        connection,
        "SELECT schema_name, table_name FROM system.main.duckdb_triggers() WHERE database_name = ?",
        [catalog],
    )
    return {(str(schema), str(table)) for schema, table in rows}


def _read_columns(connection: "duckdb.DuckDBPyConnection", catalog: str, names: Names) -> Columns:
    columns: dict[tuple[str, str], list[Column]] = {}
    for schema, table, name, type_, nullable, default, generated, expression, comment in _rows(
        connection,
        "SELECT schema_name, table_name, column_name, data_type, is_nullable, column_default, is_generated,"
        " generation_expression, comment FROM system.main.duckdb_columns() WHERE database_name = $1 AND NOT internal"
        f"{_NAMED} ORDER BY schema_name, table_name, column_index",
        [catalog, names],
    ):
        columns.setdefault((str(schema), str(table)), []).append(
            Column(
                name=str(name),
                type=str(type_),
                is_nullable=bool(nullable),
                is_generated=bool(generated),
                expression=_text(expression if generated else default),
                comment=_text(comment),
            )
        )
    return columns


def _read_tables(
    connection: "duckdb.DuckDBPyConnection", catalog: str, columns: Columns, names: Names
) -> list[CatalogObject]:
    indexes = _read_indexes(connection, catalog, names)
    return [
        CatalogObject(
            kind="table",
            schema_name=str(schema),
            name=str(name),
            order=_number(oid),
            create_sql=str(sql),
            after_sql=(
                *indexes.get((str(schema), str(name)), ()),
                *_comments("table", catalog, schema, name, comment, columns),
            ),
            indexes=tuple(indexes.get((str(schema), str(name)), ())),
            notes=_notes(schema, name, comment, columns),
        )
        for schema, name, oid, sql, comment in _rows(
            connection,
            "SELECT schema_name, table_name, table_oid, sql, comment FROM system.main.duckdb_tables()"
            f" WHERE database_name = $1 AND NOT internal AND NOT temporary AND schema_name <> $3{_NAMED} ORDER BY ALL",
            [catalog, names, LEDGER_SCHEMA],
        )
    ]


def _read_keys(
    connection: "duckdb.DuckDBPyConnection", catalog: str, columns: Columns, names: Names
) -> tuple[dict[tuple[str, str], tuple[str, ...]], dict[tuple[str, str], list[str]]]:
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    parents: dict[tuple[str, str], list[str]] = {}
    for schema, table, kind, members, referenced in _rows(
        connection,
        "SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table"
        f" FROM system.main.duckdb_constraints() WHERE database_name = $1{_NAMED}"
        " ORDER BY constraint_type = 'PRIMARY KEY' DESC, constraint_index",
        [catalog, names],
    ):
        where = (str(schema), str(table))
        if kind == "FOREIGN KEY" and referenced:
            parents.setdefault(where, []).append(str(referenced))
        if kind not in {"PRIMARY KEY", "UNIQUE"} or where in keys or not isinstance(members, list):
            continue
        required = {c.name for c in columns.get(where, ()) if not c.is_nullable}
        if kind == "PRIMARY KEY" or required.issuperset(members):
            keys[where] = tuple(str(n) for n in members)
    return keys, parents


def _read_schemas(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, oid FROM system.main.duckdb_schemas() WHERE database_name = ? AND NOT internal"
        " AND schema_name <> 'main'",
        [catalog],
    )
    return [
        CatalogObject(
            kind="schema",
            schema_name=str(name),
            name=str(name),
            order=_number(oid),
            create_sql=f"CREATE SCHEMA {_quote(catalog)}.{_quote(name)}",
        )
        for name, oid in rows
    ]


def _read_sequences(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, sequence_name, sequence_oid, sql, comment FROM system.main.duckdb_sequences()"
        " WHERE database_name = ?",
        [catalog],
    )
    return [
        CatalogObject(
            kind="sequence",
            schema_name=str(schema),
            name=str(name),
            order=_number(oid),
            create_sql=_qualified_sequence(catalog, schema, name, str(sql)),
            after_sql=_comments("sequence", catalog, schema, name, comment, {}),
            notes=_notes(schema, name, comment, {}),
        )
        for schema, name, oid, sql, comment in rows
    ]


def _read_views(connection: "duckdb.DuckDBPyConnection", catalog: str, columns: Columns) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, view_name, view_oid, sql, comment FROM system.main.duckdb_views()"
        " WHERE database_name = ? AND NOT internal AND NOT temporary",
        [catalog],
    )
    return [
        CatalogObject(
            kind="view",
            schema_name=str(schema),
            name=str(name),
            order=_number(oid),
            create_sql=str(sql),
            after_sql=_comments("view", catalog, schema, name, comment, columns),
            notes=_notes(schema, name, comment, columns),
        )
        for schema, name, oid, sql, comment in rows
    ]


def _qualified_sequence(catalog: str, schema: object, name: object, sql: str) -> str:
    return f"CREATE SEQUENCE {_quote(catalog)}.{_quote(schema)}.{_quote(name)} {sql[sql.rindex('INCREMENT BY') :]}"


def _read_indexes(
    connection: "duckdb.DuckDBPyConnection", catalog: str, names: Names
) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for schema, table, sql in _rows(
        connection,
        "SELECT schema_name, table_name, sql FROM system.main.duckdb_indexes() WHERE database_name = $1 AND sql IS NOT"
        f" NULL{_NAMED} ORDER BY index_name",
        [catalog, names],
    ):
        found.setdefault((str(schema), str(table)), []).append(str(sql))
    return found


def _read_types(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, type_name, type_oid, logical_type, labels FROM system.main.duckdb_types()"
        " WHERE database_name = ? AND NOT internal",
        [catalog],
    )
    return [
        CatalogObject(
            kind="type",
            schema_name=str(schema),
            name=str(name),
            order=_number(oid),
            create_sql=f"CREATE TYPE {_quote(catalog)}.{_quote(schema)}.{_quote(name)} AS "
            + (
                f"ENUM ({', '.join(_literal(v) for v in labels)})" if isinstance(labels, list) and labels else str(kind)
            ),
            is_exact=bool(isinstance(labels, list) and labels) or "(" not in str(kind),
        )
        for schema, name, oid, kind, labels in rows
    ]


def _read_macros(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, function_name, any_value(function_oid), function_type, list(parameters),"
        " list(macro_definition) FROM system.main.duckdb_functions() WHERE database_name = ? AND NOT internal"
        " AND function_type IN ('macro', 'table_macro') GROUP BY ALL",
        [catalog],
    )
    return [
        CatalogObject(
            kind="macro",
            schema_name=str(schema),
            name=str(name),
            order=_number(oid),
            create_sql=_macro_sql(
                f"{_quote(catalog)}.{_quote(schema)}.{_quote(name)}",
                parameters,
                bodies,
                is_table=type_ == "table_macro",
            ),
            is_exact=not (isinstance(parameters, list) and any(parameters)),
        )
        for schema, name, oid, type_, parameters, bodies in rows
    ]


def _macro_sql(where: str, parameters: object, bodies: object, *, is_table: bool) -> str:
    assert isinstance(parameters, list) and isinstance(bodies, list)
    forms = [
        f"({', '.join(_quote(p) for p in names)}) AS {'TABLE ' if is_table else ''}{body}"
        for names, body in zip(parameters, bodies, strict=True)
    ]
    return f"CREATE MACRO {where} " + ", ".join(forms)


def _notes(schema: object, name: object, comment: object, columns: Columns) -> dict[str, str]:
    own = {} if comment is None else {"": str(comment)}
    described = {c.name: c.comment for c in columns.get((str(schema), str(name)), ()) if c.comment is not None}
    return {**own, **described}


def _comments(
    kind: str, catalog: str, schema: object, name: object, comment: object, columns: Columns
) -> tuple[str, ...]:
    where = f"{_quote(catalog)}.{_quote(schema)}.{_quote(name)}"
    return tuple(
        f"COMMENT ON {f'COLUMN {where}.{_quote(column)}' if column else f'{kind.upper()} {where}'} IS {_literal(text)}"
        for column, text in _notes(schema, name, comment, columns).items()
    )


def _quote(name: object) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _literal(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
