"""What SQL can name in the workspace, as the app's completion and tree see it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datasteward.changes.counts import count_of
from datasteward_tui.fuzzy import Choice
from datasteward_tui.safe_text import show_line
from datasteward_tui.tool_link import ToolLink
from datasteward_tui.tool_views import ask

PAGE_CHARACTERS = 20_000
MOST_PAGES = 20
SHOWN_NAMES = 6
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's name and DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A table, view, file or result; None for what is not known."""

    name: str
    kind: str
    rows: int | None = None
    path: str | None = None
    size_bytes: int | None = None
    columns: tuple[Column, ...] = ()
    sql: str | None = None

    @property
    def sql_name(self) -> str:
        """The name as SQL takes it."""
        parts = [p if _BARE.issuperset(p) and not p[:1].isdigit() else quote_name(p) for p in [self.name]]
        return ".".join(parts)

    @property
    def facts(self) -> str:
        """Rows, size and columns in a few words."""
        parts = []
        if self.rows is not None:
            parts.append(count_of(self.rows, "row"))
        if self.columns:
            parts.append(count_of(len(self.columns), "column"))
        if self.size_bytes is not None and self.kind == "file":
            parts.append(format_bytes(self.size_bytes))
        if self.path and self.path != self.name:
            parts.append(self.path)
        return " · ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All datasets, tables first; `database` is the file's name when there is one."""

    datasets: tuple[Dataset, ...] = ()
    database: str | None = None
    is_cut: bool = False
    is_loaded: bool = False
    has_older: bool = False
    """Whether there are results beyond those listed."""

    def find(self, name: str) -> Dataset | None:
        """The dataset of that name or path, whatever the case."""
        wanted = name.strip().strip("\"'").casefold()
        for dataset in self.datasets:
            if wanted in {dataset.name.casefold(), (dataset.path or "").casefold()}:
                return dataset
        return None

    @property
    def summary(self) -> str:
        """How many of which kind, and the first names; empty before it is known."""
        if not self.is_loaded:
            return ""
        own = [d for d in self.datasets if d.kind != "result"]
        counts = Counter("view" if d.kind == "view" else "file" if d.kind == "file" else "table" for d in own)
        told = ", ".join(f"{n:,} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items())
        names = ", ".join(show_line(d.name, 40) for d in own[:SHOWN_NAMES]) + (", …" if len(own) > SHOWN_NAMES else "")
        return f"{told}: {names}" if own else "No data files or tables below this folder yet."

    @property
    def example(self) -> str:
        """A name to try things on; empty when there is none."""
        return next((d.sql_name for d in self.datasets if d.kind != "result"), "")

    def choices(self) -> Iterator[Choice]:
        """Everything `@` can name: datasets, then their columns."""
        for dataset in self.datasets:
            yield Choice(
                value=dataset.name,
                about=dataset.facts or (dataset.sql or ""),
                kind=dataset.kind,
                insert=dataset.sql_name,
            )
            if dataset.path and dataset.path != dataset.name:
                yield Choice(value=dataset.path, about=dataset.facts, kind="file", insert=f"'{dataset.path}'")
        for dataset in self.datasets:
            for column in dataset.columns:
                insert = f"{dataset.sql_name}.{quote_if_needed(column.name)}"
                yield Choice(value=f"{dataset.name}.{column.name}", about=column.type, kind="column", insert=insert)


def quote_name(name: str) -> str:
    """A name as an SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_if_needed(name: str) -> str:
    """A name as SQL takes it, in quotes when it needs them."""
    is_bare = name and _BARE.issuperset(name) and "." not in name and not name[0].isdigit()
    return name if is_bare else quote_name(name)


def format_bytes(size: int) -> str:
    """`812 B`, `4.2 MB`."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


async def load_catalog(link: ToolLink) -> Catalog:
    """The catalog as the tool `search_catalog` tells it; raises `ToolError`, or `EngineFault` without an owner."""
    datasets: list[Dataset] = []
    database: str | None = None
    offset: int | None = 0
    has_older = False
    for _ in range(MOST_PAGES):
        arguments = {"detail": "columns", "budget": PAGE_CHARACTERS, "offset": offset}
        answer = await ask(link, "search_catalog", arguments)
        database = answer.structured.get("database") or database
        datasets += [_read(entry) for entry in answer.structured.get("datasets", [])]
        has_older = bool(answer.structured.get("older_results"))
        offset = answer.structured.get("next_offset")
        if offset is None:
            break
    return Catalog(
        datasets=tuple(datasets),
        database=database,
        is_cut=offset is not None,
        is_loaded=True,
        has_older=has_older,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderResults:
    """A page of results, newest first, and whether there are still older ones."""

    datasets: tuple[Dataset, ...]
    has_older: bool


async def load_older(link: ToolLink, offset: int) -> OlderResults:
    """The results behind the `offset` newest; raises `ToolError`, or `EngineFault` without an owner."""
    arguments = {"kind": "result", "detail": "columns", "budget": PAGE_CHARACTERS, "offset": offset}
    told = (await ask(link, "search_catalog", arguments)).structured
    found = tuple(_read(entry) for entry in told.get("datasets", []))
    return OlderResults(datasets=found, has_older=told.get("next_offset") is not None)


def _read(entry: Mapping[str, Any]) -> Dataset:
    return Dataset(
        name=str(entry["name"]),
        kind=str(entry["kind"]),
        rows=entry.get("rows"),
        path=entry.get("path"),
        size_bytes=entry.get("bytes"),
        columns=tuple(Column(name=str(c[0]), type=str(c[1])) for c in entry.get("columns") or ()),
        sql=entry.get("sql"),
    )
