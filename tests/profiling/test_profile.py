"""A profile says what a table really is, exactly, and hides what must be hidden."""

import random
import re
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.errors import ToolError
from datasteward.profiling.checksums import is_card_number, is_ean, is_iban, is_isbn, is_us_ssn, passes_luhn
from datasteward.profiling.contract import draft_contract
from datasteward.profiling.drift import compare, jensen_shannon, render_drift
from datasteward.profiling.model import OtherDataset, Profile, ProfileOptions, ProfileSource
from datasteward.profiling.page import render_page
from datasteward.profiling.profile import profile
from datasteward.profiling.rendering import render_column, render_for_model, render_for_terminal, render_sql
from datasteward.profiling.storing import from_json, to_json, without_sensitive_values
from datasteward.profiling.text_types import find_hidden_type

FIXED = ProfileOptions(today="2026-01-01")


@pytest.fixture
def base() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def make(base: duckdb.DuckDBPyConnection, query: str, options: ProfileOptions = FIXED) -> Profile:
    base.execute(f"CREATE OR REPLACE TABLE t AS {query}")
    return profile(base.cursor(), ProfileSource(name="t", table_sql="t"), options)


def codes(made: Profile, column: str | None = None) -> set[str]:
    return {f.code for f in made.findings if f.column == column}


def test_keys_nulls_distinct_and_ranges_are_exact_over_all_rows(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base,
        "SELECT i AS id, i % 7 AS grp, CASE WHEN i % 10 <> 0 THEN i END AS n FROM range(100000) r(i)",
        ProfileOptions(sample_rows=1000),
    )
    assert made.rows == 100_000 and made.grain == "one row per id"
    assert made.column("id").is_key and made.column("id").distinct == 100_000
    assert made.column("grp").distinct == 7 and made.column("grp").distinct_is_exact
    assert made.column("n").nulls == 10_000 and made.column("n").max == "99999"


