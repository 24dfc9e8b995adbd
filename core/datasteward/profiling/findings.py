"""What is wrong or odd in a column, each with the SQL that shows it and the SQL that mends it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datasteward.intake.column_types import NULL_SPELLINGS
from datasteward.intake.sql_text import quote_name, quote_text
from datasteward.profiling.meanings import mask
from datasteward.profiling.model import ColumnProfile, Finding, ProfileSource, Severity
from datasteward.profiling.sampling import ColumnSample, ColumnShape
from datasteward.profiling.scanning import Fences, ScannedColumn
from datasteward.profiling.spelling import find_slips, find_variants
from datasteward.profiling.text_types import HiddenType

_MARKERS = frozenset(
    {"-1", "-9", "-99", "-999", "-9999", "999", "9999", "99999", "999999", "-999.0", "-9999.0", "9999.0", "999.0"}
)
_NEVER_NEGATIVE = re.compile(
    r"(?i)price|amount|quantity|qty|age|count|weight|height|length|distance|duration|salary|population|stock|size|rating"
)
_KEY_MEANINGS = frozenset({"UUID", "email", "iban", "ISBN", "EAN", "national identifier", "card number"})
_WEIGHT = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """All that is known about one column when its findings are made."""

    source: ProfileSource
    shape: ColumnShape
    profile: ColumnProfile
    sample: ColumnSample
    scanned: ScannedColumn
    hidden: HiddenType | None
    fences: Fences | None
    rows: int
    sampled_rows: int

    @property
    def name(self) -> str:
        """The column as a quoted SQL name."""
        return quote_name(self.shape.name)

    def show(self, condition: str) -> str:
        """SQL for the rows where `condition` holds."""
        return f"SELECT * FROM {self.source.shown_sql} WHERE {condition}"

    def make(
        self,
        code: str,
        severity: Severity,
        message: str,
        rows: int,
        *,
        example: str = "",
        show: str = "",
        mend: str = "",
        is_exact: bool = True,
    ) -> Finding:
        """A finding on this column; examples of a sensitive column are masked away."""
        return Finding(
            code=code, severity=severity, column=self.shape.name, message=message, rows=rows,
            share=rows / self.rows if self.rows else 0.0, example="" if self.profile.is_sensitive else example,
            show_sql=show, mend_sql=mend, is_exact=is_exact and not self.scanned.is_sampled,
        )  # fmt: skip


def order_findings(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Worst first: by severity, then by the share of rows."""
    return tuple(sorted(found, key=lambda f: (_WEIGHT[f.severity], -f.share, f.column or "", f.code)))


def find_in_column(facts: ColumnFacts) -> Iterator[Finding]:
    """Every finding on one column."""
    if facts.rows and facts.scanned.filled == 0:
        yield facts.make(
            "empty_column", "medium", "has no values at all", facts.rows, mend=f"ALTER TABLE … DROP COLUMN {facts.name}"
        )
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
            yield from _in_text(facts)
        case "integer" | "decimal":
            yield from _in_numbers(facts)
        case "date" | "timestamp":
            yield from _in_times(facts)
        case _:
            pass


def _near_key(facts: ColumnFacts) -> Iterator[Finding]:
    p, s = facts.profile, facts.scanned
    is_named = bool(re.search(r"(?i)(^|_|[a-z])(id|key|uuid|code|number|nr|no)$", facts.shape.name))
    is_other = facts.hidden is not None or (p.meaning is not None and p.meaning.kind not in _KEY_MEANINGS)
    looks_like_key = is_named or (p.distinct > 0.999 * s.filled and not is_other)
    if facts.shape.family not in {"integer", "text"} or not p.distinct_is_exact or s.filled < 50 or not looks_like_key:
        return
    if 0.98 * s.filled <= p.distinct < s.filled:
        extra = s.filled - p.distinct
        shown = f"SELECT * FROM {facts.source.shown_sql} QUALIFY count(*) OVER (PARTITION BY {facts.name}) > 1 AND {facts.name} IS NOT NULL ORDER BY {facts.name}"
        mend = f"SELECT * FROM {facts.source.shown_sql} QUALIFY row_number() OVER (PARTITION BY {facts.name}) = 1"
        yield facts.make(
            "near_key",
            "high",
            f"would be a key but for {extra:,} repeated value{'s' if extra > 1 else ''}",
            extra,
            show=shown,
            mend=mend,
        )
    elif p.distinct == s.filled < facts.rows and s.filled >= 0.9 * facts.rows:
        missing = facts.rows - s.filled
        yield facts.make(
            "key_with_nulls",
            "high",
            f"would be a key but is NULL in {missing:,} rows",
            missing,
            show=facts.show(f"{facts.name} IS NULL"),
        )


