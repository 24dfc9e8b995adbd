"""The first look: a sample of rows in a temporary table, and what each column looks like in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import duckdb

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.model import Family, ProfileSource

ALL_ROWS = "all rows"
_BLOCKS = 10
_LONGEST_TEXT = 20_000
_SPREAD_FORMATS = frozenset({"table", "parquet", "view", "result"})
_VALUES_KEPT = 400
_LEAST_VALUES_KEPT = 60
_ALL_VALUES_KEPT = 80_000
_TOP_KEPT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShape:
    """A column's name, SQL type and family."""

    name: str
    type: str
    family: Family


@dataclass(frozen=True, slots=True)
class SampledValue:
    """A value as text and how many sampled rows have it."""

    value: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSample:
    """A column in the sample: filled rows, distinct values, the most frequent ones and a spread of distinct values."""

    filled: int
    distinct: int
    top: tuple[SampledValue, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A temporary table with the sampled rows, how they were taken, and each column's first look."""

    table: str
    rows: int
    asked: int
    """How many rows were asked for; fewer in a file of unknown length are all of them."""
    how: str
    columns: dict[str, ColumnSample]
    is_cut: bool = False
    """Some text was longer than 20,000 characters and is there with its beginning only."""

    @property
    def is_whole(self) -> bool:
        """Whether it holds every row."""
        return self.how == ALL_ROWS


def family_of(sql_type: str) -> Family:
    """The family of a DuckDB type."""
    base = sql_type.upper()
    if base.endswith("]") or base.startswith(("STRUCT", "MAP", "UNION", "LIST", "VARIANT")) or base == "JSON":
        return "nested"
    head = base.split("(")[0]
    if head in {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
        "BIGNUM",
    }:
        return "integer"
    if head in {"FLOAT", "DOUBLE", "DECIMAL"}:
        return "decimal"
    if head in {"VARCHAR", "UUID"} or base.startswith("ENUM"):
        return "text"
    if head.startswith("TIMESTAMP"):
        return "timestamp"
    if head.startswith("TIME"):
        return "time"
    known: dict[str, Family] = {"BOOLEAN": "boolean", "DATE": "date", "BLOB": "binary"}
    return known.get(head, "other")


def describe(connection: duckdb.DuckDBPyConnection, source: ProfileSource) -> tuple[ColumnShape, ...]:
    """The columns of a source with their types."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {source.table_sql}").fetchall()
    return tuple(ColumnShape(name=str(r[0]), type=str(r[1]), family=family_of(str(r[1]))) for r in rows)


def as_text(shape: ColumnShape) -> str:
    """The column as bounded text, under its own name."""
    name = quote_name(shape.name)
    if shape.family == "binary":
        return f"left(CAST({name} AS VARCHAR), 60) AS {name}"
    return (
        f"left(CAST({name} AS VARCHAR), 500) AS {name}"
        if shape.family in {"text", "nested", "other"}
        else f"CAST({name} AS VARCHAR) AS {name}"
    )


def take_sample(
    connection: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    shapes: Sequence[ColumnShape],
    rows: int,
    total: int | None,
) -> Sample:
    """Sample at most `rows` rows into a temporary table: all, ten blocks spread over the whole, or the first rows.

    Text is taken up to its 20,000th character. Files that must be parsed from the start (CSV, JSON) give their first rows; `how` says which it was.
    """
    table = f"steward_sample_{uuid4().hex[:12]}"
    listed = ", ".join(_as_sampled(s) for s in shapes)
    base = f"SELECT {listed} FROM {source.table_sql}"
    if total is not None and total > rows and source.format in _SPREAD_FORMATS:
        size = max(1, rows // _BLOCKS)
        step = (total - size) // (_BLOCKS - 1)
        parts = " UNION ALL ".join(f"(SELECT * FROM ({base} LIMIT {size} OFFSET {i * step}))" for i in range(_BLOCKS))
        how = f"{_BLOCKS} blocks of {size:,} rows spread over the table"
    else:
        parts = f"{base} LIMIT {rows}"
        how = ALL_ROWS if total is not None and total <= rows else f"the first {rows:,} rows"
    connection.execute(f"CREATE TEMP TABLE {table} AS {parts}")
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    sampled = int(row[0]) if row else 0
    is_cut = _holds_cut_text(connection, table, shapes)
    return Sample(
        table=table, rows=sampled, asked=rows, is_cut=is_cut, columns=_look(connection, table, shapes),
        how=f"{how}, long text cut" if is_cut else how,
    )  # fmt: skip


def _as_sampled(shape: ColumnShape) -> str:
    name = quote_name(shape.name)
    return f"left({name}, {_LONGEST_TEXT}) AS {name}" if shape.type == "VARCHAR" else name


def _holds_cut_text(connection: duckdb.DuckDBPyConnection, table: str, shapes: Sequence[ColumnShape]) -> bool:
    tests = [f"bool_or(length({quote_name(s.name)}) = {_LONGEST_TEXT})" for s in shapes if s.type == "VARCHAR"]
    if not tests:
        return False
    row = connection.execute(f"SELECT {', '.join(tests)} FROM {table}").fetchone() or ()
    return any(row)


def _look(connection: duckdb.DuckDBPyConnection, table: str, shapes: Sequence[ColumnShape]) -> dict[str, ColumnSample]:
    """Each column's first look; the wider the table, the fewer values of a column are kept (400 down to 60)."""
    kept = max(_LEAST_VALUES_KEPT, min(_VALUES_KEPT, _ALL_VALUES_KEPT // max(1, len(shapes))))
    texts = ", ".join(as_text(s) for s in shapes)
    query = f"""
        SELECT name, sum(n)::BIGINT, count(*), min_by({{'v': v, 'n': n}}, {{'n': -n, 'v': v}}, {kept}), min_by(v, hash(v), {kept})
        FROM (SELECT name, v, count(*) AS n FROM (UNPIVOT (SELECT {texts} FROM {table}) ON COLUMNS(*) INTO NAME name VALUE v)
              GROUP BY name, v)
        GROUP BY name
    """
    found = {
        str(r[0]): ColumnSample(
            filled=int(r[1]),
            distinct=int(r[2]),
            top=tuple(SampledValue(str(t["v"]), int(t["n"])) for t in r[3][: kept if r[2] <= kept else _TOP_KEPT]),
            values=tuple(r[4]),
        )
        for r in connection.execute(query).fetchall()
    }
    empty = ColumnSample(filled=0, distinct=0, top=(), values=())
    return {s.name: found.get(s.name, empty) for s in shapes}
