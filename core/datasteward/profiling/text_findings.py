"""What is wrong or odd in a text column."""

from collections.abc import Iterator

from datasteward.intake.column_types import NULL_SPELLINGS
from datasteward.intake.sql_text import quote_text
from datasteward.profiling.column_facts import ColumnFacts
from datasteward.profiling.figures import format_share
from datasteward.profiling.misfits import Misfits
from datasteward.profiling.model import Finding, Severity
from datasteward.profiling.spelling import damage_test, find_slips, find_variants, is_damaged
from datasteward.profiling.text_types import HiddenType

_HUGE = 100_000
_USUAL = 0.9
_MAYBE_VALUES = frozenset({"none", "None", "unknown", "missing", "Missing", "."})


def find_in_text(facts: ColumnFacts) -> Iterator[Finding]:
    """Every finding that only text can have."""
    c, s = facts.name, facts.scanned
    yield from _missing(facts)
    if s.padded:
        show = facts.show(f"{c} LIKE ' %' OR {c} LIKE '% '")
        yield facts.make("padding", "low", "has spaces at the start or end", s.padded, show=show, mend=f"trim({c})")
    if s.damaged:
        example = next((v for v in facts.sample.values if is_damaged(v)), "")
        yield facts.make("damaged_text", "medium", "has letters broken by a wrong encoding", s.damaged, example=example,
                         show=facts.show(damage_test(c)))  # fmt: skip
    yield from _personal(facts)
    if facts.hidden and facts.shape.type == "VARCHAR":
        yield from _hidden(facts, facts.hidden)
    if facts.shape.type == "VARCHAR" and not facts.hidden:
        yield from _spellings(facts)
        yield from _mixed(facts)
    if s.longest and s.longest > _HUGE:
        show = facts.show(f"length({c}) = {s.longest}")
        yield facts.make("huge_value", "low", f"has a value of {s.longest:,} characters", 1, show=show)


def _missing(facts: ColumnFacts) -> Iterator[Finding]:
    """Missing values that are written as text or as nothing."""
    c, s, meaning = facts.name, facts.scanned, facts.profile.meaning
    seen = {v.value for v in facts.sample.top} | set(facts.sample.values) | set(dict(s.histogram))
    words = [w for w in NULL_SPELLINGS if w in seen]
    is_namibia = meaning is not None and meaning.kind == "country" and words == ["NA"]
    if s.spelled_null and not is_namibia:
        listed = ", ".join(quote_text(w) for w in words or NULL_SPELLINGS)
        is_name = meaning is not None and meaning.kind == "person name"
        severity: Severity = "low" if is_name or (words and set(words) <= _MAYBE_VALUES) else "medium"
        yield facts.make("null_spelling", severity, "spells missing values as text", s.spelled_null, example=", ".join(words[:4]),
                         show=facts.show(f"{c} IN ({listed})"), mend=f"CASE WHEN {c} NOT IN ({listed}) THEN {c} END")  # fmt: skip
    if s.blank:
        beside = " beside NULL" if s.filled < facts.rows else ""
        show = facts.show(f"{c} = ''")
        yield facts.make("blank", "low", f"holds empty strings{beside}", s.blank, show=show, mend=f"nullif({c}, '')")


def _personal(facts: ColumnFacts) -> Iterator[Finding]:
    """Personal data inside running text."""
    inside = facts.inside
    if inside is not None:
        show = facts.show(f"regexp_matches({facts.name}, {quote_text(inside.pattern)})")
        yield facts.make("personal_in_text", "medium", f"holds {inside.kind} inside its text", facts.estimate(inside.rows),
                         show=show, is_exact=not facts.is_sampled)  # fmt: skip


def _hidden(facts: ColumnFacts, hidden: HiddenType) -> Iterator[Finding]:
    c, misfits = facts.name, facts.misfits
    code = "date_as_text" if hidden.kind == "date" else f"{hidden.kind}_as_text"
    rows = facts.scanned.filled - facts.scanned.spelled_null - facts.scanned.blank
    odd = facts.show(f"{c} IS NOT NULL AND ({hidden.sql}) IS NULL")
    if misfits is not None:
        rows -= facts.estimate(misfits.rows)
    unfit = {*NULL_SPELLINGS, "", misfits.usual if misfits else ""}
    example = next((v.value for v in facts.sample.top if v.value.strip() not in unfit), "")
    yield facts.make(code, "medium", f"is text but holds {hidden.note}{_told_loss(facts)}", max(1, rows), example=example, show=odd,
                     mend=f"{hidden.sql} AS {c}" if _may_mend(misfits) else "", is_exact=not facts.is_sampled)  # fmt: skip
    if hidden.is_ambiguous:
        yield facts.make("ambiguous_dates", "high", "has dates that read both as day/month and month/day", max(1, rows),
                         example=example, is_exact=False)  # fmt: skip
    if hidden.is_mixed:
        yield facts.make("mixed_dates", "high", f"mixes {hidden.note}", max(1, rows), example=example, is_exact=False)  # fmt: skip
    if misfits is None or not misfits.rows:
        return
    share = misfits.rows / max(1, facts.sampled_rows)
    if misfits.usual_rows >= _USUAL * misfits.rows and misfits.usual_rows >= 3 and share >= 0.005:
        value = quote_text(misfits.usual)
        is_shown = not facts.profile.is_sensitive
        yield facts.make("placeholder_text", "medium", "has one word where a value seems to be missing", facts.estimate(misfits.rows),
                         example=misfits.usual, show=facts.show(f"{c} = {value}") if is_shown else odd,
                         mend=f"nullif({c}, {value})" if is_shown else "", is_exact=not facts.is_sampled)  # fmt: skip
    else:
        yield facts.make("mixed_types", "medium", f"has values that are not {hidden.note}", facts.estimate(misfits.rows),
                         example=misfits.usual, show=odd, is_exact=not facts.is_sampled)  # fmt: skip


def _may_mend(misfits: Misfits | None) -> bool:
    """Whether the rows that a conversion turns to NULL are counted and fewer than those it converts."""
    return misfits is not None and misfits.rows < misfits.fitting_rows


def _told_loss(facts: ColumnFacts) -> str:
    """How many rows hold something that becomes NULL by the conversion offered; nothing where none does."""
    misfits = facts.misfits
    if misfits is None or not misfits.rows or not _may_mend(misfits):
        return ""
    rows = facts.estimate(misfits.rows)
    about = "about " if facts.is_sampled else ""
    return f"; converting makes {about}{rows:,} other row{'' if rows == 1 else 's'} NULL"


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
    """Text where most distinct values are numbers but not nine in ten; the share told is that of rows."""
    misfits = facts.misfits
    if facts.number_test is None or misfits is None or not misfits.rows or facts.profile.meaning:
        return
    share = misfits.fitting_rows / max(1, facts.sampled_rows)
    yield facts.make("mixed_types", "medium", f"mixes numbers ({format_share(share)} of {'the sampled ' if facts.is_sampled else ''}rows) with words",
                     facts.estimate(misfits.rows), example=misfits.usual, is_exact=not facts.is_sampled,
                     show=facts.show(f"{facts.name} IS NOT NULL AND ({facts.number_test}) IS NULL"))  # fmt: skip
