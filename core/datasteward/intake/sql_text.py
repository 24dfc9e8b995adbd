"""Writing names and constants into SQL text safely."""

from collections.abc import Iterable
from pathlib import Path


def quote_name(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """`text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_path(path: Path) -> str:
    """A path as a SQL string literal that a file reader does not take as a glob pattern."""
    text = str(path)
    escaped = "".join(f"[{c}]" if c in "*?[" else c for c in text) if any(c in text for c in "*?[") else text
    return quote_text(escaped)


def quote_paths(paths: Iterable[Path]) -> str:
    """Several paths as a SQL list of string literals."""
    return "[" + ", ".join(quote_path(p) for p in paths) + "]"