def _in_text(facts: ColumnFacts) -> Iterator[Finding]:
    c, s = facts.name, facts.scanned
    if s.spelled_null:
        words = [
            w
            for w in NULL_SPELLINGS
            if w in {v.value for v in facts.sample.top} or w in set(facts.sample.values) or w in dict(s.histogram)
        ]
        listed = ", ".join(quote_text(w) for w in words or NULL_SPELLINGS)
        yield facts.make("null_spelling", "medium", "spells missing values as text", s.spelled_null, example=", ".join(words[:4]),
                         show=facts.show(f"{c} IN ({listed})"), mend=f"CASE WHEN {c} NOT IN ({listed}) THEN {c} END")  # fmt: skip
    if s.padded:
        yield facts.make(
            "padding",
            "low",
            "has spaces at the start or end",
            s.padded,
            show=facts.show(f"{c} LIKE ' %' OR {c} LIKE '% '"),
            mend=f"trim({c})",
        )
    if s.blank:
        yield facts.make(
            "blank",
            "low",
            "holds empty strings beside NULL",
            s.blank,
            show=facts.show(f"{c} = ''"),
            mend=f"nullif({c}, '')",
        )
    if s.damaged:
        example = next((v for v in facts.sample.values if "Ã" in v or "â€" in v or "\ufffd" in v), "")
        yield facts.make("damaged_text", "medium", "has letters broken by a wrong encoding", s.damaged, example=example,
                         show=facts.show(f"contains({c}, 'Ã') OR contains({c}, 'â€') OR contains({c}, '\ufffd')"))  # fmt: skip
    if facts.hidden and facts.shape.type == "VARCHAR":
        yield from _hidden(facts, facts.hidden)
    if facts.shape.type == "VARCHAR" and not facts.hidden:
        yield from _spellings(facts)
        yield from _mixed(facts)
    if s.longest and s.longest > 100_000:
        yield facts.make(
            "huge_value",
            "low",
            f"has a value of {s.longest:,} characters",
            1,
            show=facts.show(f"length({c}) = {s.longest}"),
        )


def _hidden(facts: ColumnFacts, hidden: HiddenType) -> Iterator[Finding]:
    code = "date_as_text" if hidden.kind == "date" else f"{hidden.kind}_as_text"
    rows = facts.scanned.filled - facts.scanned.spelled_null - facts.scanned.blank
    example = next((v.value for v in facts.sample.top), "")
    yield facts.make(code, "medium", f"is text but holds {hidden.note}", rows, example=example,
                     show=facts.show(f"{facts.name} IS NOT NULL AND ({hidden.sql}) IS NULL"), mend=f"{hidden.sql} AS {facts.name}", is_exact=False)  # fmt: skip
    if hidden.is_ambiguous:
        yield facts.make(
            "ambiguous_dates",
            "high",
            "has dates that read both as day/month and month/day",
            rows,
            example=example,
            is_exact=False,
        )
    if hidden.is_mixed:
        yield facts.make(
            "mixed_dates", "high", f"mixes date formats ({hidden.note})", rows, example=example, is_exact=False
        )
    if hidden.share < 1:
        odd = round((1 - hidden.share) * rows)
        yield facts.make("mixed_types", "medium", f"has about {1 - hidden.share:.0%} distinct values that are not {hidden.note}", max(1, odd),
                         show=facts.show(f"{facts.name} IS NOT NULL AND ({hidden.sql}) IS NULL"), is_exact=False)  # fmt: skip


def _spellings(facts: ColumnFacts) -> Iterator[Finding]:
    is_all = bool(facts.scanned.histogram) or facts.sampled_rows == facts.rows
    counted = facts.scanned.histogram or tuple((v.value, v.rows) for v in facts.sample.top)
    if not is_all and facts.sample.distinct > len(counted):
        return
    c = facts.name
    variants = find_variants(counted)
    if variants:
        rows = sum(v.rows for v in variants)
        example = " / ".join(repr(x) for x in variants[0].spellings[:3])
        yield facts.make("case_variants", "medium", f"writes {len(variants)} value{'s' if len(variants) > 1 else ''} in several ways (case or spaces)", rows,
                         example=example, show=f"SELECT lower(trim({c})) AS value, histogram({c}) AS spellings FROM {facts.source.shown_sql} GROUP BY 1 HAVING count(DISTINCT {c}) > 1",
                         mend=f"mode({c}) OVER (PARTITION BY lower(trim({c}))) AS {c}", is_exact=is_all)  # fmt: skip
    slips = find_slips(counted) if facts.profile.distinct <= 400 else ()
    if slips and len(slips) >= 1:
        rows = sum(x.rows for x in slips)
        wrong = [w for x in slips for w in x.spellings[1:]]
        cases = " ".join(
            f"WHEN {quote_text(w)} THEN {quote_text(x.spellings[0])}" for x in slips[:5] for w in x.spellings[1:4]
        )
        is_document = facts.profile.meaning is not None and facts.profile.meaning.kind == "JSON"
        safe = not facts.profile.is_sensitive and not is_document
        yield facts.make("misspelling", "medium", f"has {len(wrong)} rare spelling{'s' if len(wrong) > 1 else ''} close to frequent ones", rows,
                         example=f"{slips[0].spellings[1]!r} for {slips[0].spellings[0]!r}",
                         show=facts.show(f"{c} IN ({', '.join(quote_text(w) for w in wrong[:8])})") if safe else "",
                         mend=f"CASE {c} {cases} ELSE {c} END" if safe else "", is_exact=is_all)  # fmt: skip


