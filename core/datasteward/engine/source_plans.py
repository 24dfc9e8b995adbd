"""How the file, the folder or the matches of a named source are read, and how well each file has been looked at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from datasteward.engine.files import DataFiles, file_format
from datasteward.engine.gate_facts import NamedSource
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.source_names import part_of
from datasteward.errors import ToolError

if TYPE_CHECKING:
    from datasteward.intake.model import Intake, Look, ReadPlan

_READ_WHOLE = "Later lines do not fit what the first ones promise; all lines were read to choose columns and types."
_MOST_READ_ONE_BY_ONE = 500
"""Text files up to this number are inspected one by one; more are read as DuckDB reads them, which is told."""
_KEPT = 64
_TEXT_SUFFIXES = frozenset({".txt", ".dat"})
_BINARY = frozenset({"parquet", "arrow", "excel", "sqlite"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSource:
    """The plan of a source; `version` (bytes, latest change in nanoseconds) tells whether its files have changed."""

    plan: "ReadPlan"
    version: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamp:
    path: Path
    size_bytes: int
    modified_ns: int
    look: "Look"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    stamps: tuple[_Stamp, ...]
    plan: "ReadPlan"


class SourcePlans:
    """Plans of the files behind names; the plan of several files is kept until one of them changes."""

    def __init__(self, settings: WorkerSettings, files: DataFiles) -> None:
        self._settings = settings
        self._files = files
        self._kept: dict[NamedSource, _Kept] = {}

    def plan(
        self, source: NamedSource, connection: duckdb.DuckDBPyConnection, look: "Look | None" = None
    ) -> PlannedSource:
        """How `source` is read, its files looked at as they are marked unless `look` says how.

        Raises `ToolError` when a file cannot be read as a table.
        """
        paths = self._paths(source)
        stamps = tuple(self._stamp(p, look) for p in paths)
        version = (sum(s.size_bytes for s in stamps), max(s.modified_ns for s in stamps))
        if len(paths) == 1 and not source.matches and not source.path.is_dir():
            return PlannedSource(plan=self._plan_one(source, stamps[0], connection), version=version)
        kept = self._kept.get(source)
        if kept is None or kept.stamps != stamps or not all(f.exists() for f in kept.plan.files):
            kept = _Kept(stamps=stamps, plan=self._plan_many(source, stamps, connection))
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[source] = kept
        return PlannedSource(plan=kept.plan, version=version)

    def read_whole(self, source: NamedSource) -> bool:
        """From now on choose how to read the source's text files by all their lines; False when none is left to."""
        from datasteward.intake.inspect import inspect_file

        changed = False
        for path in self._paths(source):
            if self._mark(path).exists() or inspect_file(path).format not in {"delimited", "ndjson", "json"}:
                continue
            self._mark(path).parent.mkdir(parents=True, exist_ok=True)
            self._mark(path).touch()
            changed = True
        return changed

    def _paths(self, source: NamedSource) -> tuple[Path, ...]:
        if source.matches:
            return tuple(dict.fromkeys(source.matches))
        return self._files_below(source.path) if source.path.is_dir() else (source.path,)

    def _files_below(self, folder: Path) -> tuple[Path, ...]:
        """The data files of a partitioned folder that are their own and lie in it, as the listing counts them."""
        kind = next(f.format for f in self._files.listing() if f.path == folder)
        home = folder.resolve()
        found = [
            p
            for p in sorted(folder.rglob("*"))
            if file_format(p) == kind
            and not any(x.startswith((".", "_")) for x in p.relative_to(folder).parts)
            and p.is_file()
            and p.stat().st_nlink == 1
            and p.resolve() == home / p.relative_to(folder)
        ]
        if not found:
            raise ToolError(f"No file of {folder.name} can be read.", code="not_found")
        return tuple(found)

    def _stamp(self, path: Path, look: "Look | None") -> _Stamp:
        try:
            stat = path.stat()
        except OSError as error:
            raise ToolError(f"There is no readable file {path}: {error.strerror}.", code="not_found") from error
        found: Look = look or ("all" if self._mark(path).exists() else "sample")
        return _Stamp(path=path, size_bytes=stat.st_size, modified_ns=stat.st_mtime_ns, look=found)

    def _mark(self, path: Path) -> Path:
        """A file in the cache that is there once this version of `path` is to be read by all its lines."""
        stat = path.stat()
        version = f"{path} {stat.st_size} {stat.st_mtime_ns}"
        return self._settings.cache_folder / f"{hashlib.sha256(version.encode()).hexdigest()[:24]}.whole"

    def _plan_one(self, source: NamedSource, stamp: _Stamp, connection: duckdb.DuckDBPyConnection) -> "ReadPlan":
        from datasteward.intake.plan import read_plan

        intake = self._inspect(stamp, part_of(source))
        plan = read_plan(connection, intake, self._settings.cache_folder)
        is_read_whole = stamp.look == "all" and intake.format == "delimited"
        is_otherwise = is_read_whole and self._is_otherwise_by_first_lines(source, stamp, plan, connection)
        told = (*([_READ_WHOLE] if is_otherwise else []), *intake.doubts, *plan.told)
        return replace(plan, told=tuple(dict.fromkeys(told)))

    def _is_otherwise_by_first_lines(
        self, source: NamedSource, stamp: _Stamp, plan: "ReadPlan", connection: duckdb.DuckDBPyConnection
    ) -> bool:
        """Whether the first lines alone would have `plan`'s file read otherwise: directly, or in other columns or types."""
        from datasteward.intake.plan import is_direct, read_plan

        intake = self._inspect(replace(stamp, look="sample"), part_of(source))
        if not is_direct(intake):
            return False
        if plan.kind != "direct":
            return True
        first = read_plan(connection, intake, self._settings.cache_folder)
        return [(c.name, c.type, c.null_spellings) for c in first.columns] != [
            (c.name, c.type, c.null_spellings) for c in plan.columns
        ]

    def _inspect(self, stamp: _Stamp, part: str | None = None) -> "Intake":
        from datasteward.intake.inspect import inspect_file
        from datasteward.intake.model import Overrides

        intake = inspect_file(stamp.path, Overrides(part=part, look=stamp.look))
        named = file_format(stamp.path)
        if named in _BINARY and intake.format not in _BINARY:
            raise ToolError(
                f"{self._files.show(stamp.path)} is named like a file of {named}, but its content is not that.",
                code="runtime",
                hint="Check how it was made or downloaded; give it the ending .csv or .json to read it as text.",
            )
        return intake

    def _plan_many(
        self, source: NamedSource, stamps: Sequence[_Stamp], connection: duckdb.DuckDBPyConnection
    ) -> "ReadPlan":
        from datasteward.intake.many import read_many

        kinds = {file_format(s.path) for s in stamps}
        _refuse_other_files(source, [s.path for s in stamps])
        if kinds != {"parquet"} and len(stamps) > _MOST_READ_ONE_BY_ONE:
            return _plan_very_many(source, [s.path for s in stamps], {str(k) for k in kinds})
        folder = source.path if source.path.is_dir() else self._settings.workspace_root
        is_below = all(s.path.is_relative_to(folder) for s in stamps)
        return read_many(
            connection,
            [self._inspect(s) for s in stamps],
            self._settings.cache_folder,
            folder=folder if is_below else None,
        )


