"""Bringing back what an undo record holds, inside an open transaction.

Rows are found by their content, because row ids move when DuckDB checkpoints. That is exact as long as the table is as
the change left it, which the fingerprint has shown before this runs: of rows with equal content, which one is taken
makes no difference to the table.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from datasteward.changes.catalog import TableShape
from datasteward.changes.model import FileEffect, Fingerprint, TableName
from datasteward.changes.names import hash_columns, qualify, quote_name
from datasteward.changes.narrowing import Narrowing
from datasteward.changes.record import ObjectImage, RowImages, UndoRecord
from datasteward.changes.rows import read_row
from datasteward.changes.session import RECORD, Session
from datasteward.errors import ToolError

_DROP_ORDER = {"view": 0, "macro": 1, "table": 2, "sequence": 3, "type": 4, "schema": 5}


def refuse_if_built_upon(record: UndoRecord, base: Fingerprint) -> None:
    """Raise `ToolError` (conflict) unless everything is exactly as the change left it."""
    now = {(p.kind, p.schema_name, p.name): p for p in base.objects}
    for left in record.result.objects:
        found = now.get((left.kind, left.schema_name, left.name))
        if found != left:
            name = left.name if left.schema_name in {"main", left.name} else f"{left.schema_name}.{left.name}"
            raise ToolError(
                f"{left.kind} {name} has changed since {record.change} was applied.",
                code="conflict",
                hint="Take back what changed it first; nothing was changed.",
            )
    files = {p.path: p for p in base.files}
    for image in record.files:
        file = files.get(image.path)
        if file is None or (file.sha256 if file.exists else "") != image.sha256_after:
            raise ToolError(
                f"The file {image.path} has changed since {record.change} was applied.",
                code="conflict",
                hint="Nothing was changed.",
            )


def narrow_by_record(session: Session, record: UndoRecord, shape: TableShape) -> Narrowing | None:
    """The rows that taking the record back can touch: those with the content of an updated or added row."""
    images = next((t for t in record.tables if t.table == shape.table), None)
    if images is None:
        return None
    if images.was_empty:
        return Narrowing(rows_query="", set_columns=(), tail=None, matches_exactly=False, takes_all=True)
    hashes = " UNION ALL ".join(
        f"SELECT after_hash FROM {RECORD}.main.{kind}_{images.number}"
        for kind, count in (("updated", images.updated), ("added", images.added))
        if count
    )
    if not hashes:
        return Narrowing(
            rows_query="SELECT 0::BIGINT AS rid WHERE false", set_columns=(), tail=None, matches_exactly=False
        )
    where = f"{hash_columns(shape.names, shape.types)} IN ({hashes})"
    table = qualify(session.catalog, shape.table)
    rows = f"SELECT rowid AS rid FROM {table} WHERE {where}"
    columns = images.set_columns if images.updated else ()
    return Narrowing(
        rows_query=rows,
        set_columns=columns,
        tail=f"FROM {table} WHERE {where}",
        matches_exactly=False,
        rows_at_most=images.updated + images.added,
    )


def restore(session: Session, record: UndoRecord, noted: Mapping[TableName, str]) -> None:
    """Undo rows and objects on `session.work`; files are restored by publishing.

    `noted` names the relation (rid, h) of the rows that `narrow_by_record` found, for tables other than our own.
    Raises `ToolError` when it cannot.
    """
    try:
        _restore_objects(session, record.objects)
        tables = _parents_first(record.tables)
        for images in tables:
            _pick_rows(session, images, noted.get(images.table) or _hashed_rows(session, images))
        for images in reversed(tables):
            _remove_added(session, images)
        for images in tables:
            _restore_updated(session, images)
        for images in tables:
            _insert_removed(session, images)
    except duckdb.Error as error:
        raise ToolError(
            f"{record.change} cannot be taken back: {error}",
            code="conflict",
            hint="Something made since depends on it. Nothing was changed.",
        ) from error


def _parents_first(tables: Sequence[RowImages]) -> list[RowImages]:
    left, placed = list(tables), []
    while left:
        names = {t.table.name for t in left}
        free = [t for t in left if not any(p in names and p != t.table.name for p in t.parents)] or left[:1]
        placed += free
        left = [t for t in left if t not in free]
    return placed


def _pick_rows(session: Session, images: RowImages, noted: str) -> None:
    if images.added and not images.was_empty:
        added = f"{RECORD}.main.added_{images.number}"
        session.work.execute(
            f"CREATE OR REPLACE TEMP TABLE __steward_added_{images.number} AS SELECT rid FROM (SELECT rid, h,"
            f" row_number() OVER (PARTITION BY h ORDER BY rid DESC) AS n FROM {noted}"
            f" WHERE h IN (SELECT after_hash FROM {added})) AS t JOIN {added} AS a ON t.h = a.after_hash"
            " WHERE t.n <= a.n"
        )
    if images.updated:
        updated = f"{RECORD}.main.updated_{images.number}"
        session.work.execute(
            f"CREATE OR REPLACE TEMP TABLE __steward_updated_{images.number} AS SELECT t.rid, u.image FROM"
            f" (SELECT rid, h, row_number() OVER (PARTITION BY h ORDER BY rid) AS n"
            f" FROM {noted} WHERE h IN (SELECT after_hash FROM {updated})) AS t JOIN (SELECT *, row_number()"
            f" OVER (PARTITION BY after_hash ORDER BY rowid) AS n FROM {updated}) AS u"
            " ON t.h = u.after_hash AND t.n = u.n"
        )


def _hashed_rows(session: Session, images: RowImages) -> str:
    table = qualify(session.catalog, images.table)
    return f"(SELECT rowid AS rid, {hash_columns(images.names, dict(zip(images.names, images.types, strict=False)))} AS h FROM {table})"


def _remove_added(session: Session, images: RowImages) -> None:
    if images.added:
        which = f" WHERE rowid IN (SELECT rid FROM temp.main.__steward_added_{images.number})"
        table = qualify(session.catalog, images.table)
        _expect(session, f"DELETE FROM {table}{'' if images.was_empty else which}", images.added, images)


def _restore_updated(session: Session, images: RowImages) -> None:
    if images.updated:
        sets = ", ".join(f"{quote_name(c)} = u.image.{quote_name(c)}" for c in images.set_columns)
        _expect(
            session,
            f"UPDATE {qualify(session.catalog, images.table)} AS t SET {sets}"
            f" FROM temp.main.__steward_updated_{images.number} AS u WHERE t.rowid = u.rid",
            images.updated,
            images,
        )


def _insert_removed(session: Session, images: RowImages) -> None:
    if images.removed:
        _expect(session, _insert(session, images, f"removed_{images.number}"), images.removed, images)


def _insert(session: Session, images: RowImages, relation: str) -> str:
    columns = ", ".join(quote_name(c) for c in images.stored)
    return (
        f"INSERT INTO {qualify(session.catalog, images.table)} ({columns})"
        f" SELECT {_fields(images.stored)} FROM {RECORD}.main.{relation}"
    )


def _fields(columns: Iterable[str]) -> str:
    return ", ".join(f"image.{quote_name(c)}" for c in columns)


def _expect(session: Session, sql: str, count: int, images: RowImages) -> None:
    row = read_row(session.work, sql)
    if row is None or row[0] != count:
        raise ToolError(
            f"{images.table.label} does not hold the {count} rows that the change left there.",
            code="conflict",
            hint="It was changed since by something else. Nothing was changed.",
        )


def _restore_objects(session: Session, objects: Sequence[ObjectImage]) -> None:
    catalog = quote_name(session.catalog)
    gone = sorted((o for o in objects if o.exists_after), key=lambda o: (_DROP_ORDER[o.kind], -o.order))
    for image in gone:
        name = f"{catalog}.{quote_name(image.name)}"
        if image.kind != "schema":
            name = f"{catalog}.{quote_name(image.schema_name)}.{quote_name(image.name)}"
        kind = "MACRO TABLE" if image.kind == "macro" and _is_table_macro(session, image) else image.kind.upper()
        session.work.execute(f"DROP {kind} {name}")
    back = sorted((o for o in objects if o.create_sql), key=lambda o: (-_DROP_ORDER[o.kind], o.order))
    for image in back:
        session.work.execute(str(image.create_sql))
        if image.rows is not None:
            columns = ", ".join(quote_name(c) for c in image.stored)
            table = f"{catalog}.{quote_name(image.schema_name)}.{quote_name(image.name)}"
            session.work.execute(
                f"INSERT INTO {table} ({columns}) SELECT {_fields(image.stored)} FROM {RECORD}.main.{image.rows}"
            )
    for image in back:
        for sql in image.after_sql:
            session.work.execute(sql)


def _is_table_macro(session: Session, image: ObjectImage) -> bool:
    row = read_row(
        session.work,
        "SELECT 1 FROM system.main.duckdb_functions() WHERE database_name = ? AND schema_name = ? AND function_name = ?"
        " AND function_type = 'table_macro'",
        [session.catalog, image.schema_name, image.name],
    )
    return row is not None


def restored_files(record: UndoRecord, staging: Path) -> tuple[FileEffect, ...]:
    """What bringing files back does: kept ones are staged to be published, new ones are marked for removal."""
    effects = []
    for number, image in enumerate(record.files, 1):
        target = Path(image.path)
        size = target.stat().st_size if target.exists() else 0
        if image.kept is None:
            effects.append(FileEffect(path=image.path, action="removed", size_before=size, sha256="", staged=""))
            continue
        kept = Path(image.kept)
        if not kept.is_file():
            raise ToolError(
                f"The kept copy of {target.name} is gone.", code="not_found", hint="It can no longer be taken back."
            )
        staged = staging / f"{number}_{target.name}"
        staged.unlink(missing_ok=True)
        shutil.copy2(kept, staged)
        effects.append(
            FileEffect(
                path=image.path,
                action="replaced",
                size_before=size,
                size_after=staged.stat().st_size,
                sha256=image.sha256_before,
                staged=str(staged),
            )
        )
    return tuple(effects)
