"""Reading a file with our own parser into a Parquet file of text columns, with a quarantine file beside it."""

import io
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

from datasteward.errors import ToolError
from datasteward.intake.compression import open_plain
from datasteward.intake.containers import cell_text, read_sheet, sqlite_cell, sqlite_rows
from datasteward.intake.dialect import find_newlines
from datasteward.intake.layout import find_table, name_columns
from datasteward.intake.mending import Mender
from datasteward.intake.model import BadRowLimit, Dialect, Intake, Layout, ReasonCount
from datasteward.intake.records import Record, RecordReader

BATCH_ROWS = 20_000
_GOOD_ROWS = 200
_FLAW_REASON = "below or outside the table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What was written: text columns by name and label, rows kept, set aside and mended, notes for the reader."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    rows: int
    bad_rows: int
    outside_rows: int
    reasons: tuple[ReasonCount, ...]
    mended: tuple[ReasonCount, ...]
    told: tuple[str, ...] = ()


class TextWriter:
    """Writes rows of text to a Parquet file in batches, empty cells as NULL; use it as a context manager."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        self._names = tuple(names)
        self._schema = pa.schema([(n, pa.string()) for n in self._names])
        self._writer = pq.ParquetWriter(str(path), self._schema, compression="zstd")
        self._rows: list[list[str | None]] = []
        self.count = 0

    def __enter__(self) -> "TextWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: list[Any]) -> None:
        """One more row, as wide as there are names."""
        self._rows.append([c or None for c in row])
        self.count += 1
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [self._pa.array(c, self._pa.string()) for c in columns]
        self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))
        self._rows = []


class QuarantineWriter:
    """Writes set-aside rows (line_number, raw, reason) to a Parquet file and counts them by reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[tuple[int, str, str]] = []
        self.reasons: Counter[str] = Counter()
        self.first_line = 0
        self._writer: Any = None

    def add(self, record: Record, reason: str) -> None:
        """Set one record aside; its text is cut at 100,000 characters."""
        self._rows.append((record.line_number, record.raw[:100_000], reason))
        self.reasons[reason] += 1
        self.first_line = self.first_line or record.line_number
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("line_number", pa.int64()), ("raw", pa.string()), ("reason", pa.string())])
        if self._writer is None:
            self._writer = pq.ParquetWriter(str(self._path), schema, compression="zstd")
        arrays = [pa.array([r[i] for r in self._rows], f.type) for i, f in enumerate(schema)]
        self._writer.write_batch(pa.record_batch(arrays, schema=schema))
        self._rows = []

    def close(self) -> None:
        """Write what is left; makes no file when nothing was set aside."""
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    names: list[str]
    labels: list[str]
    rows: Iterable[Record]
    outside: list[Record]
    told: tuple[str, ...] = ()


def convert_delimited(intake: Intake, table_path: Path, quarantine_path: Path, limit: BadRowLimit) -> Converted:
    """Read a delimited file whole; raises `ToolError` when more rows fail than `limit` lets through."""
    dialect = intake.dialect or Dialect(delimiter=",")
    with open_plain(intake.path, intake.compression, intake.part) as raw:
        reader = RecordReader(dialect, width=intake.layout.width)
        text = io.TextIOWrapper(raw, encoding=intake.encoding.name, errors="replace", newline=_newline(intake))
        lines = islice(text, intake.layout.skip_lines, None)
        records = reader.read(lines, first_line=intake.layout.skip_lines + 1)
        comment = intake.layout.comment
        kept = (r for r in records if not r.raw.startswith(comment)) if comment else records
        return _write(_take_body(intake, kept), dialect, intake, table_path, quarantine_path, limit)


def _newline(intake: Intake) -> str:
    if intake.dialect and not intake.dialect.mixed_newlines and intake.dialect.newline != "\r":
        return "\n"
    if intake.is_fully_read:
        with open_plain(intake.path, intake.compression, intake.part) as raw:
            sample = raw.read().decode(intake.encoding.name, errors="replace")
        return "" if find_newlines(sample).is_universal else "\n"
    return ""


def _take_body(intake: Intake, records: Iterator[Record]) -> _Body:
    layout: Layout = intake.layout
    deque(islice(records, layout.header_rows), maxlen=0)
    names = [c.name for c in intake.columns]
    labels = [c.label for c in intake.columns]
    if not intake.is_fully_read:
        return _Body(names=names, labels=labels, rows=records, outside=[])
    rest = list(records)
    outside = len(layout.footer)
    if outside and len(rest) >= outside:
        return _Body(names=names, labels=labels, rows=rest[:-outside], outside=rest[-outside:])
    return _Body(names=names, labels=labels, rows=rest, outside=[])


