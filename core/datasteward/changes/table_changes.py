"""What an open transaction has done to each table that it touched, with the prints on both sides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from datasteward.changes.alterations import Alteration, compare_altered
from datasteward.changes.candidates import Candidates, note_candidates
from datasteward.changes.catalog import Catalog, ObjectKey, TableShape
from datasteward.changes.model import Fingerprint, ObjectPrint, TableCounts, TableName
from datasteward.changes.names import qualify
from datasteward.changes.prints import print_object
from datasteward.changes.rowdiff import (
    RowDiff,
    compare_rows,
    count_added_rows,
    has_all_updates,
    take_all_rows,
)
from datasteward.changes.rows import read_number
from datasteward.changes.session import Session
from datasteward.changes.work import Work
from datasteward.errors import ToolError


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
    earlier: TableShape | None = None
    """What it was, under whichever name; None for one that is new."""

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
class Sides:
    """The catalog before and after, what differs in it, and what is known: reported row counts and prints from before."""

    earlier: Catalog
    later: Catalog
    changed: Sequence[ObjectKey]
    matched: Mapping[tuple[str, str], int]
    known: Fingerprint | None


def measure_tables(
    session: Session, work: Work, candidates: Sequence[Candidates], sides: Sides
) -> tuple[TableChange, ...]:
    """Every table whose rows or definition change, those first that the statements were expected to touch."""
    noted = {(c.shape.table.schema_name, c.shape.table.name): c for c in candidates}
    rebuilt = [(k[1], k[2]) for k in sides.changed if k[0] == "table" and not (k[1:] in noted and _is_noted(sides, k))]
    measured = [
        _measure_table(session, work, where, None if where in rebuilt else noted[where], sides)
        for where in dict.fromkeys([*noted, *rebuilt])
    ]
    return tuple(_compare_definitions(session, work, measured, sides))


def _compare_definitions(
    session: Session, work: Work, tables: Sequence[TableChange], sides: Sides
) -> Iterator[TableChange]:
    """Lay altered tables beside what they were; one that was renamed keeps its place in the catalog."""
    gone = {sides.earlier.objects[t.key].order: t for t in tables if t.after is None and t.key in sides.earlier.objects}
    came = {sides.later.objects[t.key].order: t for t in tables if t.before is None and t.key in sides.later.objects}
    for number, table in enumerate(tables):
        if table.after is None and (other := came.get(sides.earlier.objects[table.key].order)):
            yield replace(table, renamed_to=other.table.label)
            continue
        before, renamed_from = table.before, None
        if before is None and (earlier := gone.get(sides.later.objects[table.key].order)):
            before, renamed_from = earlier.before, earlier.table.label
        is_undone = work.record is not None and table.before_print.row_count == table.expected_print.row_count
        stays = table.diff is None and (not table.is_replaced or is_undone)
        if stays and before is not None and table.after is not None:
            found = compare_altered(session, before, table.after, number, by_position=table.is_replaced)
            table = replace(table, alteration=found, renamed_from=renamed_from)
        yield replace(table, earlier=before)


def _measure_table(
    session: Session, work: Work, where: tuple[str, str], noted: Candidates | None, sides: Sides
) -> TableChange:
    key: ObjectKey = ("table", *where)
    old, new = sides.earlier.objects.get(key), sides.later.objects.get(key)
    before, after = sides.earlier.tables.get(where), sides.later.tables.get(where)
    before_print = _known_print(sides.known, where)
    if before_print is None:
        before_print = print_object(old, key, session.before, session.catalog, before)
    matched = sides.matched.get(folded(where))
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


def _is_noted(sides: Sides, key: ObjectKey) -> bool:
    """Whether nothing but comments changes in the definition, so that rows are compared as in any other table."""
    before, after = sides.earlier.objects.get(key), sides.later.objects.get(key)
    return before is not None and after is not None and before.is_same_but_for_notes(after)


def _known_print(known: Fingerprint | None, where: tuple[str, str]) -> ObjectPrint | None:
    found = known.objects if known else ()
    return next((p for p in found if p.kind == "table" and (p.schema_name, p.name) == where), None)


def folded(where: tuple[str, str]) -> tuple[str, str]:
    """Schema and table as names are compared, in lower case."""
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
