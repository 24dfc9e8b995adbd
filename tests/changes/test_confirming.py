"""Which changes are approved by typing something that their preview shows."""

import pytest

from datasteward.changes.confirming import answer_to_type
from datasteward.changes.model import Preview, Risk, TableEffect, TableName


def effect(**facts: object) -> TableEffect:
    given = {"action": "rows", "rows_before": 1000, "rows_after": 1000, **facts}
    return TableEffect(table=TableName(name="orders"), **given)  # type: ignore[arg-type]


def typed(*tables: TableEffect, **facts: object) -> str | None:
    asked = answer_to_type("c7", Preview(tables=tables, **facts))  # type: ignore[arg-type]
    return asked and asked.answer


@pytest.mark.parametrize(
    ("tables", "answer"),
    [
        ((effect(updated=100),), None),
        ((effect(updated=101),), "101"),
        ((effect(inserted=5000),), None),
        ((effect(inserted=2, updated=60, deleted=61), effect(inserted=7)), "61"),
        ((effect(deleted=1000, is_estimated=True),), None),
    ],
)
def test_more_than_a_tenth_of_a_measured_table_takes_the_largest_count(
    tables: tuple[TableEffect, ...], answer: str | None
) -> None:
    assert typed(*tables) == answer


def test_what_is_final_or_of_high_risk_takes_its_rows_however_few() -> None:
    one = effect(updated=1)
    assert typed(one, is_reversible=False) == "1"
    assert typed(one, risk=Risk(level="high", reasons=("it breaks 1 check",))) == "1"
    assert typed(one, risk=Risk(level="medium", reasons=("1 thing downstream",))) is None


def test_what_counts_no_rows_takes_the_name_of_the_change() -> None:
    asked = answer_to_type("c7", Preview(is_reversible=False))
    assert asked is not None and "Type c7" in asked.question and "Type c7" in asked.short
    assert asked.accepts(" C7 ") and not asked.accepts("0")
    assert answer_to_type("c7", Preview()) is None


def test_the_question_names_the_count_by_its_mark() -> None:
    asked = answer_to_type("c7", Preview(tables=(effect(deleted=1000),), is_reversible=False))
    assert asked is not None and asked.short == "Type how many rows go in orders."
    assert "the number after -" in asked.question and asked.accepts("1,000")
