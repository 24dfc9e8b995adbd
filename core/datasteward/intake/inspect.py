"""Saying what a data file is: format, compression, encoding, dialect, where its table lies, and what is in doubt."""

import io
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

from datasteward.errors import ToolError
from datasteward.intake.compression import find_compression, open_plain, read_head, zip_members
from datasteward.intake.containers import list_sheets, list_sqlite_tables
from datasteward.intake.dialect import (
    Newlines,
    Sniffed,
    absent_delimiter,
    find_newlines,
    sniff_dialect,
    sniff_plain,
    split_lines,
)
from datasteward.intake.encoding import guess_encoding
from datasteward.intake.formula_errors import count_error_cells
from datasteward.intake.layout import Table, find_table, name_columns
from datasteward.intake.model import (
    Compression,
    Dialect,
    Encoding,
    FileFormat,
    Intake,
    Layout,
    Overrides,
    Part,
    SourceColumn,
)
from datasteward.intake.options import with_options
from datasteward.intake.records import Record, RecordReader

SAMPLE_BYTES = 65_536
WHOLE_FILE_BYTES = 1_048_576
_MOST_SAMPLE_BYTES = 64 * WHOLE_FILE_BYTES
_FEW_LINES = 10
_HUGE_LINE = 50_000
_ARROW = frozenset({".arrow", ".arrows", ".ipc"})
_EXCEL = frozenset({".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"})
_BREAKS = re.compile(r"\r\n|\n|\r")
_KEPT = 512
_cache: dict[tuple[str, int, int, Overrides], Intake] = {}


def inspect_file(path: Path, overrides: Overrides | None = None) -> Intake:
    """What `path` is; remembered by path, size and modification time, so that asking again costs nothing.

    What `overrides` leave open is taken from the options of the file's workspace, if it has some.
    Raises `ToolError` for a missing, empty, protected or damaged file, saying which.
    """
    overrides = with_options(path, overrides or Overrides())
    try:
        stat = path.stat()
    except OSError as error:
        raise ToolError(f"There is no readable file {path}: {error.strerror}.", code="not_found") from error
    key = (str(path), stat.st_size, stat.st_mtime_ns, overrides)
    if key not in _cache:
        if len(_cache) >= _KEPT:
            _cache.clear()
        _cache[key] = _inspect(path, stat.st_size, stat.st_mtime_ns, overrides)
    return _cache[key]


def _inspect(path: Path, size_bytes: int, modified_ns: int, overrides: Overrides) -> Intake:
    if size_bytes == 0:
        raise ToolError(f"{path.name} is empty: it has no bytes.", code="invalid_arguments")
    with path.open("rb") as file:
        raw_head = file.read(16)
    compression = find_compression(raw_head)
    base = Intake(
        path=path, format="delimited", size_bytes=size_bytes, modified_ns=modified_ns, overrides=overrides,
        compression=compression, part=overrides.part,
    )  # fmt: skip
    binary = _binary_format(path, raw_head, compression)
    if binary:
        return _inspect_binary(base, binary)
    if compression == "zip":
        base = _choose_member(base)
    head = read_head(path, compression, SAMPLE_BYTES + 1, base.part)
    if not head.strip(b"\r\n\t \x00\xef\xbb\xbf\xff\xfe"):
        raise ToolError(f"{path.name} holds nothing but blanks.", code="invalid_arguments")
    kind = _text_format(path, base.part, head)
    if kind != "delimited":
        encoding = _choose_encoding(overrides, head)
        return replace(base, format=kind, encoding=encoding, doubts=base.doubts + _encoding_doubts(encoding))
    return _inspect_delimited(base, head)


