"""Mending a record of the wrong width, only where one reading fits the columns; everything else is set aside."""

from dataclasses import dataclass, replace

from datasteward.intake.layout import is_foot, is_value
from datasteward.intake.model import Dialect
from datasteward.intake.records import Record, RecordReader

_OTHER_DELIMITERS = (",", ";", "\t", "|", ":", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """The fields of a record as they are kept, and what was done; `fields` is None when it goes to quarantine."""

    fields: list[str] | None
    reason: str


class Mender:
    """Knows the shape of the columns from good rows, and mends the others by it."""

    def __init__(self, dialect: Dialect, width: int, good_rows: list[list[str]]) -> None:
        self._dialect = dialect
        self._width = width
        self._kinds = [_kind([row[i] for row in good_rows]) for i in range(width)]
        self._readers = [
            (
                RecordReader(replace(dialect, delimiter=d, quote=dialect.quote or '"', escape=dialect.escape or '"')),
                "another delimiter",
            )
            for d in _OTHER_DELIMITERS
            if d != dialect.delimiter
        ]
        other_quote = "'" if dialect.quote != "'" else '"'
        self._readers.insert(
            0, (RecordReader(replace(dialect, quote=other_quote, escape=other_quote)), "another quote")
        )

    def mend(self, record: Record) -> Mended:
        """The record's fields in the right number, or None with the reason."""
        found = len(record.fields)
        if record.flaw and (bare := self._without_quotes(record)):
            return bare
        for reader, what in () if is_foot(record.raw) else self._readers:
            if not self._may_suit(reader.dialect, record.raw):
                continue
            again = list(reader.read([record.raw]))
            if (
                len(again) == 1
                and not again[0].flaw
                and len(again[0].fields) == self._width
                and self._fits(again[0].fields)
            ):
                return Mended(fields=again[0].fields, reason=f"written with {what}")
        if found > self._width:
            return self._shorten(record)
        padded = record.fields + [""] * (self._width - found)
        if found > 1 and found >= self._width / 2 and not record.flaw and self._fits(padded):
            return Mended(fields=padded, reason="fewer fields than columns, filled up with NULL")
        return Mended(fields=None, reason=self._reason(record))

    def unwrap(self, record: Record) -> list[str] | None:
        """The fields of a record of the right width whose every filled field stands in the other quotes; else None."""
        mark = record.raw[:1]
        if mark not in {"'", '"', "`"} or mark == self._dialect.quote or record.raw[-1:] != mark:
            return None
        filled = [f for f in record.fields if f]
        if len(filled) < 2 or not all(len(f) > 1 and f[0] == mark == f[-1] for f in filled):
            return None
        return [f[1:-1].replace(mark * 2, mark) if f else f for f in record.fields]

    def _may_suit(self, dialect: Dialect, raw: str) -> bool:
        if dialect.delimiter != self._dialect.delimiter:
            return raw.count(dialect.delimiter) >= self._width - 1
        return raw[:1] == dialect.quote or raw.count(self._dialect.delimiter + dialect.quote) >= 1

    def _without_quotes(self, record: Record) -> Mended | None:
        fields = record.raw.split(self._dialect.delimiter)
        if len(fields) != self._width or "\n" in record.raw:
            return None
        cleaned = [
            f.strip(self._dialect.quote) if f[:1] == self._dialect.quote or f[-1:] == self._dialect.quote else f
            for f in fields
        ]
        return Mended(fields=cleaned, reason="a quote that is never closed") if self._fits(cleaned) else None

    def _shorten(self, record: Record) -> Mended:
        fields, extra = record.fields, len(record.fields) - self._width
        if not any(f.strip() for f in fields[self._width :]) and self._fits(fields[: self._width]):
            return Mended(fields=fields[: self._width], reason="empty fields after the last column")
        if extra <= 3 and not record.flaw:
            joined = [
                [*fields[:i], self._dialect.delimiter.join(fields[i : i + extra + 1]), *fields[i + extra + 1 :]]
                for i in range(self._width)
                if self._kinds[i] == "text"
                and all(f.startswith(" ") and f.strip() for f in fields[i + 1 : i + extra + 1])
            ]
            chosen = [f for f in joined if self._fits(f)]
            if len(chosen) == 1:
                return Mended(fields=chosen[0], reason="a delimiter inside an unquoted field")
        return Mended(fields=None, reason=self._reason(record))

    def _fits(self, fields: list[str]) -> bool:
        """Every filled cell has the kind of its column, and at least one column says something."""
        told = 0
        for cell, kind in zip(fields, self._kinds, strict=True):
            text = cell.strip()
            if not text or kind == "any":
                continue
            if (kind == "value") != is_value(text):
                return False
            told += kind == "value"
        return told > 0 or "value" not in self._kinds

    def _reason(self, record: Record) -> str:
        start = f"{record.flaw}: " if record.flaw else ""
        return f"{start}{len(record.fields)} fields where the table has {self._width}"


def _kind(cells: list[str]) -> str:
    filled = [c for c in cells if c.strip()]
    if not filled:
        return "any"
    share = sum(1 for c in filled if is_value(c)) / len(filled)
    return "value" if share > 0.95 else ("text" if share < 0.05 else "any")
