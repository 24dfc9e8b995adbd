"""DuckDB's errors as `ToolError`s: its words kept, the position, the nearest names and the next step added."""

import difflib
import re
from collections.abc import Iterable

import duckdb

from datasteward.errors import Cancelled, ErrorCode, ToolError

_CARET = re.compile(r"\n\nLINE (\d+): (.*)\n( *)\^", re.DOTALL)
_MISSING = re.compile(
    r'(?:Table|Referenced column|Column|View|Schema|Function) (?:with name |")?"?([^"!\s]+)"?', re.IGNORECASE
)
_MAX_MESSAGE = 2000
_ADVICE = re.compile(r"\b(?:SET|PRAGMA)\s+(?:\w+_\w+|threads)\b|\b(?:INSTALL|LOAD)\s+['<%\w]")
_ALTERNATIVE = re.compile(r",? or (?:use )?[\"'`]?SET \w+_\w+[^.]*")
_SENTENCE = re.compile(r"(?<=\.)\s+")


def explain_duckdb_error(
    error: duckdb.Error, sql: str, *, names: Iterable[str] = (), is_cancelled: bool = False
) -> ToolError:
    """The `ToolError` of an engine error that `sql` raised; `names` are tables it may have meant."""
    if is_cancelled or isinstance(error, duckdb.InterruptException):
        return Cancelled()
    text = drop_advice(str(error))
    position = _position(text, sql)
    code, hint = _classify(error, text)
    near = _near_names(text, names) if code in {"binder", "not_found"} else ""
    return ToolError(_shorten(text), code=code, hint=" ".join(p for p in (near, hint) if p) or None, position=position)


def drop_advice(text: str) -> str:
    """DuckDB's message without what it advises and nobody may do here: settings, pragmas and extensions.

    Lines and sentences that name one go; the excerpt of the statement at the end stays as it is.
    """
    message, mark, excerpt = text.partition("\n\nLINE ")
    kept = []
    for line in message.split("\n"):
        sentences = _SENTENCE.split(_ALTERNATIVE.sub("", line))
        rest = " ".join(s for s in sentences if not _ADVICE.search(s))
        if rest or not line:
            kept.append(rest)
    if len(kept) < message.count("\n") + 1:
        kept = [line for line in kept if not line.startswith(("Possible solutions:", "See also "))]
    return "\n".join(kept).rstrip() + mark + excerpt


def _classify(error: duckdb.Error, text: str) -> tuple[ErrorCode, str | None]:  # one row per kind of fault
    if isinstance(error, duckdb.ParserException):
        return "syntax", None
    if isinstance(error, duckdb.CatalogException):
        return "not_found", "search_catalog lists tables, files and results."
    if isinstance(error, duckdb.BinderException):
        return "binder", None
    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            "too_large",
            "The query needs more than the memory allowed: filter or aggregate earlier, or raise limits.memory.",
        )
    if isinstance(error, duckdb.PermissionException):
        return "forbidden", None
    if "Conflicting lock" in text or "Could not set lock" in text:
        return "busy", "Another program has the database open for writing; close it there or try again."
    if "No space left" in text or "disk quota" in text.lower():
        return "disk_full", "Free some space and run it again; nothing was lost."
    if isinstance(error, duckdb.IOException):
        return "runtime", None
    if isinstance(error, duckdb.ConversionException | duckdb.InvalidInputException):
        hint = "TRY_CAST gives NULL for values that do not convert." if "TRY_CAST" not in text else None
        return "runtime", hint if isinstance(error, duckdb.ConversionException) else None
    return "runtime", None


def _position(text: str, sql: str) -> int | None:
    """The offset in `sql` of the caret in DuckDB's message, or None when it shows none."""
    match = _CARET.search(text)
    if match is None:
        return None
    line_number, shown, indent = int(match[1]), match[2], len(match[3])
    lines = sql.split("\n")
    if not 1 <= line_number <= len(lines):
        return None
    column = indent - len(f"LINE {line_number}: ")
    line = lines[line_number - 1]
    if shown.startswith("..."):
        at = line.find(shown.strip(".")[:40])
        column = column - 3 + at if at >= 0 else column
    offset = sum(len(part) + 1 for part in lines[: line_number - 1]) + column
    return offset if 0 <= offset <= len(sql) else None


def _near_names(text: str, names: Iterable[str]) -> str:
    if "Candidate bindings" in text:
        return ""
    match = _MISSING.search(text)
    near = difflib.get_close_matches(match[1], list(names), n=3, cutoff=0.6) if match else []
    return f"Nearest names: {', '.join(near)}." if near else ""


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}… (+{len(text) - _MAX_MESSAGE} characters)"
