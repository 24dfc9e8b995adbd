"""What the owner asks of a worker and what comes back, as plain data that crosses the pipe."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasteward.engine.cells import Cell
from datasteward.errors import ErrorCode
from datasteward.intake.options import IntakeOptions

ParameterValues = list[Any] | dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """All a worker may use: folders, the database, bounds (bytes, threads), and what is known of the files."""

    workspace_root: Path
    roots: tuple[Path, ...]
    database: Path
    state_folder: Path
    results_folder: Path
    cache_folder: Path
    temp_folder: Path
    memory_bytes: int
    temp_bytes: int
    threads: int
    sql_bytes: int
    lock_wait_seconds: float = 10.0
    intake: IntakeOptions = field(default_factory=IntakeOptions)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        plain = asdict(self)
        return {
            k: [str(p) for p in v] if k == "roots" else str(v) if isinstance(v, Path) else v for k, v in plain.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WorkerSettings":
        """The settings that `to_json` gave."""
        values = dict(data)
        values["roots"] = tuple(Path(p) for p in values["roots"])
        for key in ("workspace_root", "database", "state_folder", "results_folder", "cache_folder", "temp_folder"):
            values[key] = Path(values[key])
        values["intake"] = IntakeOptions.from_json(values["intake"])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryJob:
    """One read: text of one or several statements, bounds, and where its results are written first."""

    sql: str
    parameters: ParameterValues = None
    max_rows: int
    max_bytes: int
    head_characters: int
    draft_prefix: str
    """Results are written to `<results>/<draft_prefix>-<n>.parquet` until they get a handle."""
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """What is known of one column of a result; None for what was not computed. Values are shortened texts."""

    nulls: int | None = None
    distinct: int | None = None
    minimum: str | None = None
    maximum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultColumn:
    """One column: name, DuckDB type, and facts when rows are left out of the view."""

    name: str
    type: str
    facts: ColumnFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultHead:
    """The beginning of a result: its columns and first rows, cells already exact and shortened where huge."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shortened_cells: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDraft:
    """A result written to disk but not yet named: rows, bytes, SHA-256 of the file, and why it was cut, if it was."""

    file_name: str
    row_count: int
    size_bytes: int
    content_hash: str
    cut_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUse:
    """A dataset that a statement read or wrote."""

    kind: Literal["table", "view", "file", "result", "unknown"]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementOutcome:
    """What one statement gave: its text and kind, the head, the stored draft (none for a dry run), seconds it took."""

    sql: str
    kind: str
    head: ResultHead
    draft: StoredDraft | None
    seconds: float
    sources: tuple[SourceUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error that crossed the pipe, as `ToolError` carries it."""

    code: ErrorCode
    message: str
    hint: str | None = None
    position: int | None = None


def statement_from_json(data: Mapping[str, Any]) -> StatementOutcome:
    """A `StatementOutcome` from the JSON of `dataclasses.asdict`."""
    return StatementOutcome(
        sql=data["sql"],
        kind=data["kind"],
        head=head_from_json(data["head"]),
        draft=StoredDraft(**data["draft"]) if data["draft"] else None,
        seconds=data["seconds"],
        sources=tuple(SourceUse(**s) for s in data["sources"]),
    )


def head_from_json(data: Mapping[str, Any]) -> ResultHead:
    """A `ResultHead` from the JSON of `dataclasses.asdict`."""
    return ResultHead(
        columns=tuple(
            ResultColumn(name=c["name"], type=c["type"], facts=ColumnFacts(**c["facts"]) if c["facts"] else None)
            for c in data["columns"]
        ),
        rows=tuple(tuple(row) for row in data["rows"]),
        shortened_cells=data["shortened_cells"],
        notes=tuple(data["notes"]),
    )
