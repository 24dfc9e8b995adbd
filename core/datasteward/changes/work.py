"""Carrying out a change inside one open transaction, and measuring what it does to every object it touches."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from datasteward.changes.alterations import Alteration, compare_altered
from datasteward.changes.catalog import Catalog, CatalogObject, ObjectKey, Referring, TableShape, find_object
from datasteward.changes.catalog_reading import read_catalog
from datasteward.changes.contract_writing import WRITE_CONTRACT, read_document
from datasteward.changes.file_effects import stage_export, stage_text
from datasteward.changes.model import (
    FileEffect,
    Fingerprint,
    ObjectPrint,
    Parameter,
    StatementWork,
    TableCounts,
    TableName,
)
from datasteward.changes.names import qualify
from datasteward.changes.narrowing import Narrowing, narrow
from datasteward.changes.prints import print_files, print_object
from datasteward.changes.record import UndoRecord
from datasteward.changes.restore import narrow_by_record, refuse_if_built_upon, restore, restored_files
from datasteward.changes.rowdiff import (
    Candidates,
    RowDiff,
    compare_rows,
    count_added_rows,
    has_all_updates,
    note_candidates,
    take_all_rows,
)
from datasteward.changes.rows import read_number
from datasteward.changes.running import bind, run_statement
from datasteward.changes.session import Session
from datasteward.errors import ToolError

ROW_KINDS = frozenset({"insert", "update", "delete", "merge", "truncate", "copy_from"})
FILE_KINDS = frozenset({"copy_to", WRITE_CONTRACT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to carry out: statements, or an undo record attached to the session."""

    statements: tuple[StatementWork, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    record: UndoRecord | None = None

    @property
    def changes_catalog(self) -> bool:
        """Whether more than rows and files may change."""
        if self.record is not None:
            return bool(self.record.objects)
        return any(s.kind not in ROW_KINDS | FILE_KINDS for s in self.statements)

    @property
    def stages_files(self) -> bool:
        """Whether files are written, and so staged before."""
        if self.record is not None:
            return any(f.kept for f in self.record.files)
        return any(s.kind in FILE_KINDS for s in self.statements)

    @property
    def row_targets(self) -> tuple[TableName, ...]:
        """Tables whose rows the statements change."""
        if self.record is not None:
            return tuple(t.table for t in self.record.tables)
        return tuple(dict.fromkeys(t for s in self.statements if s.kind in ROW_KINDS for t in s.writes))

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of tables that the statements name, or that the record holds."""
        if self.record is not None:
            return tuple(o.name for o in self.record.result.objects)
        return tuple(t.name for s in self.statements for t in (*s.writes, *s.reads))

    @property
    def only_updates(self) -> bool:
        """Whether rows are only updated, so that those that DuckDB moved can be paired by position."""
        if self.record is not None:
            return not any(t.added or t.removed for t in self.record.tables)
        return bool(self.statements) and all(s.kind == "update" for s in self.statements)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """One touched table on both sides, and its row differences when both sides have the same columns."""

    table: TableName
    before: TableShape | None
    after: TableShape | None
    before_print: ObjectPrint
    expected_print: ObjectPrint
    result_print: ObjectPrint | None
    diff: RowDiff | None
    is_replaced: bool
    matched: int
    alteration: Alteration | None = None
    """For one that stays under its name or another, and whose definition changes."""
    renamed_from: str | None = None
    renamed_to: str | None = None

    @property
    def counts(self) -> TableCounts:
        """How many rows come, change and go."""
        if (found := self.alteration or self.diff) is not None:
            inserted, updated, deleted = found.inserted, found.updated, found.deleted
        else:
            inserted, updated, deleted = self.expected_print.row_count, 0, self.before_print.row_count
        return TableCounts(table=self.table, inserted=inserted, updated=updated, deleted=deleted)

    @property
    def key(self) -> ObjectKey:
        """Where it is in the catalog."""
        return ("table", self.table.schema_name, self.table.name)


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
    shapes_after, objects_after = later.tables, later.objects
    changed = tuple(
        key
        for key in sorted({*objects, *objects_after})
        if _identity(objects.get(key)) != _identity(objects_after.get(key))
    )
    changed = (*changed, *_altered_otherwise(session, work, earlier, later, {*changed, *_keys(targets)}))
    sides = _Sides(
        shapes=shapes,
        shapes_after=shapes_after,
        objects=objects,
        objects_after=objects_after,
        changed=changed,
        matched=matched,
        known=known,
    )
    tables = _measure_tables(session, work, candidates, sides)
    others = [key for key in changed if key[0] != "table"]
    base_objects = [t.before_print for t in tables] + [print_object(objects.get(k), k) for k in others]
    others_after = [print_object(objects_after.get(k), k) for k in others]
    exact = [t.result_print for t in tables if t.result_print is not None]
    read_prints = _prints_of_read(session, work, shapes, objects, {t.table for t in tables}) if files else []
    return Measured(
        tables=tables,
        objects_before=objects,
        objects_after=objects_after,
        changed_objects=changed,
        files=files,
        base=Fingerprint(
            engine=duckdb.__version__,
            objects=(*base_objects, *read_prints),
            files=print_files([*(f.path for f in files), *(_read_files(work) if files else ())]),
        ),
        expected=Fingerprint(engine=duckdb.__version__, objects=(*(t.expected_print for t in tables), *others_after)),
        result=Fingerprint(engine=duckdb.__version__, objects=(*exact, *others_after))
        if len(exact) == len(tables)
        else None,
        seconds=seconds,
        referring=_referring(shapes_after),
    )


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
    known = {_folded(where): where for where in earlier.tables}
    named = [(t.schema_name, t.name) for s in work.statements if s.kind.startswith("alter") for t in s.writes]
    found = _keys(dict.fromkeys(known[_folded(n)] for n in named if _folded(n) in known))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    shapes: Mapping[tuple[str, str], TableShape]
    shapes_after: Mapping[tuple[str, str], TableShape]
    objects: Mapping[ObjectKey, CatalogObject]
    objects_after: Mapping[ObjectKey, CatalogObject]
    changed: Sequence[ObjectKey]
    matched: Mapping[tuple[str, str], int]
    known: Fingerprint | None


def _measure_tables(
    session: Session, work: Work, candidates: Sequence[Candidates], sides: _Sides
) -> tuple[TableChange, ...]:
    noted = {(c.shape.table.schema_name, c.shape.table.name): c for c in candidates}
    rebuilt = [(k[1], k[2]) for k in sides.changed if k[0] == "table" and not (k[1:] in noted and _is_noted(sides, k))]
    measured = [
        _measure_table(session, work, where, None if where in rebuilt else noted[where], sides)
        for where in dict.fromkeys([*noted, *rebuilt])
    ]
    return tuple(_compare_definitions(session, work, measured, sides))


def _compare_definitions(
    session: Session, work: Work, tables: Sequence[TableChange], sides: _Sides
) -> Iterator[TableChange]:
    """Lay altered tables beside what they were; one that was renamed keeps its place in the catalog."""
    gone = {sides.objects[t.key].order: t for t in tables if t.after is None and t.key in sides.objects}
    came = {sides.objects_after[t.key].order: t for t in tables if t.before is None and t.key in sides.objects_after}
    for number, table in enumerate(tables):
        if table.after is None and (other := came.get(sides.objects[table.key].order)):
            yield replace(table, renamed_to=other.table.label)
            continue
        before, renamed_from = table.before, None
        if before is None and (earlier := gone.get(sides.objects_after[table.key].order)):
            before, renamed_from = earlier.before, earlier.table.label
        is_undone = work.record is not None and table.before_print.row_count == table.expected_print.row_count
        stays = table.diff is None and (not table.is_replaced or is_undone)
        if stays and before is not None and table.after is not None:
            found = compare_altered(session, before, table.after, number, by_position=table.is_replaced)
            table = replace(table, alteration=found, renamed_from=renamed_from)
        yield table


def _measure_table(
    session: Session, work: Work, where: tuple[str, str], noted: Candidates | None, sides: _Sides
) -> TableChange:
    key: ObjectKey = ("table", *where)
    old, new = sides.objects.get(key), sides.objects_after.get(key)
    before, after = sides.shapes.get(where), sides.shapes_after.get(where)
    before_print = _known_print(sides.known, where)
    if before_print is None:
        before_print = print_object(old, key, session.before, session.catalog, before)
    matched = sides.matched.get(_folded(where))
    diff = None
    expected_print: ObjectPrint
    result_print: ObjectPrint | None
    if noted is None:
        expected_print = result_print = print_object(new, key, session.work, session.catalog, after)
    else:
        diff = _compare(session, noted, before_print, matched, work)
        defined = before_print.model_copy(update={"definition": new.definition if new else before_print.definition})
        expected_print, result_print = diff.expected_of(defined), diff.result_of(defined)
    return TableChange(
        table=TableName(schema_name=where[0], name=where[1]),
        before=before,
        after=after,
        before_print=before_print,
        expected_print=expected_print,
        result_print=result_print,
        diff=diff,
        is_replaced=old is not None and new is not None and old.order != new.order,
        matched=matched or 0,
    )


def _is_noted(sides: _Sides, key: ObjectKey) -> bool:
    """Whether nothing but comments changes in the definition, so that rows are compared as in any other table."""
    before, after = sides.objects.get(key), sides.objects_after.get(key)
    return before is not None and after is not None and before.is_same_but_for_notes(after)


def _known_print(known: Fingerprint | None, where: tuple[str, str]) -> ObjectPrint | None:
    found = known.objects if known else ()
    return next((p for p in found if p.kind == "table" and (p.schema_name, p.name) == where), None)


def _folded(where: tuple[str, str]) -> tuple[str, str]:
    return where[0].lower(), where[1].lower()


def _compare(session: Session, noted: Candidates, base: ObjectPrint, matched: int | None, work: Work) -> RowDiff:
    """The diff, or a full one when the narrowed one cannot be all: the statement reports another number of rows."""
    diff: RowDiff | None
    if noted.takes_all:
        diff = take_all_rows(session, noted, base)
    elif noted.only_adds:
        diff = count_added_rows(session, noted)
    else:
        diff = compare_rows(session, noted, only_updates=work.only_updates)
    is_matched = not noted.must_match or matched is None or matched == noted.count
    if diff is not None and is_matched and _accounts_for_all(session, noted, diff, base):
        return diff
    if noted.set_columns is None:
        raise ToolError(
            f"The effect on {noted.shape.table.label} could not be measured exactly.",
            code="internal",
            hint="Nothing was changed. Split the change into single statements and propose them one by one.",
        )
    full = note_candidates(session, noted.shape, noted.number, None, hashes_rows=True, is_repeated=True)
    return _compare(session, full, base, None, work)


def _accounts_for_all(session: Session, noted: Candidates, diff: RowDiff, base: ObjectPrint) -> bool:
    count = f"SELECT system.main.count(*) FROM {qualify(session.catalog, diff.shape.table)}"
    fits = base.row_count + diff.inserted - diff.deleted == read_number(session.work, count)
    return fits and (noted.is_certain or has_all_updates(session, noted, diff))


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
