"""Numbers that hide in text are told by their rows, and converted only where the whole text is one."""

import duckdb
import pytest

from datasteward.profiling.model import Profile, ProfileOptions, ProfileSource
from datasteward.profiling.profile import profile
from datasteward.profiling.text_types import find_hidden_type


@pytest.fixture
def base() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def make(base: duckdb.DuckDBPyConnection, query: str, sample_rows: int = 50_000) -> Profile:
    base.execute(f"CREATE OR REPLACE TABLE t AS {query}")
    options = ProfileOptions(today="2026-01-01", sample_rows=sample_rows)
    return profile(base.cursor(), ProfileSource(name="t", table_sql="t"), options)


def codes(made: Profile, column: str) -> set[str]:
    return {f.code for f in made.findings if f.column == column}


@pytest.mark.parametrize(
    ("sample_rows", "told", "most_off"), [(50_000, "(97% of rows)", 0), (500, "of the sampled rows)", 4)]
)
def test_words_among_numbers_are_counted_in_rows_not_in_distinct_values(
    sample_rows: int, told: str, most_off: int, base: duckdb.DuckDBPyConnection
) -> None:
    made = make(
        base,
        "SELECT i AS row_id, CASE WHEN i % 34 = 0 THEN '1x' || i ELSE (10000 + i % 50)::VARCHAR END AS c FROM range(1020) r(i)",
        sample_rows,
    )
    found = next(f for f in made.findings if f.code == "mixed_types" and f.column == "c")
    assert told in found.message and abs(found.rows - 30) <= most_off
    assert len(base.execute(found.show_sql).fetchall()) == 30


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        ("(i % 60 + 1) || '%'", ["1xx%", "x00%", "5 x", "empty"]),
        ("(i % 60) || ' patients'", ["1 paxients", "x patients", "7 beds", "1,500 patients"]),
        ("'$' || (i % 60) || '.50'", ["$1x.50", "$12,50", "$1.005", "$1-2"]),
        ("'1,' || (100 + i % 60)", ["1x,200", "12,"]),
        ("(i % 60) || ',5'", ["1.5", "1x,5"]),
        ("(i % 60) || '.5'", ["inf", "1x.5"]),
        ("(i % 60) || 'k'", ["1.2.3k", "1xk", "k"]),
    ],
)
def test_a_conversion_gives_null_and_tells_it_where_a_value_is_not_wholly_of_the_format(
    usual: str, odd: list[str], base: duckdb.DuckDBPyConnection
) -> None:
    made = make(
        base,
        f"SELECT i AS row_id, CASE WHEN i < {len(odd)} THEN {odd!r}[i + 1] ELSE {usual} END AS c FROM range(2000) r(i)",
    )
    finding = next(f for f in made.findings if f.column == "c" and f.code.endswith("_as_text"))
    assert f"converting makes {len(odd)} other rows NULL" in finding.message
    mended = f"SELECT {finding.mend_sql} FROM t WHERE row_id"
    assert {r[0] for r in base.execute(f"{mended} < {len(odd)}").fetchall()} == {None}
    assert all(r[0] is not None for r in base.execute(f"{mended} >= {len(odd)}").fetchall())


def test_a_unit_is_kept_apart_from_others_and_read_in_its_spellings(base: duckdb.DuckDBPyConnection) -> None:
    hidden = find_hidden_type("c", ["90 min", "91 mins", "92 Min.", "93,5min", "94.25 min", "2 seasons"])
    assert hidden is not None and hidden.note == "numbers with a unit (min)"
    query = f"SELECT {hidden.sql} FROM (VALUES ('90 min'), ('91 mins'), (' 92 Min. '), ('93,5min'), ('94.25 min'), ('2 seasons')) v(c)"
    assert [r[0] for r in base.execute(query).fetchall()] == [90, 91, 92, 93.5, 94.25, None]


def test_no_conversion_is_offered_that_makes_most_rows_null(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, "SELECT i AS row_id, (i % 90) || ' ' || ['kg', 'lb', 'oz'][i % 3 + 1] AS c FROM range(900) r(i)")
    finding = next(f for f in made.findings if f.code == "number_with_unit_as_text")
    assert not finding.mend_sql and "mixed_types" in codes(made, "c")
