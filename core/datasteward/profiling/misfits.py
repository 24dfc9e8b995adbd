"""Values that do not fit what the rest of their text column holds."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from datasteward.intake.sql_text import quote_name, quote_text
from datasteward.profiling.sampling import Sample
from datasteward.profiling.text_types import MISSING_WORDS, HiddenType

_MOST_COLUMNS = 300
_WORDS = ", ".join(quote_text(w) for w in sorted(MISSING_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfits:
    """Sampled rows whose value does not fit the hidden type, and the most frequent such value with its rows."""

    rows: int
    usual: str
    usual_rows: int


def count_misfits(
    connection: duckdb.DuckDBPyConnection, sample: Sample, hidden: Mapping[str, HiddenType]
) -> dict[str, Misfits]:
    """The misfits of every column with a hidden type, by name; spellings of a missing value are none."""
    found: dict[str, Misfits] = {}
    for name, kind in list(hidden.items())[:_MOST_COLUMNS]:
        c = quote_name(name)
        row = connection.execute(
            f"SELECT sum(n)::BIGINT, arg_max(v, n), max(n) FROM (SELECT left({c}, 500) AS v, count(*) AS n FROM {sample.table} "
            f"WHERE {c} IS NOT NULL AND lower(trim({c})) NOT IN ({_WORDS}) AND ({kind.sql}) IS NULL GROUP BY v)"
        ).fetchone()
        if row and row[0]:
            found[name] = Misfits(rows=int(row[0]), usual=str(row[1]), usual_rows=int(row[2]))
    return found
