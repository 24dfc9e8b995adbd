"""Keys of several columns are proven, and personal data inside running text is found and never leaves."""

import random
import time

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.profiling.budget import Budget
from datasteward.profiling.contract import draft_contract
from datasteward.profiling.figures import format_value
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.model import Profile, ProfileOptions, ProfileSource
from datasteward.profiling.page import render_page
from datasteward.profiling.personal_text import conceal
from datasteward.profiling.profile import profile
from datasteward.profiling.rendering import render_column, render_for_model, render_for_terminal, render_sql
from datasteward.profiling.storing import to_json, without_sensitive_values

FIXED = ProfileOptions(today="2026-01-01")


@pytest.fixture
def base() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def make(base: duckdb.DuckDBPyConnection, query: str, options: ProfileOptions = FIXED) -> Profile:
    base.execute(f"CREATE OR REPLACE TABLE t AS {query}")
    return profile(base.cursor(), ProfileSource(name="t", table_sql="t"), options)


@pytest.mark.parametrize(("digits", "columns"), [(2, ("a_id", "b_id")), (3, ("a_id", "b_id", "c_id")), (4, ("a_id", "b_id", "c_id", "d_id"))])  # fmt: skip
def test_a_key_of_up_to_four_columns_is_found(
    digits: int, columns: tuple[str, ...], base: duckdb.DuckDBPyConnection
) -> None:
    parts = ", ".join(f"(i // {7**n}) % 7 AS {name}" for n, name in enumerate(columns))
    made = make(base, f"SELECT {parts}, (hash(i) % 5)::INT AS amount, 'x' AS kind FROM range({7**digits}) r(i)")
    assert [set(k) for k in made.structure.composite_keys] == [set(columns)]
    assert made.grain.startswith("one row per a_id and") or digits == 2


def test_a_set_that_is_unique_in_the_sample_only_is_no_key(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base,
        "SELECT CASE WHEN i = 60001 THEN 60000 ELSE i END // 10 AS order_id, CASE WHEN i = 60001 THEN 0 ELSE i % 10 END AS line_no "
        "FROM range(100000) r(i)",
        ProfileOptions(sample_rows=1000),
    )
    assert made.structure.composite_keys == () and made.structure.near_keys[0].repeats == 1
    finding = next(f for f in made.findings if f.code == "near_composite_key")
    assert "order_id and line_no" in finding.message and len(base.execute(finding.show_sql).fetchall()) == 2


def test_a_near_key_names_its_repeated_values(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, "SELECT 'A' || CASE WHEN i = 77 THEN 5 ELSE i END AS invoice_no FROM range(500) r(i)")
    assert next(f for f in made.findings if f.code == "near_key").example == "A5 (2 times)"


def test_measures_and_sentences_that_happen_to_be_unique_are_no_keys(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, "SELECT i AS id, 'a sentence about ' || i AS remark, i * 7 AS amount FROM range(5) r(i)")
    assert made.structure.keys == ("id",)


@pytest.mark.parametrize(
    ("name", "is_key"),
    [("order_id", True), ("OrderID", True), ("c_custkey", True), ("invoice_no", True), ("customerid", True), ("paid", False),
     ("note", False), ("amount", False), ("valid", False), ("keyboard", False), ("monkeys", False)],
)  # fmt: skip
def test_names_that_promise_a_key(name: str, is_key: bool) -> None:
    assert promises_key(name) == is_key


INSIDE = {
    "email addresses": "please write to canary{n}@mail.example about it",
    "card numbers": "paid with 4111 1111 1111 1111 on day {n}",
    "US social security numbers": "number 123-45-6789 given by caller {n}",
    "IBANs": "refund to DE89370400440532013000 for case {n}",
    "phone numbers": "call back +49 170 7712345 about case {n}",
    "secrets": "used key AKIAABCDEFGHIJKLMNOP in run {n}",
}


@pytest.mark.parametrize("kind", INSIDE)
def test_personal_data_inside_text_is_found_with_its_share_and_masked(
    kind: str, base: duckdb.DuckDBPyConnection
) -> None:
    texts = [INSIDE[kind].format(n=n) if n % 50 == 0 else f"the parcel came on day {n}" for n in range(2000)]
    base.execute("CREATE TABLE notes AS SELECT unnest(?) AS remark, unnest(range(2000)) AS id", [texts])
    made = profile(base.cursor(), ProfileSource(name="notes", table_sql="notes"), FIXED)
    finding = next(f for f in made.findings if f.code == "personal_in_text")
    assert kind in finding.message and finding.rows == 40 and finding.is_exact
    assert len(base.execute(finding.show_sql).fetchall()) == 40
    column = made.column("remark")
    assert column.is_sensitive and column.meaning is not None and column.meaning.share == 0.02
    assert "the parcel" not in render_for_model(made)


