"""The rows that a change may touch, noted as they are committed, before it runs."""

from dataclasses import dataclass

import duckdb

from datasteward.changes.catalog import TableShape
from datasteward.changes.names import hash_columns, hash_values, pack_columns, qualify, quote_name
from datasteward.changes.narrowing import Narrowing
from datasteward.changes.rows import read_number, read_row
from datasteward.changes.session import SCRATCH, SCRATCH_FULL, Session

_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")
HELD_CELLS = 20_000_000
"""At most so many values of rows that may change are held beside those that do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The rows that may change, as committed, in `relation` (rid, h, w, k, image).

    Rows that are moved are found again by `k`, and among those with an equal one by their order. `h` is the hash of
    all columns, or with `by_changes`, where the table has a key, of the key and the columns that are set: what a row is
    known by, wherever it lies. `w` is the hash of the whole row where `h` may not be and it is wanted, null otherwise.
    """

    shape: TableShape
    number: int
    set_columns: tuple[str, ...] | None
    """Columns whose values may change; None when every row is a candidate and no image was taken."""
    count: int
    must_match: bool
    relation: str
    image_columns: tuple[str, ...] = ()
    """Columns whose values `image` holds: all, unless there are so many rows that only those that may change are."""
    takes_all: bool = False
    """Nothing was noted, because every row goes."""
    by_changes: bool = False
    hashes_rows: bool = True
    """Whether the hashes of whole rows are known, as `h` or `w`."""
    is_certain: bool = True
    """Whether no other row can have been updated; else `has_all_updates` tells."""
    paired_by: tuple[str, ...] = ()
    """Columns whose hash is `k`: those that a lone UPDATE, or taking it back, leaves alone, or else the key."""

    @property
    def only_adds(self) -> bool:
        """Whether no row that was there can change or go."""
        return self.set_columns == () and not self.count and not self.takes_all

    @property
    def holds_rows(self) -> bool:
        """Whether `image` is the whole row, so that only what may change needs to be read again."""
        return self.image_columns == self.shape.names


def note_candidates(
    session: Session,
    shape: TableShape,
    number: int,
    narrowing: Narrowing | None,
    *,
    hashes_rows: bool,
    is_repeated: bool = False,
) -> Candidates:
    """Note the rows that may change, as committed; `is_repeated` when `work` has read some before.

    Without `hashes_rows` the columns that an UPDATE in place leaves alone are not read.
    """
    relation = f"{SCRATCH_FULL if is_repeated else SCRATCH}.main.candidates_{number}"
    table = qualify(session.catalog, shape.table)
    if narrowing is not None and narrowing.takes_all:
        return Candidates(
            shape=shape, number=number, set_columns=(), count=0, must_match=False, relation=relation, takes_all=True
        )
    if narrowing is not None:
        noted = _note_narrowed(session, shape, number, narrowing, hashes_rows)
        if noted is not None:
            return noted
    whole, key = hash_columns(shape.names, shape.types), hash_or_null(shape, shape.key)
    rows = f"SELECT rowid AS rid, {whole} AS h, NULL AS w, {key} AS k, NULL AS image FROM {table}"
    count = _create(session.before, relation, rows)
    return Candidates(
        shape=shape,
        number=number,
        set_columns=None,
        count=count,
        must_match=False,
        relation=relation,
        paired_by=shape.key,
    )


def _note_narrowed(
    session: Session, shape: TableShape, number: int, narrowing: Narrowing, hashes_rows: bool
) -> Candidates | None:
    """The rows that the narrowing finds; None when it cannot be relied on."""
    relation = f"{SCRATCH}.main.candidates_{number}"
    set_columns = _as_written(shape, narrowing.set_columns)
    by_changes = narrowing.matches_exactly and _stays_in_place(shape, set_columns)
    if set_columns and not by_changes and not narrowing.is_row_local:
        return None
    table, whole = qualify(session.catalog, shape.table), hash_columns(shape.names, shape.types)
    hashes_rows = hashes_rows or not by_changes
    left_alone = tuple(n for n in shape.names if n not in set_columns) if set_columns else ()
    paired_by = left_alone or shape.key
    content = hash_columns((*shape.key, *set_columns), shape.types) if by_changes and shape.key else whole
    fields = f"{content} AS h"
    fields += f", {whole if by_changes and hashes_rows else 'NULL'} AS w"
    fields += f", {'NULL' if by_changes else hash_or_null(shape, paired_by)} AS k"
    try:
        holds_rows = hashes_rows and bool(set_columns) and _is_small_enough(session, shape, narrowing)
        image_columns = shape.names if holds_rows else set_columns
        image = pack_columns(image_columns) if image_columns else "NULL"
        rows = f"SELECT rowid AS rid, {fields}, {image} AS image {_source(table, narrowing)}"
        count = _create(session.probe, relation, rows)
    except duckdb.Error:
        return None
    return Candidates(
        shape=shape,
        number=number,
        set_columns=set_columns,
        count=count,
        must_match=narrowing.matches_exactly,
        relation=relation,
        image_columns=image_columns,
        by_changes=by_changes,
        hashes_rows=hashes_rows,
        is_certain=narrowing.is_row_local or not by_changes,
        paired_by=paired_by,
    )


def _stays_in_place(shape: TableShape, set_columns: tuple[str, ...]) -> bool:
    """Whether an UPDATE of these columns may well leave rows where they are; if it does not, that shows afterwards."""
    types = shape.types
    is_nested = any("[" in types[c] or types[c].startswith(_NESTED) for c in set_columns)
    return bool(set_columns) and not is_nested and not set(set_columns) & set(shape.key)


def hash_with(first: str, shape: TableShape, columns: tuple[str, ...], prefix: str = "") -> str:
    """The hash of a number, such as a row's id, and these columns."""
    types = shape.types
    return hash_values([(first, ""), *((f"{prefix}{quote_name(c)}", types[c]) for c in columns)])


def hash_or_null(shape: TableShape, columns: tuple[str, ...], alias: str = "") -> str:
    """The hash of these columns, or NULL where there are none."""
    return hash_columns(columns, shape.types, alias) if columns else "NULL::UBIGINT"


def _source(table: str, narrowing: Narrowing) -> str:
    if narrowing.tail is not None:
        return narrowing.tail
    return f"FROM {table} WHERE rowid IN (SELECT rid FROM ({narrowing.rows_query}))"


def _is_small_enough(session: Session, shape: TableShape, narrowing: Narrowing) -> bool:
    """Whether the whole rows that match may be held; they are counted only where all of the table's may not."""
    width, table = len(shape.names), qualify(session.catalog, shape.table)
    if narrowing.rows_at_most is not None:
        return narrowing.rows_at_most * width <= HELD_CELLS
    if read_number(session.before, f"SELECT system.main.count(*) FROM {table}") * width <= HELD_CELLS:
        return True
    found = f"SELECT system.main.count(*) {_source(table, narrowing)}"
    return read_number(session.probe, found) * width <= HELD_CELLS


def _as_written(shape: TableShape, names: tuple[str, ...] | None) -> tuple[str, ...]:
    wanted = {n.lower() for n in names or ()}
    chosen = [c.name for c in shape.columns if c.name.lower() in wanted or c.is_generated]
    return tuple(chosen) if wanted else ()


def _create(connection: duckdb.DuckDBPyConnection, relation: str, query: str) -> int:
    row = read_row(connection, f"CREATE OR REPLACE TABLE {relation} AS {query}")
    assert row is not None
    return int(row[0])
