"""Files that a change writes: staged in private first, published by rename, with what they replace kept."""

import os
import re
import shutil
from pathlib import Path

import duckdb

from datasteward.changes.digest import file_sha256
from datasteward.changes.model import FileEffect, StatementWork
from datasteward.changes.names import quote_text
from datasteward.changes.rows import read_row
from datasteward.errors import ToolError

_TO = re.compile(r"\bTO\s*\Z", re.IGNORECASE)


def stage_export(
    connection: duckdb.DuckDBPyConnection,
    statement: StatementWork,
    values: list[object] | dict[str, object] | None,
    staging: Path,
    number: int,
) -> FileEffect:
    """Write what `COPY … TO` would write into `staging`, and say what publishing it would do."""
    if statement.target_file is None or statement.target_text is None:
        raise ToolError(
            "The file that this COPY writes is not a constant path.",
            code="forbidden",
            hint="Name one file below the data folders, as in COPY t TO 'exports/t.parquet'.",
        )
    target = Path(statement.target_file)
    if not target.parent.is_dir() or target.is_dir():
        raise ToolError(
            f"{target} cannot be written: {'it is a folder' if target.is_dir() else 'its folder does not exist'}.",
            code="not_found",
            hint="Name a file in an existing folder; partitioned exports are not supported.",
        )
    staged = staging / f"{number}_{target.name}"
    staged.unlink(missing_ok=True)
    sql = redirect(statement.sql, statement.target_text, str(staged))
    try:
        row = read_row(connection, sql, values)
    except duckdb.Error as error:
        staged.unlink(missing_ok=True)
        text = str(error).replace(str(staged), str(target))
        raise ToolError(text, code="runtime", hint="No file was written.") from error
    if not staged.is_file():
        raise ToolError(
            "This COPY does not write one single file.",
            code="forbidden",
            hint="Leave out PARTITION_BY, PER_THREAD_OUTPUT and FILE_SIZE_BYTES; no file was written.",
        )
    return _effect(target, staged, rows=int(row[0]) if row and isinstance(row[0], int) else None)


def stage_text(text: str, statement: StatementWork, staging: Path, number: int) -> FileEffect:
    """Write a text into `staging`, and say what publishing it as the statement's file would do."""
    assert statement.target_file is not None
    target = Path(statement.target_file)
    staged = staging / f"{number}_{target.name}"
    staged.write_bytes(text.encode())
    return _effect(target, staged, rows=None)


def _effect(target: Path, staged: Path, rows: int | None) -> FileEffect:
    return FileEffect(
        path=str(target),
        action="replaced" if target.exists() else "created",
        size_before=target.stat().st_size if target.exists() else 0,
        size_after=staged.stat().st_size,
        rows=rows,
        sha256=file_sha256(staged),
        staged=str(staged),
    )


def redirect(sql: str, written: str, staged: str) -> str:
    """The statement with its target path replaced; raises `ToolError` when the path does not stand there once."""
    literal = quote_text(written)
    places = [m.start() for m in re.finditer(re.escape(literal), sql) if _TO.search(sql[: m.start()])]
    if len(places) != 1:
        raise ToolError(
            "The target of this COPY could not be found in its text.",
            code="forbidden",
            hint="Write it plainly: COPY (SELECT …) TO 'folder/file.parquet' (FORMAT parquet).",
        )
    return sql[: places[0]] + quote_text(staged) + sql[places[0] + len(literal) :]


def keep_replaced(effect: FileEffect, keep: Path) -> Path | None:
    """Keep a second name for the file that will be replaced or removed, and return it; None when there is none."""
    target = Path(effect.path)
    if not target.exists():
        return None
    keep.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep.unlink(missing_ok=True)
    try:
        os.link(target, keep)
    except OSError:
        shutil.copy2(target, keep)
    _sync(keep)
    return keep


def publish(effect: FileEffect) -> None:
    """Bring one staged file to its place, or remove one that an undo takes away; doing it twice does no harm."""
    target, staged = Path(effect.path), Path(effect.staged)
    if effect.action == "removed":
        target.unlink(missing_ok=True)
        _sync(target.parent)
        return
    if not staged.exists():
        if target.is_file() and file_sha256(target) == effect.sha256:
            return
        raise ToolError(f"{staged.name} is gone, so {target} was not written.", code="not_found")
    target.parent.mkdir(exist_ok=True)
    draft = target.with_name(f".{target.name}.steward")
    try:
        os.link(staged, draft)
    except FileExistsError:
        draft.unlink()
        shutil.copy2(staged, draft)
    except OSError:
        shutil.copy2(staged, draft)
    _sync(draft)
    draft.replace(target)
    _sync(target.parent)
    staged.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
