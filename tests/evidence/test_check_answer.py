"""Figures of an answer are held against stored results."""

import itertools
import json
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.evidence.check import changed_verdicts, check_answer, verify_again
from datasteward.evidence.figures import find_figures
from datasteward.evidence.model import EvidenceReport, ScanLimits, Verdict
from tests.support.evidence_cases import MemoryResults, load_cases, load_results, make_table, score_cases

SALES = make_table(
    "r1", [["region", "VARCHAR"], ["revenue", "DECIMAL(12,2)"]], [["North", "1234567.80"], ["South", "-1300.00"]]
)
ONE = MemoryResults(tables={"r1": SALES})


def only(text: str, results: MemoryResults = ONE) -> Verdict:
    verdicts = check_answer(text, results).verdicts
    assert len(verdicts) == 1, verdicts
    return verdicts[0]


def test_right_figures_are_accepted_and_wrong_ones_caught() -> None:
    score = score_cases(load_cases(), load_results())
    assert score.right >= 250 and score.wrong >= 250
    assert score.recall_of_right >= 0.97, score.misses
    assert score.recall_of_wrong >= 0.97, score.misses
    assert score.skipped == score.skipped_rightly, score.misses


def test_a_backed_figure_names_its_cell() -> None:
    verdict = only("Revenue in the North was $1,234,567.80 [r1].")
    assert (verdict.status, verdict.is_cited) == ("backed", True)
    assert verdict.cells[0].describe() == "r1 row 1 revenue = 1234567.80"


def test_a_figure_without_citation_is_backed_and_said_to_be_uncited() -> None:
    verdict = only("Revenue in the North was $1,234,567.80.")
    assert (verdict.status, verdict.is_cited) == ("backed", False)
    assert "not cited" in verdict.describe()


def test_a_missing_figure_names_the_nearest_value() -> None:
    verdict = only("Revenue in the North was 1,234,999 [r1].")
    assert verdict.status == "not_found"
    assert verdict.nearest is not None and verdict.nearest.value == "1234567.80"


def test_a_figure_cited_to_the_wrong_result_is_pointed_to_the_right_one() -> None:
    other = make_table("r2", [["orders", "BIGINT"]], [["77"]])
    verdict = only("Revenue in the North was 1,234,567.80 [r2].", MemoryResults(tables={"r1": SALES, "r2": other}))
    assert verdict.status == "not_found"
    assert "not in the cited result, but r1 row 1" in (verdict.reason or "")


def test_a_citation_that_leads_nowhere_is_reported() -> None:
    report = check_answer("Revenue was 5 [r99].", ONE)
    assert report.unknown_handles == ("r99",)
    assert not report.is_backed
    assert report.verdicts[0].reason == "the cited result does not exist"


def test_several_results_can_be_cited_at_once() -> None:
    other = make_table("r2", [["orders", "BIGINT"]], [["77"]])
    report = check_answer(
        "North made 1,234,567.80 with 77 orders [r1, r2].", MemoryResults(tables={"r1": SALES, "r2": other})
    )
    assert [v.status for v in report.verdicts] == ["backed", "backed"]


def test_a_partly_scanned_result_is_told() -> None:
    big = make_table("r1", [["n", "BIGINT"]], [[str(i)] for i in range(100)])
    report = check_answer("There is a 7 [r1].", MemoryResults(tables={"r1": big}), ScanLimits(cells=10))
    assert report.cuts == ("r1: 10 of 100 rows were scanned",)


def test_sums_are_not_claimed_from_a_partly_scanned_result() -> None:
    big = make_table("r1", [["n", "BIGINT"]], [[str(i)] for i in range(100)])
    report = check_answer("In total 45 [r1].", MemoryResults(tables={"r1": big}), ScanLimits(cells=10))
    assert report.verdicts[0].status == "not_found"


def test_number_words_are_said_to_be_unchecked() -> None:
    assert check_answer("About half of the dozen shops closed.", ONE).number_words == ("half", "dozen")


def test_an_answer_is_verified_again_on_new_data() -> None:
    before = check_answer("Revenue in the North was 1,234,567.80 [r1].", ONE)
    today = make_table("r1", [["region", "VARCHAR"], ["revenue", "DECIMAL(12,2)"]], [["North", "1240000.00"]])
    after = verify_again(before, MemoryResults(tables={"r1": today}))
    assert [v.figure.text for v in changed_verdicts(before, after)] == ["1,234,567.80"]


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234.5", "1234.5", "plain"),
        ("1.234,5", "1234.5", "plain"),
        ("1\u202f234\u202f567", "1234567", "plain"),
        ("1'234'567", "1234567", "plain"),
        ("12,34,567", "1234567", "plain"),
        ("$1.2M", "1200000", "currency"),
        ("3.4 bn", "3400000000", "plain"),
        ("€12k", "12000", "currency"),
        ("5 %", "5", "percent"),
        ("5 percentage points", "5", "points"),
        ("25 bps", "0.25", "points"),
        ("-3.5", "-3.5", "plain"),
        ("−7", "-7", "plain"),
        ("($1,234)", "-1234", "currency"),
        ("2.5x", "2.5", "times"),
        ("1.5e6", "1500000", "plain"),
        ("2024", "2024", "year"),
    ],
)
def test_a_number_is_read_as_written(text: str, value: str, unit: str) -> None:
    figure = find_figures(f"it is {text} now")[0]
    assert (figure.value, figure.unit) == (Decimal(value), unit)


@pytest.mark.parametrize(
    "text", ["[r17]", "r17 and c8", "`SELECT 5`", "v1.2.3", "the 3rd one", "COVID-19", "1. First", "https://a.b/9"]
)
def test_what_is_no_figure_is_left_alone(text: str) -> None:
    assert find_figures(text) == ()


