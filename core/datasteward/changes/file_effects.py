"""Files that a change writes: staged in private first, with what they will replace kept; `publishing` does the rest."""

import glob
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.changes.digest import file_sha256
from datasteward.changes.model import FileEffect, StatementWork
from datasteward.changes.names import quote_text
from datasteward.changes.rows import read_row
from datasteward.engine.copy_targets import CopyTarget, copy_info, differ_by_target_alone, parse_copy, put_target
from datasteward.engine.gate_facts import Refused
from datasteward.engine.gate_parser import Tree
from datasteward.errors import ToolError

MAX_COUNTED_BYTES = 256 << 20
"""A larger CSV or JSON file is not read to count the rows that it holds before it is replaced."""
_READERS = {
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".parquet": "read_parquet",
    ".json": "read_json",
    ".ndjson": "read_json",
    ".jsonl": "read_json",
}


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
    sql = redirect(connection, statement, staged)
    found = _look_at(target)
    try:
        row = read_row(connection, sql, values)
    except duckdb.Error as error:
        staged.unlink(missing_ok=True)
        text = str(error).replace(str(staged), str(target))
        raise ToolError(text, code="runtime", hint="No file was written.") from error
    finally:
        if _look_at(target) != found:
            raise ToolError(
                f"{target} was written while this change was only being measured.",
                code="conflict",
                hint="If no other program wrote it, tell whoever keeps this workspace: a preview must write no file.",
            )
    if not staged.is_file():
        raise ToolError(
            "This COPY does not write one single file.",
            code="forbidden",
            hint="Leave out PARTITION_BY, PER_THREAD_OUTPUT and FILE_SIZE_BYTES; no file was written.",
        )
    effect = _effect(target, staged, rows=int(row[0]) if row and isinstance(row[0], int) else None)
    return _compare_tables(connection, effect) if effect.action == "replaced" else effect


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileTable:
    rows: int
    columns: tuple[str, ...]


def _compare_tables(connection: duckdb.DuckDBPyConnection, effect: FileEffect) -> FileEffect:
    """The effect with what the replaced file holds, where both can be read; else as it is."""
    reader = connection.cursor()
    try:
        before, after = _read_table(reader, Path(effect.path)), _read_table(reader, Path(effect.staged))
    except duckdb.Error:
        return effect
    finally:
        reader.close()
    if before is None or after is None:
        return effect
    return effect.model_copy(
        update={
            "rows_before": before.rows,
            "columns_added": tuple(c for c in after.columns if c not in before.columns),
            "columns_removed": tuple(c for c in before.columns if c not in after.columns),
        }
    )


def _read_table(reader: duckdb.DuckDBPyConnection, path: Path) -> _FileTable | None:
    """Rows and columns of a data file; None when its name tells no format, or counting would take long."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in {".gz", ".zst"}]
    function = _READERS.get(suffixes[-1]) if suffixes else None
    if function is None or (function != "read_parquet" and path.stat().st_size > MAX_COUNTED_BYTES):
        return None
    source = f"FROM system.main.{function}([{quote_text(glob.escape(str(path)))}])"
    columns = tuple(str(row[0]) for row in reader.execute(f"DESCRIBE {source}").fetchall())
    row = read_row(reader, f"SELECT system.main.count(*) {source}")
    assert row is not None
    return _FileTable(rows=int(row[0]), columns=columns)


def _look_at(path: Path) -> tuple[int, ...] | None:
    """What tells whether a file was written: place, size and times; None when there is none."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


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


def redirect(connection: duckdb.DuckDBPyConnection, statement: StatementWork, staged: Path) -> str:
    """The statement with `staged` in its target's place; raises `ToolError` unless nothing else of it changes by that.

    The place is the one that the gate found; DuckDB's own parser says whether it was the right one.
    """
    if statement.target_start is None or statement.target_end is None:
        raise ToolError(
            "This COPY was proposed to an earlier version of datasteward, which did not note where its target stands.",
            code="conflict",
            hint="Propose it again; no file was written.",
        )
    place = CopyTarget(start=statement.target_start, end=statement.target_end)
    sql = put_target(statement.sql, place, str(staged))
    parser = connection.cursor()
    try:
        tree = parse_copy(lambda text: _tree(parser, text), statement.sql)
        other = parse_copy(lambda text: _tree(parser, text), sql)
        is_sound = copy_info(tree).get("file_path") == statement.target_text and differ_by_target_alone(
            tree, other, str(staged)
        )
    except (Refused, duckdb.Error) as error:
        raise _target_not_found() from error
    finally:
        parser.close()
    if not is_sound:
        raise _target_not_found()
    return sql


def _tree(parser: duckdb.DuckDBPyConnection, sql: str) -> Tree:
    """As the gate reads it: the query node of one SELECT."""
    row = read_row(
        parser,
        "SELECT system.main.json_serialize_sql(?, skip_null := true, skip_empty := true, skip_default := true)",
        [sql],
    )
    document: Tree = json.loads(str(row[0])) if row else {"error": True}
    if document.get("error") or len(document.get("statements", ())) != 1:
        raise Refused("DuckDB gives no syntax tree for this COPY.")
    node: Tree = document["statements"][0]["node"]
    return node


def _target_not_found() -> ToolError:
    return ToolError(
        "The target of this COPY could not be found in its text.",
        code="forbidden",
        hint="Write it plainly: COPY (SELECT …) TO 'folder/file.parquet' (FORMAT parquet).",
    )


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
