"""What a change is made of: the shapes that are stored, hashed, signed and sent between processes."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Scalar = None | bool | int | float | str
ObjectKind = Literal["table", "view", "macro", "table macro", "sequence", "type", "schema"]
ChangeStatus = Literal[
    "waiting",
    "approved",
    "applying",
    "applied",
    "rejected",
    "denied",
    "expired",
    "moved",
    "failed",
    "replaced",
    "unknown",
]
Verdict = Literal["allow", "ask", "deny"]


class Model(BaseModel):
    """Base of every stored shape: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TableName(Model):
    """A table or view of the workspace's database."""

    schema_name: str = "main"
    name: str

    @property
    def label(self) -> str:
        """How people see it: the schema only when it is not `main`."""
        return self.name if self.schema_name == "main" else f"{self.schema_name}.{self.name}"


class Parameter(Model):
    """One bound value; positional parameters are named `1`, `2` and so on."""

    name: str
    value: Scalar

    @field_validator("value")
    @classmethod
    def _refuse_what_json_cannot_hold(cls, value: Scalar) -> Scalar:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is no finite number")
        return value


class StatementWork(Model):
    """One statement exactly as proposed, and the facts the gate found in it; file paths are absolute."""

    sql: str
    kind: str
    writes: tuple[TableName, ...] = ()
    reads: tuple[TableName, ...] = ()
    read_files: tuple[str, ...] = ()
    target_file: str | None = None
    target_text: str | None = None
    """The path as the statement gives it, for `COPY … TO`."""
    target_start: int | None = None
    target_end: int | None = None
    """Where the string that spells it stands in `sql`, in characters, quotes included."""
    returns_rows: bool = False
    """Whether it has RETURNING, so that what comes back are rows and not their count."""
    volatile: tuple[str, ...] = ()


class SourceView(Model):
    """A name that the statements use and the catalog does not know: a result or a data file, with its query."""

    schema_name: str = "main"
    name: str
    query: str
    told: tuple[str, ...] = ()
    """What is doubtful about how a file is read: its encoding, lines left out or set aside, and the like."""


class UndoWork(Model):
    """Taking back an applied change by its undo record."""

    change: str
    record_hash: str


class ObjectPrint(Model):
    """The exact fingerprint of one catalog object: definition, and for a table its rows, in no order.

    `hash_sum` and `hash_xor` combine DuckDB's `hash()` of every row; they are decimal text because they exceed 64 bits.
    The hash guards against accidents and races, not against someone who may write the database file.

    One that `covers` changes is what an UPDATE makes of a table: the print before it, with the hashes of the updated rows
    taken off, and those of each with what is set in it put on. It tells every other outcome from this one without
    reading the columns that stay a second time, but is not what the table's rows hash to afterwards.
    """

    kind: ObjectKind
    schema_name: str
    name: str
    exists: bool
    definition: str = ""
    row_count: int = 0
    hash_sum: str = "0"
    hash_xor: str = "0"
    covers: Literal["rows", "changes"] = "rows"


class FilePrint(Model):
    """The state of one file: SHA-256 of its content, or absent."""

    path: str
    exists: bool
    size: int = 0
    sha256: str = ""


class Fingerprint(Model):
    """The state of everything a change touches, with the engine whose `hash()` was used."""

    engine: str
    objects: tuple[ObjectPrint, ...] = ()
    files: tuple[FilePrint, ...] = ()


class ColumnChange(Model):
    """What happens to one column: how many rows get another value, and both sides' nulls and extremes as text."""

    column: str
    type: str
    changed_rows: int
    nulls_before: int | None = None
    nulls_after: int | None = None
    least_before: str | None = None
    greatest_before: str | None = None
    least_after: str | None = None
    greatest_after: str | None = None


class SampleRow(Model):
    """One changed row, its cells as text in the order of `TableEffect.sample_columns`, keys first."""

    action: Literal["insert", "update", "delete"]
    before: tuple[str | None, ...] | None = None
    after: tuple[str | None, ...] | None = None


