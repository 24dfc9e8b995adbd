"""What a comparison of both engines is asked for and what it tells, as it crosses between processes."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

SAMPLE_ROWS = 100_000
ParityStatus = Literal["equal", "differs", "refused", "failed", "skipped"]
"""`refused`: not known to mean the same on Spark; `skipped`: written in Spark's own SQL, which DuckDB cannot run."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParityJob(_Message):
    """Which assets to compute twice; `engine` names the Spark connection for those that run in DuckDB today."""

    folder: str
    texts: Mapping[str, str]
    select: tuple[str, ...] = ()
    engine: str | None = None
    sample_rows: int = SAMPLE_ROWS
    """Rows taken of each input."""
    timeout_seconds: float = 600.0
    """Of each asset."""


class ColumnParity(_Message):
    """One column on both engines."""

    name: str
    duckdb_type: str
    spark_type: str | None
    """None when Spark's rows lack it."""
    is_carried: bool
    """Whether values of Spark's type are values of DuckDB's once cast."""
    differing_rows: int = 0
    """Of the rows that only one engine gave, those whose value here has no partner."""


class InputSample(_Message):
    """How much of an input was compared."""

    relation: str
    rows: int
    is_whole: bool


class AssetParity(_Message):
    """One asset computed by both engines from the same rows."""

    asset: str
    status: ParityStatus
    message: str = ""
    inputs: tuple[InputSample, ...] = ()
    columns: tuple[ColumnParity, ...] = ()
    duckdb_rows: int = 0
    spark_rows: int = 0
    only_duckdb: tuple[tuple[str | None, ...], ...] = ()
    """Some of the rows that only DuckDB gave, as texts in the order of `columns`."""
    only_spark: tuple[tuple[str | None, ...], ...] = ()
    duckdb_seconds: float = 0.0
    spark_seconds: float = 0.0

    def to_text(self) -> str:
        """The outcome for a person, a line and what differs below it."""
        if self.status in {"refused", "failed", "skipped"}:
            return f"{self.status} {self.asset}: {self.message}"
        samples = ", ".join(f"{i.rows:,}{'' if i.is_whole else ' first'} of {i.relation}" for i in self.inputs)
        lines = [
            f"{self.status} {self.asset}: {self.duckdb_rows:,} rows in DuckDB ({self.duckdb_seconds:.2f} s),"
            f" {self.spark_rows:,} on Spark ({self.spark_seconds:.2f} s); from {samples or 'no rows'}"
        ]
        for column in self.columns:
            if column.spark_type is None:
                lines.append(f"  {column.name}: missing on Spark")
            elif not column.is_carried:
                lines.append(f"  {column.name}: {column.duckdb_type} in DuckDB, {column.spark_type} on Spark")
            elif column.differing_rows:
                lines.append(f"  {column.name}: differs in {column.differing_rows:,} rows")
        for engine, rows in (("DuckDB", self.only_duckdb), ("Spark", self.only_spark)):
            lines += [f"  only {engine}: {', '.join('NULL' if v is None else v for v in row)}" for row in rows]
        return "\n".join(lines)


class ParityReport(_Message):
    """Every asset compared; `fault` instead when nothing could be."""

    assets: tuple[AssetParity, ...] = ()
    fault: str = ""
    hint: str | None = None
