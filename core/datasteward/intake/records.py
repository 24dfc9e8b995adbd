"""Splitting lines of text into records by a dialect, leniently, and telling what was odd about each."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from datasteward.intake.model import Dialect

MOST_LINES, FEWEST_LINES = 10_000, 500
"""How many lines a record may have: fewer after each quote that turned out never to close, as in files full of them."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line it starts on (from 1), its fields, its text as found, and a flaw or an empty string."""

    line_number: int
    fields: list[str]
    raw: str
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class _Cut:
    fields: list[str]
    is_open: bool = False
    has_stray_quote: bool = False


class RecordReader:
    """Reads records of one dialect; `width` is the expected number of fields, 0 when unknown."""

    def __init__(self, dialect: Dialect, *, width: int = 0) -> None:
        self.dialect = dialect
        self.width = width
        self._most_lines = MOST_LINES
        self._special = {c for c in (dialect.quote, dialect.escape) if c}
        self._split = re.compile(r"\s{2,}").split if dialect.delimiter == "  " else None
        quote, escape, delimiter = (re.escape(x) for x in (dialect.quote, dialect.escape, dialect.delimiter))
        if not dialect.quote:
            self._body = None
        elif dialect.escape in ("", dialect.quote):
            self._body = re.compile(rf"((?:[^{quote}]|{quote}{quote})*){quote}", re.DOTALL)
        else:
            self._body = re.compile(rf"((?:[^{quote}{escape}]|{escape}.|{quote}{quote})*){quote}", re.DOTALL)
        padding = "" if dialect.delimiter.isspace() else "[ \t]*"
        self._end = re.compile(rf"{padding}(?:{delimiter}|\Z)")
        self._closing = re.compile(rf"{quote}{padding}(?={delimiter}|\Z)") if dialect.quote else None

    def read(self, lines: Iterable[str], *, first_line: int = 1) -> Iterator[Record]:
        """Records of `lines` (each with or without its line end); blank lines are left out."""
        waiting: deque[str] = deque()
        source = iter(lines)
        number = first_line - 1
        while True:
            line = waiting.popleft() if waiting else next(source, None)
            if line is None:
                return
            number += 1
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            if self._special.isdisjoint(text):
                yield Record(number, self._plain_fields(text), text)
                continue
            cut = self._cut(text)
            if not cut.is_open:
                yield Record(number, cut.fields, text, "stray quote" if cut.has_stray_quote else "")
                continue
            taken: list[str] = [line]
            record = self._join(taken, source, waiting, number)
            yield record
            number += len(taken) - 1

    def _plain_fields(self, text: str) -> list[str]:
        if self._split:
            return self._split(text.strip())
        fields = text.split(self.dialect.delimiter)
        return [f.lstrip(" ") for f in fields] if self.dialect.skip_initial_space else fields

    def _join(self, taken: list[str], source: Iterator[str], waiting: deque[str], number: int) -> Record:
        """A record over several lines; when it does not end well, its first line alone and the rest put back."""
        closes_in_pairs = self.dialect.escape in ("", self.dialect.quote)
        quotes = taken[0].count(self.dialect.quote)
        while len(taken) < self._most_lines:
            line = waiting.popleft() if waiting else next(source, None)
            if line is None:
                break
            taken.append(line)
            found = line.count(self.dialect.quote)
            quotes += found
            if not found or (closes_in_pairs and quotes % 2):
                continue
            text = "".join(taken).rstrip("\r\n")
            cut = self._cut(text)
            if cut.is_open:
                continue
            if not cut.has_stray_quote and self._has_width(cut.fields):
                return Record(number, cut.fields, text)
            break
        self._most_lines = max(FEWEST_LINES, self._most_lines // 2)
        waiting.extendleft(reversed(taken[1:]))
        del taken[1:]
        text = taken[0].rstrip("\r\n")
        return Record(number, self._cut(text, closes=False).fields, text, "quote never closed")

    def _has_width(self, fields: list[str]) -> bool:
        if not self.width or len(fields) == self.width:
            return True
        return len(fields) > self.width and not any(f.strip() for f in fields[self.width :])

    def _cut(self, text: str, *, closes: bool = True) -> _Cut:
        """Cut one record's text into fields; with `closes` false a quote that stays open is taken as a character."""
        fields: list[str] = []
        position, stray = 0, False
        quote, delimiter = self.dialect.quote, self.dialect.delimiter
        while True:
            start = position
            while start < len(text) and text[start] == " " and delimiter != " ":
                start += 1
            if self._body and text.startswith(quote, start):
                body = self._body.match(text, start + len(quote))
                if body is None and closes:
                    return _Cut(fields, is_open=True)
                end = self._end.match(text, body.end()) if body else None
                if body and end is None and self._closing:
                    stray = True
                    closing = self._closing.search(text, body.end())
                    if closing:
                        fields.append(text[start + 1 : closing.start()])
                        end = self._end.match(text, closing.start() + len(quote))
                elif body and end:
                    fields.append(self._unescape(body.group(1)))
                if end:
                    if not end.group().endswith(delimiter):
                        return _Cut(fields, has_stray_quote=stray)
                    position = end.end()
                    continue
                stray = True
            stop = self._find_delimiter(text, position)
            field = text[position:] if stop < 0 else text[position:stop]
            if quote and closes and _has_edge_quote(field, quote):
                stray = True
            fields.append(self._unescape_bare(field))
            if stop < 0:
                return _Cut(fields, has_stray_quote=stray)
            position = stop + len(delimiter)

    def _find_delimiter(self, text: str, position: int) -> int:
        escape, delimiter = self.dialect.escape, self.dialect.delimiter
        stop = text.find(delimiter, position)
        if escape and escape != self.dialect.quote:
            while stop > position and text[stop - 1] == escape and (stop < 2 or text[stop - 2] != escape):
                stop = text.find(delimiter, stop + 1)
        return stop

    def _unescape(self, body: str) -> str:
        quote, escape = self.dialect.quote, self.dialect.escape
        text = body.replace(quote + quote, quote)
        if escape and escape != quote:
            text = text.replace(escape + quote, quote).replace(escape + escape, escape)
        return text

    def _unescape_bare(self, field: str) -> str:
        quote, escape = self.dialect.quote, self.dialect.escape
        if escape and escape != quote and escape in field:
            field = field.replace(escape + self.dialect.delimiter, self.dialect.delimiter)
            if quote:
                field = field.replace(escape + quote, quote)
        return field.lstrip(" ") if self.dialect.skip_initial_space else field


def _has_edge_quote(field: str, quote: str) -> bool:
    """Whether a bare field begins or ends with a quote, an inch mark after a figure left out."""
    text = field.strip()
    return text.startswith(quote) or (text.endswith(quote) and not text[-2:-1].isdigit())
