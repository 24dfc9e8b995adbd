"""DuckDB's errors lose advice that nobody may follow here, and nothing else."""

import duckdb
import pytest

from datasteward.engine.duckdb_errors import drop_advice, explain_duckdb_error


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "Out of Memory Error: no room (1 of 1 used)\n\nPossible solutions:\n* Reducing the number of threads (SET"
            " threads=X)\n* Increasing the memory limit (SET memory_limit='...GB')\n\nSee also https://x.org/y",
            "Out of Memory Error: no room (1 of 1 used)",
        ),
        (
            "Pivot column limit of 5 exceeded. Use SET pivot_limit=X to increase the limit.",
            "Pivot column limit of 5 exceeded.",
        ),
        (
            "Division by zero. Use TRY(...) to return NULL for this expression, or SET error_on_division_by_zero=false to"
            " return NULL for all.",
            "Division by zero. Use TRY(...) to return NULL for this expression.",
        ),
        ('Only one row.\n\nUse "SET scalar_subquery_error_on_multiple_rows=false" to revert.', "Only one row."),
        ("Not there; consider this:\nINSTALL excel;\nLOAD excel;", "Not there; consider this:"),
        (
            "Binder Error: no column\n\nLINE 1: UPDATE t SET a_b = 1\n               ^",
            "Binder Error: no column\n\nLINE 1: UPDATE t SET a_b = 1\n               ^",
        ),
        ("Constraint Error: one\n\ntwo", "Constraint Error: one\n\ntwo"),
    ],
)
def test_only_advice_that_cannot_be_followed_goes(text: str, kept: str) -> None:
    assert drop_advice(text) == kept


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (SELECT i FROM range(3) AS r (i))",
        "PIVOT (SELECT i FROM range(200000) AS r (i)) ON i USING sum(i)",
        "SELECT 1 ORDER BY 'a'",
    ],
)
def test_real_errors_name_no_setting(sql: str) -> None:
    connection = duckdb.connect()
    with pytest.raises(duckdb.Error) as fault:
        connection.execute(sql).fetchall()
    assert "SET " in str(fault.value)
    told = explain_duckdb_error(fault.value, sql)
    assert "SET " not in told.message and len(told.message) > 20
    connection.close()
