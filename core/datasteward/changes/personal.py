"""Which columns that a change touches hold personal data: by contract, by name, and by the values on both sides."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from datasteward.changes.carrying_out import Measured
from datasteward.changes.effects import SUMMARY_COLUMNS
from datasteward.changes.model import ColumnLabel, FileEffect, PersonalColumn, TableEffect
from datasteward.changes.names import qualify, quote_name, quote_text
from datasteward.changes.rowdiff import LOCAL_ROW_ID
from datasteward.changes.session import Session
from datasteward.changes.table_changes import TableChange
from datasteward.changes.work import Work
from datasteward.profiling.meanings import find_meaning
from datasteward.profiling.personal_text import classify_texts
from datasteward.profiling.sampling import family_of

SAMPLED_VALUES = 200
VALUE_CHARACTERS = 2000
LABELLED = "labelled by contract"
_DOCUMENTS = (".yaml", ".yml")
_TOLD_BY_VALUES = frozenset({"text", "integer", "nested"})

Values = dict[str, list[str]]
"""Distinct values of columns as text, at most SAMPLED_VALUES from each side."""
ReadValues = Callable[[Sequence["_Column"]], Values]


def find_personal(
    session: Session,
    work: Work,
    measured: Measured,
    effects: Sequence[TableEffect],
    labels: Sequence[ColumnLabel],
) -> tuple[PersonalColumn, ...] | None:
    """The columns with personal data among those whose values change, come in or go, and of the files written.

    A contract's label comes first, of a table under its earlier name too and for a file of any table that the export
    reads; else a column counts by its name and what the profile's rules make of up to 200 values of each side. None
    when a written file cannot be read, so that nobody knows.
    """
    found: list[PersonalColumn] = []
    for change, effect in zip(measured.shown, effects, strict=True):
        names = [effect.table.label, *([effect.renamed_from] if effect.renamed_from else [])]
        columns = list(_touched_columns(change, effect))
        said = _said_of(names, labels)
        found += _classify_all(effect.table.label, columns, said, partial(_read_table, session, change))
    read = [table.label for s in work.statements if s.target_file is not None for table in s.reads]
    for file in measured.files:
        if file.staged and not file.path.lower().endswith(_DOCUMENTS):
            try:
                found += _find_in_file(session.before, file, _said_of(read, labels))
            except duckdb.Error:
                return None
    return tuple(found)


def _said_of(names: Sequence[str], labels: Sequence[ColumnLabel]) -> dict[str, bool]:
    """What contracts say of the columns of these tables, by name in lower case; personal where any says so."""
    wanted = {n.casefold() for name in names for n in (name, f"main.{name}")}
    said: dict[str, bool] = {}
    for label in labels:
        if label.dataset.casefold() in wanted:
            column = label.column.casefold()
            said[column] = said.get(column, False) or label.is_personal
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    type: str
    name_before: str


def _touched_columns(change: TableChange, effect: TableEffect) -> Iterator[_Column]:
    """Columns of which a value changes, comes or goes; all where that is not told column by column."""
    before = {c.name: c.type for c in change.earlier.columns} if change.earlier else {}
    after = {c.name: c.type for c in change.after.columns} if change.after else {}
    renamed = {c.name: c.name_before for c in change.alteration.renamed} if change.alteration else {}
    for name in _touched_names(change, effect, before, after):
        earlier = renamed.get(name, name)
        yield _Column(name=name, type=after.get(name) or before[earlier], name_before=earlier)


def _touched_names(
    change: TableChange, effect: TableEffect, before: Mapping[str, str], after: Mapping[str, str]
) -> list[str]:
    diff, altered = change.diff, change.alteration
    if effect.inserted or effect.deleted:
        return list({**before, **after})
    if altered is not None:
        return list(dict.fromkeys([*(c.name for c in altered.columns), *(n for n in after if n not in before)]))
    if diff is None or not diff.updated:
        return []
    if diff.set_columns is None and (effect.summarised_rows < diff.updated or len(after) > SUMMARY_COLUMNS):
        return list(after)
    if len(effect.columns) >= SUMMARY_COLUMNS:
        return list(diff.set_columns or after)
    return [c.column for c in effect.columns]


def _classify_all(
    dataset: str, columns: Sequence[_Column], said: Mapping[str, bool], read: ReadValues
) -> list[PersonalColumn]:
    labelled = {c.name: found for c in columns if (found := _label_of(c, said)) is not None}
    open_ = [c for c in columns if c.name not in labelled]
    values = read([c for c in open_ if family_of(c.type) in _TOLD_BY_VALUES])
    kinds = {name: LABELLED for name, is_personal in labelled.items() if is_personal}
    kinds |= {c.name: kind for c in open_ if (kind := _classify(c, values.get(c.name, []))) is not None}
    return [PersonalColumn(dataset=dataset, column=c.name, kind=kinds[c.name]) for c in columns if c.name in kinds]


def _label_of(column: _Column, said: Mapping[str, bool]) -> bool | None:
    found = [said[n] for n in {column.name.casefold(), column.name_before.casefold()} if n in said]
    return any(found) if found else None


def _classify(column: _Column, values: list[str]) -> str | None:
    family = family_of(column.type)
    meaning = find_meaning(column.name, family, values)
    if meaning is not None and meaning.sensitivity != "none":
        return meaning.kind
    inside = classify_texts(values) if family != "integer" else None
    return inside.meaning if inside else None


def _read_table(session: Session, change: TableChange, columns: Sequence[_Column]) -> Values:
    """What columns hold before, and what the change puts there."""
    found: Values = {}
    sources = []
    if (earlier := change.earlier) is not None:
        table = qualify(session.catalog, earlier.table)
        there = {c.name: quote_name(c.name_before) for c in columns if c.name_before in earlier.names}
        sources.append((session.before, table, there))
    later = [c.name for c in columns if change.after and c.name in change.after.names]
    table = qualify(session.catalog, change.table)
    sources += [(session.work, relation, values) for relation, values in _later(change, later, table)]
    for connection, relation, values in sources:
        for column, texts in _read_distinct(connection, relation, values).items():
            found[column] = list(dict.fromkeys([*found.get(column, []), *texts]))
    return found


def _later(change: TableChange, columns: Sequence[str], table: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Relations on `work` with what is new, and how they name each column."""
    diff, names = change.diff, {c: quote_name(c) for c in columns}
    if diff is None:
        yield table, names
        return
    if diff.set_columns is None:
        chosen = f"SELECT after_rid FROM {diff.relation} WHERE after_rid IS NOT NULL LIMIT {SAMPLED_VALUES}"
        yield f"(SELECT * FROM {table} WHERE rowid IN ({chosen}))", names
    elif diff.updated:
        yield diff.relation, {c: f"after_image.{n}" for c, n in names.items() if c in diff.set_columns}
    if diff.inserted:
        yield f"(SELECT * FROM {table} WHERE rowid >= {LOCAL_ROW_ID})", names


