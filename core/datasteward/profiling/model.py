"""A profile and its parts; everything here is plain data that survives a round trip through JSON."""

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["high", "medium", "low"]
Family = Literal["integer", "decimal", "text", "boolean", "date", "time", "timestamp", "nested", "binary", "other"]
Sensitivity = Literal["none", "personal", "sensitive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSource:
    """What to profile: a name to show, and a table expression or quoted table name for a FROM clause.

    `format` "csv", "delimited", "json" and "ndjson" mean that every look parses the file from its start. `told` are
    sentences from intake (rows set aside, doubts).
    """

    name: str
    table_sql: str
    size_bytes: int | None = None
    format: str = "table"
    told: tuple[str, ...] = ()
    quarantine_rows: int = 0
    quarantine_sql: str | None = None
    text_bytes: int | None = None
    """Bytes of an uncompressed delimited file, from which its rows are estimated when it cannot be read to its end."""
    file_format: str | None = None
    """How the file behind it is written, where it was converted before it is read."""
    sql_name: str | None = None
    """How SQL calls the dataset, for the SQL in findings; the table expression when None."""

    @property
    def shown_sql(self) -> str:
        """What stands after FROM in the SQL that is shown."""
        return self.sql_name or self.table_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDataset:
    """Another dataset of the workspace, to look for foreign keys in."""

    name: str
    table_sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """How much work a profile may do; what the budget left out is told in the profile."""

    sample_rows: int = 20_000
    budget_seconds: float = 60.0
    max_columns: int = 2_000
    others: tuple[OtherDataset, ...] = ()
    sensitive_columns: frozenset[str] = frozenset()
    today: str | None = None
    """An ISO date that counts as today, for dates in the future; None asks the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCount:
    """A value as text, how many rows have it, and their share of all rows; `is_exact` false for a sample's figure."""

    value: str
    rows: int
    share: float
    is_exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the values of a column stand for, the share of sampled distinct values that fit, and how sure that is."""

    kind: str
    share: float
    confidence: float
    sensitivity: Sensitivity = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Figures of a numeric or temporal column as text-safe floats; times are seconds since 1970.

    Outliers are values far beyond the quartiles and the 1st and 99th percentile. `edges` and `counts` are a histogram of the
    sample with equal-width bins between the 1st and 99th percentile.
    """

    mean: float | None = None
    deviation: float | None = None
    skew: float | None = None
    quantiles: tuple[float, ...] = ()
    zeros: int = 0
    negatives: int = 0
    outliers: int = 0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column; `distinct` is exact only where `distinct_is_exact`; `min` and `max` are text."""

    name: str
    type: str
    family: Family
    nulls: int
    rows: int
    distinct: int
    distinct_is_exact: bool
    min: str | None = None
    max: str | None = None
    better_type: str | None = None
    better_sql: str | None = None
    better_note: str = ""
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    top: tuple[ValueCount, ...] = ()
    distribution: Distribution | None = None
    meaning: Meaning | None = None
    is_key: bool = False
    masked_example: str | None = None
    is_sampled: bool = False
    """Its counts were scaled up from the sample, its range is the sample's; nothing of it is exact."""

    @property
    def null_share(self) -> float:
        """Nulls as a share of all rows, 0 for an empty table."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def is_sensitive(self) -> bool:
        """Whether a model must not see the column's values."""
        return self.meaning is not None and self.meaning.sensitivity != "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong or odd: how many rows, the SQL that shows it and the SQL that mends it.

    `example` holds values and is empty for a sensitive column.
    """

    code: str
    severity: Severity
    column: str | None
    message: str
    rows: int
    share: float
    example: str = ""
    show_sql: str = ""
    mend_sql: str = ""
    is_exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """`determinant` fixes `dependent`; `violations` rows break it, 0 when it holds throughout."""

    determinant: str
    dependent: str
    violations: int = 0
    is_exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """`column` draws its values from `other_column` of another dataset; `share` of its distinct values are there."""

    column: str
    other: str
    other_column: str
    share: float
    orphans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NearKey:
    """Columns that together would be a key but for `repeats` rows, counted exactly."""

    columns: tuple[str, ...]
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Keys, dependencies and foreign keys; only exact counts make a key."""

    keys: tuple[str, ...] = ()
    composite_keys: tuple[tuple[str, ...], ...] = ()
    near_keys: tuple[NearKey, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    duplicate_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Everything found about one dataset; `left_out` tells what the time budget or a limit did not allow."""

    name: str
    rows: int
    format: str
    size_bytes: int | None
    sampled_rows: int
    columns: tuple[ColumnProfile, ...]
    findings: tuple[Finding, ...]
    structure: Structure
    seconds: float
    made_at: str
    grain: str = ""
    told: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    quarantine_rows: int = 0
    quarantine_sql: str | None = None
    rows_are_exact: bool = True
    version: int = 1
    notes: tuple[str, ...] = field(default_factory=tuple)

    def column(self, name: str) -> ColumnProfile:
        """The column of that name; raises KeyError."""
        return next((c for c in self.columns if c.name == name), None) or _missing(name)


def _missing(name: str) -> ColumnProfile:
    raise KeyError(name)
