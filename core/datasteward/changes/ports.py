"""What the change service needs from its surroundings, so that hosts can be swapped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import ColumnLabel, Preview, SourceView, StatementWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A text as the gate read it: statements with their facts, and views for names the catalog does not know."""

    statements: tuple[StatementWork, ...]
    sources: tuple[SourceView, ...] = ()


class Inspector(Protocol):
    """Reads proposed SQL; raises `ToolError` for what may not be proposed."""

    async def inspect(self, sql: str) -> Inspected:
        """The statements of a text that is meant to change something."""


class WriterHost(Protocol):
    """Runs one job at a time in a process of its own that has the database file to itself."""

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        """The outcome of `datasteward.changes.execute.run` on the job.

        Raises `EngineFault` when the process died or was killed, and only once it is dead for certain; `ToolError`
        (busy) when the database could not be had in time, before anything ran.
        """


class EntryLike(Protocol):
    """A journal entry."""

    @property
    def hash(self) -> str:
        """The entry's hash in the chain."""


class JournalLike(Protocol):
    """Where steps are recorded for good."""

    def append(self, event: str, fields: Mapping[str, "JsonLike"], *, durable: bool = True) -> EntryLike:
        """Write one entry."""


JsonLike = None | bool | int | float | str | list["JsonLike"] | dict[str, "JsonLike"]


class Hooks(Protocol):
    """What lineage, contracts and privacy know about a change."""

    async def downstream_of(self, statements: Sequence[StatementWork], preview: Preview) -> tuple[str, ...]:
        """Datasets and columns that depend on what changes, as texts."""

    async def checks_for(self, statements: Sequence[StatementWork]) -> tuple[CheckQuery, ...]:
        """Checks on the tables that change."""

    async def labels(self) -> tuple[ColumnLabel, ...]:
        """What contracts say of columns: that they hold personal data, or none."""


class NoHooks:
    """Hooks of a workspace without lineage, contracts and classification."""

    async def downstream_of(self, statements: Sequence[StatementWork], preview: Preview) -> tuple[str, ...]:
        """Nothing is known to depend on it."""
        return ()

    async def checks_for(self, statements: Sequence[StatementWork]) -> tuple[CheckQuery, ...]:
        """No checks."""
        return ()

    async def labels(self) -> tuple[ColumnLabel, ...]:
        """No labels."""
        return ()