def _write(
    body: _Body, dialect: Dialect, intake: Intake, table_path: Path, quarantine_path: Path, limit: BadRowLimit
) -> Converted:
    width = len(body.names)
    quarantine = QuarantineWriter(quarantine_path)
    mended: Counter[str] = Counter()
    rows = iter(body.rows)
    first = list(islice(rows, _GOOD_ROWS))
    mender = Mender(dialect, width, [r.fields for r in first if len(r.fields) == width and not r.flaw])
    with TextWriter(table_path, body.names) as writer:
        for record in chain(first, rows):
            if len(record.fields) == width and record.flaw != "quote never closed":
                if "\ufffd" in record.raw:
                    mended["bytes that do not fit the encoding, shown as \ufffd"] += 1
                unwrapped = mender.unwrap(record)
                writer.add(unwrapped or record.fields)
                if unwrapped:
                    mended["written with another quote"] += 1
                elif record.flaw:
                    mended["quotes inside a field, kept as characters"] += 1
                continue
            result = mender.mend(record)
            if result.fields is None:
                quarantine.add(record, result.reason)
            else:
                mended[result.reason] += 1
                writer.add(result.fields)
        bad = sum(quarantine.reasons.values())
        outside = list(body.outside)
        while outside and (fields := _mend_last(mender, outside[0])):
            writer.add(fields)
            mended["written with another delimiter"] += 1
            outside.pop(0)
        for record in outside:
            quarantine.add(record, _FLAW_REASON)
        quarantine.close()
    check_limit(intake, limit, bad, writer.count, quarantine)
    return Converted(
        names=tuple(body.names), labels=tuple(body.labels), rows=writer.count, bad_rows=bad,
        outside_rows=len(outside), reasons=count_reasons(quarantine.reasons), mended=count_reasons(mended), told=body.told,
    )  # fmt: skip


def _mend_last(mender: Mender, record: Record) -> list[str] | None:
    """A line below the table that is a row after all, in another dialect."""
    mended = mender.mend(record)
    return mended.fields if mended.fields and mended.reason.startswith("written with") else None


def count_reasons(counter: Counter[str]) -> tuple[ReasonCount, ...]:
    """The reasons with their rows, the commonest first."""
    return tuple(ReasonCount(reason=r, rows=n) for r, n in counter.most_common())


def check_limit(intake: Intake, limit: BadRowLimit, bad: int, good: int, aside: QuarantineWriter) -> None:
    """Raise `ToolError` with the worst reasons and the first line when more rows are bad than `limit` lets through."""
    if bad <= max(limit.count, limit.share * (bad + good)):
        return
    worst = "; ".join(f"{n} x {r}" for r, n in aside.reasons.most_common(3))
    says = "say how it is written in [[intake.files]], or " if intake.format == "delimited" else ""
    raise ToolError(
        f"{bad:,} of {bad + good:,} rows of {intake.path.name} did not parse ({worst}), the first at line {aside.first_line}.",
        code="runtime",
        hint=f"Look at that line; steward.toml can {says}let more rows through by bad_rows and bad_share in [intake].",
    )


def convert_sheet(intake: Intake, table_path: Path, quarantine_path: Path, limit: BadRowLimit) -> Converted:
    """One sheet of a workbook: the table found under its title rows, notes below it set aside."""
    cells = read_sheet(intake.path, intake.part or "")
    records = [
        Record(n, [cell_text(c) for c in row], "\t".join(cell_text(c) for c in row))
        for n, row in enumerate(cells, start=1)
    ]
    skipped = intake.overrides.skip_rows or 0
    filled = [r for r in records[skipped:] if any(f.strip() for f in r.fields)]
    return _write_grid(filled, intake, table_path, quarantine_path, limit)


def _write_grid(
    filled: list[Record], intake: Intake, table_path: Path, quarantine_path: Path, limit: BadRowLimit
) -> Converted:
    table = find_table(filled, intake.overrides.header_rows)
    header = [r.fields for r in filled[table.start : table.start + table.header_rows]]
    names, labels = name_columns(header, table.width)
    told = [table.header_doubt] if table.header_doubt else []
    if table.start:
        told.append(f"{table.start} title row{'s' if table.start > 1 else ''} above the header left out.")
    if table.header_rows == 0 and table.width:
        told.append("There is no header row; columns are named by position.")
    if table.header_rows > 1:
        told.append(f"The header spans {table.header_rows} rows; its labels were joined.")
    if not names:
        words = " ".join([f"'{intake.part}' of {intake.path.name} is empty.", *intake.doubts])
        raise ToolError(words, code="invalid_arguments")
    body = _Body(
        names=names, labels=labels, rows=filled[table.start + table.header_rows : table.end], outside=filled[table.end :],
        told=tuple(told),
    )  # fmt: skip
    return _write(body, Dialect(delimiter="\t", quote="", escape=""), intake, table_path, quarantine_path, limit)


def convert_lists(
    rows: list[list[Any]], intake: Intake, table_path: Path, quarantine_path: Path, limit: BadRowLimit
) -> Converted:
    """A JSON array of arrays as a table, its first row taken as the header where it looks like one."""
    records = [Record(n, [cell_text(c) for c in row], str(row)) for n, row in enumerate(rows, start=1)]
    return _write_grid(records, intake, table_path, quarantine_path, limit)


def convert_sqlite(intake: Intake, table_path: Path) -> Converted:
    """One table of a SQLite file, its values as text; SQLite types are per value, so the columns are typed by content."""
    batches: Iterator[list[tuple[Any, ...]]] = sqlite_rows(intake.path, intake.part or "", BATCH_ROWS)
    labels = [str(n) for n in next(batches)[0]]
    names, _ = name_columns([labels], len(labels))
    make: Callable[[Any], str | None] = sqlite_cell
    with TextWriter(table_path, names) as writer:
        for batch in batches:
            for row in batch:
                writer.add([make(v) for v in row])
    return Converted(
        names=tuple(names), labels=tuple(labels), rows=writer.count, bad_rows=0, outside_rows=0, reasons=(), mended=()
    )
