"""Names that are not in the database: result handles, friendly file names and file paths, each given as a view.

A statement that names `r17`, `orders` or `'data/orders.csv'` finds a view of exactly that name in the worker's own
in-memory catalog, so its text runs unchanged and nothing of the user's is touched. `book.Sheet2` is a part of a file
that holds several tables, `orders.quarantine` the lines of a file that could not be read as rows.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from datasteward.engine.carriers import quote_text
from datasteward.engine.files import DataFile, DataFiles, file_format
from datasteward.engine.gate_facts import NamedSource
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.result_files import HANDLE, result_path, stored_select
from datasteward.errors import ToolError

if TYPE_CHECKING:
    from datasteward.intake.model import Look

_READ_WHOLE = "Later lines do not fit what the first ones promise; all lines were read to choose columns and types."
_MOST_READ_ONE_BY_ONE = 500
"""Partitioned text files up to this number are inspected one by one; more are read as DuckDB reads them."""
RESULTS_SCHEMA = "results"
QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """The view that stands for a source, and what its reader must know; made anew when its file changes."""

    schema: str
    name: str
    select: str
    version: tuple[int, int]
    told: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells views apart."""
        return f"{self.schema.casefold()}.{self.name.casefold()}"


class Sources:
    """Resolves names for the gate and gives the view of each."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        denied = (settings.state_folder, settings.database)
        self._files = DataFiles(settings.roots, settings.workspace_root, denied=denied)

    def names(self) -> Iterable[str]:
        """Friendly names of files, for hints."""
        return [f.name for f in self._files.listing()]

    def resolve(self, parts: tuple[str, ...]) -> NamedSource | None:
        """What an unknown table name stands for, or None."""
        if len(parts) > 2:
            return None
        if len(parts) == 2 and parts[0].casefold() == RESULTS_SCHEMA and HANDLE.match(parts[1]):
            return self._resolve_result(parts, parts[1])
        if len(parts) == 1 and HANDLE.match(parts[0]) and (found := self._resolve_result(parts, parts[0])):
            return found
        file = self._files.find(parts[0])
        if file is None or (len(parts) == 2 and not _has_part(file, parts[1])):
            return None
        return NamedSource(parts=parts, kind="file", shown=file.shown_path, path=file.path)

    def view(self, source: NamedSource, connection: duckdb.DuckDBPyConnection) -> SourceView:
        """The view of a resolved source; raises `ToolError` when its file cannot be read as a table."""
        schema = "main" if len(source.parts) == 1 else source.parts[0]
        name = source.parts[-1]
        if source.kind == "result":
            stat = source.path.stat()
            select = stored_select(source.path)
            return SourceView(schema=schema, name=name, select=select, version=(stat.st_size, stat.st_mtime_ns))
        if source.path.is_dir():
            return self._partition_view(source, schema, name, connection)
        from datasteward.intake.inspect import inspect_file
        from datasteward.intake.model import Overrides
        from datasteward.intake.plan import read_plan

        intake = inspect_file(source.path, Overrides(part=_part_of(source), look=self._look(source.path)))
        _refuse_disguised(source, intake.format)
        plan = read_plan(connection, intake, self._settings.cache_folder)
        table, told = plan.table_sql, (*intake.doubts, *plan.told)
        if intake.overrides.look == "all":
            told = (_READ_WHOLE, *told)
        if len(source.parts) == 2 and name.casefold() == QUARANTINE:
            if plan.quarantine is None:
                raise ToolError(f"Every line of {source.shown} was read; its quarantine is empty.", code="not_found")
            table, told = plan.quarantine.table_sql, ()
        return SourceView(
            schema=schema,
            name=name,
            select=f"SELECT * FROM {table}",
            version=(intake.size_bytes, intake.modified_ns),
            told=tuple(dict.fromkeys(told)),
        )

    def read_whole(self, source: NamedSource) -> bool:
        """From now on choose how to read a text file by all its lines; False when that is so or it is another file."""
        if source.kind != "file" or source.path.is_dir():
            return False
        from datasteward.intake.inspect import inspect_file

        if inspect_file(source.path).format not in {"delimited", "ndjson", "json"} or self._look(source.path) == "all":
            return False
        self._mark(source.path).parent.mkdir(parents=True, exist_ok=True)
        self._mark(source.path).touch()
        return True

    def _look(self, path: Path) -> "Look":
        return "all" if self._mark(path).exists() else "sample"

    def _mark(self, path: Path) -> Path:
        """A file in the cache that is there once this version of `path` is to be read by all its lines."""
        stat = path.stat()
        version = f"{path} {stat.st_size} {stat.st_mtime_ns}"
        return self._settings.cache_folder / f"{hashlib.sha256(version.encode()).hexdigest()[:24]}.whole"

    def _partition_view(
        self, source: NamedSource, schema: str, name: str, connection: duckdb.DuckDBPyConnection
    ) -> SourceView:
        file = next(f for f in self._files.listing() if f.path == source.path)
        version = (file.size_bytes, file.modified_ns)
        paths = _files_below(file) if file.format in {"csv", "json"} else ()
        if 0 < len(paths) <= _MOST_READ_ONE_BY_ONE:
            from datasteward.intake.many import read_many

            plan = read_many(connection, paths, self._settings.cache_folder, folder=file.path)
            select = f"SELECT * FROM {plan.table_sql}"
            return SourceView(schema=schema, name=name, select=select, version=version, told=plan.told)
        function = {"csv": "read_csv", "json": "read_json"}.get(file.format, "read_parquet")
        pattern = quote_text(f"{file.path}/**/*{'.parquet' if file.format == 'parquet' else ''}")
        select = f"SELECT * FROM {function}({pattern}, hive_partitioning = true, union_by_name = true)"
        return SourceView(schema=schema, name=name, select=select, version=version)

    def _resolve_result(self, parts: tuple[str, ...], handle: str) -> NamedSource | None:
        path = result_path(self._settings.results_folder, handle)
        return NamedSource(parts=parts, kind="result", shown=handle.lower(), path=path) if path.is_file() else None


def _files_below(folder: DataFile) -> tuple[Path, ...]:
    """The data files of a partitioned folder that are their own and lie in it, as the listing counts them."""
    from datasteward.intake.many import list_files

    home = folder.path.resolve()
    return tuple(
        p
        for p in list_files(folder.path)
        if file_format(p) == folder.format
        and p.stat().st_nlink == 1
        and p.resolve() == home / p.relative_to(folder.path)
    )


def _refuse_disguised(source: NamedSource, found: str) -> None:
    """A file named like a binary format that holds text is not quietly read as text."""
    named = file_format(source.path)
    if named in {"parquet", "arrow", "excel", "sqlite"} and found in {"delimited", "json", "ndjson"}:
        raise ToolError(
            f"{source.shown} is named like a file of {named}, but its content is not that.",
            code="runtime",
            hint="Check how it was made or downloaded; give it the ending .csv or .json to read it as text.",
        )


def _has_part(file: DataFile, part: str) -> bool:
    if part.casefold() == QUARANTINE:
        return not file.is_partitioned
    if file.format not in {"excel", "sqlite"}:
        return False
    from datasteward.intake.inspect import inspect_file

    return any(p.name.casefold() == part.casefold() for p in inspect_file(file.path).parts)


def _part_of(source: NamedSource) -> str | None:
    if len(source.parts) == 1 or source.parts[1].casefold() == QUARANTINE:
        return None
    from datasteward.intake.inspect import inspect_file

    return next(p.name for p in inspect_file(source.path).parts if p.name.casefold() == source.parts[1].casefold())
