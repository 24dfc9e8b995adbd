"""Finding the figures of a text: numbers with their unit, scale, sign and rounding, and dates."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from datasteward.evidence.dates import find_dates
from datasteward.evidence.model import Figure, Leaning, Unit
from datasteward.evidence.passages import find_masked

_GROUPED = r"\d{1,3}(?:(?P<mark>[,.'’\u00a0\u202f ])\d{3})(?:(?P=mark)\d{3})*(?!\d)(?:[.,]\d+)?"
_INDIAN = r"\d{1,2}(?:,\d{2}){1,8},\d{3}(?:\.\d+)?"
_NUMBER = re.compile(rf"{_INDIAN}|{_GROUPED}|\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?|\.\d+")
_CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr"}
_CODES = "USD|EUR|GBP|JPY|INR|CHF|CAD|AUD|CNY|SEK|NOK|DKK|PLN|BRL|US\\$|dollars?|euros?|pounds?"
_WORDED = {
    "us$": "usd",
    "dollar": "usd",
    "dollars": "usd",
    "euro": "eur",
    "euros": "eur",
    "pound": "gbp",
    "pounds": "gbp",
}
_BEFORE = re.compile(rf"(?:(?P<sign>[-−+])\s?)?(?P<money>[$€£¥₹]|\b(?:{_CODES})\s?)?(?P<inner>[-−+]|(?<=[\s(\[|~])–)?$")
_SCALE = re.compile(
    r"[\s\u00a0\u202f]?(?P<scale>thousand|million|billion|trillion|Mio\.?|Mrd\.?|mn|mln|bn|tn|tsd)\b|(?P<tight>[kKMBm])(?![\w%])"
    r"|[ \u00a0\u202f](?P<loose>[kKMB])(?![\w%'’])",
    re.IGNORECASE,
)
_SCALES = {
    "k": 3, "thousand": 3, "tsd": 3, "m": 6, "million": 6, "mio": 6, "mn": 6, "mln": 6,
    "b": 9, "bn": 9, "billion": 9, "mrd": 9, "tn": 12, "trillion": 12,
}  # fmt: skip
_POINTS = re.compile(
    r"[\s\u00a0]?(?:percentage[- ]points?|%[- ]?(?:points?|pts?)|pp\b|p\.p\.|ppts?\b|points?\b|pts\b)", re.I
)
_BASIS = re.compile(r"[\s\u00a0]?(?:bps?\b|basis points?)", re.I)
_PERCENT = re.compile(r"[\s\u00a0\u202f]?(?:%|per ?cent\b|pct\b|Prozent\b|pour cent\b)", re.I)
_TIMES = re.compile(r"\s?(?:x\b|×|times\b(?! (?:a|per|in|during)\b)|[- ]?fold\b)", re.I)
_MONEY_AFTER = re.compile(rf"[\s\u00a0]?(?:(?P<symbol>[€$£¥₹])|(?P<code>{_CODES})\b)", re.I)
_ABOUT = re.compile(
    r"(?:\b(?:about|around|roughly|approximately|approx\.?|circa|ca\.|some|close to|or so)|[~≈])\s*$", re.I
)
_OVER = re.compile(r"\b(?:over|more than|above|at least|just over|exceed(?:s|ed|ing)?|upwards of)\s*$", re.I)
_UNDER = re.compile(r"\b(?:nearly|almost|just under|under|below|less than|fewer than|up to|not quite)\s*$", re.I)
_COMMA_DECIMAL = re.compile(r"\d\.\d{3},\d|(?<![\d,.])\d+,(?:\d{1,2}|\d{4,})(?![\d,])")
_POINT_DECIMAL = re.compile(r"\d,\d{3}\.\d|(?<![\d,.])\d+\.(?:\d{1,2}|\d{4,})(?![\d.])")
MOST_DIGITS = 60
"""A longer run of digits, and an exponent beyond 99, is no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    value: Decimal
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suffix:
    end: int
    unit: Unit
    scale: Decimal
    currency: str | None


