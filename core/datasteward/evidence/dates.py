"""Dates as people write them, and how a written date is held against a cell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from datasteward.evidence.model import DateReading

_MONTHS = {
    1: "january jan januar janvier enero ene gennaio",
    2: "february feb februar février fevrier febrero febbraio",
    3: "march mar märz maerz mars marzo",
    4: "april apr avril abril abr aprile",
    5: "may mai mayo maggio",
    6: "june jun juni juin junio giugno",
    7: "july jul juli juillet julio luglio",
    8: "august aug août aout agosto ago",
    9: "september sep sept septembre septiembre settembre",
    10: "october oct oktober okt octobre octubre ottobre",
    11: "november nov novembre noviembre",
    12: "december dec dezember dez décembre decembre diciembre dic dicembre",
}
_MONTH_NUMBERS = {name: number for number, names in _MONTHS.items() for name in names.split()}
MONTH_NAMES = {name: number for number, names in _MONTHS.items() for name in names.split()[:2]}
"""English names of the months and their short forms, in small letters."""
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True)) + r")\.?"
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])"
_YEAR = r"(?P<year>(?:1[89]|20|21)\d\d)"
_CLOCK = r"(?:[T ](?P<clock>\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
_SPELLINGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![\w.]){_YEAR}-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01]){_CLOCK}(?!\w)",
        rf"(?<![\w.]){_YEAR}/(?P<month>0?[1-9]|1[0-2])/(?P<day>[12]\d|3[01]|0?[1-9])(?![\w/])",
        rf"(?<![\w.]){_DAY}\.(?P<month>1[0-2]|0?[1-9])\.{_YEAR}(?!\w)",
        rf"(?<![\w./])(?P<first>\d\d?)/(?P<second>\d\d?)/{_YEAR}(?![\w/])",
        rf"(?<![\w.]){_DAY}(?:st|nd|rd|th|er|\.)?(?: of| de)? {_MONTH},?(?: de)? {_YEAR}(?!\w)",
        rf"(?<!\w){_MONTH} {_DAY}(?:st|nd|rd|th)?,? {_YEAR}(?!\w)",
        rf"(?<!\w){_MONTH},?(?: of| de)? {_YEAR}(?!\w)",
        rf"(?<![\w.]){_YEAR}-(?P<month>0[1-9]|1[0-2])(?![\w-])",
        rf"(?<!\w)Q(?P<quarter>[1-4])[ -/]?{_YEAR}(?!\w)",
        rf"(?<![\w.]){_YEAR}[ -]?Q(?P<quarter>[1-4])(?!\w)",
        rf"(?<![\w.,]){_DAY}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?!\w)",
        rf"(?<!\w){_MONTH} {_DAY}(?:st|nd|rd|th)?(?![\w,.]*\d)(?!\w)(?! ?%)",
    )
)
_CELL = re.compile(r"(\d{4,})-(\d\d)(?:-(\d\d)(?:[ T](\d\d:\d\d:\d\d(?:\.\d+)?))?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDate:
    """Where a date stands in a text, and how it may be read (two ways for 03/04/2024)."""

    start: int
    end: int
    readings: tuple[DateReading, ...]


def find_dates(text: str) -> Iterator[WrittenDate]:
    """The dates of `text`, in no order and never overlapping; the fullest spelling wins."""
    taken: list[tuple[int, int]] = []
    for spelling in _SPELLINGS:
        for match in spelling.finditer(text):
            start, end = match.span()
            if any(start < b and a < end for a, b in taken) or _is_the_verb(match):
                continue
            readings = tuple(_readings(match))
            if readings:
                taken.append((start, end))
                yield WrittenDate(start=start, end=end, readings=readings)


def _is_the_verb(match: re.Match[str]) -> bool:
    """ "may 5" and "mar 3" in lower case are words, not months."""
    month = match.groupdict().get("month") or ""
    return month in ("may", "mar", "mars", "dic", "ago", "sep", "dec", "jan")


def _readings(match: re.Match[str]) -> Iterator[DateReading]:
    found = match.groupdict()
    year = int(found["year"]) if found.get("year") else None
    if found.get("first"):
        first, second = int(found["first"]), int(found["second"])
        if 1 <= second <= 12 and 1 <= first <= 31:
            yield DateReading(year=year, month=second, day=first)
        if 1 <= first <= 12 and 1 <= second <= 31 and first != second:
            yield DateReading(year=year, month=first, day=second)
        return
    month = found.get("month")
    yield DateReading(
        year=year,
        month=None if month is None else int(month) if month.isdigit() else _MONTH_NUMBERS[month.casefold()],
        day=int(found["day"]) if found.get("day") else None,
        quarter=int(found["quarter"]) if found.get("quarter") else None,
        clock=found.get("clock"),
    )


def read_cell_date(text: str) -> DateReading | None:
    """The date of a cell's exact text (`2024-03-01`, `2024-03-01 12:00:00`, `2024-03`), or None."""
    match = _CELL.match(text)
    if match is None:
        return None
    year, month, day, clock = match.groups()
    return DateReading(year=int(year), month=int(month), day=int(day) if day else None, clock=clock)


def covers(written: DateReading, cell: DateReading) -> bool:
    """True when everything written agrees with the cell; a month covers all its days."""
    if written.quarter is not None and (cell.month is None or (cell.month + 2) // 3 != written.quarter):
        return False
    if written.clock is not None and (cell.clock is None or not cell.clock.startswith(written.clock)):
        return False
    pairs = ((written.year, cell.year), (written.month, cell.month), (written.day, cell.day))
    return all(said is None or said == held for said, held in pairs)
