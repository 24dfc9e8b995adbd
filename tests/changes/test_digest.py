"""Digests outlive additions to what they cover."""

import math

import pytest
from pydantic import BaseModel, ValidationError

from datasteward.changes.digest import digest_of
from datasteward.changes.model import Fingerprint, Parameter, Preview, Proposal, Scalar


class Before(BaseModel):
    rows: int
    note: str = ""


class After(Before):
    is_estimated: bool = False


def test_a_later_field_left_at_its_default_keeps_the_digest_and_any_other_value_does_not() -> None:
    digest = digest_of(Before(rows=3))
    assert digest_of(After(rows=3)) == digest == digest_of(Before(rows=3, note=""))
    assert len({digest, digest_of(After(rows=3, is_estimated=True)), digest_of(Before(rows=3, note="x"))}) == 3


def proposal_with(*values: Scalar) -> Proposal:
    """A proposal with these parameters."""
    return Proposal(
        nonce="0" * 32,
        database="/w/warehouse.duckdb",
        parameters=tuple(Parameter(name=str(n), value=v) for n, v in enumerate(values, 1)),
        frozen_at="2026-01-01T00:00:00+00:00",
        stamp="",
        base=Fingerprint(engine="x"),
        expected=Fingerprint(engine="x"),
        preview=Preview(seconds=1.0),
        requested_by="t",
    )


def test_parameters_that_differ_in_type_alone_have_digests_of_their_own() -> None:
    values: tuple[Scalar, ...] = (1, 1.0, True, "1", "1.0", 0, 0.0, -0.0, None, 2.5)
    assert len({digest_of(proposal_with(v)) for v in values}) == len(values)


def test_digests_of_proposals_without_whole_floats_are_those_of_earlier_versions() -> None:
    assert (
        digest_of(proposal_with(1, "a", None, 2.5))
        == "b66c5649a294af7bca4fe72e5ece9110bc1bacbe4672158f738503f278b4428c"
    )


def test_a_proposal_with_a_float_keeps_its_digest_when_it_is_stored() -> None:
    proposal = proposal_with(1.0, 1)
    assert digest_of(Proposal.model_validate_json(proposal.model_dump_json())) == digest_of(proposal)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_parameter_that_is_no_finite_number_is_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="no finite number"):
        Parameter(name="1", value=value)
