"""Cells of a workbook that hold an error are told, since they are read as empty."""

import zipfile
from pathlib import Path

from datasteward.intake.formula_errors import count_error_cells
from datasteward.intake.inspect import inspect_file
from datasteward.intake.model import Overrides

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def write_workbook(path: Path, sheets: dict[str, str]) -> Path:
    names = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="rId{i}"/>' for i, n in enumerate(sheets, 1))
    related = "".join(
        f'<Relationship Id="rId{i}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{RELATIONS}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{names}</sheets></workbook>'
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>',
        )
        for number, cells in enumerate(sheets.values(), 1):
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>',
            )
    return path


def row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def text(place: str, value: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


def broken(place: str) -> str:
    return f'<c r="{place}" s="1" t="e"><f>1/0</f><v>#DIV/0!</v></c>'


def number(place: str, value: int) -> str:
    return f'<c r="{place}"><v>{value}</v></c>'


HEAD = row(1, text("A1", "id"), text("B1", "price"))


def test_cells_with_errors_are_counted_in_their_sheet_and_told(tmp_path: Path) -> None:
    good = HEAD + "".join(row(n, number(f"A{n}", n), number(f"B{n}", 9)) for n in range(2, 9))
    bad = HEAD + "".join(row(n, number(f"A{n}", n), broken(f"B{n}")) for n in range(2, 20_002))
    path = write_workbook(tmp_path / "book.xlsx", {"good": good, "bad &amp; worse": bad})
    assert count_error_cells(path, "good") == 0
    assert count_error_cells(path, "bad & worse") == 20_000
    assert inspect_file(path, Overrides(part="bad & worse")).doubts == (
        "20,000 cells with an error such as #DIV/0! read as empty.",
    )
    assert not any("error" in doubt for doubt in inspect_file(path, Overrides(part="good")).doubts)


def test_a_file_that_does_not_tell_gives_no_count(tmp_path: Path) -> None:
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "broken.xlsx").write_bytes(b"PK\x03\x04zzz")
    assert count_error_cells(tmp_path / "old.xls", "a") is None
    assert count_error_cells(tmp_path / "broken.xlsx", "a") is None