def test_numbers_that_only_look_like_cards_are_not_taken_for_them(base: duckdb.DuckDBPyConnection) -> None:
    chance = random.Random(3)
    texts = [
        f"parcel {chance.randrange(10**15, 10**16)} sent, build 1.2.3.4 at 2024-01-02 10:11:12" for _ in range(3000)
    ]
    base.execute("CREATE TABLE notes AS SELECT unnest(?) AS remark", [texts])
    made = profile(base.cursor(), ProfileSource(name="notes", table_sql="notes"), FIXED)
    assert not made.column("remark").is_sensitive and not [f for f in made.findings if f.code == "personal_in_text"]


def canaries() -> list[str]:
    return [
        "canary1@mail.example",
        "4111111111111111",
        "DE89370400440532013000",
        "123-45-6789",
        "+491707712345",
        "Zebulon",
    ]


def test_no_face_for_a_model_holds_personal_values_wherever_they_hide(base: duckdb.DuckDBPyConnection) -> None:
    """Rare in a column that is something else: as least, most, most frequent, misspelt, misfit and repeated value."""
    made = make(
        base,
        """
        SELECT i AS id,
               CASE WHEN i = 1 THEN '+491707712345' WHEN i = 2 THEN 'zz canary1@mail.example' ELSE 'ok' END AS state,
               CASE WHEN i < 40 THEN 'write canary1@mail.example' ELSE (i % 50)::VARCHAR END AS score,
               CASE WHEN i = 5 THEN 'card 4111111111111111' ELSE 'word' || (i % 9) END AS label,
               CASE WHEN i IN (7, 8) THEN 'IBAN DE89370400440532013000' ELSE 'A' || i END AS invoice_no,
               CASE WHEN i % 2 = 0 THEN 'Zebulon Carter' ELSE 'Zebulon Cartex' || (i % 3) END AS customer_name,
               (i % 90) || ' Zebulon' AS street_address, '123-45-6789' AS constant_text,
               {'who': 'canary1@mail.example'} AS record, 'canary1@mail.example' AS "mail address"
        FROM range(1000) r(i)
        """,
    )
    hidden = without_sensitive_values(made)
    seen = "\n".join(
        [render_for_model(made), to_json(hidden), render_page(made, shows_values=False), render_sql(hidden), draft_contract(hidden),
         render_for_terminal(made, shows_values=False), *(render_column(hidden, c.name, shows_values=False) for c in made.columns)]
    )  # fmt: skip
    assert [c for c in canaries() if c in seen] == []
    assert "canary1@mail.example" in to_json(made)


@given(st.text(max_size=200), st.sampled_from(["a.b@mail.example", "4111 1111 1111 1111", "GB82WEST12345698765432"]))
@settings(max_examples=60, deadline=None)
def test_concealing_twice_is_concealing_once_and_lets_nothing_through(text: str, personal: str) -> None:
    hidden = conceal(f"{text}; {personal}; {text}")
    assert personal not in hidden and conceal(hidden) == hidden


@pytest.mark.parametrize("query", [
    "SELECT repeat('x', 900000) || i AS huge, i AS n FROM range(50) r(i)",
    "SELECT CASE WHEN i = 1 THEN 'inf'::DOUBLE ELSE 1e300 * i END AS d, 1e200 * i AS e, 170141183460469231731687303715884105727::HUGEINT - i AS h FROM range(100) r(i)",
])  # fmt: skip
def test_values_at_the_limits_are_counted_exactly(query: str, base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, query)
    assert all(c.distinct >= 49 and c.nulls == 0 for c in made.columns) and "constant" not in {
        f.code for f in made.findings
    }


def test_work_beyond_the_memory_limit_is_left_out_and_told() -> None:
    small = duckdb.connect(config={"memory_limit": "50MB", "max_temp_directory_size": "0B"})
    budget = Budget(cursor=small, ends_at=time.monotonic() + 60)
    query = "SELECT len(list(i::VARCHAR)) FROM range(20000000) r(i)"
    assert budget.run("a list", lambda: small.execute(query).fetchone(), None) is None
    assert budget.left_out == ["a list (memory limit)"] and budget.stopped_by == "memory"
    assert small.execute("SELECT 1").fetchone() == (1,)


def test_a_column_that_is_nearly_a_key_makes_no_composite_key(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base, "SELECT CASE WHEN i = 9 THEN 8 ELSE i END AS order_id, i % 40 AS customer_id FROM range(2000) r(i)"
    )
    assert made.structure.composite_keys == () and made.grain == ""


def test_a_shown_value_cannot_command_the_terminal() -> None:
    assert format_value("a\x1b[31mb\nc", 40) == "a\ufffd[31mb c" and format_value(" x", 40) == "' x'"
