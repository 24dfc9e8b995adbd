"""The undo record: what is needed to bring everything a change touched back, and the fingerprints that prove it.

Before-images live in a DuckDB file of their own below `.steward/undo/`. DuckDB's own format keeps every type exactly,
which Parquet does not (HUGEINT, ENUM, UNION, BIT); a file of its own leaves the user's database lean, is removed by one
unlink, and is closed and synced before the change commits. A crash in between leaves a file that no receipt names.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.changes.catalog import CatalogObject, ForeignKey, ObjectKey, TableShape, repair_sql
from datasteward.changes.digest import digest_of
from datasteward.changes.file_effects import keep_replaced
from datasteward.changes.model import Fingerprint, Model, ObjectKind, ObjectPrint, TableName
from datasteward.changes.names import hash_columns, hash_values, pack_columns, qualify, quote_name, quote_text
from datasteward.changes.rowdiff import RowDiff, local_rows
from datasteward.changes.session import IMAGES, Session

if TYPE_CHECKING:
    import pyarrow as pa

    from datasteward.changes.carrying_out import Measured
    from datasteward.changes.table_changes import TableChange


class Part(Model):
    """The updated rows with this mark, and which of their columns get their values back."""

    mark: str
    columns: tuple[str, ...]


class RowImages(Model):
    """Before-images of one table's rows: relations in the record's file, empty when there is nothing of the sort.

    `updated` has (after_hash, image of `set_columns`, and with `parts` a mark), `removed` has (image of `stored`),
    `added` (after_hash, n).
    """

    table: TableName
    number: int
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    stored: tuple[str, ...]
    set_columns: tuple[str, ...]
    parents: tuple[str, ...] = ()
    """In records of before `foreign_keys`: the names of tables that it refers to."""
    updated: int
    removed: int
    added: int
    was_empty: bool = False
    """Whether every row was added, so that none needs to be told apart by its hash."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique: tuple[str, ...] = ()
    """Columns whose values are unique: rows that get one back are deleted before any comes in again."""
    parts: tuple[Part, ...] = ()
    """By which of the columns that DuckDB cannot set in place really change; none when every row gets all back."""


class ObjectImage(Model):
    """One catalog object as it was: the SQL that makes it again, and for a table where its rows are."""

    kind: ObjectKind
    schema_name: str
    name: str
    order: int
    exists_after: bool
    create_sql: str | None
    after_sql: tuple[str, ...] = ()
    rows: str | None = None
    stored: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    """Only in older records; nothing reads it."""
    order_after: int | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    triggers: tuple[str, ...] = ()
    resume_sql: tuple[str, ...] = ()
    stays: bool = False
    """Whether it is not made anew: `repair_sql` brings its indexes and comments back."""
    repair_sql: tuple[str, ...] = ()


class FileImage(Model):
    """One file as it was: where the replaced one is kept, or that there was none."""

    path: str
    kept: str | None
    sha256_before: str
    sha256_after: str


class UndoRecord(Model):
    """Everything about one applied change that taking it back needs."""

    version: int = 1
    change: str
    engine: str
    base: Fingerprint
    result: Fingerprint
    tables: tuple[RowImages, ...] = ()
    objects: tuple[ObjectImage, ...] = ()
    files: tuple[FileImage, ...] = ()


def write_record(session: Session, measured: "Measured", change: str, path: Path) -> tuple[UndoRecord, str]:
    """Write the images of an open transaction into the attached file, close and sync it; returns record and hash."""
    rebuilt = {(t.table.schema_name, t.table.name): t for t in measured.tables if t.diff is None}
    assert measured.result is not None
    after = {(p.kind, p.schema_name, p.name): p for p in measured.result.objects}
    touched = [p for p in measured.base.objects if after.get((p.kind, p.schema_name, p.name)) not in {p, None}]
    record = UndoRecord(
        change=change,
        engine=measured.base.engine,
        base=measured.base.model_copy(update={"objects": tuple(touched)}),
        result=measured.result.model_copy(
            update={"objects": tuple(after[p.kind, p.schema_name, p.name] for p in touched)}
        ),
        tables=tuple(
            _write_rows(session, t.diff, t)
            for t in measured.tables
            if t.diff is not None and (t.diff.inserted or t.diff.updated or t.diff.deleted)
        ),
        objects=tuple(
            _write_object(session, number, key, measured, rebuilt.get((key[1], key[2])) if key[0] == "table" else None)
            for number, key in enumerate(measured.changed_objects)
        ),
        files=_keep_files(measured, path),
    )
    session.before.execute(
        f"CREATE TABLE {IMAGES}.main.record AS SELECT {quote_text(record.model_dump_json())} AS body"
    )
    session.before.execute(f"DETACH {IMAGES}")
    sync_file(path)
    return record, digest_of(record)


