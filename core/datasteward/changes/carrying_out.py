"""Carrying out a change inside one open transaction, and measuring what it does to every object it touches."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.changes.candidates import Candidates, note_candidates
from datasteward.changes.catalog import Catalog, CatalogObject, ObjectKey, Referring, TableShape, find_object
from datasteward.changes.catalog_reading import read_catalog
from datasteward.changes.contract_writing import WRITE_CONTRACT, read_document
from datasteward.changes.file_effects import stage_export, stage_text
from datasteward.changes.model import FileEffect, Fingerprint, ObjectPrint, StatementWork, TableName
from datasteward.changes.narrowing import Narrowing, narrow
from datasteward.changes.prints import print_files, print_object
from datasteward.changes.record import UndoRecord
from datasteward.changes.restore import narrow_by_record, refuse_if_built_upon, restore, restored_files
from datasteward.changes.running import bind, run_statement
from datasteward.changes.session import Session
from datasteward.changes.table_changes import Sides, TableChange, folded, measure_tables
from datasteward.changes.work import FILE_KINDS, Work
from datasteward.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an open transaction has done so far."""

    tables: tuple[TableChange, ...]
    objects_before: Mapping[ObjectKey, CatalogObject]
    objects_after: Mapping[ObjectKey, CatalogObject]
    changed_objects: tuple[ObjectKey, ...]
    files: tuple[FileEffect, ...]
    base: Fingerprint
    expected: Fingerprint
    result: Fingerprint | None
    """The exact state afterwards; None when whole rows were not read."""
    seconds: float
    referring: Mapping[tuple[str, str], tuple[Referring, ...]]
    """Tables that refer to others by a foreign key afterwards, by schema and name of the one referred to."""

    @property
    def shown(self) -> tuple[TableChange, ...]:
        """The touched tables under the names they have afterwards."""
        return tuple(t for t in self.tables if t.renamed_to is None)


def carry_out(
    session: Session,
    work: Work,
    *,
    staging: Path,
    prepared_files: tuple[FileEffect, ...] | None,
    known: Fingerprint | None,
    hashes_rows: bool = True,
) -> Measured:
    """Begin, run the work on `session.work`, and measure; the transaction stays open for the caller to end.

    `prepared_files` are exports staged before, which are then not written again; `known` is a base fingerprint that is
    certain to hold still. Without `hashes_rows` the exact state afterwards is not found out where that would mean to
    read columns that stay as they are. Raises `ToolError` with DuckDB's words when a statement fails.
    """
    only_tables = None if work.changes_catalog else work.table_names
    earlier = read_catalog(session.before, session.catalog, only_tables=only_tables)
    shapes, objects = earlier.tables, earlier.objects
    if work.record is not None:
        known = _require_unchanged(session, work.record, shapes, objects)
    targets = _row_targets(work, shapes)
    candidates = [_note(session, work, shapes[t], i, len(targets), hashes_rows) for i, t in enumerate(targets)]
    session.work.execute("BEGIN TRANSACTION")
    started = time.perf_counter()
    matched, files = _run(session, work, staging, prepared_files, candidates)
    seconds = time.perf_counter() - started
    later = read_catalog(session.work, session.catalog) if work.changes_catalog else earlier
    changed = _find_changed(session, work, earlier, later, targets)
    sides = Sides(earlier=earlier, later=later, changed=changed, matched=matched, known=known)
    tables = measure_tables(session, work, candidates, sides)
    read = _prints_of_read(session, work, shapes, objects, {t.table for t in tables}) if files else []
    others = [key for key in changed if key[0] != "table"]
    others_after = [print_object(later.objects.get(k), k) for k in others]
    exact = [t.result_print for t in tables if t.result_print is not None]
    return Measured(
        tables=tables,
        objects_before=objects,
        objects_after=later.objects,
        changed_objects=changed,
        files=files,
        base=_fingerprint(
            [t.before_print for t in tables],
            [print_object(objects.get(k), k) for k in others],
            read,
            paths=[*(f.path for f in files), *(_read_files(work) if files else ())],
        ),
        expected=_fingerprint([t.expected_print for t in tables], others_after),
        result=_fingerprint(exact, others_after) if len(exact) == len(tables) else None,
        seconds=seconds,
        referring=_referring(later.tables),
    )


def _fingerprint(*prints: Sequence[ObjectPrint], paths: Sequence[str] = ()) -> Fingerprint:
    objects = tuple(found for part in prints for found in part)
    return Fingerprint(engine=duckdb.__version__, objects=objects, files=print_files(paths))


def _find_changed(
    session: Session, work: Work, earlier: Catalog, later: Catalog, targets: Sequence[tuple[str, str]]
) -> tuple[ObjectKey, ...]:
    before, after = earlier.objects, later.objects
    keys = sorted({*before, *after})
    changed = [key for key in keys if _identity(before.get(key)) != _identity(after.get(key))]
    return (*changed, *_altered_otherwise(session, work, earlier, later, {*changed, *_keys(targets)}))


def _referring(shapes: Mapping[tuple[str, str], TableShape]) -> dict[tuple[str, str], tuple[Referring, ...]]:
    found: dict[tuple[str, str], tuple[Referring, ...]] = {}
    for shape in shapes.values():
        for key in shape.foreign_keys:
            where = key.parent.schema_name, key.parent.name
            found[where] = (*found.get(where, ()), Referring(table=shape.table, foreign_key=key))
    return found


