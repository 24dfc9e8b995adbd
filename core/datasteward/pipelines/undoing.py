"""What a run needs to be taken back: the tables as they were, kept before each is published."""

from pathlib import Path

import duckdb

from datasteward.changes.catalog import ObjectKey, read_catalog
from datasteward.changes.digest import digest_of
from datasteward.changes.model import Fingerprint, ObjectKind, ObjectPrint, TableName
from datasteward.changes.names import hash_columns, pack_columns, qualify, quote_name, quote_text
from datasteward.changes.prints import absent, print_object
from datasteward.changes.record import ObjectImage, RowImages, UndoRecord, sync_file
from datasteward.changes.session import IMAGES
from datasteward.pipelines.state import SCHEMA, TABLE

_STATE_COLUMNS = ("sequence", "run", "change", "pipeline", "asset", "status", "body")


class ImageKeeper:
    """Before-images of one change's run, in a DuckDB file of their own that an interrupted run goes on with.

    A table is kept whole, once. Use from one thread at a time, outside any transaction of the cursor given.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, database: str, change: str, path: Path) -> None:
        self._cursor = cursor
        self._database = database
        self._change = change
        self._path = path
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {IMAGES}.main.kept (number INTEGER, kind VARCHAR, schema_name VARCHAR,"
            " name VARCHAR, image VARCHAR, print VARCHAR)"
        )

    def keep(self, kind: ObjectKind, schema: str, name: str) -> None:
        """Keep a table, view or schema as it is now, unless it was kept before; also that it is not there."""
        known = self._cursor.execute(
            f"SELECT 1 FROM {IMAGES}.main.kept WHERE kind = ? AND schema_name = ? AND name = ?", [kind, schema, name]
        ).fetchone()
        if known is not None:
            return
        row = self._cursor.execute(f"SELECT count(*) FROM {IMAGES}.main.kept").fetchone()
        number = int(row[0]) + 1 if row else 1
        key: ObjectKey = (kind, schema, name)
        catalog = read_catalog(self._cursor, self._database)
        found = catalog.objects.get(key)
        shape = catalog.tables.get((schema, name)) if kind == "table" else None
        rows = None
        if shape is not None:
            rows = f"object_{number}"
            self._cursor.execute(
                f"CREATE OR REPLACE TABLE {IMAGES}.main.{rows} AS SELECT {pack_columns(shape.stored, 'r')} AS image"
                f" FROM {qualify(self._database, shape.table)} AS r"
            )
        image = ObjectImage(
            kind=kind,
            schema_name=schema,
            name=name,
            order=found.order if found else 0,
            exists_after=False,
            create_sql=found.create_sql if found else None,
            after_sql=found.after_sql if found else (),
            rows=rows,
            stored=shape.stored if shape else (),
            parents=shape.parents if shape else (),
        )
        made = print_object(found, key, self._cursor, self._database, shape) if found else absent(key)
        self._cursor.execute(
            f"INSERT INTO {IMAGES}.main.kept VALUES (?, ?, ?, ?, ?, ?)",
            [number, kind, schema, name, image.model_dump_json(), made.model_dump_json()],
        )

    def finish(self) -> str:
        """Write the record, close and sync the file; returns the record's hash. The images stay attached until then."""
        catalog = read_catalog(self._cursor, self._database)
        objects, tables = catalog.objects, catalog.tables
        images: list[ObjectImage] = []
        base: list[ObjectPrint] = []
        result: list[ObjectPrint] = []
        for text, printed in self._cursor.execute(
            f"SELECT image, print FROM {IMAGES}.main.kept ORDER BY number"
        ).fetchall():
            image = ObjectImage.model_validate_json(text)
            before = ObjectPrint.model_validate_json(printed)
            key: ObjectKey = (image.kind, image.schema_name, image.name)
            shape = tables.get((image.schema_name, image.name)) if image.kind == "table" else None
            found = objects.get(key)
            after = print_object(found, key, self._cursor, self._database, shape)
            if before == after:
                continue
            order = image.order if image.create_sql else found.order if found else 0
            images.append(image.model_copy(update={"exists_after": found is not None, "order": order}))
            base.append(before)
            result.append(after)
        engine = duckdb.__version__
        record = UndoRecord(
            change=self._change,
            engine=engine,
            base=Fingerprint(engine=engine, objects=tuple(base)),
            result=Fingerprint(engine=engine, objects=tuple(result)),
            tables=self._state_rows(),
            objects=tuple(images),
        )
        body = quote_text(record.model_dump_json())
        self._cursor.execute(f"CREATE OR REPLACE TABLE {IMAGES}.main.record AS SELECT {body} AS body")
        self._cursor.execute(f"DETACH {IMAGES}")
        sync_file(self._path)
        return digest_of(record)

    def _state_rows(self) -> tuple[RowImages, ...]:
        """The rows of this change in the pipelines' state, so that taking it back forgets them too."""
        where = f"{quote_name(self._database)}.{SCHEMA}.{TABLE}"
        value = hash_columns(_STATE_COLUMNS)
        self._cursor.execute(
            f"CREATE OR REPLACE TABLE {IMAGES}.main.added_0 AS SELECT {value} AS after_hash, count(*) AS n"
            f" FROM {where} WHERE change = {quote_text(self._change)} GROUP BY 1"
        )
        row = self._cursor.execute(f"SELECT coalesce(sum(n), 0)::BIGINT FROM {IMAGES}.main.added_0").fetchone()
        count = int(row[0]) if row else 0
        if not count:
            return ()
        table = TableName(schema_name=SCHEMA, name=TABLE)
        return (
            RowImages(
                table=table,
                number=0,
                names=_STATE_COLUMNS,
                stored=_STATE_COLUMNS,
                set_columns=_STATE_COLUMNS,
                parents=(),
                updated=0,
                removed=0,
                added=count,
            ),
        )
