"""What a person decides on: counts, rows before and after, changed columns and schema, made from what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from datasteward.changes.alterations import Alteration, AlteredColumn
from datasteward.changes.carrying_out import Measured
from datasteward.changes.catalog import TableShape
from datasteward.changes.model import ColumnChange, Renaming, SampleRow, SchemaChange, TableEffect
from datasteward.changes.names import hash_values, pack_columns, qualify, quote_name, unpack_carried
from datasteward.changes.rowdiff import RowDiff
from datasteward.changes.rows import read_row
from datasteward.changes.schema_words import describe_definition
from datasteward.changes.session import Session
from datasteward.changes.table_changes import TableChange

SAMPLE_ROWS = 6
SAMPLE_COLUMNS = 12
CELL_CHARACTERS = 120
SUMMARY_ROWS = 100_000
SUMMARY_COLUMNS = 40
_ORDERED = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "DATE", "TIME", "VARCHAR", "HUGEINT", "BOOLEAN", "UUID")

Cells = tuple[str | None, ...]


def describe_tables(session: Session, measured: Measured) -> tuple[TableEffect, ...]:
    """The effect on each of `Measured.shown`, those that nothing happens to included."""
    return tuple(_describe(session, change) for change in measured.shown)


def _describe(session: Session, change: TableChange) -> TableEffect:
    diff = change.diff
    if change.alteration is not None:
        return _describe_altered(session, change, change.alteration)
    if diff is None:
        return _describe_rebuilt(session, change)
    summary = _summarise_columns(session, diff) if diff.updated else ()
    samples, columns = _sample(session, diff, [c.column for c in summary if c.changed_rows])
    return TableEffect(
        table=change.table,
        action="rows",
        inserted=diff.inserted,
        updated=diff.updated,
        deleted=diff.deleted,
        matched=change.matched,
        rows_before=change.before_print.row_count,
        rows_after=change.expected_print.row_count,
        sample_columns=columns,
        key_columns=len(diff.shape.key),
        samples=samples,
        columns=summary,
        summarised_rows=min(diff.updated, SUMMARY_ROWS) if summary else 0,
    )


def _describe_rebuilt(session: Session, change: TableChange) -> TableEffect:
    before, after = change.before_print.row_count, change.expected_print.row_count
    existed, exists = change.before_print.exists, change.expected_print.exists
    samples: list[SampleRow] = []
    shape = change.after or change.before
    columns = _sample_columns(shape, []) if shape else ()
    if shape is not None:
        source = session.work if exists else session.before
        rows = source.execute(
            f"SELECT {_texts(columns)} FROM {qualify(session.catalog, shape.table)} AS r ORDER BY rowid"
            f" LIMIT {SAMPLE_ROWS}"
        ).fetchall()
        samples = [
            SampleRow(action="insert", after=_cells(r)) if exists else SampleRow(action="delete", before=_cells(r))
            for r in rows
        ]
    return TableEffect(
        table=change.table,
        action="created" if not existed else "dropped" if not exists else "replaced",
        inserted=after,
        deleted=before,
        matched=change.matched,
        rows_before=before,
        rows_after=after,
        sample_columns=columns if samples else (),
        key_columns=len(shape.key) if shape and samples else 0,
        samples=tuple(samples),
    )


def _describe_altered(session: Session, change: TableChange, found: Alteration) -> TableEffect:
    summary = _summarise_altered(session, found) if found.updated else ()
    shown = (*found.key, *found.columns)[:SAMPLE_COLUMNS]
    samples = _sample_altered(session, found, shown) if found.relation else []
    return TableEffect(
        table=change.table,
        action="altered",
        inserted=found.inserted,
        updated=found.updated,
        deleted=found.deleted,
        matched=change.matched,
        rows_before=change.expected_print.row_count - found.inserted + found.deleted,
        rows_after=change.expected_print.row_count,
        sample_columns=tuple(c.name for c in shown) if samples else (),
        key_columns=len(found.key) if samples else 0,
        samples=tuple(samples),
        columns=summary,
        summarised_rows=found.updated if summary else 0,
        renamed_from=change.renamed_from,
        renamed_columns=tuple(Renaming(before=c.name_before, after=c.name) for c in found.renamed),
    )


def _summarise_altered(session: Session, found: Alteration) -> tuple[ColumnChange, ...]:
    columns = found.columns[:SUMMARY_COLUMNS]
    fields = ", ".join(_facts(c.before, c.after, c.differs, c.type_before or "", c.type_after or "") for c in columns)
    row = read_row(
        session.work, f"SELECT {fields} FROM {found.relation} WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL"
    )
    assert row is not None
    names = [(c.name, " -> ".join(dict.fromkeys(t for t in (c.type_before, c.type_after) if t))) for c in columns]
    return _changed_columns(names, row)


def _sample_altered(session: Session, found: Alteration, shown: Sequence[AlteredColumn]) -> list[SampleRow]:
    differing = " OR ".join(c.differs for c in found.columns)
    texts = [f"CAST({c.before} AS VARCHAR)" for c in shown] + [f"CAST({c.after} AS VARCHAR)" for c in shown]
    samples: list[SampleRow] = []
    for action, condition in (
        ("update", f"before_rid IS NOT NULL AND after_rid IS NOT NULL AND ({differing})"),
        ("delete", "after_rid IS NULL"),
        ("insert", "before_rid IS NULL"),
    ):
        rows = session.work.execute(
            f"SELECT {', '.join(texts)} FROM {found.relation} WHERE {condition} ORDER BY before_rid, after_rid"
            f" LIMIT {SAMPLE_ROWS}"
        ).fetchall()
        for row in rows:
            before, after = _cells(row[: len(shown)]), _cells(row[len(shown) :])
            samples.append(
                SampleRow(
                    action=action,
                    before=None if action == "insert" else before,
                    after=None if action == "delete" else after,
                )
            )
    return samples


def _sample_columns(shape: TableShape, changed: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*shape.key, *changed, *shape.names]))[:SAMPLE_COLUMNS]


def _texts(columns: Sequence[str]) -> str:
    return ", ".join(f"CAST(r.{quote_name(c)} AS VARCHAR)" for c in columns)


def _cells(row: Sequence[object]) -> Cells:
    return tuple(None if v is None else _cut(str(v)) for v in row)


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"


def _sample(session: Session, diff: RowDiff, changed: Sequence[str]) -> tuple[tuple[SampleRow, ...], tuple[str, ...]]:
    columns = _sample_columns(diff.shape, changed)
    samples: list[SampleRow] = []
    if diff.updated:
        samples += _sample_updated(session, diff, columns)
    if diff.deleted:
        ids = _pick_ids(session, diff, "before_rid", "after_rid")
        old = _read_rows(session.before, session.catalog, diff.shape, columns, ids)
        samples += [SampleRow(action="delete", before=old[i]) for i in ids]
    if diff.inserted:
        ids = _pick_ids(session, diff, "after_rid", "before_rid")
        new = _read_rows(session.work, session.catalog, diff.shape, columns, ids)
        samples += [SampleRow(action="insert", after=new[i]) for i in ids]
    return tuple(samples), columns if samples else ()


def _pick_ids(session: Session, diff: RowDiff, present: str, missing: str) -> list[int]:
    rows = session.work.execute(
        f"SELECT {present} FROM {diff.relation} WHERE {missing} IS NULL ORDER BY {present} LIMIT {SAMPLE_ROWS}"
    ).fetchall()
    return [int(row[0]) for row in rows]


def _sample_updated(session: Session, diff: RowDiff, columns: Sequence[str]) -> list[SampleRow]:
    paired = "WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL ORDER BY before_rid"
    if diff.holds_rows:
        sides = {c: "after" if c in (diff.set_columns or ()) else "before" for c in columns}
        fields = [_side("before", c) for c in columns] + [_side(side, c) for c, side in sides.items()]
        texts = ", ".join(f"CAST({field} AS VARCHAR)" for field in fields)
        chosen = f"SELECT before_rid FROM {diff.relation} {paired} LIMIT {SAMPLE_ROWS}"
        rows = session.work.execute(
            f"SELECT {texts} FROM {diff.relation} WHERE before_rid IN ({chosen}) ORDER BY before_rid"
        ).fetchall()
        width = len(columns)
        return [SampleRow(action="update", before=_cells(r[:width]), after=_cells(r[width:])) for r in rows]
    if diff.by_changes:
        return _sample_in_place(session, diff, columns)
    pairs = session.work.execute(
        f"SELECT before_rid, after_rid FROM {diff.relation} {paired} LIMIT {SAMPLE_ROWS}"
    ).fetchall()
    old = _read_rows(session.before, session.catalog, diff.shape, columns, [p[0] for p in pairs])
    new = _read_rows(session.work, session.catalog, diff.shape, columns, [p[1] for p in pairs])
    return [SampleRow(action="update", before=old[b], after=new[a]) for b, a in pairs]


def _sample_in_place(session: Session, diff: RowDiff, columns: Sequence[str]) -> list[SampleRow]:
    """Rows of which only what was set needs to be read again."""
    new = [c for c in columns if c in (diff.set_columns or ())]
    texts = ", ".join(["before_rid", *(f"CAST({_side('after', c)} AS VARCHAR)" for c in new)])
    rows = session.work.execute(
        f"SELECT {texts} FROM {diff.relation} WHERE after_rid IS NOT NULL ORDER BY before_rid LIMIT {SAMPLE_ROWS}"
    ).fetchall()
    old = _read_rows(session.before, session.catalog, diff.shape, columns, [int(r[0]) for r in rows])
    samples = []
    for row_id, *values in rows:
        before = old[row_id]
        changed = dict(zip(new, _cells(values), strict=True))
        after = tuple(changed.get(c, cell) for c, cell in zip(columns, before, strict=True))
        samples.append(SampleRow(action="update", before=before, after=after))
    return samples


def _read_rows(
    connection: duckdb.DuckDBPyConnection,
    catalog: str,
    shape: TableShape,
    columns: Sequence[str],
    row_ids: Sequence[int],
) -> dict[int, Cells]:
    chosen = f"rowid BETWEEN {min(row_ids)} AND {max(row_ids)} AND rowid IN ({', '.join(map(str, row_ids))})"
    rows = connection.execute(
        f"SELECT rowid, {_texts(columns)} FROM {qualify(catalog, shape.table)} AS r WHERE {chosen}"
    ).fetchall()
    return {int(r[0]): _cells(r[1:]) for r in rows}


def _summarise_columns(session: Session, diff: RowDiff) -> tuple[ColumnChange, ...]:
    relation, columns = diff.relation, diff.set_columns
    if columns is None:
        columns = diff.shape.names
        relation = _pair_values(session, diff)
    types = diff.shape.types
    if len(columns) > SUMMARY_COLUMNS:
        columns = _changed_of_many(session, relation, columns, types)
    if not columns:
        return ()
    sides = [(_side("before", c), _side("after", c)) for c in columns]
    fields = ", ".join(
        _facts(b, a, _differ(b, a, types[c]), types[c], types[c]) for c, (b, a) in zip(columns, sides, strict=True)
    )
    row = read_row(
        session.work, f"SELECT {fields} FROM {relation} WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL"
    )
    assert row is not None
    return _changed_columns([(c, types[c]) for c in columns], row)


def _changed_columns(columns: Sequence[tuple[str, str]], row: Sequence[Any]) -> tuple[ColumnChange, ...]:
    """The columns (name, type) of which a value changes, from a row with the facts of each."""
    found = []
    for number, (name, type_) in enumerate(columns):
        facts = row[number * _FACTS : (number + 1) * _FACTS]
        if facts[0]:
            found.append(
                ColumnChange(
                    column=name,
                    type=type_,
                    changed_rows=int(facts[0]),
                    nulls_before=int(facts[1]),
                    nulls_after=int(facts[2]),
                    least_before=_extreme(facts[3]),
                    greatest_before=_extreme(facts[4]),
                    least_after=_extreme(facts[5]),
                    greatest_after=_extreme(facts[6]),
                )
            )
    return tuple(found)


def _changed_of_many(
    session: Session, relation: str, columns: Sequence[str], types: Mapping[str, str]
) -> tuple[str, ...]:
    fields = ", ".join(
        f"system.main.count(*) FILTER ({_differ(_side('before', c), _side('after', c), types[c])})" for c in columns
    )
    row = read_row(
        session.work, f"SELECT {fields} FROM {relation} WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL"
    )
    assert row is not None
    return tuple(c for c, n in zip(columns, row, strict=True) if n)[:SUMMARY_COLUMNS]


def _side(side: str, column: str) -> str:
    return f"{side}_image.{quote_name(column)}"


def _differ(before: str, after: str, type_: str) -> str:
    """By the hash, as rows are compared, because a collation may call two texts equal."""
    return f"({hash_values([(before, type_)])} <> {hash_values([(after, type_)])})"


def _facts(before: str, after: str, differs: str, type_before: str, type_after: str) -> str:
    extremes = [
        f"CAST(system.main.{f}({s}) FILTER ({differs}) AS VARCHAR)" if _has_order(type_) else "NULL"
        for s, type_ in ((before, type_before), (after, type_after))
        for f in ("min", "max")
    ]
    return ", ".join(
        [
            f"system.main.count(*) FILTER ({differs})",
            f"system.main.count(*) FILTER ({differs} AND {before} IS NULL)",
            f"system.main.count(*) FILTER ({differs} AND {after} IS NULL)",
            *extremes,
        ]
    )


_FACTS = 7


def _has_order(type_: str) -> bool:
    word = type_.upper()
    return "[" not in word and (word.startswith(_ORDERED) or (word.startswith("U") and "INT" in word))


def _extreme(value: object) -> str | None:
    return None if value is None else _cut(str(value))


def _pair_values(session: Session, diff: RowDiff) -> str:
    """A relation (before_rid, after_rid, before_image, after_image) of at most SUMMARY_ROWS updated rows."""
    pairs = session.work.sql(
        f"SELECT before_rid, after_rid FROM {diff.relation} WHERE before_rid IS NOT NULL AND after_rid IS NOT NULL"
        f" ORDER BY before_rid LIMIT {SUMMARY_ROWS}"
    ).to_arrow_table()
    session.before.register("__steward_summary_pairs", pairs)
    table = qualify(session.catalog, diff.shape.table)
    image = pack_columns(diff.shape.names, "r")
    values = session.before.sql(
        f"SELECT p.before_rid, p.after_rid, {image} AS before_image"
        f" FROM {table} AS r JOIN __steward_summary_pairs AS p ON r.rowid = p.before_rid"
    ).to_arrow_table()
    session.work.register("__steward_earlier_values", values)
    name = f"__steward_values_{diff.number}"
    session.work.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT v.before_rid, v.after_rid,"
        f" {unpack_carried('v.before_image', diff.shape.names, diff.shape.types)} AS before_image, {image} AS after_image FROM {table} AS r JOIN __steward_earlier_values AS v ON r.rowid = v.after_rid"
    )
    session.work.unregister("__steward_earlier_values")
    return f"temp.main.{name}"


def describe_schema(measured: Measured) -> tuple[SchemaChange, ...]:
    """Every catalog object that appears, goes or changes."""
    shapes = {("table", t.table.schema_name, t.table.name): t for t in measured.tables}
    found = []
    for key in measured.changed_objects:
        before, after = measured.objects_before.get(key), measured.objects_after.get(key)
        table = shapes.get(key)
        is_bare = key[0] == "schema" or key[1] == "main"
        name = key[2] if is_bare else f"{key[1]}.{key[2]}"
        found.append(
            SchemaChange(
                kind=key[0],
                name=name,
                schema_name=key[1],
                only_notes=before is not None and after is not None and before.is_same_but_for_notes(after),
                action="created" if before is None else "dropped" if after is None else "changed",
                details=_renaming(table) or describe_definition(before, after, table),
            )
        )
    return tuple(found)


def _renaming(table: TableChange | None) -> tuple[str, ...]:
    if table is None:
        return ()
    if table.renamed_to is not None:
        return (f"it is called {table.renamed_to} from now on",)
    return (f"it was called {table.renamed_from}",) if table.renamed_from is not None else ()
