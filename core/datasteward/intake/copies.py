"""Copies of files in the cache folder: made beside their place, moved there whole, and found again by their key."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
from pydantic import TypeAdapter, ValidationError

from datasteward.intake.column_types import decide_columns, tell_points, typed_expression
from datasteward.intake.convert import Converted
from datasteward.intake.model import Intake, Quarantine, ReadPlan, ReasonCount, SourceColumn
from datasteward.intake.sql_text import quote_name, quote_path

_ADAPTER = TypeAdapter(ReadPlan)


def load_copy(folder: Path) -> ReadPlan | None:
    """The plan of the copy in `folder`, or None when it is not there whole."""
    try:
        plan = _ADAPTER.validate_json((folder / "plan.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return plan if all(f.exists() for f in plan.files) else None


def keep_copy(folder: Path, make: Callable[[Path], ReadPlan]) -> ReadPlan:
    """The plan that `make` gives once it has written its files to the folder it is handed, which then becomes `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        plan = make(work)
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
        if load_copy(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            work.replace(folder)


def plan_text_copy(
    connection: duckdb.DuckDBPyConnection, intake: Intake, converted: Converted, work: Path, folder: Path
) -> ReadPlan:
    """The plan of a copy as text columns that lies in `work` and is to be moved to `folder`, its columns typed."""
    text = f"read_parquet({quote_path(work / 'table.parquet')})"
    if intake.overrides.all_text:
        columns = tuple(
            SourceColumn(name=n, label=x, type="VARCHAR")
            for n, x in zip(converted.names, converted.labels, strict=True)
        )
    else:
        columns = decide_columns(connection, text, converted.names, converted.labels)
    typed = ", ".join(typed_expression(c) for c in columns)
    told = (*intake.doubts, *converted.told, *_tell(converted, columns))
    if intake.dialect is not None and intake.dialect.delimiter == ";":
        told += tell_points(connection, text, columns)
    files = [folder / "table.parquet"]
    quarantine = quarantine_of(converted.reasons, folder) if converted.reasons else None
    if quarantine:
        files.append(quarantine.path)
    return ReadPlan(
        kind="converted", table_sql=f"(SELECT {typed} FROM read_parquet({quote_path(files[0])}))", files=tuple(files),
        columns=columns, rows=converted.rows, mended=converted.mended, quarantine=quarantine, told=told,
    )  # fmt: skip


def quarantine_of(reasons: tuple[ReasonCount, ...], folder: Path) -> Quarantine:
    """What was set aside for `reasons`, in the file of that purpose in `folder`."""
    path = folder / "quarantine.parquet"
    rows = sum(r.rows for r in reasons)
    return Quarantine(path=path, rows=rows, reasons=reasons, table_sql=f"read_parquet({quote_path(path)})")


def _tell(converted: Converted, columns: Sequence[SourceColumn]) -> tuple[str, ...]:
    told: list[str] = []
    if converted.bad_rows:
        told.append(tell_quarantine(converted.bad_rows, "row", "that did not parse"))
    if converted.outside_rows:
        told.append(tell_quarantine(converted.outside_rows, "line", "below the table"))
    told.extend(f"{m.rows} row{'s' if m.rows > 1 else ''} mended: {m.reason}." for m in converted.mended)
    for column in columns:
        if column.null_spellings:
            told.append(f"{quote_name(column.name)}: {', '.join(column.null_spellings)} read as NULL.")
    return tuple(told)


def tell_quarantine(count: int, what: str, why: str) -> str:
    """A sentence on rows or lines set aside."""
    many, link = (f"{what}s", "are") if count > 1 else (what, "is")
    return f"{count:,} {many} {why} {link} in quarantine."
