"""Rows of a result as aligned columns of harmless text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line

NULL = "∅"
WIDEST_CELL = 40
_NUMBER_TYPES = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "REAL", "NUMERIC", "BIGNUM")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column's name and DuckDB type."""

    name: str
    type: str = ""

    @property
    def is_number(self) -> bool:
        """Whether cells stand at the right."""
        return any(self.type.upper().startswith(t) or self.type.upper().endswith("INT") for t in _NUMBER_TYPES)


def show_cell(cell: object, limit: int = 200) -> str:
    """A cell as harmless text on one line: NULL as `∅`, nested values as JSON."""
    if cell is None:
        return NULL
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, list | dict):
        return show_line(json.dumps(cell, ensure_ascii=False), limit)
    return show_line(str(cell), limit)


def cell_style(cell: object, palette: Palette) -> Style:
    """How a cell is drawn."""
    if cell is None:
        return palette.muted
    return palette.text


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidOut:
    """A table as lines, and how many of its columns did not fit."""

    lines: tuple[Text, ...]
    columns_left: int


def lay_out(columns: Sequence[TableColumn], rows: Sequence[Sequence[object]], width: int, palette: Palette) -> LaidOut:
    """A header, a rule and the rows, in as many columns as fit into `width` cells."""
    shown = [[show_cell(c, WIDEST_CELL * 2) for c in row] for row in rows]
    names = [show_line(c.name, 100) for c in columns]
    sizes: list[int] = []
    for index, name in enumerate(names):
        longest = max([cell_len(name), *(cell_len(r[index]) for r in shown if index < len(r))])
        size = min(WIDEST_CELL, longest)
        if sizes and sum(sizes) + 2 * len(sizes) + size > width:
            break
        sizes.append(min(size, width))
    head = _line([(names[i], palette.strong) for i in range(len(sizes))], sizes, columns)
    rule = Text("─" * min(width, sum(sizes) + 2 * (len(sizes) - 1)), palette.bar)
    body = [
        _line([(row[i], cell_style(raw[i], palette)) for i in range(min(len(sizes), len(row)))], sizes, columns)
        for row, raw in zip(shown, rows, strict=True)
    ]
    return LaidOut(lines=(head, rule, *body), columns_left=len(columns) - len(sizes))


def _line(cells: Sequence[tuple[str, Style]], sizes: Sequence[int], columns: Sequence[TableColumn]) -> Text:
    line = Text()
    for index, (words, style) in enumerate(cells):
        fitted = fit_cells(words, sizes[index])
        pad = " " * (sizes[index] - cell_len(fitted))
        if columns[index].is_number:
            line.append(pad)
        line.append(fitted, style)
        if not columns[index].is_number and index < len(cells) - 1:
            line.append(pad)
        if index < len(cells) - 1:
            line.append("  ")
    return line
