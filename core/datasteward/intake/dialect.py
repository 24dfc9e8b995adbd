"""Finding how a delimited file is written: by how evenly each candidate cuts the lines, and how clean the cells come out."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace

from datasteward.intake.model import Dialect
from datasteward.intake.records import Record, RecordReader

SNIFF_LINES = 150
_USUAL = (",", ";", "\t", "|")
_UNUSUAL = (":", " ", "^", "~", "\x1f", "\x01", "#", "/", "*", "!", "&", "$", "%", "=", "@", "§", "¦")
_LONG = ("||", "::", ";;", "|~|", "~|~", "<>", "##", "  ")
_LIKING = {",": 1.0, ";": 0.99, "\t": 1.0, "|": 0.98, ":": 0.6, " ": 0.5, "/": 0.5, "=": 0.6}
_TYPED = re.compile(
    r"[-+]?[\d.,' ]*\d[%€$£]?|[€$£]\s?-?[\d.,]+|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d\d(:\d\d(\.\d+)?)?Z?)?"
    r"|\d{1,2}:\d\d(:\d\d)?( ?[AaPp][Mm])?|https?://\S+|\S+@\S+\.\w+|(?i:true|false|yes|no|n/?a|null|none|-)"
)
_WHOLE_NUMBER = re.compile(r"[-+(]?[$€£]?\s?\d{1,3}(?:[,.' ]?\d{3})*(?:[.,]\d{1,2})?\s?[%€$£]?\)?")
_FOREIGN = re.compile(r"[,;|\t]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newlines:
    """How lines end: the usual mark, and whether Python should split on every kind (universal) or on LF alone."""

    mark: str
    is_universal: bool
    is_mixed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    """The chosen dialect, the records it cuts the sample into, and how close the next best came (0 to 1)."""

    dialect: Dialect
    records: tuple[Record, ...]
    rival: Dialect | None = None
    rival_ratio: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    dialect: Dialect
    score: float
    records: tuple[Record, ...]


def find_newlines(text: str) -> Newlines:
    """How the lines of `text` end; a bare CR counts only when it is not a rarity among LF."""
    crlf = text.count("\r\n")
    lf, cr = text.count("\n") - crlf, text.count("\r") - crlf
    mark = "\r\n" if crlf >= max(lf, cr) and crlf else ("\r" if cr > lf else "\n")
    stray_cr = cr and cr < 0.02 * (lf + crlf)
    is_mixed = sum(1 for n in (crlf, lf, cr) if n) > 1
    return Newlines(mark=mark, is_universal=not stray_cr, is_mixed=is_mixed)


def split_lines(text: str, newlines: Newlines) -> list[str]:
    """Physical lines of `text`, each with its line end."""
    if newlines.is_universal:
        return re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", text)
    return text.splitlines(keepends=True) if "\r" not in text else re.findall(r"[^\n]*\n|[^\n]+\Z", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainText:
    """The dialect of a regular text, and its lines up to the end of the last whole record."""

    dialect: Dialect
    lines: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Widths:
    found: frozenset[int]
    line_count: int


def sniff_plain(text: str, newlines: Newlines, *, is_whole: bool) -> PlainText | None:
    """How an undoubtedly regular text is written (same width in every record, no other delimiter as even), else None.

    A record that stays open at the end of a text that is not whole is left out.
    """
    first = text[: text.find("\n")] if "\n" in text else text
    counts = {d: first.count(d) for d in _USUAL}
    delimiter = max(counts, key=lambda d: counts[d])
    if not counts[delimiter] or "\\" in text or text[:1] in "#\n\r " or "\n#" in text[:2000]:
        return None
    lines = split_lines(text, newlines)
    widths = _csv_widths(lines, delimiter, is_whole)
    if widths is None or len(widths.found) != 1:
        return None
    for rival in (d for d in _USUAL if d != delimiter and counts[d]):
        other = _csv_widths(lines, rival, is_whole)
        if other is None or len(other.found) == 1:
            return None
    return PlainText(dialect=Dialect(delimiter=delimiter), lines=lines[: widths.line_count])


def _csv_widths(lines: list[str], delimiter: str, is_whole: bool) -> _Widths | None:
    """The widths of the records by Python's own strict reader; None where it finds fault with one."""
    found: set[int] = set()
    line_count = 0
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in rows:
            found.add(len(row))
            line_count = rows.line_num
    except csv.Error:
        if is_whole or rows.line_num < len(lines) or line_count < len(lines) / 2:
            return None
    return _Widths(found=frozenset(found), line_count=line_count)


def sniff_dialect(lines: list[str], newlines: Newlines, fixed: Dialect | None = None) -> Sniffed:
    """The best dialect for `lines`; points fixed in `fixed` (its non-empty delimiter, quote, escape) are kept."""
    sample = lines[:SNIFF_LINES]
    scored = sorted((_score(d, sample) for d in _candidates(sample, fixed)), key=lambda s: -s.score)
    best = scored[0]
    if not (fixed and fixed.delimiter) and (
        _is_column_of_numbers(best) or (best.dialect.delimiter not in _USUAL and _is_doubtful(best))
    ):
        best = _score(Dialect(delimiter=absent_delimiter(sample)), sample)
    rival = next((s for s in scored[1:] if s.dialect.delimiter != best.dialect.delimiter), None)
    ratio = rival.score / best.score if rival and best.score else 0.0
    dialect = replace(
        best.dialect, newline=newlines.mark, mixed_newlines=newlines.is_mixed, confidence=round(1 - 0.5 * ratio, 2)
    )
    return Sniffed(
        dialect=dialect,
        records=best.records,
        rival=rival.dialect if rival and ratio > 0.85 else None,
        rival_ratio=ratio,
    )


