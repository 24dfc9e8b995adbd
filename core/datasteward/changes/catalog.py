"""What the user's database holds: tables with their columns, keys and indexes, and every object's definition."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from datasteward.changes.definitions import comment_sql, index_comment_sql, place_of, without_counter
from datasteward.changes.model import Model, ObjectKind, ObjectPrint, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; `expression` is a default or what a generated column computes."""

    name: str
    type: str
    is_nullable: bool
    is_generated: bool
    expression: str | None
    comment: str | None


class ForeignKey(Model):
    """Columns that refer to those of a table in the same schema; DuckDB has no other ones."""

    columns: tuple[str, ...]
    parent: TableName
    referenced: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Referring:
    """A table that refers to another, and by which foreign key."""

    table: TableName
    foreign_key: ForeignKey

    @property
    def key(self) -> "ObjectKey":
        """Where the table is in the catalog."""
        return ("table", self.table.schema_name, self.table.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """A base table: columns in order, the columns of a key without nulls (or none), and what it refers to."""

    table: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]
    constraints: tuple[str, ...]
    """CHECK, UNIQUE and FOREIGN KEY as DuckDB writes them; the key is not among them."""
    unique: tuple[str, ...]
    """Columns of keys and unique indexes."""
    tied: tuple[str, ...]
    """Columns of any key, index or foreign key, and nested ones: setting one deletes the row and inserts it again."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index that was made by CREATE INDEX."""

    name: str
    sql: str
    is_unique: bool
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger; `sql` is None when what DuckDB prints of it is not understood."""

    name: str
    schema_name: str
    table: str
    sql: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogObject:
    """One object: the SQL that makes it, what must run after its rows are back, and the order it was made in."""

    kind: ObjectKind
    schema_name: str
    name: str
    order: int
    create_sql: str
    after_sql: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """Comments on the object, under the empty name, and on its columns."""
    resume_sql: tuple[str, ...] = ()
    """What makes a sequence go on where it stands, which is no part of its definition."""
    is_exact: bool = True
    """False when `create_sql` may leave something out, as parameter defaults of macros are not in the catalog."""

    def is_same_but_for_notes(self, other: "CatalogObject") -> bool:
        """Whether nothing but the comments on it tells the two apart."""
        mine, theirs = ([(i.name, i.sql) for i in o.indexes] for o in (self, other))
        return self.is_same_but_for_indexes(other) and mine == theirs

    def is_same_but_for_indexes(self, other: "CatalogObject") -> bool:
        """Whether nothing but indexes and comments tells the two apart."""
        return (self.order, self._made, self.triggers) == (other.order, other._made, other.triggers)

    @property
    def definition(self) -> str:
        """SHA-256 of everything that defines it."""
        triggers = [t.sql or t.name for t in self.triggers]
        return hashlib.sha256(json.dumps([self._made, *self.after_sql, *triggers]).encode()).hexdigest()

    @property
    def _made(self) -> str:
        return without_counter(self.create_sql) if self.kind == "sequence" else self.create_sql


def repair_sql(catalog: str, before: CatalogObject, after: CatalogObject) -> tuple[str, ...]:
    """Statements that make the object as it is `after` the same as `before`, when only indexes and notes differ."""
    old, new = {i.name: i for i in before.indexes}, {i.name: i for i in after.indexes}
    place = place_of(catalog, before.schema_name, before.name)
    statements = []
    for name, index in new.items():
        if name not in old or old[name].sql != index.sql:
            statements.append(f"DROP INDEX {place_of(catalog, before.schema_name, name)}")
    for name, index in old.items():
        there = new.get(name)
        is_made_anew = there is None or there.sql != index.sql
        if is_made_anew:
            statements.append(index.sql)
        if index.comment != (None if there is None or is_made_anew else there.comment):
            statements.append(index_comment_sql(place_of(catalog, before.schema_name, name), index.comment))
    notes = {
        n: before.notes.get(n)
        for n in dict.fromkeys([*before.notes, *after.notes])
        if before.notes.get(n) != after.notes.get(n)
    }
    return (*statements, *comment_sql(before.kind, place, notes))


def find_object(objects: Mapping[ObjectKey, CatalogObject], printed: ObjectPrint) -> CatalogObject | None:
    """The object that was printed; records of before table macros had a kind of their own call them macros."""
    found = objects.get((printed.kind, printed.schema_name, printed.name))
    if found is None and printed.kind == "macro" and printed.exists:
        return objects.get(("table macro", printed.schema_name, printed.name))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Base tables by (schema, name) and objects by (kind, schema, name), without our own ledger."""

    tables: Mapping[tuple[str, str], TableShape]
    objects: Mapping[ObjectKey, CatalogObject]
