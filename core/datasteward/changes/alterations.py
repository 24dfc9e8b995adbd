"""What altering a table does to its rows: ALTER keeps row ids, so both sides can be laid beside each other."""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from datasteward.changes.catalog import TableShape
from datasteward.changes.names import hash_values, pack_columns, qualify, quote_name, unpack_carried
from datasteward.changes.rows import read_row
from datasteward.changes.session import Session

ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredColumn:
    """A column of an altered table as it was and will be, under its later name; no type on the side that lacks it."""

    name: str
    name_before: str
    type_before: str | None
    type_after: str | None

    @property
    def before(self) -> str:
        """Its value before, in a line of the alteration's relation; NULL when it is new."""
        return f"before_image.{quote_name(self.name)}" if self.type_before else "NULL"

    @property
    def after(self) -> str:
        """Its value afterwards; NULL when it goes."""
        return f"after_image.{quote_name(self.name)}" if self.type_after else "NULL"

    @property
    def differs(self) -> str:
        """Whether a row's value changes: by its text when the type changes, so that 1 and 1.0 differ, but 1 and 1 do not."""
        if self.type_after is None or self.type_before is None:
            return f"({self.after if self.type_after else self.before} IS NOT NULL)"
        if self.type_before == self.type_after:
            sides = [hash_values([(side, self.type_before)]) for side in (self.before, self.after)]
            return f"({' <> '.join(sides)})"
        return f"(CAST({self.before} AS VARCHAR) IS DISTINCT FROM CAST({self.after} AS VARCHAR))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """Rows that come, change and go, columns under another name, and the columns whose values change or go.

    `relation` on the session's `work` cursor has a line (before_rid, after_rid, before_image, after_image) for each row
    that differs, the images with `columns` and `key`; None when no value changes.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    renamed: tuple[AlteredColumn, ...] = ()
    columns: tuple[AlteredColumn, ...] = ()
    key: tuple[AlteredColumn, ...] = ()
    relation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    connection: duckdb.DuckDBPyConnection
    table: str
    shape: TableShape
    prints: dict[str, tuple[str, str]]
    """Of each column: the sum and xor of the hashes of its values with their places."""


def compare_altered(
    session: Session, before: TableShape, after: TableShape, number: int, *, by_position: bool = False
) -> Alteration:
    """The rows of `before` as committed beside those of `after` in the open transaction.

    They are paired by row id; `by_position` when the table was made anew with its rows in the same order, to bring it
    back: then the values of columns that come back are told too.
    """
    old = _look(session.before, session.catalog, before, by_position)
    new = _look(session.work, session.catalog, after, by_position)
    columns = [*_pair_columns(old, new), *(_find_new(old, new) if by_position else ())]
    changing = tuple(c for c in columns if _may_change(c, old, new))
    kept = [c for c in columns if c.type_before is not None and c.type_after is not None]
    renamed = tuple(c for c in kept if c.name != c.name_before)
    if not changing:
        return Alteration(renamed=renamed)
    key = tuple(c for c in kept if c.name in after.key and c not in changing)
    relation = _lay_side_by_side(session, old, new, (*changing, *key), number, by_position)
    differing = " OR ".join(c.differs for c in changing)
    row = read_row(
        session.work,
        "SELECT system.main.count(*) FILTER (before_rid IS NULL), system.main.count(*) FILTER (before_rid IS NOT NULL"
        f" AND after_rid IS NOT NULL AND ({differing})), system.main.count(*) FILTER (after_rid IS NULL)"
        f" FROM {relation}",
    )
    assert row is not None
    return Alteration(
        inserted=int(row[0]),
        updated=int(row[1]),
        deleted=int(row[2]),
        renamed=renamed,
        columns=changing,
        key=key,
        relation=relation,
    )