def _require_unchanged(
    session: Session,
    record: UndoRecord,
    shapes: Mapping[tuple[str, str], TableShape],
    objects: Mapping[ObjectKey, CatalogObject],
) -> Fingerprint:
    """The exact state now, which must be the one that the change left; raises `ToolError` (conflict)."""
    prints = []
    for left in record.result.objects:
        key: ObjectKey = (left.kind, left.schema_name, left.name)
        shape = shapes.get((left.schema_name, left.name)) if left.kind == "table" else None
        prints.append(print_object(find_object(objects, left), key, session.before, session.catalog, shape))
    now = Fingerprint(
        engine=duckdb.__version__, objects=tuple(prints), files=print_files([f.path for f in record.files])
    )
    refuse_if_built_upon(record, now)
    return now


def _identity(found: CatalogObject | None) -> tuple[int, str] | None:
    return None if found is None else (found.order if found.kind in {"table", "sequence"} else 0, found.definition)


def _row_targets(work: Work, shapes: Mapping[tuple[str, str], TableShape]) -> list[tuple[str, str]]:
    targets = [(t.schema_name, t.name) for t in work.row_targets]
    known = {(s.lower(), n.lower()): (s, n) for s, n in shapes}
    found = [known[s.lower(), n.lower()] for s, n in targets if (s.lower(), n.lower()) in known]
    if any(shapes[t].has_triggers for t in found):
        found = list(shapes)
    for where in found:
        if any(name.lower() == "rowid" for name in shapes[where].names):
            raise ToolError(
                f"{shapes[where].table.label} has a column named rowid, which hides the row ids that changes are"
                " measured by.",
                code="forbidden",
                hint="Rename that column first (ALTER TABLE … RENAME), then propose the change again.",
            )
    return list(dict.fromkeys(found))


def _keys(tables: Iterable[tuple[str, str]]) -> list[ObjectKey]:
    return [("table", *where) for where in tables]


def _altered_otherwise(
    session: Session, work: Work, earlier: Catalog, later: Catalog, measured: set[ObjectKey]
) -> list[ObjectKey]:
    """Tables that are altered, defined as before, and hold other values: `ALTER … TYPE … USING` may do that."""
    known = {folded(where): where for where in earlier.tables}
    named = [(t.schema_name, t.name) for s in work.statements if s.kind.startswith("alter") for t in s.writes]
    found = _keys(dict.fromkeys(known[folded(n)] for n in named if folded(n) in known))
    return [key for key in found if key not in measured and _differs(session, earlier, later, key)]


def _differs(session: Session, earlier: Catalog, later: Catalog, key: ObjectKey) -> bool:
    where = key[1], key[2]
    before = print_object(earlier.objects[key], key, session.before, session.catalog, earlier.tables[where])
    after = print_object(later.objects.get(key), key, session.work, session.catalog, later.tables.get(where))
    return before != after


def _note(session: Session, work: Work, shape: TableShape, number: int, targets: int, hashes_rows: bool) -> Candidates:
    narrowing: Narrowing | None = None
    if work.record is not None:
        narrowing = narrow_by_record(session, work.record, shape)
    elif targets == 1 and len(work.statements) == 1 and not work.parameters and not shape.has_triggers:
        narrowing = narrow(session.before, work.statements[0])
    return note_candidates(session, shape, number, narrowing, hashes_rows=hashes_rows)


def _run(
    session: Session,
    work: Work,
    staging: Path,
    prepared: tuple[FileEffect, ...] | None,
    candidates: Sequence[Candidates],
) -> tuple[dict[tuple[str, str], int], tuple[FileEffect, ...]]:
    matched: dict[tuple[str, str], int] = {}
    if work.record is not None:
        restore(session, work.record, {c.shape.table: c.relation for c in candidates})
        return matched, prepared if prepared is not None else restored_files(work.record, staging)
    files: list[FileEffect] = list(prepared or ())
    values = bind(work.parameters)
    for number, statement in enumerate(work.statements, 1):
        if statement.kind in FILE_KINDS:
            if prepared is None:
                files.append(_stage(session, statement, values, staging, number))
            continue
        count = run_statement(session.work, statement, values)
        for table in statement.writes:
            where = (table.schema_name.lower(), table.name.lower())
            matched[where] = matched.get(where, 0) + count
    return matched, tuple(files)


def _stage(
    session: Session,
    statement: StatementWork,
    values: list[object] | dict[str, object] | None,
    staging: Path,
    number: int,
) -> FileEffect:
    if statement.kind == WRITE_CONTRACT:
        return stage_text(read_document(statement), statement, staging, number)
    return stage_export(session.work, statement, values, staging, number)


def _read_files(work: Work) -> list[str]:
    return [path for s in work.statements for path in s.read_files]


def _prints_of_read(
    session: Session,
    work: Work,
    shapes: Mapping[tuple[str, str], TableShape],
    objects: Mapping[ObjectKey, CatalogObject],
    done: set[TableName],
) -> list[ObjectPrint]:
    known = {(s.lower(), n.lower()): (s, n) for s, n in shapes}
    seen: dict[tuple[str, str], None] = {}
    for statement in work.statements:
        for table in statement.reads if statement.kind in FILE_KINDS else ():
            where = known.get((table.schema_name.lower(), table.name.lower()))
            if where is not None and TableName(schema_name=where[0], name=where[1]) not in done:
                seen[where] = None
    return [
        print_object(objects.get(("table", *w)), ("table", *w), session.before, session.catalog, shapes[w])
        for w in seen
    ]