def _binary_format(path: Path, head: bytes, compression: Compression) -> FileFormat | None:
    if head.startswith(b"PAR1") or (head.startswith(b"PARE")):
        return "parquet"
    if head.startswith((b"ARROW1", b"FEA1")):
        return "arrow"
    if head.startswith(b"SQLite format 3\x00"):
        return "sqlite"
    suffix = path.suffix.lower()
    if suffix in _ARROW and head.startswith(b"\xff\xff\xff\xff"):
        return "arrow"
    if head.startswith(b"\xd0\xcf\x11\xe0") or (compression == "zip" and suffix in _EXCEL):
        return "excel"
    return "excel" if suffix == ".xls" and head[:2] in (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08") else None


def _inspect_binary(base: Intake, kind: FileFormat) -> Intake:
    parts: tuple[Part, ...] = ()
    if kind == "excel":
        parts = list_sheets(base.path)
    elif kind == "sqlite":
        parts = list_sqlite_tables(base.path)
    compression: Compression = "none"
    part = base.part
    doubts: tuple[str, ...] = ()
    if parts:
        filled = [p.name for p in parts if p.rows != 0] or [parts[0].name]
        if part is None:
            part = filled[0]
            if len(filled) > 1:
                doubts = (f"The file holds {len(filled)} tables ({', '.join(filled[:8])}); this is '{part}'.",)
        elif part not in {p.name for p in parts}:
            names = ", ".join(p.name for p in parts[:20])
            raise ToolError(f"{base.path.name} has no part '{part}'.", code="not_found", hint=f"It has: {names}.")
    errors = count_error_cells(base.path, part) if kind == "excel" and part is not None else None
    if errors:
        doubts += (f"{errors:,} cell{'' if errors == 1 else 's'} with an error such as #DIV/0! read as empty.",)
    return replace(base, format=kind, compression=compression, parts=parts, part=part, doubts=doubts)


def _choose_member(base: Intake) -> Intake:
    parts = zip_members(base.path)
    if not parts:
        raise ToolError(f"{base.path.name} holds no files.", code="not_found")
    part = base.part or parts[0].name
    doubts = (f"The archive holds {len(parts)} files; this is '{part}'.",) if len(parts) > 1 else ()
    return replace(base, parts=parts, part=part, doubts=doubts)


def _text_format(path: Path, part: str | None, head: bytes) -> FileFormat:
    names = [s.lower() for s in (Path(part).suffixes if part else path.suffixes)]
    if any(s in {".csv", ".tsv", ".psv", ".tab", ".txt", ".dat"} for s in names):
        return "delimited"
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if any(s in {".ndjson", ".jsonl"} for s in names):
        return "ndjson"
    if any(s in {".json", ".geojson"} for s in names) or text[:1] in (b"{", b"["):
        first = text.split(b"\n", 1)[0].strip()
        lines = text.split(b"\n", 2)
        is_lines = first[:1] == b"{" and first[-1:] == b"}" and len(lines) > 1 and lines[1].lstrip()[:1] == b"{"
        return "ndjson" if is_lines else "json"
    return "delimited"


def _inspect_delimited(base: Intake, head: bytes) -> Intake:
    o = base.overrides
    is_free = o == Overrides(look=o.look, all_text=o.all_text, part=o.part)
    if is_free and (plain := _try_plain(base, head)):
        return plain
    sample, is_whole = _read_sample(base)
    encoding = _choose_encoding(o, sample)
    text = decode_sample(sample, encoding)
    if not is_whole:
        text = text[: text.rfind("\n") + 1] or text
    newlines = find_newlines(text)
    lines = split_lines(text, newlines)[o.skip_rows or 0 :]
    sniffed = sniff_dialect(_spread(lines), newlines, _fixed_dialect(o))
    if o.delimiter is None and _is_one_column(sniffed):
        whole_lines = Dialect(delimiter=absent_delimiter(lines), quote='"', escape='"')
        sniffed = sniff_dialect(_spread(lines), newlines, whole_lines)
    return _lay_out(base, encoding, newlines, lines, sniffed, is_whole)


def _choose_encoding(overrides: Overrides, data: bytes) -> Encoding:
    named = overrides.encoding
    return Encoding(name=named, confidence=1.0) if named else guess_encoding(data)


def _read_sample(base: Intake) -> tuple[bytes, bool]:
    """The first MiB of the text, more where huge cells leave it few lines, and whether that is all of it."""
    with open_plain(base.path, base.compression, base.part) as stream:
        sample = stream.read(WHOLE_FILE_BYTES + 1)
        size = WHOLE_FILE_BYTES
        while size < len(sample) and size < _MOST_SAMPLE_BYTES and sample.count(b"\n") < _FEW_LINES:
            size *= 4
            sample += stream.read(size + 1 - len(sample))
    return sample[:size], len(sample) <= size


def _is_one_column(sniffed: Sniffed) -> bool:
    """Whether the table is one column though a few lines hold the delimiter."""
    return any(len(r.fields) > 1 for r in sniffed.records) and find_table(sniffed.records).width == 1


def decode_sample(data: bytes, encoding: Encoding) -> str:
    """`data` as text, bytes that do not fit replaced; raises `ToolError` for an unknown encoding name."""
    try:
        return io.TextIOWrapper(io.BytesIO(data), encoding=encoding.name, errors="replace", newline="").read()
    except LookupError as error:
        raise ToolError(
            f"'{encoding.name}' is not an encoding.",
            code="invalid_arguments",
            hint="Try utf-8, latin-1, cp1252 or utf-16.",
        ) from error


def _fixed_dialect(o: Overrides) -> Dialect | None:
    if o.delimiter is None and o.quote is None and o.escape is None:
        return None
    return Dialect(delimiter=o.delimiter or "", quote=o.quote or "", escape=o.escape or "")


def _spread(lines: list[str]) -> list[str]:
    """The first lines, and some from the middle when there are many; no huge ones, which would take long to cut.

    A record over several lines is not torn where double quotes tell of one.
    """
    lines = [line for line in lines if len(line) < _HUGE_LINE] or lines
    if len(lines) <= 150:
        return lines
    middle = lines[len(lines) // 2 : len(lines) // 2 + 30]
    return _whole_records(lines[:120]) + ([] if any(line.count('"') % 2 for line in middle) else middle)


def _whole_records(lines: list[str]) -> list[str]:
    """`lines` without those after the last one up to which double quotes come in pairs, if that leaves half of them."""
    open_quotes = 0
    last = 0
    for position, line in enumerate(lines, start=1):
        open_quotes = (open_quotes + line.count('"')) % 2
        last = last if open_quotes else position
    return lines[:last] if last >= len(lines) / 2 else lines


def _try_plain(base: Intake, head: bytes) -> Intake | None:
    """A clean UTF-8 file with one width throughout the sample and a clear header: nothing to doubt."""
    is_whole = len(head) <= SAMPLE_BYTES
    encoding = guess_encoding(head)
    if (
        encoding.name not in {"utf-8", "utf-8-sig"}
        or encoding.confidence < 0.9
        or base.compression not in {"none", "gzip", "zstd"}
    ):
        return None
    body = head if is_whole else head[: head.rfind(b"\n") + 1]
    text = body.decode(encoding.name, errors="replace")
    newlines = find_newlines(text)
    if newlines.is_mixed or newlines.mark == "\r" or not text:
        return None
    plain = sniff_plain(text, newlines, is_whole=is_whole)
    if plain is None:
        return None
    dialect = plain.dialect
    records = list(islice(RecordReader(dialect).read(plain.lines), 60))
    if any(r.flaw for r in records):
        return None
    table = find_table(records)
    is_odd = table.start or table.header_doubt or table.header_rows != 1 or table.end != len(records)
    header = records[0].fields
    if is_odd or not _has_plain_tail(base, dialect, table.width, is_whole) or not all(h.strip() for h in header):
        return None
    names, labels = name_columns([header], table.width)
    columns = tuple(SourceColumn(name=n, label=label, type="VARCHAR") for n, label in zip(names, labels, strict=True))
    return replace(
        base, encoding=encoding, dialect=replace(dialect, newline=newlines.mark), columns=columns, is_plain=True,
        is_fully_read=is_whole, layout=Layout(skip_lines=0, header_rows=1, width=table.width),
    )  # fmt: skip


def _has_plain_tail(base: Intake, dialect: Dialect, width: int, is_whole: bool) -> bool:
    """Whether the last lines look like rows, so that no note stands below the table."""
    if base.compression != "none" or base.size_bytes < 2048:
        return True
    with base.path.open("rb") as file:
        file.seek(max(0, base.size_bytes - 4096))
        tail = file.read().decode("utf-8", errors="replace")
    last = [line for line in tail.splitlines()[1:] if line.strip()][-8:]
    if not last or dialect.quote in tail:
        return bool(is_whole or not last or last[-1].count(dialect.delimiter) >= min(1, width - 1))
    return all(line.count(dialect.delimiter) == width - 1 for line in last) and any(
        cell.strip() for cell in last[-1].split(dialect.delimiter)[1:]
    )


def _lay_out(
    base: Intake, encoding: Encoding, newlines: Newlines, lines: list[str], sniffed: Sniffed, is_whole: bool
) -> Intake:
    records = list(RecordReader(sniffed.dialect).read(lines))
    comment = _find_comment(records)
    kept = [r for r in records if not comment or not r.raw.startswith(comment)]
    table = find_table(kept, base.overrides.header_rows)
    header = [r.fields for r in kept[table.start : table.start + table.header_rows]]
    width = _useful_width(kept, table)
    names, labels = name_columns(header, width)
    newlines = _record_ends(records, lines, newlines)
    skipped = base.overrides.skip_rows or 0
    first = kept[table.start].line_number if kept else 1
    layout = Layout(
        skip_lines=skipped + first - 1, header_rows=table.header_rows, comment=comment, width=width,
        preamble=tuple(r.raw for r in kept[: table.start])[:50],
        footer=tuple(r.raw for r in kept[table.end :])[:50] if is_whole else (),
    )  # fmt: skip
    columns = tuple(SourceColumn(name=n, label=label, type="VARCHAR") for n, label in zip(names, labels, strict=True))
    comments = (f"Lines that begin with {comment} were left out as comments.",) if comment else ()
    return replace(
        base, encoding=encoding, layout=layout, columns=columns, is_fully_read=is_whole,
        dialect=replace(sniffed.dialect, newline=newlines.mark, mixed_newlines=newlines.is_mixed),
        doubts=base.doubts + comments + _doubts(encoding, newlines, sniffed, table, kept, labels),
    )  # fmt: skip


def _useful_width(records: list[Record], table: Table) -> int:
    """The table's width without a last column that has neither label nor content, as trailing delimiters leave it."""
    if table.width < 3 or not table.header_rows:
        return table.width
    rows = [r.fields for r in records[table.start : table.end] if len(r.fields) == table.width]
    return table.width - 1 if rows and not any(r[-1].strip() for r in rows) else table.width


def _record_ends(records: list[Record], lines: list[str], newlines: Newlines) -> Newlines:
    """How records end, line breaks inside quoted fields left out."""
    ends = Counter(
        _line_end(lines[r.line_number - 1 + len(_BREAKS.findall(r.raw))])
        for r in records
        if r.line_number <= len(lines) - r.raw.count("\n")
    )
    ends.pop("", None)
    if not ends:
        return newlines
    return replace(newlines, mark=ends.most_common(1)[0][0], is_mixed=len(ends) > 1)


def _line_end(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else (line[-1] if line[-1:] in "\r\n" else "")


def _find_comment(records: list[Record]) -> str:
    """`#` or `//` when some records begin with it and the widest ones do not."""
    for mark in ("#", "//", "%"):
        marked = [r for r in records if r.raw.startswith(mark)]
        others = [r for r in records if not r.raw.startswith(mark)]
        if not marked or len(others) < len(marked):
            continue
        usual = max({len(r.fields) for r in others}, key=lambda w: sum(1 for r in others if len(r.fields) == w))
        if marked[0].raw[:2] == "##" or all(len(r.fields) != usual for r in marked):
            return mark
    return ""


def _encoding_doubts(encoding: Encoding) -> tuple[str, ...]:
    if encoding.confidence >= 0.9:
        return ()
    return (f"The encoding is a guess: {encoding.name} ({encoding.confidence:.0%} sure).",)


def _doubts(
    encoding: Encoding, newlines: Newlines, sniffed: Sniffed, table: Table, records: list[Record], labels: list[str]
) -> tuple[str, ...]:
    found = [*_encoding_doubts(encoding)]
    if sniffed.rival:
        found.append(
            f"The delimiter {sniffed.dialect.delimiter!r} is uncertain; {sniffed.rival.delimiter!r} fits nearly as well."
        )
    if table.width == 1 and len(records) > 1:
        found.append("No delimiter was found; every line is one value of a single column.")
    if newlines.is_mixed:
        found.append("Lines end in more than one way.")
    if table.header_doubt:
        found.append(table.header_doubt)
    if table.header_rows > 1:
        found.append(f"The header spans {table.header_rows} rows; its labels were joined.")
    if table.header_rows == 0:
        found.append("There is no header row; columns are named by position.")
    if table.start:
        found.append(f"{table.start} line{'s' if table.start > 1 else ''} above the header left out.")
    if table.other_tables:
        found.append(
            f"{table.other_tables} more table{'s' if table.other_tables > 1 else ''} of another width follow; rows that do not fit are in quarantine."
        )
    if table.header_rows and any(not label for label in labels):
        found.append("Some columns have no label; they are named by position.")
    if table.header_rows and len({x for x in labels if x}) < len([x for x in labels if x]):
        found.append("Some labels occur twice; the later ones were numbered.")
    return tuple(found)