def find_figures(text: str, most: int | None = None) -> tuple[Figure, ...]:
    """The figures of `text` by position: numbers, percentages, money, multiples, years and dates.

    Code, SQL, links, handles, ordinals, list numbers and version numbers are not figures; identifiers, clock times
    and choices such as "top 5" are, with `skip_reason`. Numbers written in words are not found. With `most`, only the first so many.
    """
    masked = find_masked(text)
    figures = [
        Figure(start=d.start, end=d.end, text=text[d.start : d.end], value=Decimal(0), unit="date", dates=d.readings)
        for d in find_dates(masked)
    ]
    characters = list(masked)
    for figure in figures:
        characters[figure.start : figure.end] = "\x00" * (figure.end - figure.start)
    rest = "".join(characters)
    is_comma = bool(_COMMA_DECIMAL.search(rest)) and not re.search(r"\d,\d{3}\.\d", rest)
    is_sure = is_comma or bool(_POINT_DECIMAL.search(rest))
    figures.extend(islice(_find_numbers(text, rest, is_comma=is_comma, is_sure=is_sure), most))
    return tuple(sorted(figures, key=lambda f: f.start)[:most])


def _find_numbers(text: str, rest: str, *, is_comma: bool, is_sure: bool) -> Iterator[Figure]:
    position = free_from = 0
    while match := _NUMBER.search(rest, position):
        start, end = match.span()
        position = end
        if _is_label_digit(rest, start, end):
            continue
        figure = _read_number(
            text, rest, free_from, start, end, _readings(match.group(), is_comma=is_comma, is_sure=is_sure)
        )
        if figure is not None:
            position = free_from = max(position, figure.end)
            yield figure


def _is_label_digit(rest: str, start: int, end: int) -> bool:
    """Digits that are part of a word: COVID-19, B2B, 3rd, 2x4, #12."""
    before, after = rest[max(0, start - 2) : start], rest[end : end + 4]
    if before[-1:].isalpha() or before[-1:] in ("_", "#", "@", "."):
        return not re.search(rf"(?:{_CODES})$", rest[max(0, start - 7) : start])
    if len(before) == 2 and before[1] == "-" and before[0].isalnum() and not before[0].isdigit():
        return True
    return bool(re.match(r"(?:st|nd|rd|th)\b|[A-Za-z]\d|-[A-Za-z](?!old)", after)) and not re.match(r"-fold", after)


def _readings(digits: str, *, is_comma: bool, is_sure: bool) -> list[_Reading]:
    if len(digits) > MOST_DIGITS:
        return []
    digits = re.sub(r"['’\u00a0\u202f ]", "", digits)
    if "e" in digits.lower():
        if len(re.split("[eE][+-]?0*", digits)[1]) > 2:
            return []
        return [_Reading(value=Decimal(digits), decimals=max(0, -int(Decimal(digits).as_tuple().exponent)))]
    point = _as_decimal(digits, decimal=".", group=",")
    comma = _as_decimal(digits, decimal=",", group=".")
    if point is None or comma is None:
        return [r for r in (point, comma) if r is not None]
    if point == comma or (not is_sure and "," in digits):
        return [point]
    if is_sure:
        return [comma if is_comma else point]
    return [point, comma]


def _as_decimal(digits: str, *, decimal: str, group: str) -> _Reading | None:
    whole, _, fraction = digits.partition(decimal)
    if group in fraction or decimal in fraction:
        return None
    if group in whole and not re.fullmatch(
        rf"\d{{1,3}}(?:{re.escape(group)}\d{{2,3}})*{re.escape(group)}\d{{3}}", whole
    ):
        return None
    return _Reading(value=Decimal(f"{whole.replace(group, '') or '0'}.{fraction or '0'}"), decimals=len(fraction))


