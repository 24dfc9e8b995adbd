"""Finding the number, date, boolean or JSON that a text column hides, and the SQL expression that brings it out."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from datasteward.intake.column_types import NULL_SPELLINGS, is_text_by_name
from datasteward.intake.sql_text import quote_name, quote_text

MISSING_WORDS = frozenset(w.lower() for w in NULL_SPELLINGS) | {
    "",
    "not available",
    "not applicable",
    "tbd",
    "undefined",
}
_NEED = 0.9
_NUMBER = r"-?[0-9]+(\.[0-9]+)?"
_LEAST_MIXED = 20
_HEAD = 16
_BOOLEANS = (
    ("yes", "no"),
    ("y", "n"),
    ("true", "false"),
    ("t", "f"),
    ("ja", "nein"),
    ("oui", "non"),
    ("si", "no"),
    ("on", "off"),
)
_UNIT_NUMBER = r"-?\d+(\.\d+|,\d{1,2})?"
"""A comma before three digits may part thousands or decimals: such a number is not taken."""
_UNIT = re.compile(r"-?\d+(?:[.,]\d+)?\s*([A-Za-z%°µ]{1,10})\.?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenType:
    """What text really holds: a kind, the SQL type, the expression that makes it, and the share of values that fit."""

    kind: str
    type: str
    sql: str
    share: float
    note: str = ""
    is_ambiguous: bool = False
    is_mixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """A way to write numbers: the pattern of a whole trimmed value, and how `{c}`, a value like that, is converted."""

    kind: str
    type: str
    pattern: str
    convert: str
    note: str


_GROUPED = r"(\d{1,3}(,\d{3})+|\d+)"
_SHAPES = (
    _Shape(kind="integer", type="BIGINT", pattern=r"-?(0|[1-9]\d{0,17})", note="whole numbers", convert="{c}::BIGINT"),
    _Shape(kind="decimal", type="DOUBLE", pattern=r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?", note="decimal numbers",
           convert="TRY_CAST({c} AS DOUBLE)"),
    _Shape(kind="thousands", type="DOUBLE", pattern=r"-?\d{1,3}(,\d{3})*(\.\d+)?|-?\d+(\.\d+)?", note="commas as thousands separators",
           convert="TRY_CAST(replace({c}, ',', '') AS DOUBLE)"),
    _Shape(kind="decimal_comma", type="DOUBLE", pattern=r"-?\d{1,3}(\.\d{3})*(,\d+)?|-?\d+(,\d+)?", note="decimal commas",
           convert="TRY_CAST(replace(replace({c}, '.', ''), ',', '.') AS DOUBLE)"),
    _Shape(kind="money", type="DECIMAL(18,2)", note="amounts of money",
           pattern=rf"[-(]?\s?([$€£¥]|USD|EUR|GBP|CHF)\s?-?{_GROUPED}(\.\d{{1,2}})?\)?|-?{_GROUPED}(\.\d{{1,2}})?\s?([$€£¥]|USD|EUR|GBP|CHF)",
           convert="TRY_CAST(regexp_replace(replace({c}, '(', '-'), '[^-0-9.]', '', 'g') AS DECIMAL(18,2))"),
    _Shape(kind="percent", type="DOUBLE", pattern=rf"-?{_GROUPED}(\.\d+)?\s?%", note="percentages",
           convert="TRY_CAST(regexp_replace({c}, '[^-0-9.]', '', 'g') AS DOUBLE) / 100"),
    _Shape(kind="mixed_percent", type="DOUBLE", pattern=r"-?(0|[1-9]\d*)(\.\d+)?\s?%?", note="numbers, some with a % sign",
           convert="TRY_CAST(replace({c}, '%', '') AS DOUBLE)"),
    _Shape(kind="magnitude", type="DOUBLE", pattern=r"[$€£]?-?\d+(\.\d+)?\s?[kKmMbB]n?", note="numbers with k, M or B",
           convert="TRY_CAST(regexp_extract({c}, '-?[0-9.]+') AS DOUBLE) * CASE lower(regexp_extract({c}, '([kmbKMB])n?$', 1)) WHEN 'k' THEN 1e3 WHEN 'm' THEN 1e6 WHEN 'b' THEN 1e9 END"),
)  # fmt: skip

_DATES = (
    ("%Y-%m-%d", re.compile(r"\d{4}-\d{1,2}-\d{1,2}")),
    ("%d/%m/%Y", re.compile(r"\d{1,2}/\d{1,2}/\d{4}")),
    ("%m/%d/%Y", re.compile(r"\d{1,2}/\d{1,2}/\d{4}")),
    ("%d.%m.%Y", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")),
    ("%d-%m-%Y", re.compile(r"\d{1,2}-\d{1,2}-\d{4}")),
    ("%m-%d-%Y", re.compile(r"\d{1,2}-\d{1,2}-\d{4}")),
    ("%Y/%m/%d", re.compile(r"\d{4}/\d{1,2}/\d{1,2}")),
    ("%Y%m%d", re.compile(r"(?:19|20)\d{2}[01]\d[0-3]\d")),
    ("%d %b %Y", re.compile(r"\d{1,2} [A-Za-z]{3} \d{4}")),
    ("%d %B %Y", re.compile(r"\d{1,2} [A-Za-z]{4,9} \d{4}")),
    ("%b %d, %Y", re.compile(r"[A-Za-z]{3} \d{1,2}, \d{4}")),
    ("%B %d, %Y", re.compile(r"[A-Za-z]{4,9} \d{1,2}, \d{4}")),
    ("%d-%b-%Y", re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{4}")),
    ("%d-%b-%y", re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{2}")),
    ("%m/%d/%y", re.compile(r"\d{1,2}/\d{1,2}/\d{2}")),
    ("%d/%m/%y", re.compile(r"\d{1,2}/\d{1,2}/\d{2}")),
    ("%d.%m.%y", re.compile(r"\d{1,2}\.\d{1,2}\.\d{2}")),
)  # fmt: skip
_WORDS_OF_LAYOUT = (
    ("%d", "DD"), ("%m", "MM"), ("%Y", "YYYY"), ("%y", "YY"), ("%b", "Mon"), ("%B", "Month"), ("%H", "hh"), ("%I", "hh"),
    ("%M", "mm"), ("%S", "ss"), ("%p", "AM/PM"),
)  # fmt: skip
_LIKE_A_DATE = re.compile(r"\d{1,4}[-/. ]([A-Za-z]{3,9}|\d{1,2})[-/. ]\d{2,4}|\d{8}|[A-Za-z]{3,9} \d{1,2}, \d{4}")
_CLOCKS = (
    ("", ""),
    (" %H:%M:%S", r"[ T]\d{1,2}:\d{2}:\d{2}(?:\.\d+)?"),
    (" %H:%M", r"[ T]\d{1,2}:\d{2}"),
    (" %I:%M %p", r" \d{1,2}:\d{2} [AaPp][Mm]"),
)
_AMBIGUOUS = ({"%d/%m/%Y", "%m/%d/%Y"}, {"%d-%m-%Y", "%m-%d-%Y"}, {"%d/%m/%y", "%m/%d/%y"})


def filled_values(values: Sequence[str]) -> list[str]:
    """The trimmed values that are not blank and no spelling of a missing value."""
    return [v for v in (x.strip() for x in values) if v.lower() not in MISSING_WORDS]


def find_hidden_type(name: str, values: Sequence[str]) -> HiddenType | None:
    """What the distinct text `values` of column `name` really are when nine in ten agree; None when they are words."""
    filled = filled_values(values)
    if len(filled) < 2:
        return None
    for find in (_find_boolean, _find_date, _find_number, _find_json, _find_unit):
        hidden = find(name, filled)
        if hidden:
            return hidden
    return None


def find_number_test(name: str, values: Sequence[str]) -> str | None:
    """An SQL expression, not NULL for the numbers, where at least half but not nine in ten of the distinct text `values` are."""
    filled = filled_values(values)
    numbers = sum(1 for v in filled if re.fullmatch(_NUMBER, v))
    if len(filled) < _LEAST_MIXED or not 0.5 * len(filled) <= numbers < _NEED * len(filled):
        return None
    return f"CASE WHEN regexp_full_match(trim({quote_name(name)}), {quote_text(_NUMBER)}) THEN true END"


def _share(filled: Sequence[str], test: Callable[[str], object]) -> float:
    """The share of values that pass; 0 without trying all when hardly one of the first does."""
    head = filled[:_HEAD]
    if sum(1 for v in head if test(v)) < 0.5 * len(head):
        return 0.0
    return sum(1 for v in filled if test(v)) / len(filled)


def _convert_whole(name: str, pattern: str, convert: str) -> str:
    """SQL that converts the trimmed values `pattern` matches from end to end, and gives NULL for all others."""
    value = f"trim({quote_name(name)})"
    return f"CASE WHEN regexp_full_match({value}, {quote_text(pattern)}) THEN {convert.format(c=value)} END"


def _find_number(name: str, filled: list[str]) -> HiddenType | None:
    if sum(any(c.isdigit() for c in v) for v in filled) < _NEED * len(filled):
        return None
    if is_text_by_name(name) or any(re.fullmatch(r"0\d+", v) for v in filled):
        return None
    best: HiddenType | None = None
    for shape in _SHAPES:
        share = _share(filled, re.compile(shape.pattern).fullmatch)
        if share >= _NEED and (best is None or share > best.share) and (best is None or best.share < 1):
            best = HiddenType(
                kind=shape.kind,
                type=shape.type,
                sql=_convert_whole(name, shape.pattern, shape.convert),
                share=share,
                note=shape.note,
            )
    return best


def _find_boolean(name: str, filled: list[str]) -> HiddenType | None:
    words = {v.lower() for v in filled}
    for yes, no in _BOOLEANS:
        if words == {yes, no}:
            c = quote_name(name)
            sql = f"CASE lower(trim({c})) WHEN {quote_text(yes)} THEN true WHEN {quote_text(no)} THEN false END"
            return HiddenType(kind="boolean", type="BOOLEAN", sql=sql, share=1.0, note=f"{yes}/{no}")
    return None


def _find_json(name: str, filled: list[str]) -> HiddenType | None:
    share = _share(filled, lambda v: (v[0] == "{" and v[-1] == "}") or (v[0] == "[" and v[-1] == "]" and '"' in v))
    if share < _NEED:
        return None
    return HiddenType(
        kind="json", type="JSON", sql=f"TRY_CAST({quote_name(name)} AS JSON)", share=share, note="JSON documents"
    )


def _find_unit(name: str, filled: list[str]) -> HiddenType | None:
    """Numbers with a unit; only those with the most frequent unit are converted, as others measure something else."""
    spellings = Counter(m.group(1) for m in map(_UNIT.fullmatch, filled) if m)
    units = Counter(_singular(u) for u in spellings.elements())
    found = units.total()
    usual = [u for u, n in units.items() if n >= 0.02 * found]
    if found < 0.8 * len(filled) or not 0 < len(usual) <= 6 or len(filled) < 3:
        return None
    unit = units.most_common(1)[0][0]
    plural = "s?" if len(unit) > 1 and unit.isalpha() else ""
    pattern = rf"{_UNIT_NUMBER}\s*(?i:{re.escape(unit)}{plural})\.?"
    share = sum(1 for v in filled if re.fullmatch(pattern, v)) / len(filled)
    if not share:
        return None
    return HiddenType(
        kind="number_with_unit",
        type="DOUBLE",
        sql=_convert_whole(name, pattern, "TRY_CAST(replace(regexp_extract({c}, '-?[0-9.,]+'), ',', '.') AS DOUBLE)"),
        share=share,
        note=f"numbers with a unit ({next(u for u, _ in spellings.most_common() if _singular(u) == unit)})",
    )


def _singular(unit: str) -> str:
    return unit.lower().removesuffix("s") if len(unit) > 2 else unit.lower()


def _find_date(name: str, filled: list[str]) -> HiddenType | None:
    if _share(filled, _LIKE_A_DATE.match) < _NEED:
        return None
    for clock, extra in _CLOCKS:
        hits = {f: _date_hits(f, clock, pattern, extra, filled) for f, pattern in _DATES}
        hits = {f: h for f, h in hits.items() if h}
        if not hits:
            continue
        covered = set().union(*hits.values())
        if len(covered) < _NEED * len(filled):
            continue
        if set(hits) == {"%Y%m%d"} and not re.search(r"(?i)date|day|_dt|^dt|dat", name):
            continue
        return _date_type(name, filled, hits, covered, clock)
    return None


def _date_hits(layout: str, clock: str, pattern: re.Pattern[str], extra: str, filled: list[str]) -> set[int]:
    whole = re.compile(pattern.pattern + extra)
    return {i for i, v in enumerate(filled) if whole.fullmatch(v) and _parses(v, layout, clock)}


def _parses(value: str, layout: str, clock: str) -> bool:
    text = re.sub(r"\.\d+$", "", value.replace("T", " ")) if clock else value
    try:
        datetime.strptime(text, layout + clock)
    except ValueError:
        return False
    return True


def _readable(layout: str) -> str:
    for code, word in _WORDS_OF_LAYOUT:
        layout = layout.replace(code, word)
    return layout


def _date_type(name: str, filled: list[str], hits: dict[str, set[int]], covered: set[int], clock: str) -> HiddenType:
    needed: list[str] = []
    left = set(covered)
    for layout in sorted(hits, key=lambda f: -len(hits[f])):
        if left & hits[layout]:
            needed.append(layout)
            left -= hits[layout]
    ambiguous = any(len(pair & set(hits)) == 2 and hits[min(pair)] == hits[max(pair)] for pair in _AMBIGUOUS)
    clashing = any(pair <= set(needed) for pair in _AMBIGUOUS)
    c, target = quote_name(name), "TIMESTAMP" if clock else "DATE"
    parts = ", ".join(f"try_strptime(trim({c}), {quote_text(f + clock)})" for f in needed)
    sql = f"CAST(coalesce({parts}) AS {target})"
    note = "dates written " + " and ".join(_readable(f + clock) for f in needed)
    return HiddenType(
        kind="date", type=target, sql=sql, share=len(covered) / len(filled), note=note,
        is_ambiguous=ambiguous or clashing, is_mixed=len(needed) > 1,
    )  # fmt: skip
