"""The tool `search_catalog`."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from datasteward.engine.files import DataFile
from datasteward.engine.results import StoredResult
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool

Kind = Literal["table", "view", "file", "result"]
MAX_DESCRIBED_FILES = 40
NEWEST_RESULTS = 50
"""Results that are listed beside tables and files; all of them are where only results, or words, are asked for."""
MOST_RESULTS = 10_000


class SearchCatalogInput(ToolInput):
    words: str = Field(default="", description="In name, path or columns.")
    kind: Kind | None = Field(default=None)
    detail: Literal["names", "columns", "full"] = "names"
    offset: Annotated[int, Field(ge=0)] = 0
    budget: Annotated[int, Field(ge=200, le=20_000)] | None = None


class Dataset(BaseModel):
    """One entry: `name` is what SQL calls it; columns are [name, type] pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    rows: int | None = None
    path: str | None = None
    bytes: int | None = None
    modified: str | None = None
    columns: list[list[str]] | None = None
    column_count: int | None = None
    comment: str | None = None
    sql: str | None = None
    error: str | None = None


class SearchCatalogOutput(ToolOutput):
    total: int
    datasets: list[Dataset]
    database: str | None = None
    cut: str | None = None
    next_offset: int | None = None
    older_results: bool | None = None

    def to_text(self) -> str:
        """One line a dataset."""
        lines = [
            f"{self.total:,} dataset{'' if self.total == 1 else 's'}"
            + (f", database {self.database}" if self.database else "")
        ]
        lines += [_line(d) for d in self.datasets]
        if self.cut:
            lines.append(f"cut: {self.cut}")
        return "\n".join(lines)


@tool(title="Search the catalog")
async def search_catalog(arguments: SearchCatalogInput, context: ToolContext) -> SearchCatalogOutput:
    """Tables, views, data files and stored results that SQL can name here, with rows, size and columns by detail.

    Start here.
    """
    services: Services = context.services
    described = arguments.detail != "names" or bool(arguments.words)
    found = await _collect(services, arguments, describe=described)
    budget = arguments.budget or services.settings.limits.view_characters
    rest = found.datasets[arguments.offset :]
    shown = _fit([_trim(d, arguments.detail) for d in rest], budget)
    end = arguments.offset + len(shown)
    left = len(found.datasets) - end
    cuts = [f"{left:,} more: narrow with words or kind, or go on at offset {end}"] if left else []
    if found.undescribed:
        cuts.append(f"columns of {found.undescribed} files not read: narrow with words")
    if found.has_older:
        cuts.append("older results: kind result lists them")
    if services.files.is_cut:
        cuts.append("more than 20,000 files: only the first are listed")
    return SearchCatalogOutput(
        total=len(found.datasets),
        datasets=shown,
        database=found.database,
        cut="; ".join(cuts) or None,
        next_offset=end if left else None,
        older_results=found.has_older or None,
    )


class _Found(BaseModel):
    datasets: list[Dataset]
    database: str | None
    undescribed: int
    has_older: bool


async def _collect(services: Services, arguments: SearchCatalogInput, *, describe: bool) -> _Found:
    wants = {arguments.kind} if arguments.kind else {"table", "view", "file", "result"}
    files = await asyncio.to_thread(services.files.listing) if "file" in wants else ()
    most = MOST_RESULTS if arguments.kind == "result" or arguments.words else NEWEST_RESULTS
    results = await asyncio.to_thread(services.results.latest, most + 1) if "result" in wants else []
    words = arguments.words.casefold().split()
    to_describe = _files_to_describe(files, words) if describe else []
    reply: dict[str, Any] = {"database": None, "tables": [], "sources": []}
    if to_describe or wants & {"table", "view"}:
        reply = await services.engine.run(
            "list_catalog", {"sources": [f.name for f in to_describe[:MAX_DESCRIBED_FILES]]}
        )
    columns = {item["name"]: item for item in reply["sources"]}
    datasets = [
        *(_table(item) for item in reply["tables"] if item["kind"] in wants),
        *(_file(f, columns.get(f.name)) for f in files),
        *(_result(r) for r in results[:most]),
    ]
    return _Found(
        datasets=[d for d in datasets if _matches(d, words)],
        database=reply["database"],
        undescribed=max(0, len(to_describe) - MAX_DESCRIBED_FILES),
        has_older=len(results) > most,
    )