def _read_number(text: str, rest: str, free_from: int, start: int, end: int, readings: list[_Reading]) -> Figure | None:
    if not readings:
        return None
    before = _BEFORE.search(rest, max(free_from, start - 9), start)
    sign = (before["sign"] or before["inner"]) if before else None
    head = before.start() if before else start
    if sign and not before["money"] and re.match(r"[\w)\]%]", rest[head - 1 : head] or " "):  # type: ignore[index]
        head, sign = start, None  # a range such as 10-20
    suffix = _read_suffix(rest, end, before["money"] if before else None)
    first, factor = readings[0], suffix.scale * (-1 if sign in ("-", "−", "–") else 1)
    is_bracketed = rest[head - 1 : head] == "(" and rest[suffix.end : suffix.end + 1] == ")"
    values = [r.value * factor for r in readings]
    if is_bracketed and sign is None:
        values = _bracket_values(values, rest, head, suffix)
    unit: Unit = suffix.unit
    digits = rest[start:end]
    if unit == "plain" and suffix.scale == 1 and not sign and re.fullmatch(r"(?:19|20)\d\d", digits):
        unit = "year"
    return Figure(
        start=head,
        end=suffix.end,
        text=text[head : suffix.end].strip(),
        value=values[0],
        decimals=first.decimals,
        scale=abs(suffix.scale),
        unit=unit,
        currency=suffix.currency,
        leaning=_leaning(rest[max(0, head - 18) : head]),
        has_sign=sign is not None,
        alternates=tuple(values[1:]),
        skip_reason=_skip_reason(rest, head, suffix.end, unit),
    )


def _bracket_values(values: list[Decimal], rest: str, head: int, suffix: _Suffix) -> list[Decimal]:
    """Brackets negate in a table cell or round money; in prose both signs are readings."""
    line = rest[rest.rfind("\n", 0, head) + 1 : head].lstrip()
    negated = [-v for v in values]
    if line.startswith("|"):
        return negated
    return [*negated, *values] if suffix.currency else [*values, *negated]


def _read_suffix(rest: str, end: int, money: str | None) -> _Suffix:
    currency = _currency(money) if money else None
    scale = Decimal(1)
    if found := _SCALE.match(rest, end):
        word = next(g for g in found.groups() if g).rstrip(".").casefold()
        if found["tight"] != "m" or currency or rest[end - 2 : end - 1] == ".":
            scale, end = Decimal(10) ** _SCALES[word], found.end()
    for pattern, unit, factor in _UNITS:
        if found := pattern.match(rest, end):
            return _Suffix(end=found.end(), unit=unit, scale=scale * factor, currency=currency)
    if found := _MONEY_AFTER.match(rest, end):
        currency = _currency(found.group())
        end = found.end()
    return _Suffix(end=end, unit="currency" if currency else "plain", scale=scale, currency=currency)


_UNITS: tuple[tuple[re.Pattern[str], Unit, Decimal], ...] = (
    (_BASIS, "points", Decimal("0.01")),
    (_POINTS, "points", Decimal(1)),
    (_PERCENT, "percent", Decimal(1)),
    (_TIMES, "times", Decimal(1)),
)


def _currency(written: str) -> str:
    name = written.strip().casefold()
    return _CURRENCIES.get(name) or _WORDED.get(name) or name


def _leaning(before: str) -> Leaning:
    for pattern, leaning in _LEANINGS:
        if pattern.search(before):
            return leaning
    return "exact"


_LEANINGS: tuple[tuple[re.Pattern[str], Leaning], ...] = ((_OVER, "over"), (_UNDER, "under"), (_ABOUT, "about"))
_CHOICE = re.compile(
    r"\b(?:top|first|last|next|bottom|past|previous|step|page|rank(?:ed)?|row|no\.|number|line|version|part)[ -]$", re.I
)
_IDENTITY = re.compile(r"(?:\b(?:id|sku|ref|code|zip|issue|ticket|phone|isbn|port)s?[ :#=]*|#)$", re.I)


def _skip_reason(rest: str, start: int, end: int, unit: Unit) -> str | None:
    before, after = rest[max(0, start - 14) : start], rest[end : end + 3]
    if unit not in ("plain", "year"):
        return None
    if re.match(r":\d\d", after) or re.search(r"\d:$", before):
        return "a clock time or a proportion"
    if _CHOICE.search(before):
        return "a choice or a place in an order, not a measurement"
    if _IDENTITY.search(before):
        return "an identifier"
    if re.match(r"\.\d", after) or re.search(r"\d\.$", before):
        return "a version or an address"
    return None
