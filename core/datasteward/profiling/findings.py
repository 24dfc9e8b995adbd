"""What is wrong or odd in a column, each with the SQL that shows it and the SQL that mends it."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from datasteward.intake.sql_text import quote_text
from datasteward.profiling.column_facts import ColumnFacts
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.meanings import mask
from datasteward.profiling.model import Finding
from datasteward.profiling.sampling import ColumnSample
from datasteward.profiling.scanning import PLACEHOLDER_DATES
from datasteward.profiling.text_findings import find_in_text

_MARKERS = frozenset(
    {"-1", "-9", "-99", "-999", "-9999", "999", "9999", "99999", "999999", "-999.0", "-9999.0", "9999.0", "999.0"}
)
_NEVER_NEGATIVE = re.compile(
    r"(?i)price|amount|quantity|qty|age|count|weight|height|length|distance|duration|salary|population|stock|size|rating"
)
_AHEAD = re.compile(r"(?i)due|expir|valid|until|end|plan|next|deadline|delivery|maturity|forecast")
_KEY_MEANINGS = frozenset({"UUID", "email", "iban", "ISBN", "EAN", "national identifier", "card number"})
_MOST_IN_FUTURE = 0.2
_YEAR_SECONDS = 365 * 86_400
_EXACT_IN_DOUBLE = 2**53
_WEIGHT = {"high": 0, "medium": 1, "low": 2}


def order_findings(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Worst first: by severity, then by the share of rows."""
    return tuple(sorted(found, key=lambda f: (_WEIGHT[f.severity], -f.share, f.column or "", f.code)))


def find_in_column(facts: ColumnFacts) -> Iterator[Finding]:
    """Every finding on one column."""
    if facts.rows and facts.scanned.filled == 0:
        mend = f"SELECT * EXCLUDE ({facts.name}) FROM {facts.source.shown_sql}"
        yield facts.make("empty_column", "medium", "has no values at all", facts.rows, mend=mend)
        return
    if (
        facts.profile.distinct == 1
        and facts.profile.distinct_is_exact
        and facts.rows > 1
        and facts.scanned.filled == facts.rows
    ):
        yield facts.make(
            "constant",
            "low",
            "holds one and the same value throughout",
            facts.rows,
            example=facts.sample.top[0].value if facts.sample.top else "",
        )
    elif facts.rows >= 20 and facts.profile.null_share > 0.5:
        yield facts.make(
            "mostly_null",
            "low",
            f"is NULL in {facts.profile.null_share:.0%} of the rows",
            facts.profile.nulls,
            show=facts.show(f"{facts.name} IS NULL"),
        )
    yield from _near_key(facts)
    match facts.shape.family:
        case "text":
            yield from find_in_text(facts)
        case "integer" | "decimal":
            yield from _in_numbers(facts)
        case "date" | "timestamp":
            yield from _in_times(facts)
        case _:
            pass


def _near_key(facts: ColumnFacts) -> Iterator[Finding]:
    p, s = facts.profile, facts.scanned
    if (
        facts.shape.family not in {"integer", "text"}
        or not p.distinct_is_exact
        or s.filled < 50
        or not _is_meant_as_key(facts)
    ):
        return
    if 0.98 * s.filled <= p.distinct < s.filled and not _repeats_by_chance(facts):
        extra = s.filled - p.distinct
        source, c = facts.source.shown_sql, facts.name
        yield facts.make(
            "near_key", "high", f"would be a key but for {extra:,} repeated value{'s' if extra > 1 else ''}", extra,
            show=f"SELECT * FROM {source} QUALIFY count(*) OVER (PARTITION BY {c}) > 1 AND {c} IS NOT NULL ORDER BY {c}",
            mend=f"SELECT * FROM {source} QUALIFY {c} IS NULL OR row_number() OVER (PARTITION BY {c}) = 1",
        )  # fmt: skip
    elif p.distinct == s.filled < facts.rows and s.filled >= 0.9 * facts.rows:
        missing = facts.rows - s.filled
        yield facts.make(
            "key_with_nulls",
            "high",
            f"would be a key but is NULL in {missing:,} rows",
            missing,
            show=facts.show(f"{facts.name} IS NULL"),
        )


def _repeats_by_chance(facts: ColumnFacts) -> bool:
    """Whether whole numbers drawn at random from the column's range would repeat about as often (the birthday problem)."""
    s = facts.scanned
    if facts.shape.family != "integer" or s.min is None or s.max is None:
        return False
    expected = s.filled * (s.filled - 1) / (2 * (int(s.max) - int(s.min) + 1))
    return expected >= 1 and s.filled - facts.profile.distinct >= 0.3 * expected


def _is_meant_as_key(facts: ColumnFacts) -> bool:
    """Whether a column is named like an identifier, or comes first or follows one pattern and is nearly unique."""
    p = facts.profile
    if promises_key(facts.shape.name):
        return True
    is_other = facts.hidden is not None or (p.meaning is not None and p.meaning.kind not in _KEY_MEANINGS)
    has_form = facts.is_first or (facts.shape.family == "text" and p.pattern is not None)
    return has_form and not is_other and p.distinct > 0.999 * facts.scanned.filled


