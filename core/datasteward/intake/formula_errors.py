"""Cells of a workbook that hold an error such as #DIV/0!, which the reader of workbooks gives as empty cells."""

import html
import re
import zipfile
from pathlib import Path

_CHUNK_BYTES = 1 << 20
_LONGEST_TAG = 4096
_SHEET = re.compile(rb"<sheet\b[^>]*>")
_RELATION = re.compile(rb"<Relationship\b[^>]*>")
_ERROR_CELL = re.compile(rb'<c\b[^>]*\bt="e"')


def count_error_cells(path: Path, sheet: str) -> int | None:
    """How many cells of a sheet hold an error (ECMA-376 part 1, 18.18.11: `t="e"`); None where the file does not tell."""
    if path.suffix.lower() not in {".xlsx", ".xlsm"}:
        return None
    try:
        with zipfile.ZipFile(path) as book:
            member = _find_member(book, sheet)
            return None if member is None else _count(book, member)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError):
        return None


def _find_member(book: zipfile.ZipFile, sheet: str) -> str | None:
    for tag in _SHEET.findall(book.read("xl/workbook.xml")):
        if _value(tag, rb"name") == sheet:
            wanted = _value(tag, rb"[A-Za-z0-9]+:id")
            for relation in _RELATION.findall(book.read("xl/_rels/workbook.xml.rels")):
                target = _value(relation, rb"Target")
                if target is not None and _value(relation, rb"Id") == wanted:
                    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return None


def _value(tag: bytes, name: bytes) -> str | None:
    found = re.search(rb"\s" + name + rb'\s*=\s*"([^"]*)"', tag)
    return None if found is None else html.unescape(found[1].decode("utf-8", "replace"))


def _count(book: zipfile.ZipFile, member: str) -> int:
    total, rest = 0, b""
    with book.open(member) as stream:
        while data := stream.read(_CHUNK_BYTES):
            text = rest + data
            cut = text.rfind(b"<", max(0, len(text) - _LONGEST_TAG))
            cut = len(text) if cut < 0 else cut
            total += len(_ERROR_CELL.findall(text, 0, cut))
            rest = text[cut:]
    return total + len(_ERROR_CELL.findall(rest))
