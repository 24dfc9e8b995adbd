"""How a file is read: on itself when DuckDB reads it faithfully, else through a Parquet copy in the cache folder."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.column_types import decide_columns, guard_types, sniff_types, tell_points, typed_expression
from datasteward.intake.convert import Converted, convert_delimited, convert_sheet, convert_sqlite
from datasteward.intake.copies import keep_copy, load_copy, plan_text_copy
from datasteward.intake.json_plan import plan_json
from datasteward.intake.model import BadRowLimit, Dialect, Intake, ReadPlan, SourceColumn
from datasteward.intake.options import limit_for
from datasteward.intake.schemas import parquet_columns
from datasteward.intake.sql_text import quote_path, quote_text

_VERSION = 2
_KEPT = 512
_plans: dict[str, ReadPlan] = {}


def read_plan(
    connection: duckdb.DuckDBPyConnection, intake: Intake, cache_folder: Path, limit: BadRowLimit | None = None
) -> ReadPlan:
    """A table expression for the file of `intake`; a converted copy is made once and kept in `cache_folder`.

    The plan of an unchanged file is remembered. Raises `ToolError` when the file cannot be read or more rows fail to
    parse than `limit`, or else the file's workspace, lets through.
    """
    limit = limit or limit_for(intake.path)
    key = _key(intake, limit)
    if key in _plans and all(f.exists() for f in _plans[key].files):
        return _plans[key]
    plan = load_copy(cache_folder / key) or _make(connection, intake, cache_folder / key, limit)
    if len(_plans) >= _KEPT:
        _plans.clear()
    _plans[key] = plan
    return plan


def _key(intake: Intake, limit: BadRowLimit) -> str:
    parts = [_VERSION, str(intake.path), intake.size_bytes, intake.modified_ns, asdict(intake.overrides), asdict(limit)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _make(connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit) -> ReadPlan:
    match intake.format:
        case "parquet":
            columns = parquet_columns(connection, [intake.path])[0].columns
            return _direct(intake, f"read_parquet({quote_path(intake.path)}, hive_partitioning=false)", columns)
        case "json" | "ndjson":
            return plan_json(connection, intake, folder, limit)
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
        plan = _direct(intake, f"(SELECT {typed} FROM {text_relation})", columns)
    else:
        types = sniff_types(connection, csv_arguments(intake, None), names)
        types = guard_types(connection, text_relation, names, types)
        columns = tuple(replace(c, type=t) for c, t in zip(intake.columns, types, strict=True))
        plan = _direct(intake, f"read_csv({csv_arguments(intake, columns)})", columns)
    if intake.dialect is None or intake.dialect.delimiter != ";":
        return plan
    return replace(plan, told=(*plan.told, *tell_points(connection, text_relation, columns)))


def _convert(connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit) -> ReadPlan:
    def make(work: Path) -> ReadPlan:
        if intake.format != "arrow":
            return plan_text_copy(connection, intake, _run_converter(intake, work, limit), work, folder)
        rows = _copy_arrow(intake, work / "table.parquet")
        path, columns = folder / "table.parquet", parquet_columns(connection, [work / "table.parquet"])[0].columns
        return ReadPlan(
            kind="converted", table_sql=f"read_parquet({quote_path(path)})", files=(path,), columns=columns, rows=rows,
            told=intake.doubts,
        )  # fmt: skip

    return keep_copy(folder, make)


def _run_converter(intake: Intake, work: Path, limit: BadRowLimit) -> Converted:
    table, quarantine = work / "table.parquet", work / "quarantine.parquet"
    match intake.format:
        case "excel":
            return convert_sheet(intake, table, quarantine, limit)
        case "sqlite":
            return convert_sqlite(intake, table)
        case _:
            return convert_delimited(intake, table, quarantine, limit)


def _copy_arrow(intake: Intake, target: Path) -> int:
    """Copy an Arrow IPC file or stream, or a Feather file, to Parquet batch by batch; returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import feather

    try:
        with pa.memory_map(str(intake.path)) as source:
            if source.read(4) == b"FEA1":
                table = feather.read_table(str(intake.path))
                pq.write_table(table, str(target))
                return int(table.num_rows)
            source.seek(0)
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
            rows = 0
            with pq.ParquetWriter(str(target), reader.schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            return rows
    except (pa.ArrowException, OSError) as error:
        raise ToolError(f"{intake.path.name} cannot be read as an Arrow file: {error}.", code="runtime") from error