def read_record(path: Path) -> UndoRecord:
    """The record of an undo file; raises `OSError` or `ValueError` when it is gone or damaged."""
    import duckdb

    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        connection = duckdb.connect(str(path), read_only=True)
        try:
            row = connection.execute("SELECT body FROM main.record").fetchone()
        finally:
            connection.close()
    except duckdb.Error as error:
        raise ValueError(str(error)) from error
    if row is None:
        raise ValueError("no record")
    return UndoRecord.model_validate_json(str(row[0]))


def sync_file(path: Path) -> None:
    """Make a file and its folder's entry durable."""
    for part in (path, path.parent):
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stays(measured: "Measured", key: ObjectKey) -> bool:
    """Whether taking back leaves a changed object where it is, because only its indexes or comments differ."""
    before, after = measured.objects_before.get(key), measured.objects_after.get(key)
    if before is None or after is None:
        return False
    if key[0] != "table":
        return before.is_same_but_for_notes(after)
    table = next((t for t in measured.tables if t.key == key), None)
    if table is None or not before.is_same_but_for_indexes(after):
        return False
    return table.diff is not None or _rows_of(table.before_print) == _rows_of(table.expected_print)


def _rows_of(found: ObjectPrint) -> tuple[int, tuple[str, str]]:
    return found.row_count, (found.hash_sum, found.hash_xor)


def _write_rows(session: Session, diff: RowDiff, change: "TableChange") -> RowImages:
    shape, number = diff.shape, diff.number
    table = qualify(session.catalog, shape.table)
    stored = shape.stored
    chosen = _columns_to_keep(diff)
    parts = _write_updated(session, diff, chosen) if diff.updated else ()
    if diff.deleted:
        where = ""
        if not diff.is_sample:
            _transfer(session, f"SELECT before_rid FROM {diff.relation} WHERE after_rid IS NULL")
            where = " WHERE r.rowid IN (SELECT before_rid FROM __steward_pairs)"
        session.before.execute(
            f"CREATE TABLE {IMAGES}.main.removed_{number} AS SELECT {pack_columns(stored, 'r')} AS image"
            f" FROM {table} AS r{where}"
        )
    was_empty = diff.inserted == change.expected_print.row_count > 0 and not change.before_print.row_count
    if diff.inserted and not was_empty:
        added = f"(SELECT after_hash FROM {diff.relation} WHERE before_rid IS NULL)"
        if diff.is_sample:
            added = f"(SELECT {hash_columns(shape.names, shape.types, 'r')} AS after_hash FROM {local_rows(session, shape)})"
        _transfer(session, f"SELECT after_hash, system.main.count(*) AS n FROM {added} GROUP BY 1")
        session.before.execute(f"CREATE TABLE {IMAGES}.main.added_{number} AS SELECT * FROM __steward_pairs")
    return RowImages(
        table=shape.table,
        number=number,
        names=shape.names,
        types=tuple(shape.types.values()),
        stored=stored,
        set_columns=chosen,
        updated=diff.updated,
        removed=diff.deleted,
        added=diff.inserted,
        was_empty=was_empty,
        foreign_keys=shape.foreign_keys,
        unique=shape.unique,
        parts=parts,
    )


def _columns_to_keep(diff: RowDiff) -> tuple[str, ...]:
    """Those that an UPDATE sets; all where it sets the key, by which its rows may have been paired with others."""
    stored = diff.shape.stored
    chosen = tuple(c for c in (diff.set_columns or ()) if c in stored)
    return stored if not chosen or set(chosen) & set(diff.shape.key) else chosen


MAX_PARTS = 32


