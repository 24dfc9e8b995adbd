"""Spreadsheets, SQLite and Arrow files: what tables they hold, and those tables as text rows or Parquet."""

import datetime
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasteward.errors import ToolError
from datasteward.intake.model import Part
from datasteward.intake.sql_text import quote_name

CellValue = (
    str | int | float | bool | bytes | datetime.date | datetime.datetime | datetime.time | datetime.timedelta | None
)


def _open_workbook(path: Path) -> Any:
    import python_calamine

    try:
        return python_calamine.CalamineWorkbook.from_path(str(path))
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        hint = (
            "Save it without a password."
            if "assword" in str(error)
            else "Open it in a spreadsheet program and save it again."
        )
        raise ToolError(f"{path.name} cannot be read as a spreadsheet: {error}.", code="runtime", hint=hint) from error


def list_sheets(path: Path) -> tuple[Part, ...]:
    """The sheets of a workbook in order, with their used rows and columns; raises `ToolError` when it cannot be read."""
    import python_calamine

    book = _open_workbook(path)
    found: list[Part] = []
    for meta in book.sheets_metadata:
        try:
            sheet = book.get_sheet_by_name(meta.name)
        except (python_calamine.CalamineError, OSError, ValueError):
            continue
        found.append(Part(name=meta.name, rows=sheet.height, columns=sheet.width))
    if not found:
        raise ToolError(f"{path.name} holds no readable sheet.", code="runtime")
    return tuple(found)


def read_sheet(path: Path, sheet: str) -> list[list[CellValue]]:
    """The cells of a sheet, row by row; empty cells are empty strings."""
    import python_calamine

    try:
        rows: list[list[CellValue]] = _open_workbook(path).get_sheet_by_name(sheet).to_python(skip_empty_area=True)
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise ToolError(f"Sheet '{sheet}' of {path.name} cannot be read: {error}.", code="runtime") from error
    return rows


def cell_text(value: CellValue) -> str:
    """A spreadsheet cell as text: whole numbers without `.0`, dates and times in ISO form, true/false in lower case."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime.datetime():
            whole = value.time() == datetime.time.min
            return value.date().isoformat() if whole else value.isoformat(sep=" ")
        case datetime.timedelta():
            return str(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda b: b.decode("utf-8", errors="replace")
    return connection


def list_sqlite_tables(path: Path) -> tuple[Part, ...]:
    """The tables and views of a SQLite file, opened read-only; raises `ToolError` when it is damaged."""
    try:
        connection = _connect(path)
        try:
            query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            names = [str(r[0]) for r in connection.execute(query)]
            widths = [len(connection.execute(f"PRAGMA table_info({quote_name(n)})").fetchall()) for n in names]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ToolError(f"{path.name} cannot be read as a SQLite file: {error}.", code="runtime") from error
    if not names:
        raise ToolError(f"{path.name} is a SQLite file without tables.", code="not_found")
    return tuple(Part(name=n, columns=w) for n, w in zip(names, widths, strict=True))


def sqlite_rows(path: Path, table: str, batch_rows: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a SQLite table in batches; the first batch holds one row: the column names."""
    try:
        connection = _connect(path)
        try:
            cursor = connection.execute(f"SELECT * FROM {quote_name(table)}")
            yield [tuple(d[0] for d in cursor.description)]
            while rows := cursor.fetchmany(batch_rows):
                yield rows
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ToolError(f"Table '{table}' of {path.name} cannot be read: {error}.", code="runtime") from error


def sqlite_cell(value: Any) -> str | None:
    """A SQLite value as text; blobs as hexadecimal with a leading `\\x`."""
    if value is None:
        return None
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)