def _mixed(facts: ColumnFacts) -> Iterator[Finding]:
    """Text where most values are numbers but not nine in ten."""
    values = [v.strip() for v in facts.sample.values if v.strip()]
    if len(values) < 20 or facts.profile.meaning:
        return
    numbers = sum(1 for v in values if re.fullmatch(r"-?\d+(\.\d+)?", v))
    if 0.5 * len(values) <= numbers < 0.9 * len(values):
        odd = next((v for v in values if not re.fullmatch(r"-?\d+(\.\d+)?", v)), "")
        yield facts.make("mixed_types", "medium", f"mixes numbers ({numbers / len(values):.0%} of distinct values) with words", round(facts.scanned.filled * (1 - numbers / len(values))),
                         example=odd, show=facts.show(f"TRY_CAST({facts.name} AS DOUBLE) IS NULL AND {facts.name} IS NOT NULL"), is_exact=False)  # fmt: skip


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
    if s.beyond_2_53:
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
        yield facts.make("outliers", "low", f"has values beyond three interquartile ranges (below {f.low:g} or above {f.high:g})", s.outliers,
                         example=f"{s.min} … {s.max}", show=facts.show(f"{c} < {f.low!r} OR {c} > {f.high!r}"))  # fmt: skip
    is_odd = bool(_NEVER_NEGATIVE.search(facts.shape.name))
    if 0 < s.negatives <= (0.2 if is_odd else 0.005) * s.filled:
        yield facts.make("few_negatives", "medium" if is_odd else "low", "has a few negative values", s.negatives,
                         example=s.min or "", show=facts.show(f"{c} < 0"), mend=f"abs({c})")  # fmt: skip


def _marker(facts: ColumnFacts) -> Iterator[Finding]:
    c, s = facts.name, facts.scanned
    marked = [v for v in facts.sample.top if v.value in _MARKERS]
    for marker in marked[:1]:
        edge = (
            marker.value in {s.min, s.max}
            or (s.min is not None and _same(marker.value, s.min))
            or (s.max is not None and _same(marker.value, s.max))
        )
        far = facts.fences is None or not facts.fences.low <= float(marker.value) <= facts.fences.high
        if edge and far and marker.rows >= 2:
            rows = round(marker.rows / max(1, facts.sampled_rows) * facts.rows)
            yield facts.make("marker_value", "medium", f"uses {marker.value} where a value seems to be missing", rows, example=marker.value,
                             show=facts.show(f"{c} = {marker.value}"), mend=f"nullif({c}, {marker.value})", is_exact=facts.sampled_rows == facts.rows)  # fmt: skip


def _is_code(facts: ColumnFacts) -> bool:
    return (
        bool(re.search(r"(?i)(^|_)(id|key|code|zip|year)$|_id$", facts.shape.name)) and facts.shape.family == "integer"
    )


def _same(left: str, right: str) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return False


def _in_times(facts: ColumnFacts) -> Iterator[Finding]:
    c, s = facts.name, facts.scanned
    if s.in_future and not re.search(
        r"(?i)due|expir|valid|until|end|plan|next|deadline|delivery|maturity|forecast", facts.shape.name
    ):
        yield facts.make(
            "future_dates",
            "medium",
            "has dates in the future",
            s.in_future,
            example=s.max or "",
            show=facts.show(f"{c} > current_date"),
        )
    if s.placeholder_dates:
        condition = f"CAST({c} AS DATE) IN (DATE '1900-01-01', DATE '1970-01-01', DATE '1899-12-30', DATE '9999-12-31', DATE '1753-01-01')"
        yield facts.make("placeholder_dates", "medium", "has dates such as 1970-01-01 that usually stand for none", s.placeholder_dates,
                         show=facts.show(condition), mend=f"CASE WHEN NOT ({condition}) THEN {c} END")  # fmt: skip


def masked_example(sample: ColumnSample) -> str | None:
    """The shape of a typical value, never the value itself."""
    return mask(sample.top[0].value) if sample.top else None
