"""The beginning of a result as exact cells, and facts on its columns for what is left out."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from datasteward.engine.arrow_cells import read_cells
from datasteward.engine.carriers import Carrier, quote_name, quote_text
from datasteward.engine.cells import compact_json, shorten_cell
from datasteward.engine.jobs import ColumnFacts, ResultColumn, ResultHead

MAX_HEAD_ROWS = 500
FACT_ROWS = 200_000
MAX_FACT_COLUMNS = 100
FACT_CHARACTERS = 40
_SORTABLE_STORED = (
    "VARCHAR",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "BOOLEAN",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INTEGER",
    "BIGINT",
)
_INTEGERS = ("TINYINT", "SMALLINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


def take_head(
    batch: pa.Table | None, carriers: Sequence[Carrier], characters: int, notes: Sequence[str] = ()
) -> ResultHead:
    """Rows from the beginning until `characters` of JSON are spent (at least one row, at most 500)."""
    rows, shortened, spent = [], 0, 0
    limit = max(40, min(1000, characters // 4))
    if batch is not None:
        for row in read_cells(batch.slice(0, MAX_HEAD_ROWS)):
            cells = []
            for cell in row:
                short, left = shorten_cell(cell, limit)
                shortened += left > 0
                cells.append(short)
            spent += len(compact_json(cells))
            rows.append(tuple(cells))
            if spent > characters:
                break
    columns = tuple(ResultColumn(name=c.name, type=c.type) for c in carriers)
    return ResultHead(columns=columns, rows=tuple(rows), shortened_cells=shortened, notes=tuple(notes))


def add_facts(
    head: ResultHead, carriers: Sequence[Carrier], cursor: duckdb.DuckDBPyConnection, path: Path, row_count: int
) -> ResultHead:
    """`head` with facts on each column (the first hundred), exact up to 200,000 rows, from file statistics above."""
    if row_count <= len(head.rows):
        return head
    if row_count <= FACT_ROWS:
        facts = _computed_facts(carriers[:MAX_FACT_COLUMNS], cursor, path)
    else:
        facts = _statistics_facts(carriers[:MAX_FACT_COLUMNS], path)
    columns = tuple(
        ResultColumn(name=c.name, type=c.type, facts=facts[i] if i < len(facts) else None)
        for i, c in enumerate(head.columns)
    )
    return ResultHead(columns=columns, rows=head.rows, shortened_cells=head.shortened_cells, notes=head.notes)


def _is_sortable(carrier: Carrier) -> bool:
    stored = carrier.stored_type
    return stored.startswith((*_SORTABLE_STORED, *_INTEGERS)) and not stored.endswith("]") and _keeps_order(carrier)


def _keeps_order(carrier: Carrier) -> bool:
    """Text that stands for a number or an interval does not sort as its value does."""
    return carrier.stored_type == carrier.type or carrier.type.startswith(("UUID", "TIMESTAMP"))


def _computed_facts(carriers: Sequence[Carrier], cursor: duckdb.DuckDBPyConnection, path: Path) -> list[ColumnFacts]:
    parts: list[str] = []
    for carrier in carriers:
        name = quote_name(carrier.name)
        parts.append(f"count(*) - count({name})")
        if _is_sortable(carrier):
            parts += [f"count(DISTINCT {name})", f"min({name})::VARCHAR", f"max({name})::VARCHAR"]
        else:
            parts += ["NULL", "NULL", "NULL"]
    (row,) = cursor.execute(f"SELECT {', '.join(parts)} FROM read_parquet({quote_text(str(path))})").fetchall()
    return [
        ColumnFacts(nulls=row[i], distinct=row[i + 1], minimum=_short_fact(row[i + 2]), maximum=_short_fact(row[i + 3]))
        for i in range(0, len(row), 4)
    ]


def _statistics_facts(carriers: Sequence[Carrier], path: Path) -> list[ColumnFacts]:
    """Nulls, minimum and maximum out of the Parquet footer; flat columns only."""
    metadata = pq.read_metadata(path)
    positions = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    return [
        _column_statistics(metadata, positions[c.name]) if c.name in positions and _is_sortable(c) else ColumnFacts()
        for c in carriers
    ]


def _column_statistics(metadata: pq.FileMetaData, position: int) -> ColumnFacts:
    groups = [metadata.row_group(g).column(position).statistics for g in range(metadata.num_row_groups)]
    if any(s is None or not s.has_null_count for s in groups):
        return ColumnFacts()
    with_bounds = [s for s in groups if s.has_min_max]
    nulls = sum(s.null_count for s in groups)
    if not with_bounds:
        return ColumnFacts(nulls=nulls)
    try:
        low, high = min(s.min for s in with_bounds), max(s.max for s in with_bounds)
    except (TypeError, ValueError, OverflowError):
        return ColumnFacts(nulls=nulls)
    return ColumnFacts(nulls=nulls, minimum=_short_fact(str(low)), maximum=_short_fact(str(high)))


def _short_fact(text: str | None) -> str | None:
    return text if text is None or len(text) <= FACT_CHARACTERS else f"{text[:FACT_CHARACTERS]}…"