def _in_numbers(facts: ColumnFacts) -> Iterator[Finding]:
    c, s = facts.name, facts.scanned
    if s.not_finite:
        yield facts.make(
            "not_finite",
            "medium",
            "has NaN or infinity",
            s.not_finite,
            show=facts.show(f"NOT isfinite({c})"),
            mend=f"CASE WHEN isfinite({c}) THEN {c} END",
        )
    if s.beyond_2_53 and _holds_large_integers(facts):
        yield facts.make(
            "inexact_integers",
            "high",
            "has whole numbers too large for DOUBLE to hold exactly",
            s.beyond_2_53,
            show=facts.show(f"abs({c}) > 9007199254740992"),
        )
    yield from _marker(facts)
    if (
        s.outliers
        and facts.fences
        and s.outliers <= 0.01 * s.filled
        and not facts.profile.is_key
        and not _is_code(facts)
    ):
        f = facts.fences
        yield facts.make("outliers", "low", f"has values far from the others (below {f.low:g} or above {f.high:g})", s.outliers,
                         example=f"{s.min} … {s.max}", show=facts.show(f"{c} < {f.low!r} OR {c} > {f.high!r}"))  # fmt: skip
    is_odd = bool(_NEVER_NEGATIVE.search(facts.shape.name))
    if 0 < s.negatives <= (0.2 if is_odd else 0.005) * s.filled:
        yield facts.make("few_negatives", "medium" if is_odd else "low", "has a few negative values", s.negatives,
                         example=s.min or "", show=facts.show(f"{c} < 0"))  # fmt: skip


def _holds_large_integers(facts: ColumnFacts) -> bool:
    """Whether a column of DOUBLE is meant to hold whole numbers: by its name, or all of them are of that size."""
    spread = facts.profile.distribution
    is_all = spread is not None and _EXACT_IN_DOUBLE / 100 < spread.quantiles[0] <= spread.quantiles[-1] < 1e19
    return promises_key(facts.shape.name) or is_all


def _marker(facts: ColumnFacts) -> Iterator[Finding]:
    c, s = facts.name, facts.scanned
    marked = [v for v in facts.sample.top if v.value in _MARKERS]
    spread = facts.profile.distribution.quantiles if facts.profile.distribution else None
    reach = 3 * (spread[4] - spread[2]) if spread else 0.0
    for marker in marked[:1]:
        edge = (
            marker.value in {s.min, s.max}
            or (s.min is not None and _same(marker.value, s.min))
            or (s.max is not None and _same(marker.value, s.max))
        )
        far = spread is None or not spread[2] - reach <= float(marker.value) <= spread[4] + reach
        if edge and far and marker.rows >= 2:
            rows = facts.estimate(marker.rows)
            yield facts.make("marker_value", "medium", f"uses {marker.value} where a value seems to be missing", rows, example=marker.value,
                             show=facts.show(f"{c} = {marker.value}"), mend=f"nullif({c}, {marker.value})", is_exact=not facts.is_sampled)  # fmt: skip


def _is_code(facts: ColumnFacts) -> bool:
    """Whether a number is a name for something, of which none is too large."""
    name = facts.shape.name
    return facts.shape.family == "integer" and (promises_key(name) or bool(re.search(r"(?i)(zip|year)$", name)))


def _same(left: str, right: str) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return False


def _in_times(facts: ColumnFacts) -> Iterator[Finding]:
    c, s = facts.name, facts.scanned
    if 0 < s.in_future <= _MOST_IN_FUTURE * s.filled and not _AHEAD.search(facts.shape.name):
        yield facts.make(
            "future_dates",
            "medium",
            "has dates in the future",
            s.in_future,
            example=s.max or "",
            show=facts.show(f"{c} > current_date"),
        )
    if s.placeholder_dates and _stands_for_none(facts):
        condition = f"CAST({c} AS DATE) IN ({', '.join(f'DATE {quote_text(d)}' for d in PLACEHOLDER_DATES)})"
        yield facts.make("placeholder_dates", "medium", "has dates such as 1970-01-01 that usually stand for none", s.placeholder_dates,
                         show=facts.show(condition), mend=f"CASE WHEN NOT ({condition}) THEN {c} END")  # fmt: skip


def _stands_for_none(facts: ColumnFacts) -> bool:
    """Whether 1970-01-01 and its like are no days among others: far more frequent than these, or far away from them."""
    s, spread = facts.scanned, facts.profile.distribution
    if s.placeholder_dates > 5 * max(1.0, s.filled / max(1, facts.profile.distinct)):
        return True
    if spread is None:
        return False
    low, high = spread.quantiles[2], spread.quantiles[4]
    reach = 3 * (high - low) + _YEAR_SECONDS
    edges = [d[:10] for d in (s.min, s.max) if d and d[:10] in PLACEHOLDER_DATES]
    seconds = [(date.fromisoformat(d) - date(1970, 1, 1)).days * 86_400 for d in edges]
    return any(not low - reach <= at <= high + reach for at in seconds)


def masked_example(sample: ColumnSample) -> str | None:
    """The shape of a typical value, never the value itself."""
    return mask(sample.top[0].value) if sample.top else None
