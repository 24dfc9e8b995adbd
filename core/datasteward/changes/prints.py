"""The exact tier of fingerprints: prints of tables, objects and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.changes.catalog import CatalogObject, ObjectKey, TableShape
from datasteward.changes.digest import file_sha256
from datasteward.changes.model import FilePrint, ObjectPrint
from datasteward.changes.names import hash_columns, qualify
from datasteward.changes.rows import read_row

if TYPE_CHECKING:
    import duckdb


def absent(key: ObjectKey) -> ObjectPrint:
    """The print of an object that is not there."""
    return ObjectPrint(kind=key[0], schema_name=key[1], name=key[2], exists=False)


def print_object(
    found: CatalogObject | None,
    key: ObjectKey,
    connection: "duckdb.DuckDBPyConnection | None" = None,
    catalog: str = "",
    shape: TableShape | None = None,
) -> ObjectPrint:
    """The exact print of an object; for a table, given a connection and its shape, with all its rows."""
    if found is None:
        return absent(key)
    made = ObjectPrint(kind=key[0], schema_name=key[1], name=key[2], exists=True, definition=found.definition)
    if connection is None or shape is None:
        return made
    value = hash_columns(shape.names, shape.types)
    row = read_row(
        connection,
        f"SELECT system.main.count(*), coalesce(system.main.sum({value}), 0)::VARCHAR,"
        f" coalesce(system.main.bit_xor({value}), 0)::VARCHAR FROM {qualify(catalog, shape.table)}",
    )
    assert row is not None
    return made.model_copy(update={"row_count": int(row[0]), "hash_sum": str(row[1]), "hash_xor": str(row[2])})


def print_files(paths: Sequence[str]) -> tuple[FilePrint, ...]:
    """The exact prints of files, each once, in order of their paths."""
    return tuple(_print_file(Path(p)) for p in sorted(set(paths)))


def _print_file(path: Path) -> FilePrint:
    if not path.is_file():
        return FilePrint(path=str(path), exists=False)
    return FilePrint(path=str(path), exists=True, size=path.stat().st_size, sha256=file_sha256(path))
