"""What may stand in an asset's header and in `pipeline.yaml`, as frozen models that refuse unknown keys."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from datasteward.pipelines.connections import Connection

Materialization = Literal["table", "view", "incremental", "merge", "append", "ephemeral"]
Grain = Literal["hour", "day", "week", "month"]
OnFail = Literal["warn", "quarantine", "block"]
Drift = Literal["evolve", "freeze", "discard"]
Publish = Literal["each", "all"]
RetryCause = Literal["io", "lock", "conflict"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?\s*\Z")
_ENGINE = re.compile(r"(?:duckdb|spark(?::[A-Za-z0-9_-]+)?)\Z")
_SHARE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*\Z")


def parse_duration(value: object) -> object:
    """Seconds of `90`, `500ms`, `2s`, `10m`, `24h` or `2d`; other values are handed on for pydantic to judge."""
    if not isinstance(value, str):
        return value
    match = _DURATION.match(value)
    if match is None:
        raise ValueError(f"'{value}' is not a duration; write a number with ms, s, m, h or d, such as 10m")
    return float(match[1]) * _UNITS[match[2] or "s"]


def parse_instant(value: object) -> object:
    """A UTC instant of a date or date and time, as YAML or ISO 8601 give it."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        try:
            return parse_instant(datetime.fromisoformat(value))
        except ValueError as error:
            raise ValueError(f"'{value}' is not a date such as 2026-01-31 or 2026-01-31T06:00") from error
    return value