def test_a_column_is_no_key_when_one_value_repeats_far_from_the_sample(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base,
        "SELECT CASE WHEN i = 77777 THEN 3 ELSE i END AS order_id, i % 3 AS g FROM range(100000) r(i)",
        ProfileOptions(sample_rows=1000),
    )
    assert not made.column("order_id").is_key and "near_key" in codes(made, "order_id")
    shown = next(f for f in made.findings if f.code == "near_key")
    assert shown.rows == 1 and len(base.execute(shown.show_sql).fetchall()) == 2
    mended = base.execute(f"SELECT count(*), count(DISTINCT order_id) FROM ({shown.mend_sql})").fetchone()
    assert mended == (99_999, 99_999)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("CASE WHEN i % 9 = 0 THEN 'N/A' ELSE (i % 50)::VARCHAR END", "null_spelling"),
        ("'1,' || lpad((i % 900 + 100)::VARCHAR, 3, '0')", "thousands_as_text"),
        ("(i % 90)::VARCHAR || ',5'", "decimal_comma_as_text"),
        ("'$' || (i % 300)::VARCHAR || '.50'", "money_as_text"),
        ("(i % 100)::VARCHAR || '%'", "percent_as_text"),
        ("CASE WHEN i % 2 = 0 THEN 'yes' ELSE 'no' END", "boolean_as_text"),
        ("strftime(DATE '2024-01-01' + (i % 300)::INT, '%d.%m.%Y')", "date_as_text"),
        ("'0' || (i % 9 + 1)::VARCHAR || '/0' || (i % 8 + 1)::VARCHAR || '/2024'", "ambiguous_dates"),
        ("CASE WHEN i % 2 = 0 THEN strftime(DATE '2024-01-01' + (i % 300)::INT, '%Y-%m-%d') ELSE strftime(DATE '2024-01-01' + (i % 300)::INT, '%d.%m.%Y') END", "mixed_dates"),
        ("CASE WHEN i % 5 = 0 THEN 'Berlin' WHEN i % 5 = 1 THEN 'berlin' ELSE 'Bonn' END", "case_variants"),
        ("CASE WHEN i = 50 THEN 'Hamburgg' ELSE 'Hamburg' END || CASE WHEN i % 2 = 0 AND i <> 50 THEN ' Nord' ELSE '' END", "misspelling"),
        ("CASE WHEN i % 50 = 0 THEN ' padded' ELSE 'plain' END", "padding"),
        ("'{\"a\": ' || i || '}'", "json_as_text"),
        ("'MÃ¼ller' || (i % 40)::VARCHAR", "damaged_text"),
        ("'same'", "constant"),
        ("NULL::INT", "empty_column"),
        ("CASE WHEN i % 40 = 0 THEN -999 ELSE i % 20 END", "marker_value"),
        ("CASE WHEN i = 3 THEN 100000 ELSE i % 20 END", "outliers"),
        ("CASE WHEN i = 3 THEN 'NaN'::DOUBLE ELSE i / 3 END", "not_finite"),
        ("9007199254740993.0::DOUBLE + i * 10", "inexact_integers"),
        ("CASE WHEN i < 5 THEN DATE '2031-01-01' ELSE DATE '2024-01-01' + (i % 9)::INT END", "future_dates"),
        ("CASE WHEN i < 5 THEN DATE '1970-01-01' ELSE DATE '2024-01-01' + (i % 9)::INT END", "placeholder_dates"),
        ("DATE '2024-01-01' + (CASE WHEN i % 100 = 77 THEN 78 ELSE i % 100 END)::INT", "gaps"),
    ],
)  # fmt: skip
def test_a_fault_in_a_column_is_found_and_its_sql_runs(
    expression: str, code: str, base: duckdb.DuckDBPyConnection
) -> None:
    made = make(base, f"SELECT i AS row_id, {expression} AS c FROM range(2000) r(i)")
    assert code in codes(made, "c"), codes(made, "c")
    for finding in made.findings:
        if finding.column == "c" and finding.show_sql:
            base.execute(finding.show_sql).fetchall()
        if finding.column == "c" and finding.mend_sql:
            is_query = finding.mend_sql.startswith("SELECT")
            base.execute(finding.mend_sql if is_query else f"SELECT {finding.mend_sql} FROM t").fetchall()


def test_clean_data_raises_no_finding(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base,
        "SELECT i AS id, ['red','green','blue'][1 + (i % 3)::INT] AS colour, (hash(i) % 1000)::INT AS amount, "
        "DATE '2024-01-01' + (i % 365)::INT AS sold_on, 47 + (hash(i, 2) % 800) / 100 AS lat FROM range(5000) r(i)",
    )
    assert made.findings == ()


def test_duplicate_rows_are_counted_and_shown(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, "SELECT i % 90 AS a, 'x' || (i % 90) AS b FROM range(100) r(i)")
    assert made.structure.duplicate_rows == 10 and "duplicate_rows" in codes(made)


def test_two_columns_that_are_unique_together_are_a_key(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, "SELECT i // 10 AS order_no, i % 10 AS line, hash(i) % 5 AS x FROM range(1000) r(i)")
    assert made.structure.composite_keys and set(made.structure.composite_keys[0]) == {"order_no", "line"}


def test_dependencies_hold_or_name_the_rows_that_break_them(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base,
        "SELECT i AS id, i % 40 AS zip, CASE WHEN i = 77 THEN 'Ulm' ELSE 'city' || ((i % 40) // 4) END AS city, (hash(i) % 4)::INT AS other FROM range(2000) r(i)",
    )
    broken = [f for f in made.findings if f.code == "broken_dependency"]
    assert [(f.column, f.rows) for f in broken] == [("city", 1)]
    assert len(base.execute(broken[0].show_sql).fetchall()) == 1
    assert not any("other" in (d.determinant, d.dependent) for d in made.structure.dependencies)


