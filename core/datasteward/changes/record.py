"""The undo record: what is needed to bring everything a change touched back, and the fingerprints that prove it.

Before-images live in a DuckDB file of their own below `.steward/undo/`. DuckDB's own format keeps every type exactly,
which Parquet does not (HUGEINT, ENUM, UNION, BIT); a file of its own leaves the user's database lean, is removed by one
unlink, and is closed and synced before the change commits. A crash in between leaves a file that no receipt names.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.changes.catalog import CatalogObject, ObjectKey, TableShape
from datasteward.changes.digest import digest_of
from datasteward.changes.file_effects import keep_replaced
from datasteward.changes.model import Fingerprint, Model, ObjectKind, TableName
from datasteward.changes.names import hash_columns, pack_columns, qualify, quote_text
from datasteward.changes.rowdiff import RowDiff, local_rows
from datasteward.changes.session import IMAGES, Session

if TYPE_CHECKING:
    import pyarrow as pa

    from datasteward.changes.work import Measured, TableChange


class RowImages(Model):
    """Before-images of one table's rows: relations in the record's file, empty when there is nothing of the sort.

    `updated` has (after_hash, image of `set_columns`), `removed` has (image of `stored`), `added` (after_hash, n).
    """

    table: TableName
    number: int
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    stored: tuple[str, ...]
    set_columns: tuple[str, ...]
    parents: tuple[str, ...]
    updated: int
    removed: int
    added: int
    was_empty: bool = False
    """Whether every row was added, so that none needs to be told apart by its hash."""


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


def _write_rows(session: Session, diff: RowDiff, change: "TableChange") -> RowImages:
    shape, number = diff.shape, diff.number
    table = qualify(session.catalog, shape.table)
    stored = shape.stored
    chosen = tuple(c for c in (diff.set_columns or ()) if c in stored) or stored
    if diff.updated:
        pairs = "before_rid IS NOT NULL AND after_rid IS NOT NULL"
        _transfer(session, f"SELECT before_rid, {diff.row_hash} AS after_hash FROM {diff.relation} WHERE {pairs}")
        rows = f"{table} AS r JOIN __steward_pairs AS p ON r.rowid = p.before_rid"
        image = pack_columns(chosen, "r")
        if diff.image_columns:
            rows = f"{diff.noted} AS r JOIN __steward_pairs AS p ON r.rid = p.before_rid"
            image = pack_columns(chosen, "r.image")
        session.before.execute(
            f"CREATE TABLE {IMAGES}.main.updated_{number} AS SELECT p.after_hash, {image} AS image FROM {rows}"
        )
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
        parents=shape.parents,
        updated=diff.updated,
        removed=diff.deleted,
        added=diff.inserted,
        was_empty=was_empty,
    )


def _transfer(session: Session, query: str) -> None:
    """Hand the rows of a query on `work` to `before`, as the relation `__steward_pairs`."""
    rows: pa.Table = session.work.sql(query).to_arrow_table()
    session.before.register("__steward_pairs", rows)


def _write_object(
    session: Session, number: int, key: ObjectKey, measured: "Measured", table: "TableChange | None"
) -> ObjectImage:
    before: CatalogObject | None = measured.objects_before.get(key)
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
        order=before.order if before else measured.objects_after[key].order,
        exists_after=key in measured.objects_after,
        create_sql=before.create_sql if before else None,
        after_sql=before.after_sql if before else (),
        rows=rows,
        stored=shape.stored if shape else (),
        parents=shape.parents if shape else (),
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