def absent_delimiter(lines: list[str]) -> str:
    """A delimiter that keeps every line whole, for text of one column."""
    return next((d for d in (",", "\x1f", "\x1e") if not any(d in line for line in lines)), "\x1d")


def _is_doubtful(best: _Scored) -> bool:
    """An unusual delimiter in too few records, not in the first, or that cuts them unevenly: the text is one column."""
    widths = Counter(len(r.fields) for r in best.records)
    if best.records and len(best.records[0].fields) == 1:
        return True
    even = max(widths.values()) / len(best.records) if best.records else 0.0
    return len(best.records) < 3 or even < 0.7


def _is_column_of_numbers(best: _Scored) -> bool:
    """A label over numbers such as 1,250.00 or 12,5, which the delimiter would cut in two."""
    first, rest = best.records[:1], best.records[1:]
    return bool(
        rest
        and len(first[0].fields) == 1
        and rest[0].line_number == first[0].line_number + 1
        and all(_WHOLE_NUMBER.fullmatch(r.raw.strip()) for r in rest)
        and any(len(r.fields) > 1 for r in rest)
    )


def _candidates(lines: list[str], fixed: Dialect | None) -> list[Dialect]:
    text = "".join(lines)
    delimiters = [fixed.delimiter] if fixed and fixed.delimiter else _likely_delimiters(lines)
    found: list[Dialect] = []
    for delimiter in delimiters:
        for quote in _likely_quotes(text, delimiter, fixed):
            escapes = [quote] if quote else [""]
            if "\\" in text and ((quote and "\\" + quote in text) or "\\" + delimiter in text):
                escapes.append("\\")
            if fixed and fixed.escape:
                escapes = [fixed.escape]
            for escape in escapes:
                spaced = delimiter.strip() != "" and f"{delimiter} " in text and _is_spaced(lines, delimiter)
                found.append(Dialect(delimiter=delimiter, quote=quote, escape=escape, skip_initial_space=spaced))
    return found or [Dialect(delimiter=",")]


def _is_spaced(lines: list[str], delimiter: str) -> bool:
    text = "".join(lines)
    return text.count(delimiter + " ") > 0.9 * text.count(delimiter)


def _likely_delimiters(lines: list[str]) -> list[str]:
    filled = [line for line in lines if line.strip()]
    need = max(1, len(filled) // 3)
    found = [d for d in (*_USUAL, *_UNUSUAL, *_LONG) if sum(1 for line in filled if d in line.rstrip("\r\n")) >= need]
    return found or [","]


def _likely_quotes(text: str, delimiter: str, fixed: Dialect | None) -> list[str]:
    if fixed and fixed.quote:
        return [fixed.quote]
    edge = re.escape(delimiter)
    quotes = ['"']
    for quote in ("'", "`", "|", "$", "%", "~"):
        if quote == delimiter or quote not in text:
            continue
        opens = len(re.findall(rf"(?:^|{edge}) ?{re.escape(quote)}", text, re.MULTILINE))
        closes = len(re.findall(rf"{re.escape(quote)} ?(?:$|\r|{edge})", text, re.MULTILINE))
        if min(opens, closes) >= 2:
            quotes.append(quote)
    return quotes


def _score(dialect: Dialect, lines: list[str]) -> _Scored:
    records = tuple(RecordReader(dialect).read(lines))
    if not records:
        return _Scored(dialect=dialect, score=0.0, records=records)
    widths = Counter(len(r.fields) for r in records)
    evenness = sum((n / len(records)) ** 2 * ((w - 1) / w) ** 0.5 for w, n in widths.items())
    width = max(widths, key=lambda w: (widths[w], w))
    cleanness = _cleanness([r for r in records if len(r.fields) == width], dialect)
    flaws = sum(1 for r in records if r.flaw) / len(records)
    longest = max(r.raw.count("\n") for r in records)
    score = max(evenness, 0.001) * cleanness * max(0.05, 1 - 1.5 * flaws) * _LIKING.get(dialect.delimiter, 0.7)
    if dialect.delimiter not in _USUAL and len(records[0].fields) == 1 < width:
        score *= 0.6
    if longest > 20:
        score *= 0.6
    if len(dialect.delimiter) > 1:
        score *= 1.5
    if dialect.quote == "'" and not any("'" in r.raw for r in records):
        score *= 0.9
    return _Scored(dialect=dialect, score=score, records=records)


def _cleanness(records: list[Record], dialect: Dialect) -> float:
    cells = [f.strip() for r in records for f in r.fields]
    if not cells:
        return 0.01
    return max(0.01, sum(_cell_worth(c, dialect) for c in cells) / len(cells))


def _cell_worth(cell: str, dialect: Dialect) -> float:
    if not cell:
        return 0.7
    if cell[0] in "\"'`" or cell[-1] in '"`':
        return 0.75 if len(cell) > 1 and cell[0] == cell[-1] == '"' and dialect.quote == "" else 0.25
    if _TYPED.fullmatch(cell):
        return 1.0
    if ' "' in cell or '" ' in cell:
        return 0.5
    if "\\" in cell and dialect.escape != "\\":
        return 0.6
    if _FOREIGN.search(cell):
        return 0.6
    if cell[0] in ":/-_=.,)" or cell[-1] in ":/-_=([,":
        return 0.4
    return 0.9