def test_foreign_keys_are_found_by_inclusion_and_orphans_told(base: duckdb.DuckDBPyConnection) -> None:
    base.execute("CREATE TABLE customers AS SELECT i AS id, 'n' || i AS name FROM range(50) r(i)")
    options = ProfileOptions(others=(OtherDataset(name="customers", table_sql="customers"),))
    made = make(
        base,
        "SELECT i AS order_id, CASE WHEN i = 5 THEN 999 ELSE i % 50 END AS customer_id, i % 40 AS quantity FROM range(1000) r(i)",
        options,
    )
    assert [(k.column, k.other, k.other_column, k.orphans) for k in made.structure.foreign_keys] == [
        ("customer_id", "customers", "id", 1)
    ]
    assert "orphans" in codes(made, "customer_id")


PEOPLE = "SELECT i AS id, 'user' || i || '@mail.example' AS contact, '+49 170 55' || (1000 + i) AS phone, 'Zebulon' || i AS first_name, DATE '1970-03-01' + (i * 20)::INT AS birth_date, '192.168.' || (i % 250) || '.' || (i % 200) AS source_ip, 'ok' AS status FROM range(400) r(i)"


def test_no_value_of_a_personal_column_reaches_a_model(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, PEOPLE)
    assert {c.name for c in made.columns if c.is_sensitive} == {
        "contact",
        "phone",
        "first_name",
        "birth_date",
        "source_ip",
    }
    hidden = without_sensitive_values(made)
    seen = "\n".join([render_for_model(made), to_json(hidden), render_page(hidden, shows_values=False), render_sql(made),
                      render_for_terminal(made, shows_values=False), draft_contract(made), *(render_column(made, c.name, shows_values=False) for c in made.columns)])  # fmt: skip
    values = base.execute("SELECT contact, phone, first_name, birth_date::VARCHAR, source_ip FROM t").fetchall()
    assert not [v for row in values for v in row if v in seen]
    assert "Zebulon" in render_for_terminal(made) and "masked" in render_for_model(made)


def test_a_named_column_is_sensitive_whatever_it_holds(base: duckdb.DuckDBPyConnection) -> None:
    made = make(
        base,
        "SELECT 'secretword' || i AS memo FROM range(50) r(i)",
        ProfileOptions(sensitive_columns=frozenset({"memo"})),
    )
    assert "secretword" not in render_for_model(made)


def test_the_text_for_a_model_is_short_for_25_dirty_columns(base: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(
        f"CASE WHEN i % 7 = {n % 7} THEN 'N/A' ELSE ' value ' || (i % {n + 3}) END AS some_column_name_{n}"
        for n in range(24)
    )
    made = make(base, f"SELECT i AS id, {columns} FROM range(3000) r(i)")
    text = render_for_model(made)
    assert len(text) <= 7_000 and "some_column_name_23" in text


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a WHERE false",
        "SELECT 1 AS a",
        "SELECT NULL::INT AS a, NULL::VARCHAR AS b FROM range(100)",
        "SELECT repeat('x', 3000000) AS huge, 1 AS n",
        "SELECT [1, 2] AS list, {'a': 1} AS record, MAP {'k': 1} AS pairs, '\\x00'::BLOB AS raw, INTERVAL 1 DAY AS span, 'a'::ENUM('a') AS e FROM range(40)",
        "SELECT 'infinity'::DATE AS d, 'infinity'::TIMESTAMP AS t, 'inf'::FLOAT AS f, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS z, TIME '10:00' AS c, uuid() AS u FROM range(40)",
        "SELECT i::HUGEINT * 10000000000000000000 AS h, i::DECIMAL(38, 10) AS d, true AS b FROM range(40) r(i)",
        'SELECT i AS "we""ird; name", i AS "select", i AS "ümlaut ☃" FROM range(40) r(i)',
    ],
)
def test_odd_tables_give_a_useful_answer(query: str, base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, query)
    assert from_json(to_json(made)) == made
    assert render_for_model(made) and render_for_terminal(made) and render_page(made) and draft_contract(made)