def _read_distinct(connection: duckdb.DuckDBPyConnection, relation: str, values: Mapping[str, str]) -> Values:
    """Distinct values of each column among the first rows; of one that is empty there, among its first values."""
    if not values:
        return {}
    texts = [f"system.main.left(CAST({v} AS VARCHAR), {VALUE_CHARACTERS})" for v in values.values()]
    rows = connection.execute(f"SELECT {', '.join(texts)} FROM {relation} LIMIT {SAMPLED_VALUES}").fetchall()
    found = {c: list(dict.fromkeys(str(r[i]) for r in rows if r[i] is not None)) for i, c in enumerate(values)}
    for number, column in enumerate(values):
        if not found[column] and len(rows) == SAMPLED_VALUES:
            value = values[column]
            more = connection.execute(
                f"SELECT DISTINCT {texts[number]} FROM (SELECT * FROM {relation} WHERE {value} IS NOT NULL"
                f" LIMIT {SAMPLED_VALUES})"
            ).fetchall()
            found[column] = [str(row[0]) for row in more]
    return found


def _find_in_file(
    connection: duckdb.DuckDBPyConnection, file: FileEffect, said: Mapping[str, bool]
) -> list[PersonalColumn]:
    relation, name = quote_text(file.staged), file.path.rsplit("/", 1)[-1]
    rows = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {relation})").fetchall()
    found = [_Column(name=str(column), type=str(type_), name_before=str(column)) for column, type_ in rows]

    def read(columns: Sequence[_Column]) -> Values:
        return _read_distinct(connection, relation, {c.name: quote_name(c.name) for c in columns})

    return _classify_all(name, found, said, read)
