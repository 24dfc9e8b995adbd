"""What is wrong in a table as a whole or between its columns, each with the SQL that shows it and the SQL that mends it."""

from collections.abc import Iterator
from dataclasses import replace

import duckdb

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.looking import Looks
from datasteward.profiling.model import (
    Dependency,
    Finding,
    ForeignKey,
    NearKey,
    ProfileOptions,
    ProfileSource,
    Structure,
)
from datasteward.profiling.structure import show_orphans, show_violations

_MOST_NAMED = 3


def find_in_table(
    source: ProfileSource, looks: Looks, structure: Structure, options: ProfileOptions
) -> Iterator[Finding]:
    """Every finding that is not of one column alone."""
    if structure.duplicate_rows:
        yield _duplicates(source, looks, structure.duplicate_rows)
    for near in structure.near_keys:
        yield _near_key(source, looks, near)
    for item in structure.dependencies:
        if item.violations:
            yield _broken_dependency(source, looks, item)
    for key in structure.foreign_keys:
        if key.orphans:
            yield _orphans(source, looks, key, options)
    if source.quarantine_rows:
        yield Finding(
            code="quarantined_rows", severity="high", column=None, message="rows or lines did not parse and are in quarantine",
            rows=source.quarantine_rows, share=source.quarantine_rows / max(1, looks.rows + source.quarantine_rows),
            show_sql=f"SELECT * FROM {source.quarantine_sql}" if source.quarantine_sql else "",
        )  # fmt: skip


def _duplicates(source: ProfileSource, looks: Looks, rows: int) -> Finding:
    return Finding(
        code="duplicate_rows", severity="high", column=None, message=f"{rows:,} rows repeat an earlier row", rows=rows,
        share=rows / looks.rows, mend_sql=f"SELECT DISTINCT * FROM {source.shown_sql}",
        show_sql=f"SELECT *, count(*) AS copies FROM {source.shown_sql} GROUP BY ALL HAVING count(*) > 1",
    )  # fmt: skip


def _near_key(source: ProfileSource, looks: Looks, near: NearKey) -> Finding:
    listed = ", ".join(quote_name(c) for c in near.columns)
    return Finding(
        code="near_composite_key", severity="high", column=None, rows=near.repeats, share=near.repeats / looks.rows,
        message=f"{' and '.join(near.columns)} would be a key together but for {near.repeats:,} repeats",
        show_sql=f"SELECT * FROM {source.shown_sql} QUALIFY count(*) OVER (PARTITION BY {listed}) > 1 ORDER BY {listed}",
        mend_sql=f"SELECT * FROM {source.shown_sql} QUALIFY row_number() OVER (PARTITION BY {listed}) = 1",
    )  # fmt: skip


def _broken_dependency(source: ProfileSource, looks: Looks, item: Dependency) -> Finding:
    a, b = quote_name(item.determinant), quote_name(item.dependent)
    return Finding(
        code="broken_dependency", severity="medium", column=item.dependent, rows=item.violations,
        message=f"breaks the rule that {item.determinant} fixes {item.dependent}",
        share=item.violations / max(1, looks.rows if item.is_exact else looks.sample.rows), is_exact=item.is_exact,
        show_sql=show_violations(source, item), mend_sql=f"mode({b}) OVER (PARTITION BY {a}) AS {b}",
    )  # fmt: skip


def _orphans(source: ProfileSource, looks: Looks, key: ForeignKey, options: ProfileOptions) -> Finding:
    other = next(o for o in options.others if o.name == key.other)
    return Finding(
        code="orphans", severity="high", column=key.column, rows=key.orphans, share=key.orphans / looks.rows,
        message=f"has values that are missing in {key.other}.{key.other_column}",
        show_sql=show_orphans(source, key, other),
    )  # fmt: skip


def name_repeated(connection: duckdb.DuckDBPyConnection, table_sql: str, finding: Finding) -> Finding:
    """The finding of a near key with its repeated values as the example, the most repeated first, at most three."""
    c = quote_name(finding.column or "")
    rows = connection.execute(
        f"SELECT left(CAST({c} AS VARCHAR), 40), count(*) AS n FROM {table_sql} WHERE {c} IS NOT NULL GROUP BY {c} "
        f"HAVING count(*) > 1 ORDER BY n DESC, 1 LIMIT {_MOST_NAMED}"
    ).fetchall()
    return replace(finding, example=", ".join(f"{v} ({n} times)" for v, n in rows))
