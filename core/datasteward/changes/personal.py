"""Which columns that a change touches hold personal data: by contract, by name, and by the values on both sides."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb

from datasteward.changes.carrying_out import Measured
from datasteward.changes.model import ColumnLabel, FileEffect, PersonalColumn, TableEffect
from datasteward.changes.names import qualify, quote_name, quote_text
from datasteward.changes.rowdiff import LOCAL_ROW_ID
from datasteward.changes.session import Session
from datasteward.changes.table_changes import TableChange
from datasteward.profiling.meanings import find_meaning
from datasteward.profiling.personal_text import classify_texts
from datasteward.profiling.sampling import family_of

SAMPLED_VALUES = 200
VALUE_CHARACTERS = 2000
LABELLED = "labelled by contract"
_DOCUMENTS = (".yaml", ".yml")
_TOLD_BY_VALUES = frozenset({"text", "integer", "nested"})

ReadValues = Callable[[str], list[str]]
"""Distinct values of a column as text, at most SAMPLED_VALUES from each side."""


def find_personal(
    session: Session, measured: Measured, effects: Sequence[TableEffect], labels: Sequence[ColumnLabel]
) -> tuple[PersonalColumn, ...] | None:
    """The columns with personal data among those whose values change, come in or go, and of the files written.

    A contract's label comes first; else a column counts by its name and what the profile's rules make of up to 200
    values of each side. None when a written file cannot be read, so that nobody knows.
    """
    found = [
        PersonalColumn(dataset=effect.table.label, column=column.name, kind=kind)
        for change, effect in zip(measured.shown, effects, strict=True)
        for column in _touched_columns(change, effect)
        if (kind := _classify(effect.table.label, column, labels, _ValuesOfTable(session, change).read))
    ]
    for file in measured.files:
        if file.staged and not file.path.lower().endswith(_DOCUMENTS):
            try:
                found += _find_in_file(session.before, file)
            except duckdb.Error:
                return None
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    type: str


def _touched_columns(change: TableChange, effect: TableEffect) -> Iterator[_Column]:
    before = {c.name: c.type for c in change.before.columns} if change.before else {}
    after = {c.name: c.type for c in change.after.columns} if change.after else {}
    if effect.action == "altered":
        names = list(dict.fromkeys([*(c.column for c in effect.columns), *(n for n in after if n not in before)]))
    elif effect.inserted or effect.deleted:
        names = list({**before, **after})
    else:
        names = [c.column for c in effect.columns]
    for name in names:
        yield _Column(name=name, type=after.get(name) or before[name])


def _classify(dataset: str, column: _Column, labels: Sequence[ColumnLabel], read: ReadValues) -> str | None:
    wanted = {dataset.casefold(), f"main.{dataset.casefold()}"}
    for label in labels:
        if label.dataset.casefold() in wanted and label.column.casefold() == column.name.casefold():
            return LABELLED if label.is_personal else None
    family = family_of(column.type)
    values = read(column.name) if family in _TOLD_BY_VALUES else []
    meaning = find_meaning(column.name, family, values)
    if meaning is not None and meaning.sensitivity != "none":
        return meaning.kind
    inside = classify_texts(values) if family != "integer" else None
    return inside.meaning if inside else None


@dataclass(frozen=True, slots=True)
class _ValuesOfTable:
    session: Session
    change: TableChange

    def read(self, column: str) -> list[str]:
        """What the column holds before, and what the change puts there."""
        change, session = self.change, self.session
        found: dict[str, None] = {}
        table = qualify(session.catalog, change.table)
        if change.before is not None and column in change.before.names:
            found.update(dict.fromkeys(_read_distinct(session.before, quote_name(column), table)))
        if change.after is not None and column in change.after.names:
            for value, relation in self._later(column, table):
                found.update(dict.fromkeys(_read_distinct(session.work, value, relation)))
        return list(found)

    def _later(self, column: str, table: str) -> Iterator[tuple[str, str]]:
        diff, name = self.change.diff, quote_name(column)
        if diff is None:
            yield name, table
            return
        if column in (diff.set_columns or ()):
            yield f"after_image.{name}", diff.relation
        elif diff.set_columns is None:
            chosen = f"SELECT after_rid FROM {diff.relation} WHERE after_rid IS NOT NULL LIMIT {SAMPLED_VALUES}"
            yield name, f"(SELECT * FROM {table} WHERE rowid IN ({chosen}))"
        if diff.inserted:
            yield name, f"(SELECT * FROM {table} WHERE rowid >= {LOCAL_ROW_ID})"


def _read_distinct(connection: duckdb.DuckDBPyConnection, value: str, relation: str) -> list[str]:
    rows = connection.execute(
        f"SELECT DISTINCT system.main.left(CAST(v AS VARCHAR), {VALUE_CHARACTERS}) FROM"
        f" (SELECT {value} AS v FROM {relation} WHERE {value} IS NOT NULL LIMIT {SAMPLED_VALUES})"
    ).fetchall()
    return [str(row[0]) for row in rows]


def _find_in_file(connection: duckdb.DuckDBPyConnection, file: FileEffect) -> list[PersonalColumn]:
    relation, name = quote_text(file.staged), file.path.rsplit("/", 1)[-1]
    columns = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {relation})").fetchall()

    def read(column: str) -> list[str]:
        return _read_distinct(connection, quote_name(column), relation)

    return [
        PersonalColumn(dataset=name, column=str(column), kind=kind)
        for column, type_ in columns
        if (kind := _classify(name, _Column(name=str(column), type=str(type_)), (), read))
    ]
