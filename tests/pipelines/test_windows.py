"""Windows are cut, merged and subtracted without losing or doubling time."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasteward.pipelines.options import Grain
from datasteward.pipelines.state_model import Window
from datasteward.pipelines.windows import floor_to, merge_windows, step_back, subtract_windows

ZERO = datetime(2026, 1, 1)
hours = st.integers(min_value=0, max_value=60)


def at(hour: int) -> datetime:
    return ZERO + timedelta(hours=hour)


spans = st.tuples(hours, hours).map(lambda p: Window(start=at(min(p)), end=at(max(p))))


def held(windows: tuple[Window, ...]) -> set[int]:
    return {h for h in range(61) for w in windows if w.start <= at(h) < w.end}


@settings(max_examples=80, deadline=None)
@given(st.lists(spans, max_size=6))
def test_merging_keeps_exactly_the_same_time_in_order(windows: list[Window]) -> None:
    merged = merge_windows(windows)
    assert held(merged) == held(tuple(windows))
    assert all(a.end < b.start for a, b in itertools.pairwise(merged))


@settings(max_examples=80, deadline=None)
@given(spans, st.lists(spans, max_size=6))
def test_what_is_missing_and_what_is_covered_make_the_whole(wanted: Window, covered: list[Window]) -> None:
    left = subtract_windows(wanted, covered)
    assert held(left) == held((wanted,)) - held(tuple(covered))


@pytest.mark.parametrize(
    ("grain", "floor", "back"),
    [
        ("hour", datetime(2026, 3, 1, 13), datetime(2026, 3, 1, 11)),
        ("day", datetime(2026, 3, 1), datetime(2026, 2, 27)),
        ("week", datetime(2026, 2, 23), datetime(2026, 2, 9)),
        ("month", datetime(2026, 3, 1), datetime(2026, 1, 1)),
    ],
)
def test_windows_begin_where_the_grain_says(grain: Grain, floor: datetime, back: datetime) -> None:
    start = floor_to(datetime(2026, 3, 1, 13, 45), grain)
    assert (start, step_back(start, grain, 2)) == (floor, back)


def test_stepping_back_over_the_turn_of_the_year() -> None:
    assert step_back(datetime(2026, 1, 1), "month", 13) == datetime(2024, 12, 1)
