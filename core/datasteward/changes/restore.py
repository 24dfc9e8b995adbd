"""Bringing back what an undo record holds, inside an open transaction.

Rows are found by their content, because row ids move when DuckDB checkpoints. That is exact as long as the table is as
the change left it, which the fingerprint has shown before this runs: of rows with equal content, which one is taken
makes no difference to the table.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb

from datasteward.changes.catalog import ForeignKey, TableShape, Trigger
from datasteward.changes.catalog_reading import read_triggers
from datasteward.changes.definitions import place_of
from datasteward.changes.making import drop_objects, in_order_of_making
from datasteward.changes.model import FileEffect, Fingerprint, TableName
from datasteward.changes.names import hash_columns, qualify, quote_name, quote_text
from datasteward.changes.narrowing import Narrowing
from datasteward.changes.record import ObjectImage, Part, RowImages, UndoRecord
from datasteward.changes.rows import read_number, read_row
from datasteward.changes.session import RECORD, Session
from datasteward.errors import ToolError

Images = TypeVar("Images", bound=RowImages | ObjectImage)


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
    Raises `ToolError` when it cannot. Rows go before others come in, so that neither stands in the other's place, and
    no trigger is there to act on it.
    """
    try:
        triggers = _set_triggers_aside(session)
        for image in record.objects:
            _run(session, image.repair_sql)
        for images in record.tables:
            _pick_rows(session, images, noted.get(images.table) or _hashed_rows(session, images))
        drop_objects(session, record.objects)
        for images in reversed(_parents_first(record.tables)):
            _remove_added(session, images)
            _lift_moved(session, images)
        back = in_order_of_making(session, [o for o in record.objects if o.create_sql and not o.stays])
        for image in back:
            session.work.execute(str(image.create_sql))
        for images in record.tables:
            _restore_updated(session, images)
        coming: list[RowImages | ObjectImage] = [*record.tables, *(o for o in back if o.rows is not None)]
        for returning in _parents_first(coming):
            _bring_back(session, returning)
        for image in back:
            _run(session, (*image.after_sql, *image.resume_sql))
        made_anew = {(o.schema_name, o.name) for o in record.objects if o.kind == "table" and not o.stays}
        _run(session, [t.sql for t in triggers if t.sql and (t.schema_name, t.table) not in made_anew])
        _run(session, [sql for image in back for sql in image.triggers])
    except duckdb.Error as error:
        raise ToolError(
            f"{record.change} cannot be taken back: {error}",
            code="conflict",
            hint="Something made since depends on it. Nothing was changed.",
        ) from error


def _run(session: Session, statements: Iterable[str]) -> None:
    for sql in statements:
        session.work.execute(sql)


def _set_triggers_aside(session: Session) -> list[Trigger]:
    """Drop every trigger of the database, which would act on rows that come back as on any others."""
    found = [t for hooks in read_triggers(session.before, session.catalog).values() for t in hooks]
    for trigger in found:
        if trigger.sql is None:
            raise ToolError(
                f"The trigger {trigger.name} on {trigger.table} could not be made again as it is.",
                code="conflict",
                hint="Drop it, take the change back, and create it again. Nothing was changed.",
            )
        place = place_of(session.catalog, trigger.schema_name, trigger.table)
        session.work.execute(f"DROP TRIGGER {quote_name(trigger.name)} ON {place}")
    return found


def _table_of(images: RowImages | ObjectImage) -> TableName:
    return (
        images.table if isinstance(images, RowImages) else TableName(schema_name=images.schema_name, name=images.name)
    )


def _parents_of(images: RowImages | ObjectImage) -> set[TableName]:
    schema = _table_of(images).schema_name
    named = {TableName(schema_name=schema, name=name) for name in images.parents}
    return named | {key.parent for key in images.foreign_keys}


