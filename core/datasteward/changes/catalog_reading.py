"""Reading what the user's database holds from DuckDB's catalog functions, as one connection sees it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datasteward.changes.catalog import Catalog, CatalogObject, Column, ForeignKey, Index, TableShape, Trigger
from datasteward.changes.definitions import (
    MacroForm,
    comment_sql,
    index_comment_sql,
    macro_sql,
    place_of,
    sequence_sql,
    trigger_sql,
)
from datasteward.changes.model import ObjectKind, TableName
from datasteward.changes.names import LEDGER_SCHEMA, quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

Row = tuple[object, ...]


def _rows(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: list[object]) -> list[Row]:
    return connection.execute(sql, parameters).fetchall()


def read_catalog(
    connection: "duckdb.DuckDBPyConnection", catalog: str, *, only_tables: Iterable[str] | None = None
) -> Catalog:
    """What the database holds as this connection sees it.

    With `only_tables` no other kinds of objects, and only the tables with these names in any schema; all tables where
    one has a trigger, which may write to any.
    """
    triggers = read_triggers(connection, catalog)
    names = None if only_tables is None or triggers else sorted({n.lower() for n in only_tables})
    columns = _read_columns(connection, catalog, names)
    indexes = _read_indexes(connection, catalog, names)
    found = _read_tables(connection, catalog, columns, indexes, triggers, names)
    rules = _read_rules(connection, catalog, columns, names)
    tables = {
        (o.schema_name, o.name): _shape(
            o, columns.get((o.schema_name, o.name), []), rules.get((o.schema_name, o.name), _Rules())
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
_NAMED = " AND ($2 IS NULL OR system.main.list_contains($2::VARCHAR[], system.main.lower(table_name)))"


@dataclass(slots=True, kw_only=True)
class _Rules:
    key: tuple[str, ...] = ()
    unique: list[str] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")


def _shape(found: CatalogObject, columns: list[Column], rules: _Rules) -> TableShape:
    names = [c.name for c in columns]
    unique = {*rules.unique, *_indexed(names, [i for i in found.indexes if i.is_unique])}
    referring = {c for f in rules.foreign_keys for c in f.columns}
    nested = {c.name for c in columns if "[" in c.type or c.type.startswith(_NESTED)}
    tied = unique | referring | nested | _indexed(names, found.indexes)
    return TableShape(
        table=TableName(schema_name=found.schema_name, name=found.name),
        columns=tuple(columns),
        key=rules.key,
        foreign_keys=tuple(rules.foreign_keys),
        constraints=tuple(rules.texts),
        unique=tuple(n for n in names if n in unique),
        tied=tuple(n for n in names if n in tied),
        has_triggers=bool(found.triggers),
    )


def _indexed(names: list[str], indexes: Iterable[Index]) -> set[str]:
    """Columns that the text of an index names; one too many does no harm."""
    text = " ".join(i.sql.lower() for i in indexes)
    return {n for n in names if n.lower().replace('"', '""') in text}


def read_triggers(connection: "duckdb.DuckDBPyConnection", catalog: str) -> dict[tuple[str, str], list[Trigger]]:
    """The triggers of each (schema, table), in the order they were made in."""
    found: dict[tuple[str, str], list[Trigger]] = {}
    for schema, table, name, sql in _rows(
        connection,
        "SELECT schema_name, table_name, trigger_name, sql FROM system.main.duckdb_triggers() WHERE database_name = ?"
        " ORDER BY trigger_oid",
        [catalog],
    ):
        made = trigger_sql(str(sql), str(schema), str(table))
        found.setdefault((str(schema), str(table)), []).append(
            Trigger(name=str(name), schema_name=str(schema), table=str(table), sql=made)
        )
    return found


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
    connection: "duckdb.DuckDBPyConnection",
    catalog: str,
    columns: Columns,
    indexes: Mapping[tuple[str, str], list[Index]],
    triggers: Mapping[tuple[str, str], list[Trigger]],
    names: Names,
) -> list[CatalogObject]:
    found = []
    for schema, name, oid, sql, comment in _rows(
        connection,
        "SELECT schema_name, table_name, table_oid, sql, comment FROM system.main.duckdb_tables()"
        f" WHERE database_name = $1 AND NOT internal AND NOT temporary AND schema_name <> $3{_NAMED} ORDER BY ALL",
        [catalog, names, LEDGER_SCHEMA],
    ):
        where = (str(schema), str(name))
        own, hooks = tuple(indexes.get(where, ())), tuple(triggers.get(where, ()))
        notes = _notes(schema, name, comment, columns)
        described = [(i.name, i.comment) for i in own if i.comment is not None]
        found.append(
            CatalogObject(
                kind="table",
                schema_name=where[0],
                name=where[1],
                order=_number(oid),
                create_sql=str(sql),
                after_sql=(
                    *(i.sql for i in own),
                    *comment_sql("table", place_of(catalog, *where), notes),
                    *(index_comment_sql(place_of(catalog, where[0], n), text) for n, text in described),
                ),
                indexes=own,
                triggers=hooks,
                notes=notes,
            )
        )
    return found


def _read_rules(
    connection: "duckdb.DuckDBPyConnection", catalog: str, columns: Columns, names: Names
) -> dict[tuple[str, str], _Rules]:
    found: dict[tuple[str, str], _Rules] = {}
    for schema, table, kind, members, text, parent, referenced in _rows(
        connection,
        "SELECT schema_name, table_name, constraint_type, constraint_column_names, constraint_text, referenced_table,"
        f" referenced_column_names FROM system.main.duckdb_constraints() WHERE database_name = $1{_NAMED}"
        " ORDER BY constraint_type = 'PRIMARY KEY' DESC, constraint_index",
        [catalog, names],
    ):
        where = (str(schema), str(table))
        rules = found.setdefault(where, _Rules())
        own = tuple(str(n) for n in members) if isinstance(members, list) else ()
        if kind in {"CHECK", "UNIQUE", "FOREIGN KEY"}:
            rules.texts.append(str(text))
        if kind == "FOREIGN KEY" and parent and isinstance(referenced, list):
            to = TableName(schema_name=where[0], name=str(parent))
            rules.foreign_keys.append(ForeignKey(columns=own, parent=to, referenced=tuple(str(n) for n in referenced)))
        if kind not in {"PRIMARY KEY", "UNIQUE"}:
            continue
        rules.unique += own
        required = {c.name for c in columns.get(where, ()) if not c.is_nullable}
        if not rules.key and (kind == "PRIMARY KEY" or required.issuperset(own)):
            rules.key = own
    return found


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
            create_sql=f"CREATE SCHEMA {quote_name(catalog)}.{quote_name(str(name))}",
        )
        for name, oid in rows
    ]


def _read_sequences(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, sequence_name, sequence_oid, sql, comment, last_value"
        " FROM system.main.duckdb_sequences() WHERE database_name = ?",
        [catalog],
    )
    found = []
    for schema, name, oid, sql, comment, last in rows:
        place = place_of(catalog, str(schema), str(name))
        resume = f"SELECT system.main.setval({quote_text(place)}, {last})"
        found.append(
            _commented(
                "sequence",
                catalog,
                (schema, name, oid, comment),
                sequence_sql(place, str(sql)),
                resume_sql=() if last is None else (resume,),
            )
        )
    return found


def _commented(
    kind: ObjectKind,
    catalog: str,
    row: Row,
    create_sql: str,
    columns: "Columns | None" = None,
    *,
    resume_sql: tuple[str, ...] = (),
    is_exact: bool = True,
) -> CatalogObject:
    """The object of a `row` (schema, name, oid, comment)."""
    schema, name, oid, comment = row
    notes = _notes(schema, name, comment, columns or {})
    return CatalogObject(
        kind=kind,
        schema_name=str(schema),
        name=str(name),
        order=_number(oid),
        create_sql=create_sql,
        after_sql=comment_sql(kind, place_of(catalog, str(schema), str(name)), notes),
        notes=notes,
        resume_sql=resume_sql,
        is_exact=is_exact,
    )


def _read_views(connection: "duckdb.DuckDBPyConnection", catalog: str, columns: Columns) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, view_name, view_oid, comment, sql FROM system.main.duckdb_views()"
        " WHERE database_name = ? AND NOT internal AND NOT temporary",
        [catalog],
    )
    return [_commented("view", catalog, row[:4], str(row[4]), columns) for row in rows]


def _read_indexes(
    connection: "duckdb.DuckDBPyConnection", catalog: str, names: Names
) -> dict[tuple[str, str], list[Index]]:
    found: dict[tuple[str, str], list[Index]] = {}
    for schema, table, name, sql, is_unique, comment in _rows(
        connection,
        "SELECT schema_name, table_name, index_name, sql, is_unique, comment FROM system.main.duckdb_indexes()"
        f" WHERE database_name = $1 AND sql IS NOT NULL{_NAMED} ORDER BY index_name",
        [catalog, names],
    ):
        found.setdefault((str(schema), str(table)), []).append(
            Index(name=str(name), sql=str(sql), is_unique=bool(is_unique), comment=_text(comment))
        )
    return found


def _read_types(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    rows = _rows(
        connection,
        "SELECT schema_name, type_name, type_oid, comment, labels FROM system.main.duckdb_types()"
        " WHERE database_name = ? AND NOT internal",
        [catalog],
    )
    found = []
    for *row, labels in rows:
        place = place_of(catalog, str(row[0]), str(row[1]))
        values = [quote_text(str(v)) for v in labels] if isinstance(labels, list) else []
        made = f"ENUM ({', '.join(values)})" if values else _type_text(connection, place)
        found.append(_commented("type", catalog, tuple(row), f"CREATE TYPE {place} AS {made}"))
    return found


def _type_text(connection: "duckdb.DuckDBPyConnection", place: str) -> str:
    """What a type stands for, with sizes and fields, which the catalog functions leave out."""
    ((text,),) = _rows(connection, f"SELECT system.main.typeof(CAST(NULL AS {place}))", [])
    return str(text)


def _read_macros(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[CatalogObject]:
    forms: dict[tuple[object, ...], list[MacroForm]] = {}
    for *row, parameters, body in _rows(
        connection,
        "SELECT function_type, schema_name, function_name, function_oid, comment, parameters, macro_definition"
        " FROM system.main.duckdb_functions() WHERE database_name = ? AND NOT internal"
        " AND function_type IN ('macro', 'table_macro')",
        [catalog],
    ):
        names = tuple(str(p) for p in parameters) if isinstance(parameters, list) else ()
        forms.setdefault(tuple(row), []).append(MacroForm(parameters=names, body=str(body)))
    found = []
    for (type_, *row), made in forms.items():
        is_table = type_ == "table_macro"
        place = place_of(catalog, str(row[0]), str(row[1]))
        found.append(
            _commented(
                "table macro" if is_table else "macro",
                catalog,
                tuple(row),
                macro_sql(place, made, is_table=is_table),
                is_exact=not any(f.parameters for f in made),
            )
        )
    return found


def _notes(schema: object, name: object, comment: object, columns: Columns) -> dict[str, str]:
    own = {} if comment is None else {"": str(comment)}
    described = {c.name: c.comment for c in columns.get((str(schema), str(name)), ()) if c.comment is not None}
    return {**own, **described}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
