"""Digests outlive additions to what they cover."""

from pydantic import BaseModel

from datasteward.changes.digest import digest_of


class Before(BaseModel):
    rows: int
    note: str = ""


class After(Before):
    is_estimated: bool = False


def test_a_later_field_left_at_its_default_keeps_the_digest_and_any_other_value_does_not() -> None:
    digest = digest_of(Before(rows=3))
    assert digest_of(After(rows=3)) == digest == digest_of(Before(rows=3, note=""))
    assert len({digest, digest_of(After(rows=3, is_estimated=True)), digest_of(Before(rows=3, note="x"))}) == 3