def _parents_first(tables: Sequence[Images]) -> list[Images]:
    left: list[Images] = list(tables)
    placed: list[Images] = []
    while left:
        there = {_table_of(t) for t in left}
        free = [t for t in left if not _parents_of(t) & (there - {_table_of(t)})] or left[:1]
        placed += free
        left = [t for t in left if t not in free]
    return placed


def _pick_rows(session: Session, images: RowImages, noted: str) -> None:
    place = "system.main.row_number()"
    if images.added and not images.was_empty:
        added = f"{RECORD}.main.added_{images.number}"
        session.work.execute(
            f"CREATE OR REPLACE TEMP TABLE __steward_added_{images.number} AS SELECT rid FROM (SELECT rid, h,"
            f" {place} OVER (PARTITION BY h ORDER BY rid DESC) AS n FROM {noted}"
            f" WHERE h IN (SELECT after_hash FROM {added})) AS t JOIN {added} AS a ON t.h = a.after_hash"
            " WHERE t.n <= a.n"
        )
    if images.updated:
        updated = f"{RECORD}.main.updated_{images.number}"
        mark = "u.mark" if images.parts else "''"
        session.work.execute(
            f"CREATE OR REPLACE TEMP TABLE __steward_updated_{images.number} AS SELECT t.rid, u.image, {mark} AS mark"
            f" FROM (SELECT rid, h, {place} OVER (PARTITION BY h ORDER BY rid) AS n"
            f" FROM {noted} WHERE h IN (SELECT after_hash FROM {updated})) AS t JOIN (SELECT *, {place}"
            f" OVER (PARTITION BY after_hash ORDER BY rowid) AS n FROM {updated}) AS u"
            " ON t.h = u.after_hash AND t.n = u.n"
        )
        row = read_row(session.work, f"SELECT system.main.count(*) FROM temp.main.__steward_updated_{images.number}")
        _expect(row, images.updated, images.table)


def _hashed_rows(session: Session, images: RowImages) -> str:
    table = qualify(session.catalog, images.table)
    return f"(SELECT rowid AS rid, {hash_columns(images.names, dict(zip(images.names, images.types, strict=False)))} AS h FROM {table})"


def _remove_added(session: Session, images: RowImages) -> None:
    if images.added:
        which = f" WHERE rowid IN (SELECT rid FROM temp.main.__steward_added_{images.number})"
        table = qualify(session.catalog, images.table)
        row = read_row(session.work, f"DELETE FROM {table}{'' if images.was_empty else which}")
        _expect(row, images.added, images.table)


def _parts_of(images: RowImages) -> tuple[Part, ...]:
    if not images.updated:
        return ()
    return images.parts or (Part(mark="", columns=images.set_columns),)


def _is_moved(images: RowImages, part: Part) -> bool:
    """Whether the rows must go before others come: one UPDATE refuses values that another row is yet to give up."""
    return bool(set(part.columns) & set(images.unique))


def _lift_moved(session: Session, images: RowImages) -> None:
    """Take rows out of the table that get values of a key back, and keep them as they will be, in their order."""
    moved = [p for p in _parts_of(images) if _is_moved(images, p)]
    if not moved:
        return
    table = qualify(session.catalog, images.table)
    chosen = []
    for part in moved:
        values = ", ".join(
            f"{'u.image' if c in part.columns else 't'}.{quote_name(c)} AS {quote_name(f'_{c}')}" for c in images.stored
        )
        chosen.append(
            f"SELECT u.rid AS rid, {values} FROM {table} AS t JOIN temp.main.__steward_updated_{images.number} AS u"
            f" ON t.rowid = u.rid WHERE u.mark = {quote_text(part.mark)}"
        )
    lifted = f"__steward_moved_{images.number}"
    row = read_row(session.work, f"CREATE OR REPLACE TEMP TABLE {lifted} AS {' UNION ALL '.join(chosen)} ORDER BY rid")
    assert row is not None
    gone = read_row(session.work, f"DELETE FROM {table} WHERE rowid IN (SELECT rid FROM temp.main.{lifted})")
    _expect(gone, int(row[0]), images.table)


