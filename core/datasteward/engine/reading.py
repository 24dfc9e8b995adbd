"""How a data file is read as a table: by DuckDB itself where it can, else from a Parquet copy in the cache."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasteward.engine.carriers import quote_text
from datasteward.engine.files import DataFile
from datasteward.errors import ToolError

_BATCH_ROWS = 50_000


def read_expression(file: DataFile, cache_folder: Path) -> str:
    """The table function call that reads `file`; raises `ToolError` naming what is wrong with it."""
    path = quote_text(str(file.path))
    if file.is_partitioned:
        return _read_partitions(file)
    match file.format:
        case "csv":
            return f"read_csv({path})"
        case "json":
            return f"read_json({path})"
        case "parquet":
            return f"read_parquet({path})"
        case "arrow" | "excel" | "sqlite":
            return f"read_parquet({quote_text(str(_copy(file, cache_folder)))})"


def _read_partitions(file: DataFile) -> str:
    suffix = {"csv": "*", "json": "*", "parquet": "*.parquet"}.get(file.format, "*")
    pattern = quote_text(f"{file.path}/**/{suffix}")
    function = {"csv": "read_csv", "json": "read_json"}.get(file.format, "read_parquet")
    return f"{function}({pattern}, hive_partitioning = true)"


def _copy(file: DataFile, cache_folder: Path) -> Path:
    """A Parquet copy of the file as it is now, made once."""
    identity = f"{file.path}\0{file.size_bytes}\0{file.modified_ns}"
    target = cache_folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.parquet"
    if target.is_file():
        return target
    draft = target.with_suffix(f".{os.getpid()}.draft")
    try:
        _write_copy(file, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _write_copy(file: DataFile, draft: Path) -> None:
    try:
        match file.format:
            case "arrow":
                _write_arrow(file.path, draft)
            case "excel":
                pq.write_table(_sheet(file.path), draft, compression="lz4")
            case _:
                pq.write_table(_sqlite_table(file.path), draft, compression="lz4")
    except (pa.ArrowException, sqlite3.Error, ValueError, OSError) as error:
        raise ToolError(
            f"{file.shown_path} cannot be read as {file.format}: {error}.",
            code="runtime",
            hint="Check the file, or convert it to Parquet or CSV.",
        ) from error


def _write_arrow(path: Path, draft: Path) -> None:
    from pyarrow import feather, ipc

    with pa.memory_map(str(path)) as source:
        try:
            reader = ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            try:
                table = ipc.open_stream(source).read_all()
            except pa.ArrowInvalid:
                table = feather.read_table(path)
            pq.write_table(table, draft, compression="lz4")
            return
        with pq.ParquetWriter(draft, reader.schema, compression="lz4") as writer:
            for index in range(reader.num_record_batches):
                writer.write_batch(reader.get_batch(index))


def _sheet(path: Path) -> pa.Table:
    """The first sheet with rows, its first row as header; columns of one kind keep it, others become text."""
    from python_calamine import CalamineWorkbook

    workbook = CalamineWorkbook.from_path(str(path))
    for name in workbook.sheet_names:
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=True)
        if rows:
            header = [str(cell) if cell not in ("", None) else f"column{i}" for i, cell in enumerate(rows[0])]
            return pa.table({_unique(header, i): _column([r[i] for r in rows[1:]]) for i in range(len(header))})
    return pa.table({"column0": pa.array([], pa.string())})


def _column(values: list[object]) -> pa.Array:
    cleaned = [None if v == "" else v for v in values]
    try:
        return pa.array(cleaned)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else str(v) for v in cleaned])


def _sqlite_table(path: Path) -> pa.Table:
    """The only table of a SQLite file, or the first by name."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        if not rows:
            raise ToolError(f"{path.name} holds no table.", code="not_found")
        quoted = '"' + str(rows[0][0]).replace('"', '""') + '"'
        cursor = connection.execute(f"SELECT * FROM {quoted}")
        header = [d[0] for d in cursor.description]
        columns = list(zip(*_fetch(cursor), strict=True)) or [() for _ in header]
        return pa.table({_unique(header, i): _column(list(columns[i])) for i in range(len(header))})
    finally:
        connection.close()


def _fetch(cursor: sqlite3.Cursor) -> Iterator[tuple[object, ...]]:
    while rows := cursor.fetchmany(_BATCH_ROWS):
        yield from rows


def _unique(names: list[str], index: int) -> str:
    earlier = [n.casefold() for n in names[:index]]
    repeated = earlier.count(names[index].casefold())
    return f"{names[index]}_{repeated + 1}" if repeated else names[index]
