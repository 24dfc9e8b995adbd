"""How a file is read: on itself when DuckDB reads it faithfully, else through a Parquet copy in the cache folder."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import duckdb
from pydantic import TypeAdapter, ValidationError

from datasteward.errors import ToolError
from datasteward.intake.column_types import decide_columns, guard_types, sniff_types, typed_expression
from datasteward.intake.compression import open_plain
from datasteward.intake.convert import Converted, convert_delimited, convert_lists, convert_sheet, convert_sqlite
from datasteward.intake.model import BadRowLimit, Dialect, Intake, Quarantine, ReadPlan, SourceColumn
from datasteward.intake.sql_text import quote_name, quote_path, quote_text

_VERSION = 1
_KEPT = 512
_plans: dict[str, ReadPlan] = {}
_ADAPTER = TypeAdapter(ReadPlan)
_MAX_JSON_LISTS_BYTES = 64_000_000


def read_plan(
    connection: duckdb.DuckDBPyConnection, intake: Intake, cache_folder: Path, limit: BadRowLimit | None = None
) -> ReadPlan:
    """A table expression for the file of `intake`; a converted copy is made once and kept in `cache_folder`.

    The plan of an unchanged file is remembered. Raises `ToolError` when the file cannot be read or more rows fail to
    parse than `limit` lets through.
    """
    limit = limit or BadRowLimit()
    key = _key(intake, limit)
    if key in _plans and all(f.exists() for f in _plans[key].files):
        return _plans[key]
    plan = _load(cache_folder / key) or _make(connection, intake, cache_folder / key, limit)
    if len(_plans) >= _KEPT:
        _plans.clear()
    _plans[key] = plan
    return plan


def _key(intake: Intake, limit: BadRowLimit) -> str:
    parts = [_VERSION, str(intake.path), intake.size_bytes, intake.modified_ns, asdict(intake.overrides), asdict(limit)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _load(folder: Path) -> ReadPlan | None:
    try:
        plan = _ADAPTER.validate_json((folder / "plan.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return plan if all(f.exists() for f in plan.files) else None


def _make(connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit) -> ReadPlan:
    match intake.format:
        case "parquet":
            return _direct(intake, f"read_parquet({quote_path(intake.path)}, hive_partitioning=false)")
        case "json" | "ndjson":
            return _plan_json(connection, intake, folder, limit)
        case "arrow" | "excel" | "sqlite":
            return _convert(connection, intake, folder, limit)
        case "delimited":
            if is_direct(intake):
                try:
                    return _plan_delimited(connection, intake)
                except duckdb.InterruptException:
                    raise
                except duckdb.Error:
                    return _convert(connection, intake, folder, limit)
            return _convert(connection, intake, folder, limit)


def _direct(intake: Intake, table_sql: str, columns: tuple[SourceColumn, ...] = ()) -> ReadPlan:
    return ReadPlan(kind="direct", table_sql=table_sql, files=(intake.path,), columns=columns, told=intake.doubts)


def is_direct(intake: Intake) -> bool:
    """Whether DuckDB's own CSV reader reads the file as we do: UTF-8, a simple dialect, nothing above or below the table."""
    if intake.is_plain:
        return True
    dialect, layout = intake.dialect, intake.layout
    if dialect is None or intake.is_fully_read or intake.encoding.name not in {"utf-8", "utf-8-sig"}:
        return False
    simple = (
        len(dialect.delimiter) == 1
        and dialect.delimiter != " "
        and dialect.quote in {'"', "'"}
        and dialect.escape in {'"', "'", "\\"}
    )
    clean = (
        layout.header_rows <= 1 and not layout.comment and not dialect.mixed_newlines and not dialect.skip_initial_space
    )
    if not all(c.label for c in intake.columns):
        return False
    return (
        simple
        and clean
        and layout.width > 1
        and intake.encoding.confidence >= 0.9
        and intake.compression in {"none", "gzip", "zstd"}
    )


