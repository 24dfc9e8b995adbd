"""How JSON files are read: by DuckDB where it takes every value, lines that are not JSON objects set aside."""

import codecs
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.compression import open_plain
from datasteward.intake.convert import QuarantineWriter, check_limit, convert_lists, count_reasons
from datasteward.intake.copies import keep_copy, plan_text_copy, quarantine_of, tell_quarantine
from datasteward.intake.model import BadRowLimit, Intake, ReadPlan, SourceColumn
from datasteward.intake.records import Record
from datasteward.intake.sql_text import quote_name, quote_path, quote_text

WHOLE_BYTES = 64 * 2**20
"""Files up to this size are looked through before their columns are chosen; larger ones when `look` says so."""
_USUAL_OBJECT_BYTES, _LARGEST_OBJECT_BYTES = 16 * 2**20, 64 * 2**20
_STREAM = "Its values do not stand one to a line; it was read as a stream of JSON values."
_STAMP = re.compile(r"\bTIMESTAMP\b(?! WITH)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Which lines to set aside, counted from 1 among those that are not blank, and how many lines there are."""

    bad: frozenset[int]
    total: int
    has_malformed: bool = False
    """Whether some are no JSON at all, rather than another kind of value than the rest."""


def plan_json(connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit) -> ReadPlan:
    """The plan of a JSON or NDJSON file; what it needs to keep goes to `folder`.

    Raises `ToolError` with the place of the fault, or when more lines are no objects than `limit` lets through.
    """
    path = intake.path
    if intake.format == "json" and (plan := _plan_lists(connection, intake, folder, limit)):
        return plan
    if intake.compression in {"bzip2", "xz", "zip"} or intake.encoding.name != "utf-8":
        path = _as_utf8(intake, folder)
    try:
        if intake.format == "json":
            return _plan_values(connection, intake, path, "auto", _tell_cut(intake, path))
        return _plan_lines(connection, intake, path, folder, limit)
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise _unreadable(intake, path, error) from error


def _plan_lines(
    connection: duckdb.DuckDBPyConnection, intake: Intake, path: Path, folder: Path, limit: BadRowLimit
) -> ReadPlan:
    if not _is_looked_through(intake):
        try:
            return _plan_values(connection, intake, path, "newline_delimited")
        except duckdb.InvalidInputException:
            pass
    lines = _find_bad_lines(connection, intake, path)
    if not lines.bad:
        return _plan_values(connection, intake, path, "newline_delimited")
    if lines.has_malformed:
        try:
            return _plan_values(connection, intake, path, "unstructured", _STREAM)
        except duckdb.InvalidInputException:
            pass
    return keep_copy(folder, lambda work: _set_aside(connection, intake, path, lines, work, folder, limit))


def _is_looked_through(intake: Intake) -> bool:
    return intake.overrides.look == "all" or intake.size_bytes <= WHOLE_BYTES


def _find_bad_lines(connection: duckdb.DuckDBPyConnection, intake: Intake, path: Path) -> _Lines:
    """Lines that do not parse, and where most are objects also those that are something else."""
    read = f"read_json_objects({_arguments(intake, path, 'newline_delimited')}, ignore_errors=true)"
    cursor = connection.cursor()
    row = cursor.execute(
        f"SELECT count(*), count(*) FILTER (json_type(json) = 'OBJECT'), count(json) FROM {read}"
    ).fetchone()
    total, objects, parsed = row if row is not None else (0, 0, 0)
    has_objects = objects > parsed / 2
    if (objects if has_objects else parsed) == total:
        return _Lines(bad=frozenset(), total=total)
    wanted = "json_type(json) = 'OBJECT'" if has_objects else "json IS NOT NULL"
    numbered = f"SELECT row_number() OVER () AS line, coalesce({wanted}, false) AS is_good FROM {read}"
    bad = cursor.execute(f"SELECT line FROM ({numbered}) WHERE NOT is_good").fetchall()
    return _Lines(bad=frozenset(int(r[0]) for r in bad), total=total, has_malformed=parsed < total)


def _set_aside(
    connection: duckdb.DuckDBPyConnection,
    intake: Intake,
    path: Path,
    lines: _Lines,
    work: Path,
    folder: Path,
    limit: BadRowLimit,
) -> ReadPlan:
    """The plan of a copy without the bad lines, which are in quarantine beside it."""
    kept, aside = work / "lines.ndjson", QuarantineWriter(work / "quarantine.parquet")
    with _open_lines(intake, path) as source, kept.open("wb") as sink:
        for position, number, line in _filled_lines(source):
            if position in lines.bad:
                text = line.decode("utf-8", errors="replace").rstrip("\r\n")
                aside.add(Record(number, [], text), _reason(line))
            else:
                sink.write(line if line.endswith(b"\n") else line + b"\n")
    aside.close()
    bad = len(lines.bad)
    check_limit(intake, limit, bad, lines.total - bad, aside)
    plan = _plan_values(connection, intake, kept, "newline_delimited")
    quarantine = quarantine_of(count_reasons(aside.reasons), folder)
    files = (folder / kept.name, quarantine.path)
    told = tell_quarantine(bad, "line", "that did not parse")
    return ReadPlan(
        kind="converted", table_sql=plan.table_sql.replace(quote_path(kept), quote_path(files[0])), files=files,
        columns=plan.columns, rows=lines.total - bad, quarantine=quarantine, told=(*plan.told, told),
    )  # fmt: skip


def _open_lines(intake: Intake, path: Path) -> BinaryIO:
    return open_plain(path, intake.compression if path == intake.path else "none")


def _filled_lines(source: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Each line that is not blank: its position among those, its line number, and its bytes."""
    position = 0
    for number, line in enumerate(source, start=1):
        if line.strip(b" \t\r\n"):
            position += 1
            yield position, number, line


def _reason(line: bytes) -> str:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "bytes that are not UTF-8"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg}"
    except RecursionError:
        return "nested too deeply"
    if isinstance(value, dict):
        return "not JSON: characters or numbers that may not stand in it"
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return f"{names.get(type(value), 'a number')} where the other lines are objects"


def _arguments(intake: Intake, path: Path, kind: str) -> str:
    """The file, its form, and the bytes one value may have, twice which the reader sets aside for each thread."""
    is_usual = intake.size_bytes <= _USUAL_OBJECT_BYTES or intake.format == "ndjson"
    most = _USUAL_OBJECT_BYTES if is_usual else _LARGEST_OBJECT_BYTES
    return f"{quote_path(path)}, format='{kind}', maximum_object_size={most}"


def _plan_values(
    connection: duckdb.DuckDBPyConnection, intake: Intake, path: Path, kind: str, told: str | None = None
) -> ReadPlan:
    """A plan that reads the values of `path`; raises `duckdb.Error` where one of those looked at cannot be read.

    Columns are given by name where all values were looked at; else DuckDB infers them, and stops at a key that it did
    not foresee. Dates are taken in ISO order only: the reader takes 02-01-2020 for a day it cannot know.
    """
    is_whole = _is_looked_through(intake)
    arguments = f"{_arguments(intake, path, kind)}, dateformat='%Y-%m-%d'"
    inferring = f"{arguments}, sample_size=-1" if is_whole else arguments
    columns = _describe(connection, inferring)
    if any(_STAMP.search(c.type) for c in columns) and not _are_stamps_iso(connection, arguments, columns):
        inferring += ", timestampformat='iso'"
        columns = _describe(connection, inferring)
    is_record = not (len(columns) == 1 and columns[0].name == "json")
    final = f"{arguments}, columns={_typed(columns)}" if is_whole and is_record else inferring
    notes = intake.doubts if told is None else (*intake.doubts, told)
    if kind == "auto" and (inner := _lists_of_records(columns)):
        notes += (f"The rows may lie inside {inner}, a list of records: SELECT unnest({inner}, recursive := true).",)
    return ReadPlan(kind="direct", table_sql=f"read_json({final})", files=(path,), columns=columns, told=notes)


def _describe(connection: duckdb.DuckDBPyConnection, arguments: str) -> tuple[SourceColumn, ...]:
    rows = connection.cursor().execute(f"DESCRIBE SELECT * FROM read_json({arguments})").fetchall()
    return tuple(SourceColumn(name=str(r[0]), label=str(r[0]), type=str(r[1])) for r in rows)


def _are_stamps_iso(connection: duckdb.DuckDBPyConnection, arguments: str, columns: Sequence[SourceColumn]) -> bool:
    """Whether the first values of the columns with timestamps can be cast to their types, as only ISO order can."""
    stamped = [c for c in columns if _STAMP.search(c.type)]
    counts = ", ".join(f"count({quote_name(c.name)})" for c in stamped)
    query = f"SELECT {counts} FROM (SELECT * FROM read_json({arguments}, columns={_typed(stamped)}) LIMIT 20480)"
    try:
        connection.cursor().execute(query).fetchone()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False
    return True


def _typed(columns: Sequence[SourceColumn]) -> str:
    return "{" + ", ".join(f"{quote_text(c.name)}: {quote_text(c.type)}" for c in columns) + "}"


def _tell_cut(intake: Intake, path: Path) -> str | None:
    """A sentence when a list has no end, which the reader takes for complete; None for packed or closed files."""
    if path == intake.path and intake.compression != "none":
        return None
    with path.open("rb") as file:
        first = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        file.seek(max(0, path.stat().st_size - 1024))
        last = file.read().rstrip(b" \r\n\t\x00")[-1:]
    return (
        "It ends without the ] that closes its list; it may be cut short." if first == b"[" and last != b"]" else None
    )


def _lists_of_records(columns: Sequence[SourceColumn]) -> str:
    """The one column that is a list of records, quoted, or an empty text."""
    lists = [c.name for c in columns if c.type.endswith("[]") and c.type.startswith("STRUCT")]
    return quote_name(lists[0]) if len(lists) == 1 else ""


def _unreadable(intake: Intake, path: Path, error: duckdb.Error) -> ToolError:
    name = intake.path.name
    if intake.format == "json" and intake.size_bytes <= WHOLE_BYTES:
        with _open_lines(intake, path) as source:
            text = source.read().decode("utf-8", errors="replace")
        try:
            json.loads(text)
        except json.JSONDecodeError as found:
            return ToolError(
                f"{name} is not JSON from line {found.lineno}, column {found.colno} on: {found.msg}.",
                code="runtime",
                hint="Mend it there; when each line is a JSON value of its own, give the file the ending .ndjson.",
            )
        except RecursionError:
            return ToolError(f"{name} is nested too deeply to be read.", code="runtime")
    first = str(error).strip().splitlines()[0]
    return ToolError(f"{name} cannot be read as JSON: {first}", code="runtime")


def _as_utf8(intake: Intake, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target, work = folder / "data.json", folder / f"making-{os.getpid()}.json"
    with open_plain(intake.path, intake.compression, intake.part) as source, work.open("w", encoding="utf-8") as sink:
        for text in codecs.iterdecode(iter(lambda: source.read(1 << 20), b""), intake.encoding.name, errors="replace"):
            sink.write(text)
    work.replace(target)
    return target


def _plan_lists(
    connection: duckdb.DuckDBPyConnection, intake: Intake, folder: Path, limit: BadRowLimit
) -> ReadPlan | None:
    """A plan for a JSON array of arrays of plain values; None for every other JSON."""
    with open_plain(intake.path, intake.compression, intake.part) as stream:
        head = stream.read(64).decode("utf-8", errors="replace").lstrip("\ufeff")
        if not "".join(head.split()).startswith("[[") or intake.size_bytes > WHOLE_BYTES:
            return None
        rest = stream.read()
    try:
        rows = json.loads(head + rest.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    if not rows or not all(isinstance(r, list) and not any(isinstance(c, list | dict) for c in r) for r in rows):
        return None

    def make(work: Path) -> ReadPlan:
        converted = convert_lists(rows, intake, work / "table.parquet", work / "quarantine.parquet", limit)
        return plan_text_copy(connection, intake, converted, work, folder)

    return keep_copy(folder, make)