def test_two_thousand_columns_are_cut_with_a_word(base: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(f"i % {n + 2} AS c{n}" for n in range(600))
    made = make(base, f"SELECT {columns} FROM range(50) r(i)", ProfileOptions(max_columns=200))
    assert len(made.columns) == 200 and made.left_out == ("400 columns after the first 200",)
    assert len(render_for_model(made)) <= 7_000


def test_what_the_time_budget_left_out_is_told(base: duckdb.DuckDBPyConnection) -> None:
    made = make(base, "SELECT i % 50 AS a, i % 3 AS b FROM range(5000) r(i)", ProfileOptions(budget_seconds=0.0))
    assert "duplicate rows" in made.left_out and "LEFT OUT" in render_for_model(made)


def test_a_long_scan_is_stopped_and_its_figures_are_scaled_and_marked(
    base: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    base.execute(
        f"COPY (SELECT i AS id, CASE WHEN i % 4 > 0 THEN 'x' || i % 9 END AS word, hash(i) % 1000 AS n FROM range(3000000) r(i)) TO '{path}'"
    )
    slow = f"(SELECT *, len(md5(repeat(CAST(n AS VARCHAR), 1000))) AS m FROM read_csv('{path}'))"
    source = ProfileSource(name="long", table_sql=slow, format="delimited", text_bytes=path.stat().st_size)
    started = time.monotonic()
    made = profile(base.cursor(), source, ProfileOptions(budget_seconds=0.1, today="2026-01-01"))
    assert time.monotonic() - started < 8
    assert not made.rows_are_exact and 2_000_000 < made.rows < 4_500_000
    assert made.structure.keys == () and all(c.is_sampled and not c.distinct_is_exact for c in made.columns)
    assert 0.2 < made.column("word").null_share < 0.3
    text = render_for_model(made)
    assert "scaled up from the first 20,000 rows" in text and "~25% null" in text and "x 4 columns" in text
    assert base.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.slow
def test_two_thousand_columns_are_profiled_within_seconds(base: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(f"i % {n + 2} AS c{n}" for n in range(2000))
    started = time.monotonic()
    made = make(base, f"SELECT {columns} FROM range(1000) r(i)")
    assert len(made.columns) == 2000 and time.monotonic() - started < 40
    assert made.column("c5").distinct == 7 and len(render_for_model(made)) <= 7_000


def test_a_query_that_gives_no_row_in_time_is_a_timeout(base: duckdb.DuckDBPyConnection) -> None:
    slow = "(SELECT sum(hash(a.i, b.i) % 7) AS s FROM range(100000) a(i), range(1000000) b(i))"
    with pytest.raises(ToolError, match="no sample"):
        profile(base.cursor(), ProfileSource(name="slow", table_sql=slow), ProfileOptions(budget_seconds=0.1))


def test_an_unreadable_source_is_an_error_that_names_it(base: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ToolError, match="gone cannot be profiled"):
        profile(base.cursor(), ProfileSource(name="gone", table_sql="gone"))


def test_drift_names_columns_volume_nulls_shift_and_categories(base: duckdb.DuckDBPyConnection) -> None:
    before = make(
        base,
        "SELECT i AS id, i % 100 AS n, ['a','b'][1 + (i % 2)::INT] AS c, i AS gone, 1 AS kind FROM range(2000) r(i)",
    )
    after = make(
        base,
        "SELECT i AS id, i % 100 + 60 AS n, ['a','x'][1 + (i % 2)::INT] AS c, 1.5 AS added, CASE WHEN i % 3 = 0 THEN 1 END AS kind FROM range(6500) r(i)",
    )
    drift = compare(before, after)
    kinds = {(c.kind, c.column) for c in drift.changes}
    assert {
        ("column_removed", "gone"),
        ("column_added", "added"),
        ("rows", None),
        ("distribution", "n"),
        ("new_categories", "c"),
        ("lost_categories", "c"),
        ("nulls", "kind"),
    } <= kinds
    assert "PSI" in render_drift(drift)
    assert compare(before, before).changes == ()


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1),
)
@settings(max_examples=50, deadline=None)
def test_the_distance_of_categories_is_symmetric_bounded_and_zero_for_equals(
    left: dict[str, int], right: dict[str, int]
) -> None:
    assert jensen_shannon(left, right) == pytest.approx(jensen_shannon(right, left))
    assert 0 <= jensen_shannon(left, right) <= 1 + 1e-9
    assert jensen_shannon(left, {k: v * 3 for k, v in left.items()}) == pytest.approx(0, abs=1e-6)


@given(st.integers(10**13, 10**15))
@settings(max_examples=50, deadline=None)
def test_exactly_one_last_digit_passes_luhn(stem: int) -> None:
    assert sum(passes_luhn(f"{stem}{d}") for d in range(10)) == 1


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (is_iban, "DE89 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
        (is_iban, "GB82WEST12345698765432", "GB82WEST1234569876543"),
        (is_card_number, "4111 1111 1111 1111", "4111 1111 1111 1112"),
        (is_us_ssn, "123-45-6789", "666-45-6789"),
        (is_isbn, "978-0-306-40615-7", "978-0-306-40615-8"),
        (is_isbn, "0-306-40615-2", "0-306-40615-3"),
        (is_ean, "4006381333931", "4006381333932"),
    ],
)
def test_checksums_tell_right_from_wrong(check: object, right: str, wrong: str) -> None:
    assert check(right) and not check(wrong)  # type: ignore[operator]


