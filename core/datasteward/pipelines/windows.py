"""Spans of time that an incremental asset is filled by."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from datasteward.pipelines.options import Grain
from datasteward.pipelines.state_model import Window


def floor_to(moment: datetime, grain: Grain) -> datetime:
    """The start of the window that holds the moment; weeks begin on Monday."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match grain:
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)


def step_back(moment: datetime, grain: Grain, count: int) -> datetime:
    """The start of the window `count` windows before the one that begins at `moment`."""
    match grain:
        case "hour":
            return moment - timedelta(hours=count)
        case "day":
            return moment - timedelta(days=count)
        case "week":
            return moment - timedelta(weeks=count)
        case "month":
            months = moment.year * 12 + moment.month - 1 - count
            return moment.replace(year=months // 12, month=months % 12 + 1)


def merge_windows(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The same time as few windows, in order, none touching another."""
    merged: list[Window] = []
    for window in sorted((w for w in windows if w.start < w.end), key=lambda w: w.start):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(start=merged[-1].start, end=max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return tuple(merged)


def subtract_windows(wanted: Window, covered: Iterable[Window]) -> tuple[Window, ...]:
    """The parts of `wanted` that nothing in `covered` holds, in order."""
    left: list[Window] = []
    start = wanted.start
    for window in merge_windows(covered):
        if window.end <= start or window.start >= wanted.end:
            continue
        if window.start > start:
            left.append(Window(start=start, end=window.start))
        start = max(start, window.end)
    if start < wanted.end:
        left.append(Window(start=start, end=wanted.end))
    return tuple(left)
