"""Cells are exact and, where they are text, equal DuckDB's own cast to VARCHAR."""

import json
import math

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.engine.arrow_cells import read_cells
from datasteward.engine.cells import compact_json, shorten_cell

SAME_AS_DUCKDB = [
    "'2020-01-01 10:00:00.5+02'::timestamptz",
    "'infinity'::timestamp",
    "'infinity'::date",
    "'-infinity'::timestamptz",
    "'99999-01-01'::date",
    "'0044-03-15 (BC)'::date",
    "'0044-03-15 (BC) 10:00:00.25'::timestamp",
    "'290000-01-01 01:02:03'::timestamp",
    "'10:00:00.123'::time",
    "'\\x00abc\"'::blob",
    "'2020-01-01 00:00:00.000000001'::timestamp_ns",
    "'1677-09-22 00:00:00.1'::timestamp_ns",
    "time_ns '10:00:00.000000001'",
    "1.50::decimal(10,2)",
    "-0.01::decimal(38,2)",
    "9007199254740993",
    "-9223372036854775808",
]


def cell_and_text(expression: str) -> tuple[object, object]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    table = connection.sql(f"SELECT {expression} AS a, ({expression})::VARCHAR AS b").to_arrow_reader(10).read_all()
    connection.close()
    (row,) = read_cells(table)
    return row[0], row[1]


@pytest.mark.parametrize("expression", SAME_AS_DUCKDB)
def test_a_text_cell_is_what_duckdb_prints(expression: str) -> None:
    cell, text = cell_and_text(expression)
    assert cell == text


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", True),
        ("42", 42),
        ("9007199254740991", 9007199254740991),
        ("0.1::float", 0.1),
        ("1e300::double", 1e300),
        ("'nan'::double", "NaN"),
        ("'-inf'::float", "-Infinity"),
        ("[1.5::decimal(3,1), NULL]", ["1.5", None]),
        ("{'a': date '2020-01-01', 'b': [1, NULL]}", {"a": "2020-01-01", "b": [1, None]}),
        ("map {'k k': 1}", [["k k", 1]]),
        ("[{'a': 1}, NULL]", [{"a": 1}, None]),
        ("NULL::STRUCT(a INTEGER)", None),
        ("NULL", None),
    ],
)
def test_other_cells_are_json(expression: str, expected: object) -> None:
    connection = duckdb.connect()
    (row,) = read_cells(connection.sql(f"SELECT {expression} AS a").to_arrow_reader(10).read_all())
    connection.close()
    assert row == [expected]
    assert json.loads(compact_json(row)) == row


@given(st.integers(min_value=-(2**31) + 2, max_value=2**31 - 2))
@settings(max_examples=60, deadline=None)
def test_every_day_number_prints_as_duckdb_prints_it(days: int) -> None:
    connection = duckdb.connect()
    try:
        relation = connection.sql(f"SELECT d AS a, d::VARCHAR AS b FROM (SELECT make_date({days}) AS d)")
        (row,) = read_cells(relation.to_arrow_reader(1).read_all())
    except duckdb.Error:
        return
    finally:
        connection.close()
    assert row[0] == row[1]


@given(st.floats(allow_nan=True, allow_infinity=True))
@settings(max_examples=100, deadline=None)
def test_a_double_survives_json(value: float) -> None:
    import pyarrow as pa

    (row,) = read_cells(pa.table({"a": pa.array([value], pa.float64())}))
    back = json.loads(compact_json(row))[0]
    if math.isfinite(value):
        assert back == value
    else:
        assert back == ("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")


def test_a_long_cell_is_cut_and_says_by_how_much() -> None:
    assert shorten_cell("x" * 100, 10) == ("x" * 10 + "… (+90 characters)", 90)
    assert shorten_cell("short", 10) == ("short", 0)
    text, left = shorten_cell([1] * 100, 10)
    assert isinstance(text, str)
    assert left > 0