def _look(connection: duckdb.DuckDBPyConnection, catalog: str, shape: TableShape, by_position: bool) -> _Side:
    table = qualify(catalog, shape.table)
    packed = pack_columns(shape.names)
    rows = f"(SELECT {_place(by_position)} AS place, {packed} AS image FROM {table})"
    hashes = (hash_values([("place", ""), (f"image.{quote_name(n)}", shape.types[n])]) for n in shape.names)
    totals = ", ".join(f"system.main.sum({h})::VARCHAR, system.main.bit_xor({h})::VARCHAR" for h in hashes)
    row = read_row(connection, f"SELECT {totals} FROM {rows}")
    assert row is not None
    prints = {name: (str(row[2 * i]), str(row[2 * i + 1])) for i, name in enumerate(shape.names)}
    return _Side(connection=connection, table=table, shape=shape, prints=prints)


def _place(by_position: bool) -> str:
    return "system.main.row_number() OVER (ORDER BY rowid)" if by_position else "rowid"


def _pair_columns(old: _Side, new: _Side) -> Iterator[AlteredColumn]:
    """Columns of the same name, and where one took another's place with its type and values, the same under a new name."""
    types_before, types_after = old.shape.types, new.shape.types
    for position, name in enumerate(old.shape.names):
        later: str | None = name
        if name not in types_after:
            there = new.shape.names[position] if position < len(new.shape.names) else None
            is_same = there is not None and there not in types_before and types_after[there] == types_before[name]
            later = there if there is not None and is_same and new.prints[there] == old.prints[name] else None
        yield AlteredColumn(
            name=later or name,
            name_before=name,
            type_before=types_before[name],
            type_after=types_after[later] if later else None,
        )


def _find_new(old: _Side, new: _Side) -> Iterator[AlteredColumn]:
    had = {c.name for c in _pair_columns(old, new)}
    for name, type_ in new.shape.types.items():
        if name not in had:
            yield AlteredColumn(name=name, name_before=name, type_before=None, type_after=type_)


def _may_change(column: AlteredColumn, old: _Side, new: _Side) -> bool:
    if column.type_after != column.type_before:
        return True
    return old.prints[column.name_before] != new.prints[column.name]


def _lay_side_by_side(
    session: Session, old: _Side, new: _Side, columns: tuple[AlteredColumn, ...], number: int, by_position: bool
) -> str:
    place = _place(by_position)
    earlier, relation = f"__steward_unaltered_{number}", f"__steward_altered_{number}"
    images = [
        ", ".join(f"{quote_name(c.name)} := {quote_name(c.name_before)}" for c in columns if c.type_before)
        or "nothing := NULL",
        ", ".join(f"{quote_name(c.name)} := {quote_name(c.name)}" for c in columns if c.type_after)
        or "nothing := NULL",
    ]
    _carry_over(
        session,
        earlier,
        f"SELECT rowid AS rid, {place} AS place, system.main.struct_pack({images[0]}) AS image FROM {old.table}",
    )
    types = {c.name: c.type_before for c in columns if c.type_before}
    carried = unpack_carried("b.image", types, types) if types else "b.image"
    session.work.execute(
        f"CREATE OR REPLACE TEMP TABLE {relation} AS SELECT b.rid AS before_rid, a.rid AS after_rid,"
        f" CASE WHEN b.rid IS NOT NULL THEN {carried} END AS before_image, a.image AS after_image FROM temp.main.{earlier} AS b FULL JOIN (SELECT rowid AS rid,"
        f" {place} AS place, system.main.struct_pack({images[1]}) AS image FROM {new.table}) AS a ON a.place = b.place"
    )
    return f"temp.main.{relation}"


def _carry_over(session: Session, name: str, query: str) -> None:
    """A temporary table on `work` with the rows of a query on `before`, brought over in pieces."""
    _add_piece(
        session, session.before.sql(f"{query} LIMIT 0").to_arrow_table(), f"CREATE OR REPLACE TEMP TABLE {name} AS"
    )
    for batch in session.before.sql(query).to_arrow_reader(ROWS_AT_ONCE):
        _add_piece(session, pa.Table.from_batches([batch]), f"INSERT INTO temp.main.{name}")


def _add_piece(session: Session, piece: pa.Table, statement: str) -> None:
    session.work.register("__steward_piece", piece)
    session.work.execute(f"{statement} SELECT * FROM __steward_piece")
    session.work.unregister("__steward_piece")