def _write_updated(session: Session, diff: RowDiff, chosen: tuple[str, ...]) -> tuple[Part, ...]:
    """Write the images of updated rows; those that a foreign key ties down must not get columns set that stayed."""
    table = qualify(session.catalog, diff.shape.table)
    tied = [c for c in chosen if c in diff.shape.tied]
    types = diff.shape.types
    hashes = "".join(f", {hash_values([(f't.{quote_name(c)}', types[c])])} AS tie_{n}" for n, c in enumerate(tied))
    later = f"{diff.relation} AS d" + (f" JOIN {table} AS t ON t.rowid = d.after_rid" if tied else "")
    pairs = "d.before_rid IS NOT NULL AND d.after_rid IS NOT NULL"
    _transfer(session, f"SELECT d.before_rid, d.{diff.row_hash} AS after_hash{hashes} FROM {later} WHERE {pairs}")
    rows = f"{table} AS r JOIN __steward_pairs AS p ON r.rowid = p.before_rid"
    source = "r"
    if set(chosen) <= set(diff.image_columns):
        rows = f"{diff.noted} AS r JOIN __steward_pairs AS p ON r.rid = p.before_rid"
        source = "r.image"
    values = [hash_values([(f"{source}.{quote_name(c)}", types[c])]) for c in tied]
    marks = [f"CASE WHEN {value} = p.tie_{n} THEN '0' ELSE '1' END" for n, value in enumerate(values)]
    mark = f", {' || '.join(marks)} AS mark" if marks else ""
    name = f"{IMAGES}.main.updated_{diff.number}"
    session.before.execute(
        f"CREATE TABLE {name} AS SELECT p.after_hash, {pack_columns(chosen, source)} AS image{mark} FROM {rows}"
    )
    if not marks:
        return ()
    found = [str(m) for (m,) in session.before.execute(f"SELECT DISTINCT mark FROM {name} ORDER BY 1").fetchall()]
    if len(found) > MAX_PARTS:
        return ()
    stay = {m: {c for c, bit in zip(tied, m, strict=True) if bit == "0"} for m in found}
    return tuple(Part(mark=m, columns=tuple(c for c in chosen if c not in stay[m])) for m in found)


def _transfer(session: Session, query: str) -> None:
    """Hand the rows of a query on `work` to `before`, as the relation `__steward_pairs`."""
    rows: pa.Table = session.work.sql(query).to_arrow_table()
    session.before.register("__steward_pairs", rows)


def _write_object(
    session: Session, number: int, key: ObjectKey, measured: "Measured", table: "TableChange | None"
) -> ObjectImage:
    before: CatalogObject | None = measured.objects_before.get(key)
    after: CatalogObject | None = measured.objects_after.get(key)
    order = before.order if before else after.order if after else 0
    if before is not None and after is not None and stays(measured, key):
        return ObjectImage(
            kind=key[0],
            schema_name=key[1],
            name=key[2],
            order=order,
            exists_after=True,
            create_sql=before.create_sql,
            stays=True,
            repair_sql=repair_sql(session.catalog, before, after),
        )
    shape: TableShape | None = table.before if table else None
    rows = None
    if before is not None and shape is not None:
        rows = f"object_{number}"
        session.before.execute(
            f"CREATE TABLE {IMAGES}.main.{rows} AS SELECT {pack_columns(shape.stored, 'r')} AS image"
            f" FROM {qualify(session.catalog, shape.table)} AS r"
        )
    return ObjectImage(
        kind=key[0],
        schema_name=key[1],
        name=key[2],
        order=order,
        exists_after=after is not None,
        create_sql=before.create_sql if before else None,
        after_sql=before.after_sql if before else (),
        rows=rows,
        stored=shape.stored if shape else (),
        order_after=after.order if after else None,
        foreign_keys=shape.foreign_keys if shape else (),
        triggers=tuple(t.sql for t in before.triggers if t.sql) if before else (),
        resume_sql=before.resume_sql if before else (),
    )


def _keep_files(measured: "Measured", path: Path) -> tuple[FileImage, ...]:
    prints = {p.path: p for p in measured.base.files}
    kept = []
    for number, effect in enumerate(measured.files, 1):
        place = keep_replaced(effect, path.with_name(f"{path.stem}-file{number}"))
        earlier = prints.get(effect.path)
        kept.append(
            FileImage(
                path=effect.path,
                kept=str(place) if place else None,
                sha256_before=earlier.sha256 if earlier else "",
                sha256_after="" if effect.action == "removed" else effect.sha256,
            )
        )
    return tuple(kept)
