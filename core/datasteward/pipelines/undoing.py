"""What a run needs to be taken back: everything it may touch as it was, kept before the first step begins.

Of a table that is only added to, or filled in windows, only the rows of those windows are kept; every other table is
kept whole.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import duckdb

from datasteward.changes.catalog import Catalog, ObjectKey, TableShape
from datasteward.changes.catalog_reading import read_catalog
from datasteward.changes.digest import digest_of
from datasteward.changes.model import Fingerprint, ObjectKind, ObjectPrint, TableName
from datasteward.changes.names import hash_columns, pack_columns, qualify, quote_name, quote_text
from datasteward.changes.prints import absent, print_object
from datasteward.changes.record import ObjectImage, RowImages, UndoRecord, sync_file
from datasteward.changes.session import IMAGES
from datasteward.pipelines.build_model import QUARANTINE, quarantine_name_of, within
from datasteward.pipelines.options import Options
from datasteward.pipelines.plan_model import PlanStep
from datasteward.pipelines.preparing import Prepared
from datasteward.pipelines.state import SCHEMA, TABLE
from datasteward.pipelines.state_model import Window

_STATE_COLUMNS = ("sequence", "run", "change", "pipeline", "asset", "status", "body")


class Kept(Options):
    """Something to keep; `rows` says which part of a table's rows the run can touch.

    `all` of them, `added` ones only (which come behind those that were there), or those where `condition` holds.
    """

    kind: ObjectKind
    schema_name: str
    name: str
    rows: Literal["all", "added", "where"] = "all"
    condition: str = ""


def objects_of(prepared: Prepared) -> list[Kept]:
    """What the steps of a plan may touch: each table or view, and its quarantine."""
    found = []
    for step in prepared.plan.running:
        asset = prepared.analysis.nodes[step.key].asset
        found.append(_table_of(prepared, step))
        found.append(Kept(kind="view", schema_name=asset.schema, name=asset.table))
        found.append(Kept(kind="table", schema_name=QUARANTINE, name=quarantine_name_of(asset)))
    return found


def _table_of(prepared: Prepared, step: PlanStep) -> Kept:
    node = prepared.analysis.nodes[step.key]
    plain = Kept(kind="table", schema_name=node.asset.schema, name=node.asset.table)
    stored = prepared.known.tables.get(step.key)
    if stored is None or stored.columns != tuple((c.name, c.type) for c in node.columns):
        return plain
    if step.action == "append":
        return plain.model_copy(update={"rows": "added"})
    if step.action == "fill" and node.asset.options.time is not None:
        windows = [Window(start=w.start, end=w.end) for w in step.windows]
        condition = within(quote_name(node.asset.options.time), windows)
        return plain.model_copy(update={"rows": "where", "condition": condition})
    return plain


class ImageKeeper:
    """Before-images of one change's run, in a DuckDB file of their own that an interrupted run goes on with.

    Each object is kept once. Use from one thread at a time, outside any transaction of the cursor given.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, database: str, change: str, path: Path) -> None:
        self._cursor = cursor
        self._database = database
        self._change = change
        self._path = path
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {IMAGES}.main.kept (number INTEGER, what VARCHAR, image VARCHAR, print VARCHAR)"
        )

    def keep(self, wanted: Sequence[Kept]) -> None:
        """Keep what is there now, and note what is not, unless it was kept before; all of it or, after a crash, none."""
        rows = self._cursor.execute(f"SELECT what FROM {IMAGES}.main.kept").fetchall()
        known = {_key(Kept.model_validate_json(what)) for (what,) in rows}
        catalog = read_catalog(self._cursor, self._database)
        self._cursor.execute("BEGIN TRANSACTION")
        try:
            values: list[object] = []
            for number, what in enumerate((w for w in wanted if _key(w) not in known), len(rows) + 1):
                values += [number, what.model_dump_json(), *self._keep(number, what, catalog)]
            marks = ", ".join(["(?, ?, ?, ?)"] * (len(values) // 4))
            if values:
                self._cursor.execute(f"INSERT INTO {IMAGES}.main.kept VALUES {marks}", values)
            self._cursor.execute("COMMIT")
        except BaseException:
            self._cursor.execute("ROLLBACK")
            raise

    def _keep(self, number: int, what: Kept, catalog: Catalog) -> tuple[str, str]:
        """The image and the print of an object as JSON; rows go into a table of their own."""
        key = _key(what)
        found = catalog.objects.get(key)
        shape = catalog.tables.get((what.schema_name, what.name)) if what.kind == "table" else None
        name = f"removed_{number}" if what.rows == "where" else f"object_{number}"
        if shape is not None and what.rows != "added":
            condition = f" WHERE {what.condition}" if what.condition else ""
            self._cursor.execute(
                f"CREATE TABLE {IMAGES}.main.{name} AS SELECT {pack_columns(shape.stored, 'r')} AS image"
                f" FROM {qualify(self._database, shape.table)} AS r{condition}"
            )
        image = ObjectImage(
            kind=what.kind,
            schema_name=what.schema_name,
            name=what.name,
            order=found.order if found else 0,
            exists_after=False,
            create_sql=found.create_sql if found else None,
            after_sql=found.after_sql if found else (),
            rows=name if shape is not None else None,
            stored=shape.stored if shape else (),
            foreign_keys=shape.foreign_keys if shape else (),
            triggers=tuple(t.sql for t in found.triggers if t.sql) if found else (),
            resume_sql=found.resume_sql if found else (),
        )
        made = print_object(found, key, self._cursor, self._database, shape) if found else absent(key)
        return image.model_dump_json(), made.model_dump_json()

    def finish(self) -> str:
        """Write the record, close and sync the file; returns the record's hash. The images stay attached until then."""
        catalog = read_catalog(self._cursor, self._database)
        images: list[ObjectImage] = []
        tables = self._state_rows()
        base: list[ObjectPrint] = []
        result: list[ObjectPrint] = []
        for number, text, kept, printed in self._cursor.execute(
            f"SELECT number, what, image, print FROM {IMAGES}.main.kept ORDER BY number"
        ).fetchall():
            what = Kept.model_validate_json(text)
            before = ObjectPrint.model_validate_json(printed)
            key = _key(what)
            shape = catalog.tables.get((what.schema_name, what.name)) if what.kind == "table" else None
            found = catalog.objects.get(key)
            after = print_object(found, key, self._cursor, self._database, shape)
            if before == after:
                continue
            base.append(before)
            result.append(after)
            if what.rows == "all" or shape is None:
                image = ObjectImage.model_validate_json(kept)
                order = image.order if image.create_sql else found.order if found else 0
                images.append(image.model_copy(update={"exists_after": found is not None, "order": order}))
            else:
                tables += (self._touched_rows(number, what, shape, before, after),)
        record = UndoRecord(
            change=self._change,
            engine=duckdb.__version__,
            base=Fingerprint(engine=duckdb.__version__, objects=tuple(base)),
            result=Fingerprint(engine=duckdb.__version__, objects=tuple(result)),
            tables=tables,
            objects=tuple(images),
        )
        body = quote_text(record.model_dump_json())
        self._cursor.execute(f"CREATE OR REPLACE TABLE {IMAGES}.main.record AS SELECT {body} AS body")
        self._cursor.execute(f"DETACH {IMAGES}")
        sync_file(self._path)
        return digest_of(record)

    def _touched_rows(
        self, number: int, what: Kept, shape: TableShape, before: ObjectPrint, after: ObjectPrint
    ) -> RowImages:
        """The rows that a table has got, by their hashes, beside the image of those it lost."""
        table = qualify(self._database, shape.table)
        if what.rows == "where":
            part = f"{table} WHERE {what.condition}"
        else:
            part = f"(SELECT * FROM {table} ORDER BY rowid DESC LIMIT {after.row_count - before.row_count})"
        added = self._hash_rows(number, part, shape.names, shape.types)
        removed = self._count(f"removed_{number}") if what.rows == "where" else 0
        return RowImages(
            table=shape.table,
            number=number,
            names=shape.names,
            types=tuple(shape.types.values()),
            stored=shape.stored,
            set_columns=shape.stored,
            foreign_keys=shape.foreign_keys,
            updated=0,
            removed=removed,
            added=added,
        )

    def _state_rows(self) -> tuple[RowImages, ...]:
        """The rows of this change in the pipelines' state, so that taking it back forgets them too."""
        where = f"{quote_name(self._database)}.{SCHEMA}.{TABLE}"
        added = self._hash_rows(0, f"{where} WHERE change = {quote_text(self._change)}", _STATE_COLUMNS, {})
        if not added:
            return ()
        return (
            RowImages(
                table=TableName(schema_name=SCHEMA, name=TABLE),
                number=0,
                names=_STATE_COLUMNS,
                stored=_STATE_COLUMNS,
                set_columns=_STATE_COLUMNS,
                updated=0,
                removed=0,
                added=added,
            ),
        )

    def _hash_rows(self, number: int, rows: str, names: Sequence[str], types: Mapping[str, str]) -> int:
        """Keep how often each content occurs among `rows`; returns how many rows there are."""
        self._cursor.execute(
            f"CREATE OR REPLACE TABLE {IMAGES}.main.added_{number} AS"
            f" SELECT {hash_columns(names, types)} AS after_hash, system.main.count(*) AS n FROM {rows} GROUP BY 1"
        )
        row = self._cursor.execute(
            f"SELECT coalesce(system.main.sum(n), 0)::BIGINT FROM {IMAGES}.main.added_{number}"
        ).fetchone()
        return int(row[0]) if row else 0

    def _count(self, table: str) -> int:
        row = self._cursor.execute(f"SELECT system.main.count(*) FROM {IMAGES}.main.{table}").fetchone()
        return int(row[0]) if row else 0


def _key(what: Kept) -> ObjectKey:
    return (what.kind, what.schema_name, what.name)