def test_ranges_are_two_figures_and_not_a_negative_one() -> None:
    assert [f.value for f in find_figures("between 10-20 and 30–40")] == [10, 20, 30, 40]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789.,-%$€()[]| \nrkM/:'`#ab{}\"–e+"), max_size=60))
def test_any_text_gives_ordered_figures_inside_it(text: str) -> None:
    figures = find_figures(text)
    assert all(0 <= f.start < f.end <= len(text) for f in figures)
    assert all(a.end <= b.start for a, b in itertools.pairwise(figures))
    assert isinstance(check_answer(text, ONE), EvidenceReport)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_a_cell_written_with_any_rounding_is_backed(units: int, decimals: int) -> None:
    exact = Decimal(units) / 10**4
    table = make_table("r1", [["amount", "DECIMAL(18,4)"]], [[format(exact, "f")]])
    written = f"{round(exact, decimals):,}"
    assert only(f"The amount: {written} EUR [r1].", MemoryResults(tables={"r1": table})).status == "backed"


def test_a_chart_written_into_an_answer_is_checked_point_by_point() -> None:
    values = [{"region": "North", "revenue": 1234567.8}, {"region": "South", "revenue": 1300}]
    chart = "```vega-lite\n" + json.dumps({"mark": "bar", "width": 300, "data": {"values": values}}) + "\n```\n\n[r1]"
    assert [v.status for v in check_answer(chart, ONE).verdicts] == ["backed", "not_found"]


PAID = make_table(
    "r1",
    [["status", "VARCHAR"], ["orders", "BIGINT"], ["revenue", "DECIMAL(12,2)"], ["visits", "BIGINT"]],
    [["paid", "812", "91383.00", "4000"], ["refunded", "31", "2210.50", "90"]],
)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("91383.00 in paid orders [r1].", "backed"),
        ("There is $91,383 in paid orders [r1].", "backed"),
        ("We have 91,383 in paid orders [r1].", "backed"),
        ("Paid orders brought 91383.00 [r1].", "backed"),
        ("There were 91,383 paid orders [r1].", "not_found"),
        ("Paid had 91,383 orders [r1].", "not_found"),
        ("Visits came to 91,383.00 in paid orders [r1].", "not_found"),
        ("91384.00 in paid orders [r1].", "not_found"),
        ("Refunded orders brought 91383.00 [r1].", "not_found"),
        ("4,000 in paid revenue [r1].", "not_found"),
        ("4,000 in paid orders [r1].", "not_found"),
        ("Paid revenue was 812 [r1].", "not_found"),
    ],
)
def test_a_count_named_beside_an_amount_does_not_claim_it(text: str, status: str) -> None:
    assert only(text, MemoryResults(tables={"r1": PAID})).status == status


CHART = '```vega-lite\n{"values":['
HOSTILE = {
    "pairs": "1," * 10_000,
    "digits": "1" * 20_000,
    "figures": "1 " * 10_000,
    "groups": "11," * 6_666,
    "versions": "111." * 5_000,
    "exponents": "1e9999 is 5 orders. " * 1_000,
    "zeros": "about 1" + "0" * 19_000,
    "pipes": "|" * 20_000,
    "rule": "a|b\n|--" + " " * 19_000 + "x",
    "table": "|" + "a|" * 3_000 + "\n|" + "--|" * 3_000 + "\n|" + "1|" * 2_500,
    "fences": "`" * 20_000,
    "lone fences": "```a\n~~~\n" * 2_200,
    "spaces": " " * 20_000,
    "brackets": "[" * 10_000 + "]" * 10_000,
    "links": "](" * 10_000,
    "nested json": CHART + "[" * 19_000 + "\n```",
    "chart": CHART + "{" + ",".join(f'"a{i}":{i}' for i in range(1_500)) + "}]}\n```",
    "years": "2024 " * 4_000,
    "months": "May 5 " * 3_300,
    "labels": "Shop 1 " * 2_800,
    "columns": "revenue 5 " * 2_000,
    "sentences": "Shop 1 had 5. " * 1_400,
    "abbreviations": "5 vs. 6 " * 2_500,
    "cues": "average total share 7.13 " * 800,
}


@pytest.fixture(scope="module")
def six() -> MemoryResults:
    rows = [[f"Shop {i}", str(i * 37 % 9973), f"{i * 13.37:.2f}", f"{i % 50}.5"] for i in range(200)]
    columns = [["shop", "VARCHAR"], ["orders", "BIGINT"], ["revenue", "DOUBLE"], ["visits", "DOUBLE"]]
    return MemoryResults(tables={f"r{i}": make_table(f"r{i}", columns, rows) for i in range(1, 7)})


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_checked_within_a_bound(name: str, six: MemoryResults) -> None:
    text = HOSTILE[name]
    started = time.process_time()
    report = check_answer(text, six)
    assert time.process_time() - started < 2.0, "a second where it was measured, two for slow machines"
    assert isinstance(report, EvidenceReport)


def test_what_is_left_out_for_time_is_told(six: MemoryResults) -> None:
    report = check_answer("5 " * 3_000, six)
    assert report.cuts[0] == "the answer: only its first 2,000 figures were checked"
    report = check_answer("Shop 1 had 5 orders. " * 20, six, ScanLimits(work=2_000))
    left_out = [v for v in report.verdicts if v.status == "not_checkable"]
    assert left_out and "too long" in (left_out[0].reason or "")
    assert report.cuts == (
        f"the answer: {len(left_out)} of {len(report.verdicts)} figures were left out, it would take too long",
    )
