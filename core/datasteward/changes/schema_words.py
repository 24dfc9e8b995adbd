"""What appears, goes and changes in the definition of an object, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from datasteward.changes.catalog import CatalogObject, Column, Index, TableShape, Trigger

if TYPE_CHECKING:
    from datasteward.changes.table_changes import TableChange

SQL_CHARACTERS = 300


def describe_definition(
    before: CatalogObject | None, after: CatalogObject | None, table: "TableChange | None" = None
) -> tuple[str, ...]:
    """A line for each difference between two states of one object; None where it is not there.

    `table` is what was measured of one. An object that goes is told by its name alone.
    """
    old, new = (table.before, table.after) if table else (None, None)
    renamed = table.alteration.renamed if table and table.alteration else ()
    if after is None:
        return ()
    if before is None:
        return tuple(_describe_new(after, new))
    lines = [*_compare_columns(old, new, {c.name_before: c.name for c in renamed}), *_compare_keys(old, new)]
    if not lines and before.create_sql != after.create_sql:
        lines = [f"was: {_cut(before.create_sql)}", f"will be: {_cut(after.create_sql)}"]
    elif before.kind == "sequence" and before.order != after.order:
        lines = ["it is made anew as it was"]
    lines += _compare_indexes(before.indexes, after.indexes)
    lines += _compare_triggers(before.triggers, after.triggers)
    lines += _compare_notes(before, after)
    return tuple(lines)


def _describe_new(after: CatalogObject, shape: TableShape | None) -> Iterator[str]:
    if shape is None:
        yield _cut(after.create_sql)
    else:
        for column in shape.columns:
            yield f"column {column.name} {_describe_column(column)}"
        yield from _compare_keys(None, shape)
    yield from _compare_indexes((), after.indexes)
    for name, text in after.notes.items():
        yield f"{_noted(name)}: {_quoted(text)}"
    for index in after.indexes:
        if index.comment is not None:
            yield f"note on index {index.name}: {_quoted(index.comment)}"


def _describe_column(column: Column) -> str:
    facts = [column.type]
    if not column.is_nullable:
        facts.append("without nulls")
    if column.expression is not None:
        facts.append(f"{'computed as' if column.is_generated else 'default'} {_cut(column.expression)}")
    return ", ".join(facts)


def _compare_columns(old: TableShape | None, new: TableShape | None, renamed: Mapping[str, str]) -> Iterator[str]:
    yield from (f"column {name} is called {later} from now on" for name, later in renamed.items())
    before = {renamed.get(c.name, c.name): c for c in old.columns} if old else {}
    after = {c.name: c for c in new.columns} if new else {}
    for name, column in before.items():
        if name not in after:
            yield f"column {name} ({column.type}) goes"
    for name, column in after.items():
        if name not in before:
            yield f"column {name} appears: {_describe_column(column)}"
        else:
            yield from _compare_column(before[name], column)
    stay = [[n for n in side if n in before and n in after] for side in (before, after)]
    if stay[0] != stay[1]:
        yield f"the columns stand in another order: {', '.join(after)}"


def _compare_column(before: Column, after: Column) -> Iterator[str]:
    if before.type != after.type:
        yield f"column {after.name} changes its type: {before.type} -> {after.type}"
    if before.is_nullable != after.is_nullable:
        yield f"column {after.name} {'may be null from now on' if after.is_nullable else 'takes no nulls any more'}"
    if before.expression != after.expression:
        what = "what it computes" if after.is_generated else "its default"
        yield f"column {after.name} changes {what}: {_value(before.expression)} -> {_value(after.expression)}"


def _compare_keys(old: TableShape | None, new: TableShape | None) -> Iterator[str]:
    before, after = old.key if old else (), new.key if new else ()
    if before != after:
        if before:
            yield f"the key ({', '.join(before)}) goes"
        if after:
            yield f"key ({', '.join(after)}){' appears' if old else ''}"

    gone, come = old.constraints if old else (), new.constraints if new else ()
    yield from (f"{_cut(text)} goes" for text in gone if text not in come)
    yield from (f"{_cut(text)}{' appears' if old else ''}" for text in come if text not in gone)


def _compare_indexes(before: Sequence[Index], after: Sequence[Index]) -> Iterator[str]:
    old, new = [i.sql for i in before], [i.sql for i in after]
    yield from (f"an index goes: {_cut(sql)}" for sql in old if sql not in new)
    yield from (f"an index appears: {_cut(sql)}" for sql in new if sql not in old)


def _compare_triggers(before: Sequence[Trigger], after: Sequence[Trigger]) -> Iterator[str]:
    yield from (f"a trigger goes: {_cut(t.sql or t.name)}" for t in before if t not in after)
    yield from (f"a trigger appears: {_cut(t.sql or t.name)}" for t in after if t not in before)


def _compare_notes(before: CatalogObject, after: CatalogObject) -> Iterator[str]:
    for name in dict.fromkeys([*before.notes, *after.notes]):
        old, new = before.notes.get(name), after.notes.get(name)
        if old != new:
            yield f"{_noted(name)}: {_quoted(old)} -> {_quoted(new)}"
    earlier, later = {i.name: i.comment for i in before.indexes}, {i.name: i.comment for i in after.indexes}
    for name in (n for n in later if earlier.get(n) != later[n]):
        yield f"note on index {name}: {_quoted(earlier.get(name))} -> {_quoted(later[name])}"


def _noted(column: str) -> str:
    return f"note on column {column}" if column else "note"


def _quoted(text: str | None) -> str:
    return "none" if text is None else f"“{_cut(text)}”"


def _value(text: str | None) -> str:
    return "none" if text is None else _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= SQL_CHARACTERS else f"{text[: SQL_CHARACTERS - 1]}…"
