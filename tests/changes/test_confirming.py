"""Which changes are approved by typing how many rows they touch."""

import pytest

from datasteward.changes.confirming import rows_to_type
from datasteward.changes.model import Preview, Risk, TableEffect, TableName


def effect(**facts: object) -> TableEffect:
    given = {"action": "rows", "rows_before": 1000, "rows_after": 1000, **facts}
    return TableEffect(table=TableName(name="orders"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tables", "typed"),
    [
        ((effect(updated=100),), None),
        ((effect(updated=101),), 101),
        ((effect(inserted=5000),), None),
        ((effect(inserted=2, updated=60, deleted=60), effect(inserted=7)), 129),
        ((effect(deleted=1000, is_estimated=True),), None),
    ],
)
def test_more_than_a_tenth_of_a_measured_table_takes_its_rows(
    tables: tuple[TableEffect, ...], typed: int | None
) -> None:
    assert rows_to_type(Preview(tables=tables)) == typed


def test_what_is_final_or_of_high_risk_takes_its_rows_however_few() -> None:
    one = (effect(updated=1),)
    assert rows_to_type(Preview(tables=one, is_reversible=False)) == 1
    assert rows_to_type(Preview(tables=one, risk=Risk(level="high", reasons=("it breaks 1 check",)))) == 1
    assert rows_to_type(Preview(tables=one, risk=Risk(level="medium", reasons=("1 thing downstream",)))) is None
