"""Jobs for the writer process and what comes back: JSON over a pipe, one job a line."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from datasteward.changes.model import (
    ColumnLabel,
    FileEffect,
    Fingerprint,
    Model,
    ObjectPrint,
    Parameter,
    Preview,
    SourceView,
    StatementWork,
    TableCounts,
)
from datasteward.errors import ErrorCode


class WriterPlace(Model):
    """Where the writer works and how much it may use; paths are absolute."""

    workspace_root: str
    """The folder that relative paths in statements start from; the writer process must be there."""
    database: str
    catalog: str
    roots: tuple[str, ...]
    state_folder: str
    memory_bytes: int = 1 << 30
    threads: int = 0
    lock_wait_seconds: float = 10.0


class CheckQuery(Model):
    """A check on the data: a query whose single value counts the rows that break it."""

    name: str
    query: str


class Body(Model):
    """What to carry out: statements, or the undo record at `record_path`."""

    statements: tuple[StatementWork, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    sources: tuple[SourceView, ...] = ()
    record_path: str | None = None
    record_hash: str | None = None
    frozen_at: str


class PreviewJob(Model):
    """Measure a change by doing it and rolling it back; exports are staged in `staging_name`."""

    job: Literal["preview"] = "preview"
    place: WriterPlace
    body: Body
    staging_name: str
    checks: tuple[CheckQuery, ...] = ()
    labels: tuple[ColumnLabel, ...] = ()
    known_stamp: str = ""
    known: tuple[ObjectPrint, ...] = ()
    """Prints taken when the database file had the stamp `known_stamp`; used only if it still has."""


class ApplyJob(Model):
    """Carry out an approved change, or re-measure it when what it touches has moved."""

    job: Literal["apply"] = "apply"
    place: WriterPlace
    body: Body
    change: str
    attempt: str
    digest: str
    base: Fingerprint
    expected: Fingerprint
    counts: tuple[TableCounts, ...] | None = None
    """What was shown of the tables; None when it was estimated."""
    broken: tuple[str, ...] = ()
    """Checks and views that were said to break."""
    stamp: str
    files: tuple[FileEffect, ...] = ()
    staging_name: str
    checks: tuple[CheckQuery, ...] = ()
    labels: tuple[ColumnLabel, ...] = ()


class ReceiptJob(Model):
    """Look for the receipt of a change, and finish or clear away what a crash left."""

    job: Literal["receipt"] = "receipt"
    place: WriterPlace
    change: str
    attempt: str
    digest: str
    files: tuple[FileEffect, ...] = ()


Job = Annotated[PreviewJob | ApplyJob | ReceiptJob, Field(discriminator="job")]
JOB: TypeAdapter[PreviewJob | ApplyJob | ReceiptJob] = TypeAdapter(Job)


class Measurement(Model):
    """A preview with the fingerprints it was measured between, and the file's stamp at the time."""

    outcome: Literal["measured"] = "measured"
    preview: Preview
    base: Fingerprint
    expected: Fingerprint
    stamp: str


class Moved(Model):
    """Nothing was applied: what the change touches is no longer as it was, so this is its effect now."""

    outcome: Literal["moved"] = "moved"
    reason: str
    now: Measurement


class Applied(Model):
    """The change is applied and committed; `is_new` is False when an earlier attempt had done it."""

    outcome: Literal["applied"] = "applied"
    attempt: str
    is_new: bool
    record_path: str | None
    record_hash: str | None
    record_bytes: int
    result: Fingerprint | None
    seconds: float
    stamp_before: str = ""
    stamp: str = ""
    """The database file's stamps right before and after; empty when they are not known for certain."""
    proven: bool = False
    """For an undo: the exact fingerprints after it equal those before the change."""


class NotApplied(Model):
    """No receipt: the change was not applied, and nothing of it is left."""

    outcome: Literal["not_applied"] = "not_applied"


class Failed(Model):
    """The job failed and was rolled back; unless `is_settled`, only the receipt tells whether it committed.

    With `is_committed` it did, and what is left to do is done by asking again.
    """

    outcome: Literal["failed"] = "failed"
    code: ErrorCode
    message: str
    hint: str | None = None
    position: int | None = None
    is_settled: bool = True
    is_committed: bool = False


Outcome = Annotated[Measurement | Moved | Applied | NotApplied | Failed, Field(discriminator="outcome")]
OUTCOME: TypeAdapter[Measurement | Moved | Applied | NotApplied | Failed] = TypeAdapter(Outcome)