def _judge_engine(value: str) -> str:
    if not _ENGINE.match(value):
        raise ValueError(f"'{value}' is not an engine; write duckdb, spark, or spark:NAME of one under connections:")
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _parse_limit(value: object) -> object:
    if isinstance(value, str):
        match = _SHARE.match(value)
        if match is None:
            raise ValueError(f"'{value}' is not a threshold; write rows such as 100 or a share such as 0.5%")
        return {"share": float(match[1]) / 100}
    return {"rows": value} if isinstance(value, int) and not isinstance(value, bool) else value


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Engine = Annotated[str, AfterValidator(_judge_engine)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Options(BaseModel):
    """Base of what files may say: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Threshold(Options):
    """How many bad rows may go to quarantine before the asset fails: a number of rows or a share of them."""

    rows: int | None = Field(default=None, ge=0)
    share: float | None = Field(default=None, ge=0, le=1)

    def allows(self, bad: int, total: int) -> bool:
        """Whether `bad` of `total` rows stay within the threshold."""
        if self.rows is not None and bad > self.rows:
            return False
        return self.share is None or bad <= self.share * total

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.share:.4g}" if self.share is not None else f"{self.rows} rows"


class Accepted(Options):
    """The values a column may have."""

    column: str
    values: tuple[str | int | float | bool, ...] = Field(min_length=1)


class Pattern(Options):
    """The regular expression (RE2) that a whole text value must match."""

    column: str
    regex: str


class Range(Options):
    """The least and greatest value of a column, both allowed."""

    column: str
    min: int | float | str | date | datetime | None = None
    max: int | float | str | date | datetime | None = None

    @model_validator(mode="after")
    def _has_bound(self) -> "Range":
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        return self


class RowCount(Options):
    """How many rows the asset must have."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)


RULES = ("not_null", "expect", "accepted", "pattern", "range", "relationship", "unique", "rows", "query")
ROW_RULES = frozenset({"not_null", "expect", "accepted", "pattern", "range", "relationship"})


class CheckOptions(Options):
    """One check: exactly one rule, and what to do when it fails."""

    name: str | None = None
    """What the check is called; by default made of its rule."""
    not_null: Names | None = None
    """Columns without NULL."""
    expect: str | None = None
    """An SQL condition on a row; as in CHECK constraints, an unknown condition passes."""
    accepted: Accepted | None = None
    """A column and the values it may have."""
    pattern: Pattern | None = None
    """A column and the regular expression its texts match."""
    range: Range | None = None
    """A column with its least and greatest value."""
    relationship: str | None = None
    """`column -> table.column`: each value is in the other table."""
    unique: Names | None = None
    """Columns that together are unique."""
    rows: RowCount | None = None
    """The number of rows."""
    query: str | None = None
    """SQL giving one number, which counts what is wrong; `this` stands for the asset."""
    on_fail: OnFail = "block"
    """`warn` publishes and tells, `quarantine` moves bad rows away, `block` publishes nothing."""
    max: Annotated[Threshold | None, BeforeValidator(_parse_limit)] = None
    """Bad rows tolerated by `quarantine`: a number of rows or a share such as 0.5%."""

    @property
    def rule(self) -> str:
        """The one rule that is set."""
        return next(r for r in RULES if getattr(self, r) is not None)

    @model_validator(mode="after")
    def _has_one_rule(self) -> "CheckOptions":
        found = [r for r in RULES if getattr(self, r) is not None]
        if len(found) != 1:
            raise ValueError(f"a check has exactly one rule of {', '.join(RULES)}; found {', '.join(found) or 'none'}")
        if self.on_fail == "quarantine" and self.rule not in ROW_RULES:
            raise ValueError(f"'{self.rule}' judges the whole table and cannot quarantine rows; use warn or block")
        if self.max is not None and self.on_fail != "quarantine":
            raise ValueError("'max' goes with on_fail: quarantine")
        return self


class Retry(Options):
    """How often a step is tried again after a passing fault; faults of data or SQL are never retried."""

    times: int = Field(default=2, ge=0, le=20)
    """Further attempts."""
    backoff: Seconds = 1.0
    """Seconds before the first further attempt, doubled each time."""
    max_backoff: Seconds = 60.0
    """The longest wait."""
    on: tuple[RetryCause, ...] = ("io", "lock", "conflict")
    """Faults worth another attempt."""


class Freshness(Options):
    """How old the newest row may be."""

    column: str
    warn: Seconds | None = None
    error: Seconds | None = None


class AssetTest(Options):
    """A unit test: rows of the inputs, and the rows that must come out."""

    name: str | None = None
    given: dict[str, tuple[dict[str, Any], ...]]
    expect: tuple[dict[str, Any], ...]


class AssetOptions(Options):
    """The header of an asset."""

    materialize: Materialization = "table"
    """table, view, incremental, merge, append or ephemeral."""
    time: str | None = None
    """incremental: the column whose value places a row in a window."""
    grain: Grain = "day"
    """incremental: the length of a window."""
    start: Instant | None = None
    """incremental: where the first window begins; the pipeline's start by default."""
    lookback: int = Field(default=0, ge=0, le=1000)
    """incremental: how many finished windows are filled again each time, for late rows."""
    late: Literal["refill", "lookback"] = "refill"
    """incremental: when inputs changed, fill every window that would differ, or only the lookback."""
    unique: Names = ()
    """merge: the key. For other assets the same as a blocking check that it is unique."""
    columns: dict[str, str] | None = None
    """Column types; required for Python and native Spark assets, which cannot be bound before they run."""
    inputs: dict[str, str] | None = None
    """Python: parameter name to table name, where they differ."""
    contract: str | None = None
    """`file.odcs.yaml#schema`: an Open Data Contract Standard document and the object in it."""
    drift: Drift = "evolve"
    """What a changed schema does: evolve takes it, freeze refuses it, discard leaves new columns out."""
    checks: tuple[CheckOptions, ...] = ()
    """What must hold before the asset is published."""
    fresh: Freshness | None = None
    """How old the newest row may be."""
    retry: Retry | None = None
    """Further attempts after passing faults."""
    timeout: Seconds | None = None
    """Seconds the asset may take."""
    engine: Engine = "duckdb"
    """Where the rows are computed: duckdb, or spark with a connection of pipeline.yaml (spark:NAME of several)."""
    dialect: Literal["duckdb", "spark"] = "duckdb"
    """What SQL the asset is written in; spark is for assets whose engine is Spark."""
    tests: tuple[AssetTest, ...] = ()
    """Unit tests."""
    tags: Names = ()
    """Words to select by."""
    owner: str | None = None
    """Who answers for the asset."""
    description: str | None = None
    """What a row means."""

    @model_validator(mode="after")
    def _fits_together(self) -> "AssetOptions":
        if self.materialize == "incremental" and self.time is None:
            raise ValueError("incremental needs 'time', the column that places a row in a window")
        if self.materialize == "merge" and not self.unique:
            raise ValueError("merge needs 'unique', the columns of the key")
        if self.materialize in {"view", "ephemeral"} and any(c.on_fail == "quarantine" for c in self.checks):
            raise ValueError(f"a {self.materialize} stores no rows, so none can be quarantined; use warn or block")
        if self.materialize == "ephemeral" and (self.checks or self.contract):
            raise ValueError("an ephemeral asset is never stored, so it has no checks and no contract")
        if self.materialize in {"view", "ephemeral"} and (self.engine != "duckdb" or self.dialect != "duckdb"):
            raise ValueError(f"a {self.materialize} is computed by whoever reads it, in DuckDB; use table for Spark")
        if self.dialect == "spark" and (self.columns is None or self.materialize == "append"):
            raise ValueError("'dialect: spark' needs 'columns: {name: TYPE}', to be planned, and cannot append files")
        return self


class Defaults(Options):
    """`defaults:` of pipeline.yaml."""

    materialize: Materialization | None = None
    retry: Retry | None = None
    timeout: Seconds | None = None
    drift: Drift | None = None
    engine: Engine | None = None
    owner: str | None = None
    tags: Names | None = None


class PipelineOptions(Options):
    """`pipeline.yaml`."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    """What the pipeline is called; the folder's name by default."""
    start: Instant | None = None
    """Where incremental assets begin."""
    parallel: int = Field(default=1, ge=1, le=32)
    """Assets built at the same time."""
    timeout: Seconds = 3600.0
    """Seconds the whole run may take."""
    publish: Publish = "each"
    """`each` publishes an asset as soon as it is checked, `all` publishes the whole run at its end, or nothing."""
    defaults: Defaults = Defaults()
    """What headers need not repeat."""
    connections: dict[str, Connection] = Field(default_factory=dict)
    """By the name that assets use: engines and databases."""
    description: str | None = None
    """What the pipeline is for."""