def csv_arguments(intake: Intake, columns: Sequence[SourceColumn] | None) -> str:
    """Arguments of `read_csv` for the dialect; with `columns` the types are given, without them only the dialect."""
    dialect = intake.dialect or Dialect(delimiter=",")
    header = "true" if intake.layout.header_rows else "false"
    compression = {"none": "none", "gzip": "gzip", "zstd": "zstd"}[intake.compression]
    arguments = (
        f"{quote_path(intake.path)}, delim={quote_text(dialect.delimiter)}, quote={quote_text(dialect.quote)}, "
        f"escape={quote_text(dialect.escape)}, header={header}, skip={intake.layout.skip_lines}, "
        f"compression={quote_text(compression)}"
    )
    if columns is None:
        return arguments
    typed = ", ".join(f"{quote_text(c.name)}: {quote_text(c.type)}" for c in columns)
    return f"{arguments}, auto_detect=false, hive_partitioning=false, columns={{{typed}}}"


def _plan_delimited(connection: duckdb.DuckDBPyConnection, intake: Intake) -> ReadPlan:
    names = [c.name for c in intake.columns]
    text_relation = f"read_csv({csv_arguments(intake, intake.columns)})"
    if intake.overrides.all_text:
        return _direct(intake, text_relation, intake.columns)
    if intake.overrides.look == "all":
        columns = decide_columns(connection, text_relation, names, [c.label for c in intake.columns])
        typed = ", ".join(typed_expression(c) for c in columns)
        return _direct(intake, f"(SELECT {typed} FROM {text_relation})", columns)
    types = sniff_types(connection, csv_arguments(intake, None), names)
    types = guard_types(connection, text_relation, names, types)
    columns = tuple(replace(c, type=t) for c, t in zip(intake.columns, types, strict=True))
    return _direct(intake, f"read_csv({csv_arguments(intake, columns)})", columns)


def _unreadable(intake: Intake, error: duckdb.Error) -> ToolError:
    first = str(error).strip().splitlines()[0]
    return ToolError(
        f"{intake.path.name} cannot be read: {first}", code="runtime", hint="Profile the file for what is wrong in it."
    )


