"""Values that do not fit what the rest of their text column holds."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from datasteward.intake.sql_text import quote_name, quote_text
from datasteward.profiling.sampling import Sample
from datasteward.profiling.text_types import MISSING_WORDS

_MOST_COLUMNS = 300
_WORDS = ", ".join(quote_text(w) for w in sorted(MISSING_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfits:
    """Sampled rows whose value an expression takes, those whose it does not, and the most frequent such value with its rows."""

    fitting_rows: int
    rows: int
    usual: str
    usual_rows: int


def count_misfits(
    connection: duckdb.DuckDBPyConnection, sample: Sample, expressions: Mapping[str, str]
) -> dict[str, Misfits]:
    """By column name, the values for which the column's SQL expression is NULL; spellings of a missing value are none."""
    found: dict[str, Misfits] = {}
    for name, sql in list(expressions.items())[:_MOST_COLUMNS]:
        c = quote_name(name)
        row = connection.execute(
            f"SELECT sum(n) FILTER (v IS NULL)::BIGINT, sum(n) FILTER (v IS NOT NULL)::BIGINT, arg_max(v, n) FILTER (v IS NOT NULL), "
            f"max(n) FILTER (v IS NOT NULL) FROM (SELECT CASE WHEN ({sql}) IS NULL THEN left({c}, 500) END AS v, count(*) AS n "
            f"FROM {sample.table} WHERE {c} IS NOT NULL AND lower(trim({c})) NOT IN ({_WORDS}) GROUP BY v)"
        ).fetchone()
        fitting, rows, usual, usual_rows = row or (0, 0, "", 0)
        found[name] = Misfits(
            fitting_rows=fitting or 0, rows=rows or 0, usual=str(usual or ""), usual_rows=usual_rows or 0
        )
    return found