def _files_to_describe(files: Iterable[DataFile], words: list[str]) -> list[DataFile]:
    """Files whose own name matches come first, since their columns will be shown."""
    return sorted(files, key=lambda f: not all(w in f"{f.name} {f.shown_path}".casefold() for w in words))


def _table(item: dict[str, Any]) -> Dataset:
    name = item["name"] if item["schema"] == "main" else f"{item['schema']}.{item['name']}"
    return Dataset(
        name=name,
        kind=item["kind"],
        rows=item["rows"],
        columns=[[c[0], c[1]] for c in item["columns"]],
        comment=item["comment"],
    )


def _file(file: DataFile, described: dict[str, Any] | None) -> Dataset:
    return Dataset(
        name=file.name,
        kind="file",
        path=file.shown_path,
        bytes=file.size_bytes,
        modified=_moment(file.modified_ns / 1e9),
        columns=[[c[0], c[1]] for c in described["columns"]] if described and not described["error"] else None,
        error=described["error"] if described else None,
    )


def _result(result: StoredResult) -> Dataset:
    return Dataset(
        name=result.handle,
        kind="result",
        rows=result.row_count,
        bytes=result.size_bytes,
        modified=_moment(result.created_at),
        columns=[[c.name, c.type] for c in result.columns],
        sql=result.sql if len(result.sql) <= 200 else f"{result.sql[:200]}…",
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _matches(dataset: Dataset, words: list[str]) -> bool:
    if not words:
        return True
    parts = [dataset.name, dataset.path or "", dataset.comment or "", dataset.sql or ""]
    parts += [c[0] for c in dataset.columns or []]
    text = " ".join(parts).casefold()
    return all(word in text for word in words)


def _trim(dataset: Dataset, detail: str) -> Dataset:
    if detail == "full":
        return dataset
    count = len(dataset.columns) if dataset.columns is not None else None
    if detail == "columns":
        return dataset.model_copy(update={"sql": None, "comment": None})
    hidden = {"columns": None, "column_count": count, "modified": None, "comment": None, "sql": dataset.sql}
    return dataset.model_copy(update=hidden)


def _fit(datasets: list[Dataset], budget: int) -> list[Dataset]:
    shown: list[Dataset] = []
    spent = 120
    for dataset in datasets:
        size = len(dataset.model_dump_json(exclude_none=True)) + 2
        if spent + size > budget and dataset.columns:
            room = max(1, int(len(dataset.columns) * (budget - spent) / size) - 1)
            if not shown:
                kept = dataset.columns[:room]
                shown.append(dataset.model_copy(update={"columns": kept, "column_count": len(dataset.columns)}))
            break
        if shown and spent + size > budget:
            break
        shown.append(dataset)
        spent += size
    return shown


def _line(dataset: Dataset) -> str:
    parts = [f"{dataset.kind} {dataset.name}"]
    if dataset.path:
        parts.append(dataset.path)
    if dataset.rows is not None:
        parts.append(f"{dataset.rows:,} row{'' if dataset.rows == 1 else 's'}")
    if dataset.bytes is not None:
        parts.append(f"{dataset.bytes:,} bytes")
    if dataset.modified:
        parts.append(dataset.modified)
    if dataset.column_count is not None:
        parts.append(f"{dataset.column_count} column{'' if dataset.column_count == 1 else 's'}")
    if dataset.comment:
        parts.append(dataset.comment)
    if dataset.sql:
        parts.append(" ".join(dataset.sql.split()))
    if dataset.error:
        parts.append(f"unreadable: {dataset.error}")
    line = " · ".join(parts)
    if dataset.columns:
        line += "\n  " + ", ".join(f"{name} {kind}" for name, kind in dataset.columns)
    return line