def _convert(connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit) -> ReadPlan:
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        if intake.format == "arrow":
            rows = _copy_arrow(intake, work / "table.parquet")
            plan = ReadPlan(
                kind="converted", table_sql=f"read_parquet({quote_path(folder / 'table.parquet')})",
                files=(folder / "table.parquet",), rows=rows, told=intake.doubts,
            )  # fmt: skip
        else:
            converted = _run_converter(intake, work, limit)
            plan = _plan_converted(connection, intake, converted, work, folder)
        (work / "plan.json").write_bytes(_ADAPTER.dump_json(plan))
        _publish(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return plan


def _publish(work: Path, folder: Path) -> None:
    """Move the finished folder into place; when another process was first, its copy is as good."""
    try:
        work.replace(folder)
    except OSError:
        if _load(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            work.replace(folder)


def _run_converter(intake: Intake, work: Path, limit: BadRowLimit) -> Converted:
    table, quarantine = work / "table.parquet", work / "quarantine.parquet"
    match intake.format:
        case "excel":
            return convert_sheet(intake, table, quarantine, limit)
        case "sqlite":
            return convert_sqlite(intake, table)
        case _:
            return convert_delimited(intake, table, quarantine, limit)


def _plan_converted(
    connection: duckdb.DuckDBPyConnection, intake: Intake, converted: Converted, work: Path, folder: Path
) -> ReadPlan:
    text = f"read_parquet({quote_path(work / 'table.parquet')})"
    if intake.overrides.all_text:
        columns = tuple(
            SourceColumn(name=n, label=x, type="VARCHAR")
            for n, x in zip(converted.names, converted.labels, strict=True)
        )
    else:
        columns = decide_columns(connection, text, converted.names, converted.labels)
    typed = ", ".join(typed_expression(c) for c in columns)
    quarantine = None
    files = [folder / "table.parquet"]
    if converted.reasons:
        path = folder / "quarantine.parquet"
        files.append(path)
        quarantine = Quarantine(
            path=path, rows=sum(r.rows for r in converted.reasons), reasons=converted.reasons,
            table_sql=f"read_parquet({quote_path(path)})",
        )  # fmt: skip
    return ReadPlan(
        kind="converted", table_sql=f"(SELECT {typed} FROM read_parquet({quote_path(files[0])}))", files=tuple(files),
        columns=columns, rows=converted.rows, mended=converted.mended, quarantine=quarantine,
        told=intake.doubts + converted.told + _tell(converted, columns),
    )  # fmt: skip


def _tell(converted: Converted, columns: Sequence[SourceColumn]) -> tuple[str, ...]:
    told: list[str] = []
    if converted.bad_rows:
        told.append(
            f"{converted.bad_rows} row{'s' if converted.bad_rows > 1 else ''} did not parse and are in quarantine."
        )
    if converted.outside_rows:
        told.append(
            f"{converted.outside_rows} line{'s' if converted.outside_rows > 1 else ''} below the table are in quarantine."
        )
    told.extend(f"{m.rows} row{'s' if m.rows > 1 else ''} mended: {m.reason}." for m in converted.mended)
    for column in columns:
        if column.null_spellings:
            told.append(f"{quote_name(column.name)}: {', '.join(column.null_spellings)} read as NULL.")
    return tuple(told)


def _copy_arrow(intake: Intake, target: Path) -> int:
    """Copy an Arrow IPC or Feather file to Parquet batch by batch; returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import feather

    try:
        with pa.memory_map(str(intake.path)) as source:
            if source.read(4) == b"FEA1":
                table = feather.read_table(str(intake.path))
                pq.write_table(table, str(target))
                return int(table.num_rows)
            reader = pa.ipc.open_file(source)
            rows = 0
            with pq.ParquetWriter(str(target), reader.schema, compression="zstd") as writer:
                for index in range(reader.num_record_batches):
                    batch = reader.get_batch(index)
                    writer.write_batch(batch)
                    rows += batch.num_rows
            return rows
    except (pa.ArrowException, OSError) as error:
        raise ToolError(f"{intake.path.name} cannot be read as an Arrow file: {error}.", code="runtime") from error


def _largest_object(intake: Intake) -> int:
    """Bytes one JSON object may have; the reader sets twice as much memory aside for each thread."""
    usual, most = 16 * 2**20, 64 * 2**20
    return usual if intake.size_bytes <= usual or intake.format == "ndjson" else most


def _plan_json(connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit) -> ReadPlan:
    path, files = intake.path, (intake.path,)
    if intake.compression in {"bzip2", "xz", "zip"} or intake.encoding.name not in {"utf-8"}:
        path = _as_utf8(intake, folder)
        files = (path,)
    if intake.format == "json" and (plan := _plan_json_lists(connection, intake, folder, limit)):
        return plan
    kind = "newline_delimited" if intake.format == "ndjson" else "auto"
    table_sql = f"read_json({quote_path(path)}, format='{kind}', maximum_object_size={_largest_object(intake)})"
    try:
        described = connection.cursor().execute(f"DESCRIBE SELECT * FROM {table_sql}").fetchall()
    except duckdb.Error as error:
        raise _unreadable(intake, error) from error
    columns = tuple(SourceColumn(name=str(r[0]), label=str(r[0]), type=str(r[1])) for r in described)
    lists = [c for c in columns if c.type.endswith("[]") and c.type.startswith("STRUCT")]
    told = intake.doubts
    if len(lists) == 1 and intake.format == "json":
        told += (
            f"The rows may lie inside {quote_name(lists[0].name)}, a list of records: SELECT unnest({quote_name(lists[0].name)}, recursive := true).",
        )
    return ReadPlan(kind="direct", table_sql=table_sql, files=files, columns=columns, told=told)


def _as_utf8(intake: Intake, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target, work = folder / "data.json", folder / f"making-{os.getpid()}.json"
    with open_plain(intake.path, intake.compression, intake.part) as source, work.open("w", encoding="utf-8") as sink:
        import codecs

        for text in codecs.iterdecode(iter(lambda: source.read(1 << 20), b""), intake.encoding.name, errors="replace"):
            sink.write(text)
    work.replace(target)
    return target


def _plan_json_lists(
    connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit
) -> ReadPlan | None:
    """A plan for a JSON array of arrays of plain values; None for every other JSON."""
    with open_plain(intake.path, intake.compression, intake.part) as stream:
        head = stream.read(64).decode("utf-8", errors="replace").lstrip("\ufeff")
        if not "".join(head.split()).startswith("[[") or intake.size_bytes > _MAX_JSON_LISTS_BYTES:
            return None
        rest = stream.read()
    try:
        rows = json.loads(head + rest.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    if not rows or not all(isinstance(r, list) and not any(isinstance(c, list | dict) for c in r) for r in rows):
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        converted = convert_lists(rows, intake, work / "table.parquet", work / "quarantine.parquet", limit)
        plan = _plan_converted(connection, intake, converted, work, folder)
        (work / "plan.json").write_bytes(_ADAPTER.dump_json(plan))
        _publish(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return plan
