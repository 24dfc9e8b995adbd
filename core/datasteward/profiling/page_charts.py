"""The small charts on a profile's page, as HTML and SVG."""

from datetime import UTC, datetime, timedelta
from html import escape

from datasteward.profiling.figures import format_count, format_name, format_number, format_share, format_value
from datasteward.profiling.model import ColumnProfile

_HEIGHT = 56
_MOST_BARS = 6
_FEW = 12


def draw_filled(column: ColumnProfile) -> str:
    """How much of the column is filled, as a thin bar with its words."""
    share = 1 - column.null_share
    about = "about " if column.is_sampled else ""
    words = "no nulls" if not column.nulls else f"{about}{format_share(column.null_share)} null"
    state = " full" if not column.nulls else ""
    return (
        f'<div class="filled{state}"><i><b style="width:{share * 100:.1f}%"></b></i><span>{words}</span></div>'
        if column.rows
        else '<div class="filled"><span>no rows</span></div>'
    )


def draw_histogram(column: ColumnProfile) -> str:
    """Twelve bars between the 1st and the 99th percentile; empty where the values are few enough to be listed."""
    spread = column.distribution
    if not spread or not spread.counts or (column.distinct <= _FEW and column.top):
        return ""
    most, width = max(spread.counts) or 1, 100 / len(spread.counts)
    bars = "".join(
        f'<rect x="{i * width + 0.4:.2f}" y="{_HEIGHT * (1 - n / most):.2f}" width="{width - 0.8:.2f}" '
        f'height="{max(_HEIGHT * n / most, 0.8 if n else 0):.2f}"><title>{format_count(n)}</title></rect>'
        for i, n in enumerate(spread.counts)
    )
    low, high = (_edge(column, e) for e in (spread.edges[0], spread.edges[-1]))
    return (
        f'<svg viewBox="0 0 100 {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="histogram">{bars}</svg>'
        f'<div class="axis"><span>{escape(low)}</span><span>1st to 99th percentile</span><span>{escape(high)}</span></div>'
    )


def _edge(column: ColumnProfile, edge: float) -> str:
    if column.family not in {"date", "timestamp"}:
        return format_number(edge)
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=edge)).date().isoformat()
    except OverflowError:
        return ""


def draw_bars(column: ColumnProfile) -> str:
    """The most frequent values with their shares, and what is left of the rows."""
    if column.is_key or not column.top or (column.distinct > 30 and column.top[0].share < 0.02):
        return ""
    shown = column.top[:_MOST_BARS]
    rest = 1 - column.null_share - sum(t.share for t in shown)
    bars = "".join(_bar(format_value(t.value, 60), t.value, t.share, "" if t.is_exact else "~") for t in shown)
    more = column.distinct - len(shown)
    about = "" if column.distinct_is_exact else "about "
    return bars + (_bar(f"{about}{more:,} more", "", rest, "", "rest") if more > 0 and rest > 0.0005 else "")


def _bar(label: str, title: str, share: float, about: str, kind: str = "") -> str:
    return (
        f'<div class="bar {kind}"><span title="{escape(format_name(title[:300]))}">{escape(label)}</span>'
        f'<i><b style="width:{min(1.0, share) * 100:.1f}%"></b></i><em>{about}{format_share(share)}</em></div>'
    )
