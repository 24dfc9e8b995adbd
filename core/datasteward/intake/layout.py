"""Where the table lies among the records of a file: titles above, header rows, notes below, other tables."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from datasteward.intake.records import Record

_NUMBER = re.compile(r"[-+(]?[$€£]?\s?\d[\d.,' ]*%?\)?(?:[eE][-+]?\d+)?[kKmM]?")
_ADDRESS = re.compile(r"https?://\S+|[^\s@]+@[^\s@]+\.\w+")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}:\d\d(:\d\d)?.*")
_FOOT = re.compile(
    r"(?i)\W*(source|sources|note|notes|total|totals|generated|exported|end of|footnote|\d+\)|©|copyright)\b"
)
_BARE_FOOT = re.compile(r"(?i)\W*\w+\W*")
"""One word alone: in a row as wide as the table it labels the row rather than saying something below it."""
_UNCERTAIN = "It is uncertain whether the first row is a header; it was read as one."
_SENTENCE = re.compile(r"[,;!\"]|[.']\s|\n")
_MISSING = frozenset({"", "-", "--", "na", "n/a", "null", "none", "nan", "?", "."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Indexes into the records: where the header starts, how many rows it has, the first data row and the end."""

    start: int
    header_rows: int
    end: int
    width: int
    header_doubt: str = ""
    other_tables: int = 0


def find_table(records: list[Record] | tuple[Record, ...], header_rows: int | None = None) -> Table:
    """The largest table in `records`; `header_rows` fixes the header instead of guessing it.

    A table begins with its first record of the prevailing width that is not a title row, and ends before trailing
    records of another width.
    """
    if not records:
        return Table(start=0, header_rows=0, end=0, width=0)
    width = _prevailing_width(records)
    fits = [len(r.fields) == width for r in records]
    start = _find_start(records, fits, width)
    end = _find_end(records, fits, width, start)
    others = _count_other_tables(records, width, start)
    if header_rows is not None:
        return Table(start=start, header_rows=header_rows, end=end, width=width, other_tables=others)
    body = [r.fields for r, ok in zip(records[start:end], fits[start:end], strict=True) if ok]
    rows, doubt = _guess_header(body, width)
    if doubt and len(body) == 1 < end - start:
        doubt = _UNCERTAIN
    return Table(start=start, header_rows=rows, end=end, width=width, header_doubt=doubt, other_tables=others)


def _prevailing_width(records: list[Record] | tuple[Record, ...]) -> int:
    counts = Counter(len(r.fields) for r in records)
    weighted = {w: n * (1.0 if w > 1 else 0.5) for w, n in counts.items()}
    best = max(weighted, key=lambda w: (weighted[w], w == len(records[0].fields), w))
    if best == 1 and counts.get(1, 0) < 0.9 * len(records):
        wider = {w: n for w, n in counts.items() if w > 1}
        if wider and sum(wider.values()) >= 2:
            best = max(wider, key=lambda w: (wider[w], w))
    return best


def _find_start(records: list[Record] | tuple[Record, ...], fits: list[bool], width: int) -> int:
    start = fits.index(True)
    while width > 2 and start + 1 < len(records) and fits[start + 1] and _is_title(records, start, width):
        start += 1
    return start + 1 if _is_title_by_header(records, fits, start, width) else start


def _is_title_by_header(records: list[Record] | tuple[Record, ...], fits: list[bool], start: int, width: int) -> bool:
    """A first row above a table with a header of its own: parted by a blank line, or words over a single column."""
    if start + 3 > len(records) or _has_gap(records, start + 2):
        return False
    if not _has_gap(records, start + 1) and (width > 1 or len(records[start].raw.split()) < 2):
        return False
    body = [r.fields for r, ok in zip(records[start + 1 :], fits[start + 1 :], strict=True) if ok]
    return _guess_header(body, width) == (1, "")