@given(
    st.lists(st.dates(date(1950, 1, 1), date(2050, 1, 1)), min_size=5, max_size=40, unique=True),
    st.sampled_from(["%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%Y-%m-%d"]),
)
@settings(max_examples=40, deadline=None)
def test_the_expression_for_dates_in_text_brings_every_date_back(days: list[date], layout: str) -> None:
    texts = [d.strftime(layout) for d in days]
    hidden = find_hidden_type("c", texts)
    assert hidden is not None and hidden.kind == "date"
    found = duckdb.execute(f"SELECT {hidden.sql} FROM (SELECT unnest(?) AS c)", [texts]).fetchall()
    assert [r[0] for r in found] == days


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(base: duckdb.DuckDBPyConnection) -> None:
    page = render_page(make(base, "SELECT '<script>alert(1)</script>' AS \"<b>\" FROM range(30)"))
    assert "<script" not in page and "&lt;b&gt;" in page and not re.search(r"(src|href)=|@import|url\(", page)


def test_a_drafted_contract_is_valid_odcs_and_tags_personal_data(base: duckdb.DuckDBPyConnection) -> None:
    contract = pytest.importorskip("open_data_contract_standard.model")
    made = make(base, PEOPLE)
    document = contract.OpenDataContractStandard.from_string(draft_contract(made))
    properties = {p.name: p for p in document.schema_[0].properties}
    assert document.apiVersion == "v3.1.0" and document.status == "draft"
    assert properties["id"].primaryKey and properties["id"].unique and properties["contact"].tags[0] == "pii"


def test_the_outside_dirty_tables_are_read_and_their_faults_found(
    shared_data: Path, base: duckdb.DuckDBPyConnection
) -> None:
    path = shared_data / "cleaning" / "beers" / "dirty.csv"
    made = make(base, f"SELECT * FROM read_csv('{path}')")
    assert {("ibu", "null_spelling"), ("ounces", "case_variants"), ("city", "broken_dependency")} <= {
        (f.column, f.code) for f in made.findings
    }


def test_a_day_series_without_weekends_has_no_gap(base: duckdb.DuckDBPyConnection) -> None:
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(200)]
    base.execute("CREATE TABLE s AS SELECT unnest(?) AS day", [[d for d in days if d.weekday() < 5]])
    assert profile(base.cursor(), ProfileSource(name="s", table_sql="s"), FIXED).findings == ()


def test_a_profile_is_the_same_each_time(base: duckdb.DuckDBPyConnection) -> None:
    random.seed(1)
    made = [
        make(base, "SELECT i AS id, i % 13 AS g, 'v' || (hash(i) % 500) AS v FROM range(30000) r(i)") for _ in range(2)
    ]
    assert made[0].columns == made[1].columns and made[0].findings == made[1].findings
