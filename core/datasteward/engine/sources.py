"""Names that are not in the database: result handles, friendly file names and file paths, each given as a view.

A statement that names `r17`, `orders` or `'data/orders.csv'` finds a view of exactly that name in the worker's own
in-memory catalog, so its text runs unchanged and nothing of the user's is touched.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datasteward.engine.files import DataFile, DataFiles, file_format
from datasteward.engine.gate import NamedSource
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.reading import read_expression
from datasteward.engine.result_files import HANDLE, result_path, stored_select
from datasteward.errors import ToolError

RESULTS_SCHEMA = "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """The view that stands for a source; it is made anew when its file's time or size has changed."""

    schema: str
    name: str
    select: str
    version: tuple[int, int]

    @property
    def key(self) -> str:
        """What tells views apart."""
        return f"{self.schema}.{self.name.casefold()}"


class Sources:
    """Resolves names for the gate and gives the view of each."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._files = DataFiles(
            settings.roots, settings.workspace_root, denied=(settings.state_folder, settings.database)
        )

    def names(self) -> Iterable[str]:
        """Friendly names of files, for hints."""
        return [f.name for f in self._files.listing()]

    def resolve(self, parts: tuple[str, ...]) -> NamedSource | None:
        """What an unknown table name stands for, or None."""
        if len(parts) == 2 and parts[0].casefold() == RESULTS_SCHEMA and HANDLE.match(parts[1]):
            return self._resolve_result(parts, parts[1])
        if len(parts) != 1:
            return None
        name = parts[0]
        if HANDLE.match(name) and (found := self._resolve_result(parts, name)):
            return found
        if (file := self._files.find(name)) is not None:
            return NamedSource(parts=parts, kind="file", shown=file.shown_path, path=file.path)
        return None

    def view(self, source: NamedSource) -> SourceView:
        """The view of a resolved source; raises `ToolError` when its file cannot be read as data."""
        if source.kind == "result":
            path = source.path
            schema = RESULTS_SCHEMA if len(source.parts) == 2 else "main"
            stat = path.stat()
            return SourceView(
                schema=schema,
                name=source.parts[-1],
                select=stored_select(path),
                version=(stat.st_size, stat.st_mtime_ns),
            )
        file = self._as_file(source)
        return SourceView(
            schema="main",
            name=source.parts[-1],
            select=f"SELECT * FROM {read_expression(file, self._settings.cache_folder)}",
            version=(file.size_bytes, file.modified_ns),
        )

    def _resolve_result(self, parts: tuple[str, ...], handle: str) -> NamedSource | None:
        path = result_path(self._settings.results_folder, handle)
        return NamedSource(parts=parts, kind="result", shown=handle.lower(), path=path) if path.is_file() else None

    def _as_file(self, source: NamedSource) -> DataFile:
        known = next((f for f in self._files.listing() if f.path == source.path), None)
        if known is not None:
            return known
        kind = file_format(source.path)
        if kind is None:
            raise ToolError(
                f"{source.shown} is not a data file that can be read as a table.",
                code="not_found",
                hint="CSV, TSV, JSON, NDJSON, Parquet, Arrow, Excel and SQLite files can; read_csv() names any other text.",
            )
        stat = source.path.stat()
        return DataFile(
            path=source.path,
            shown_path=source.shown,
            name=source.parts[-1],
            format=kind,
            size_bytes=stat.st_size,
            modified_ns=stat.st_mtime_ns,
        )