def _is_title(records: list[Record] | tuple[Record, ...], index: int, width: int) -> bool:
    """A row of the right width that is nearly empty while the next ones are not."""
    filled = sum(1 for f in records[index].fields if f.strip())
    following = [
        sum(1 for f in r.fields if f.strip()) for r in records[index + 1 : index + 6] if len(r.fields) == width
    ]
    if not following:
        return False
    if width == 3:
        return filled == 0 or (filled == 1 and min(following) == 3)
    return filled <= max(1, width // 5) and max(following) >= max(2, width // 2)


def _find_end(records: list[Record] | tuple[Record, ...], fits: list[bool], width: int, start: int) -> int:
    end = len(records)
    while end > start + 1 and _is_foot(records, end - 1, fits, width):
        end -= 1
    return end


def _is_foot(records: list[Record] | tuple[Record, ...], index: int, fits: list[bool], width: int) -> bool:
    record = records[index]
    filled = [f for f in record.fields if f.strip()]
    if width > 1 and not fits[index]:
        gap = _has_gap(records, index)
        later_gap = index + 1 < len(records) and not fits[index + 1]
        return len(filled) <= 1 or bool(_FOOT.match(record.raw)) or gap or (later_gap and len(record.fields) < width)
    if width > 2 and len(filled) <= 1:
        is_last = index + 1 == len(records) or len(records[index + 1].fields) == width
        if filled and is_last and _BARE_FOOT.fullmatch(filled[0]) and not _has_gap(records, index):
            return False
        return not filled or bool(_FOOT.match(filled[0])) or (len(filled[0]) > 60 and bool(record.fields[0].strip()))
    return False


def _has_gap(records: list[Record] | tuple[Record, ...], index: int) -> bool:
    """Whether blank lines stand above a record."""
    before = records[index - 1]
    return records[index].line_number - before.line_number > before.raw.count("\n") + 1


def _count_other_tables(records: list[Record] | tuple[Record, ...], width: int, start: int) -> int:
    """Runs of at least three records that share another width above one."""
    others, run, last = 0, 0, 0
    for record in records[start:]:
        size = len(record.fields)
        run = run + 1 if size == last else 1
        last = size
        if run == 3 and size != width and size > 1:
            others += 1
    return others


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number, date, time, link or mail address rather than a word."""
    text = cell.strip()
    return bool(_NUMBER.fullmatch(text) or _DATE.fullmatch(text) or _ADDRESS.fullmatch(text))


def is_foot(text: str) -> bool:
    """Whether a line begins as notes below a table do."""
    return bool(_FOOT.match(text))


def _guess_header(body: list[list[str]], width: int) -> tuple[int, str]:
    """How many of the first rows are header rows, and a sentence when that is uncertain."""
    if not body:
        return 0, ""
    if len(body) == 1:
        has_values = any(is_value(c) for c in body[0])
        return (0, "") if has_values else (1, "There is one row only; it was taken as the header.")
    first, rest = body[0], body[1:200]
    valued = [_share_of_values([r[i] for r in rest]) for i in range(width)]
    typed = [i for i in range(width) if valued[i] >= 0.7]
    votes_for = sum(1 for i in typed if first[i].strip() and not is_value(first[i]) and not _is_missing(first[i]))
    votes_against = sum(1 for i in typed if is_value(first[i]))
    if typed and votes_for > votes_against:
        return _extra_header_rows(body, typed, width), ""
    if typed and votes_against > votes_for:
        if _is_year_header(first, rest):
            return _extra_header_rows(body, typed, width), ""
        certain = votes_against >= 2 or len(rest) > 3
        return 0, "" if certain else "It is uncertain whether the first row is a header; it was read as data."
    if votes_for and votes_for == votes_against:
        return 1, _UNCERTAIN
    return _guess_header_of_words(first, rest, width)


def _guess_header_of_words(first: list[str], rest: list[list[str]], width: int) -> tuple[int, str]:
    if _is_year_header(first, rest):
        return 1, ""
    filled = [c.strip() for c in first]
    is_distinct = len(set(filled)) == len(filled)
    recurs = sum(1 for i in range(width) if filled[i] and any(r[i].strip() == filled[i] for r in rest))
    if any(is_value(c) for c in filled) or recurs > width // 3 or (len(filled) > 1 and filled.count("") > width // 2):
        return 0, "It is uncertain whether the first row is a header; it was read as data."
    too_long = sum(1 for c in filled if len(c) > 80)
    if too_long > width // 2:
        return 0, "It is uncertain whether the first row is a header; it was read as data."
    unlike_labels = sum(1 for c in filled if _SENTENCE.search(c) or len(c.split()) > 4)
    doubt = "" if is_distinct and recurs == 0 and unlike_labels <= 0.3 * len(filled) else _UNCERTAIN
    return 1, doubt


def _is_year_header(first: list[str], rest: list[list[str]]) -> bool:
    """Years in order as labels beside words, over columns that do not hold years themselves."""
    at = [i for i, c in enumerate(first) if re.fullmatch(r"(1[89]|20)\d\d", c.strip())]
    years = [int(first[i]) for i in at]
    steps = [b - a for a, b in pairwise(years)]
    if not steps or not (min(steps) > 0 or max(steps) < 0):
        return False
    if not any(c.strip() and not is_value(c) for c in first) or any(
        is_value(c) for i, c in enumerate(first) if i not in at
    ):
        return False
    below = [r[i].strip() for r in rest[:20] for i in at if r[i].strip()]
    return sum(1 for c in below if re.fullmatch(r"(1[89]|20)\d\d", c)) < 0.5 * max(1, len(below))


def _extra_header_rows(body: list[list[str]], typed: list[int], width: int) -> int:
    """Further rows that hold words where the columns hold values, as under grouped headings."""
    rows = 1
    while rows < min(4, len(body) - 1):
        row = body[rows]
        filled = [i for i in typed if row[i].strip() and not _is_missing(row[i])]
        if not filled or any(is_value(row[i]) for i in range(width)) or len(filled) < max(1, len(typed) // 2):
            break
        if len(body) - rows < 3 and len(typed) < 2:
            break
        rows += 1
    return rows


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING


def _share_of_values(cells: list[str]) -> float:
    filled = [c for c in cells if not _is_missing(c)]
    return sum(1 for c in filled if is_value(c)) / len(filled) if filled else 0.0


def name_columns(header: list[list[str]], width: int) -> tuple[list[str], list[str]]:
    """Unique column names, and the labels as the file has them; labels of several header rows are joined by a space.

    An empty label becomes `column_1` (its position); a repeated one gets `_2`, `_3` and so on.
    """
    rows = [[c.strip() for c in (row + [""] * width)[:width]] for row in header]
    for row in rows[:-1]:
        last = ""
        for i in range(width):
            last = row[i] or last
            row[i] = last
    labels = [" ".join(dict.fromkeys(row[i] for row in rows if row[i])) for i in range(width)]
    names: list[str] = []
    taken: set[str] = set()
    for position, label in enumerate(labels, start=1):
        base = re.sub(r"\s+", " ", label) or f"column_{position}"
        name, n = base, 1
        while name.lower() in taken:
            n += 1
            name = f"{base}_{n}"
        taken.add(name.lower())
        names.append(name)
    return names, labels
