"""Names that are not in the database: result handles, friendly file names and file paths, each given as a view.

A statement that names `r17`, `orders` or `'data/*.csv'` finds a view of exactly that name in the worker's own
in-memory catalog, so its text runs unchanged and nothing of the user's is touched. `book.Sheet2` is a part of a file
that holds several tables, `orders.quarantine` the lines of a file that could not be read as rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from datasteward.engine.files import DataFiles
from datasteward.engine.gate_facts import FileUse, NamedSource, Refused
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.result_files import HANDLE, result_path, stored_select
from datasteward.engine.source_names import QUARANTINE, explain_missing, explain_syntax, has_part
from datasteward.engine.source_plans import SourcePlans
from datasteward.errors import ToolError
from datasteward.intake.options import register_options

RESULTS_SCHEMA = "results"
_READERS = frozenset(
    {"read_csv", "read_csv_auto", "read_json", "read_json_auto", "read_ndjson", "read_ndjson_auto", "read_parquet",
     "parquet_scan"}
)  # fmt: skip


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
        register_options(settings.workspace_root, settings.roots, settings.intake)
        denied = (settings.state_folder, settings.database)
        self._files = DataFiles(settings.roots, settings.workspace_root, denied=denied)
        self._plans = SourcePlans(settings, self._files)

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
        if file is None or (len(parts) == 2 and not has_part(file, parts[1])):
            return None
        return NamedSource(parts=parts, kind="file", shown=file.shown_path, path=file.path)

    def explain_missing(self, parts: tuple[str, ...]) -> Refused | None:
        """Why a name stands for nothing though files are near it: several share it, or the file lacks that part."""
        return explain_missing(parts, self._files)

    def explain_syntax(self, message: str, sql: str) -> str | None:
        """What to write instead, where a file's name or path stands without quotes in a text that does not parse."""
        return explain_syntax(message, sql, self._files)

    def view(self, source: NamedSource, connection: duckdb.DuckDBPyConnection) -> SourceView:
        """The view of a resolved source; raises `ToolError` when its file cannot be read as a table."""
        if source.kind == "result":
            stat = source.path.stat()
            return _view(source, f"({stored_select(source.path)})", (stat.st_size, stat.st_mtime_ns))
        planned = self._plans.plan(source, connection)
        if len(source.parts) == 1 or source.parts[1].casefold() != QUARANTINE:
            return _view(source, planned.plan.table_sql, planned.version, planned.plan.told)
        if planned.plan.quarantine is None and planned.plan.kind == "direct":
            planned = self._plans.plan(source, connection, "all")
            if planned.plan.quarantine is not None:
                self._plans.read_whole(source)
        if planned.plan.quarantine is None:
            raise ToolError(f"Every line of {source.shown} was read; its quarantine is empty.", code="not_found")
        return _view(source, planned.plan.quarantine.table_sql, planned.version)

    def tell_call(self, file: FileUse, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
        """What a reader call written into a statement leaves out or may misread, in sentences."""
        if file.access != "read" or file.function not in _READERS:
            return ()
        from datasteward.intake.reader_calls import ReaderCall, tell_reader_call

        call = ReaderCall(
            function=file.function,
            text=file.text,
            paths=file.paths,
            all_paths=file.call_paths,
            options={option.name: option.value for option in file.options},
        )
        return tell_reader_call(connection, call)

    def read_whole(self, source: NamedSource) -> bool:
        """From now on choose how to read the source's text files by all their lines; False when none is left to."""
        return source.kind == "file" and self._plans.read_whole(source)

    def _resolve_result(self, parts: tuple[str, ...], handle: str) -> NamedSource | None:
        path = result_path(self._settings.results_folder, handle)
        return NamedSource(parts=parts, kind="result", shown=handle.lower(), path=path) if path.is_file() else None


def _view(source: NamedSource, table_sql: str, version: tuple[int, int], told: tuple[str, ...] = ()) -> SourceView:
    schema = "main" if len(source.parts) == 1 else source.parts[0]
    return SourceView(
        schema=schema, name=source.parts[-1], select=f"SELECT * FROM {table_sql}", version=version, told=told
    )