def _refuse_other_files(source: NamedSource, paths: Sequence[Path]) -> None:
    others = [p.name for p in paths if file_format(p) is None and p.suffix.lower() not in _TEXT_SUFFIXES]
    if others:
        raise ToolError(
            f"'{source.shown}' matches files that are not data: {', '.join(others[:3])}.",
            code="invalid_arguments",
            hint="Narrow the pattern, for instance to '*.csv'.",
        )


def _plan_very_many(source: NamedSource, paths: Sequence[Path], kinds: set[str]) -> "ReadPlan":
    """One scan by DuckDB's own reader, for text files too many to be inspected one by one."""
    from datasteward.intake.model import ReadPlan
    from datasteward.intake.sql_text import quote_paths

    readers = {
        "csv": ("read_csv", "all_varchar = true"),
        "json": ("read_json", "dateformat = '%Y-%m-%d', timestampformat = 'iso'"),
    }
    reader = readers.get(kinds.pop()) if len(kinds) == 1 else None
    if reader is None:
        raise ToolError(
            f"'{source.shown}' stands for {len(paths):,} files of several kinds; at most {_MOST_READ_ONE_BY_ONE} are read.",
            code="too_large",
            hint="Narrow the pattern to one kind of file.",
        )
    name, options = reader
    told = (
        f"{len(paths):,} files are too many to look at one by one; DuckDB's own reader takes them as it finds them"
        f" written{', every column as text' if name == 'read_csv' else ''}, and stops at a line that does not fit."
    )
    sql = f"{name}({quote_paths(paths)}, hive_partitioning = true, union_by_name = true, {options})"
    return ReadPlan(kind="direct", table_sql=sql, files=tuple(paths), told=(told,))