def _restore_updated(session: Session, images: RowImages) -> None:
    for part in _parts_of(images):
        if _is_moved(images, part) or not part.columns:
            continue
        sets = ", ".join(f"{quote_name(c)} = u.image.{quote_name(c)}" for c in part.columns)
        session.work.execute(
            f"UPDATE {qualify(session.catalog, images.table)} AS t SET {sets}"
            f" FROM temp.main.__steward_updated_{images.number} AS u"
            f" WHERE t.rowid = u.rid AND u.mark = {quote_text(part.mark)}"
        )


def _bring_back(session: Session, images: RowImages | ObjectImage) -> None:
    """Insert the rows that went, and those that were lifted out."""
    sources = []
    if isinstance(images, ObjectImage):
        sources.append(f"SELECT {_fields(images.stored)} FROM {RECORD}.main.{images.rows}")
    else:
        if any(_is_moved(images, p) for p in _parts_of(images)):
            columns = ", ".join(f"{quote_name(f'_{c}')} AS {quote_name(c)}" for c in images.stored)
            sources.append(f"SELECT {columns} FROM temp.main.__steward_moved_{images.number}")
        if images.removed:
            sources.append(f"SELECT {_fields(images.stored)} FROM {RECORD}.main.removed_{images.number}")
    table = _table_of(images)
    own = [key for key in images.foreign_keys if key.parent == table]
    for source in sources:
        if own:
            _insert_in_waves(session, table, images.stored, source, own)
        else:
            columns = ", ".join(quote_name(c) for c in images.stored)
            session.work.execute(f"INSERT INTO {qualify(session.catalog, table)} ({columns}) {source}")


def _insert_in_waves(
    session: Session, table: TableName, stored: Sequence[str], source: str, keys: Sequence[ForeignKey]
) -> None:
    """Insert rows that refer to others of the same table: first those whose parents are there, then their children."""
    target, columns = qualify(session.catalog, table), ", ".join(quote_name(c) for c in stored)
    session.work.execute(f"CREATE OR REPLACE TEMP TABLE __steward_coming AS {source}")
    met = []
    for key in keys:
        nulls = " OR ".join(f"c.{quote_name(n)} IS NULL" for n in key.columns)
        equal = " AND ".join(
            f"t.{quote_name(r)} = c.{quote_name(n)}" for n, r in zip(key.columns, key.referenced, strict=True)
        )
        met.append(f"({nulls} OR EXISTS (SELECT 1 FROM {target} AS t WHERE {equal}))")
    ready = f"SELECT c.rowid AS rid FROM temp.main.__steward_coming AS c WHERE {' AND '.join(met)}"
    while read_number(session.work, "SELECT system.main.count(*) FROM temp.main.__steward_coming"):
        found = read_row(session.work, f"CREATE OR REPLACE TEMP TABLE __steward_ready AS {ready}")
        if found is None or not found[0]:
            raise ToolError(
                f"Rows of {table.label} refer to rows that are no longer there.",
                code="conflict",
                hint="Nothing was changed.",
            )
        chosen = "FROM temp.main.__steward_coming WHERE rowid IN (SELECT rid FROM temp.main.__steward_ready)"
        session.work.execute(f"INSERT INTO {target} ({columns}) SELECT {columns} {chosen}")
        session.work.execute(f"DELETE {chosen}")


def _fields(columns: Iterable[str]) -> str:
    return ", ".join(f"image.{quote_name(c)} AS {quote_name(c)}" for c in columns)


def _expect(row: Sequence[object] | None, count: int, table: TableName) -> None:
    if row is None or row[0] != count:
        raise ToolError(
            f"{table.label} does not hold the {count} rows that the change left there.",
            code="conflict",
            hint="It was changed since by something else. Nothing was changed.",
        )


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