class Renaming(Model):
    """A column under its old and its new name."""

    before: str
    after: str


class TableEffect(Model):
    """What happens to one table: exact counts, changed columns, and rows as they were and will be.

    `matched` is what the statements report; an UPDATE that sets equal values matches rows and updates none.
    """

    table: TableName
    action: Literal["rows", "created", "dropped", "replaced", "altered"] = "rows"
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    matched: int = 0
    rows_before: int = 0
    rows_after: int = 0
    is_estimated: bool = False
    """Whether the counts are those of the last run, because only running it tells; 0 where there was none."""
    sample_columns: tuple[str, ...] = ()
    key_columns: int = 0
    samples: tuple[SampleRow, ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    summarised_rows: int = 0
    renamed_from: str | None = None
    renamed_columns: tuple[Renaming, ...] = ()


class SchemaChange(Model):
    """One catalog object that appears, goes or changes, with a line for each difference; `name` is as people see it."""

    kind: ObjectKind
    name: str
    action: Literal["created", "dropped", "changed"]
    details: tuple[str, ...] = ()
    schema_name: str = "main"
    """Where it is; a schema is in itself."""
    only_notes: bool = False
    """Whether nothing but comments on it differs."""


class TableCounts(Model):
    """How many rows of one table come, change and go."""

    table: TableName
    inserted: int
    updated: int
    deleted: int


class FileEffect(Model):
    """One file that will appear, be replaced or go; `staged` holds the exact bytes to publish.

    What the file that is replaced holds is told where it can be read: its rows, and the columns that only one has.
    """

    path: str
    action: Literal["created", "replaced", "removed"]
    size_before: int = 0
    size_after: int = 0
    rows: int | None = None
    sha256: str
    staged: str
    rows_before: int | None = None
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()


class CheckEffect(Model):
    """A check or contract that holds now and would fail afterwards."""

    name: str
    detail: str


class ColumnLabel(Model):
    """What a contract says of one column: that it holds personal data, or that it holds none."""

    dataset: str
    column: str
    is_personal: bool


class PersonalColumn(Model):
    """A column of a touched table or written file that holds personal data, and what kind."""

    dataset: str
    column: str
    kind: str


class Risk(Model):
    """How much care a decision needs, and why; `low` has no reasons."""

    level: Literal["low", "medium", "high"] = "low"
    reasons: tuple[str, ...] = ()


class Preview(Model):
    """The measured effect of a change, found by doing it and rolling it back."""

    tables: tuple[TableEffect, ...] = ()
    schema_changes: tuple[SchemaChange, ...] = ()
    files: tuple[FileEffect, ...] = ()
    checks: tuple[CheckEffect, ...] = ()
    downstream: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    personal: tuple[PersonalColumn, ...] | None = None
    """Touched columns with personal data; None when they were not looked at, so that nobody knows."""
    is_reversible: bool = True
    irreversible_because: str | None = None
    risk: Risk = Risk()
    seconds: float = 0.0
    bytes_written: int = 0


class Proposal(Model):
    """What is decided on; its canonical JSON is what the digest covers."""

    version: Literal[1] = 1
    nonce: str
    database: str
    statements: tuple[StatementWork, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    sources: tuple[SourceView, ...] = ()
    undo: UndoWork | None = None
    frozen_at: str
    """What `now()` and its kin give, in the preview and when applied (ISO 8601, UTC)."""
    stamp: str
    """The database file's cheap stamp at the preview; while it holds, `base` need not be taken again."""
    base: Fingerprint
    expected: Fingerprint
    preview: Preview
    requested_by: str
    purpose: str = ""
    """Why, in the words of whoever asks; not verified."""


class Approval(Model):
    """A decision on one digest."""

    change: str
    digest: str
    verdict: Literal["approve", "reject"]
    by: str
    channel: Literal["terminal", "app", "elicitation", "policy", "headless"]
    comment: str = ""
    at: str
    nonce: str
    signature: str | None = Field(default=None, description="Ed25519 over the other fields, base64")
