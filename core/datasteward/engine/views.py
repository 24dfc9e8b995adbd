"""The view of a result that a model or a person is shown: schema, rows and facts within a budget, every cut told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from datasteward.engine.cells import Cell, compact_json, shorten_cell
from datasteward.engine.jobs import ColumnFacts, ResultColumn, ResultHead

MIN_CELL_CHARACTERS = 16
_OVERHEAD = 160
_FACT_COLUMNS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What fits: columns, rows of cells, and how much was left out."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    columns_left: int
    rows_left: int | None
    """None when the result is still being stored and its rows are not counted yet."""
    shortened_cells: int


def fit_view(head: ResultHead, row_count: int | None, budget: int) -> View:
    """The most of `head` whose JSON and text forms both stay within `budget` characters.

    At least one row is kept, its cells shortened if need be; then facts, columns and rows are given up in that order
    of cost, so that a wide result shows its first columns and a long one its first rows.
    """
    room = max(200, budget - _OVERHEAD)
    columns, columns_left = _fit_columns(head, room)
    rows, shortened = _fit_rows(head, len(columns), room - _columns_size(columns))
    is_complete = row_count is not None and len(rows) == row_count
    if is_complete:
        columns = tuple(replace(c, facts=None) for c in columns)
    return View(
        columns=columns,
        rows=rows,
        columns_left=columns_left,
        rows_left=None if row_count is None else row_count - len(rows),
        shortened_cells=shortened,
    )


def _fit_columns(head: ResultHead, room: int) -> tuple[tuple[ResultColumn, ...], int]:
    """As many columns as leave half the room for rows; facts go before columns do."""
    with_facts = head.columns
    if _columns_size(with_facts) <= room * 0.6:
        return with_facts, 0
    bare = tuple(replace(c, facts=None) for c in head.columns)
    if _columns_size(bare) <= room * 0.6:
        return _facts_that_fit(with_facts, bare, int(room * 0.6)), 0
    kept: list[ResultColumn] = []
    spent = 0
    for column in bare:
        spent += _column_size(column) + MIN_CELL_CHARACTERS
        if kept and spent > room * 0.8:
            break
        kept.append(_short_column(column))
    return tuple(kept), len(bare) - len(kept)


def _facts_that_fit(full: Sequence[ResultColumn], bare: Sequence[ResultColumn], room: int) -> tuple[ResultColumn, ...]:
    columns = list(bare)
    spent = _columns_size(columns)
    for index, column in enumerate(full):
        extra = _column_size(column) - _column_size(bare[index])
        if spent + extra > room:
            break
        columns[index] = column
        spent += extra
    return tuple(columns)


def _short_column(column: ResultColumn) -> ResultColumn:
    return replace(column, type=str(shorten_cell(column.type, 60)[0]), name=str(shorten_cell(column.name, 80)[0]))


def _fit_rows(head: ResultHead, width: int, room: int) -> tuple[tuple[tuple[Cell, ...], ...], int]:
    rows: list[tuple[Cell, ...]] = []
    shortened, spent = 0, 0
    fair = max(MIN_CELL_CHARACTERS, min(200, room // max(1, width)))
    for source in head.rows:
        row, cut = _shorten_row(source[:width], fair)
        size = max(len(compact_json(list(row))), len(_text_row(row))) + 1
        if rows and spent + size > room:
            break
        if not rows and size > room:
            row, cut = _shorten_row(source[:width], MIN_CELL_CHARACTERS)
            size = len(compact_json(list(row)))
        rows.append(row)
        shortened += cut
        spent += size
    return tuple(rows), shortened


def _shorten_row(cells: Sequence[Cell], limit: int) -> tuple[tuple[Cell, ...], int]:
    short = [shorten_cell(cell, limit) for cell in cells]
    return tuple(c for c, _ in short), sum(left > 0 for _, left in short)


def _columns_size(columns: Sequence[ResultColumn]) -> int:
    return sum(_column_size(c) for c in columns)


def _column_size(column: ResultColumn) -> int:
    size = len(column.name) + len(column.type) + 24
    return size if column.facts is None else size + len(_facts_text(column.facts)) + 40


def _facts_text(facts: ColumnFacts) -> str:
    parts = []
    if facts.nulls is not None:
        parts.append(f"{facts.nulls} null")
    if facts.distinct is not None:
        parts.append(f"{facts.distinct} distinct")
    if facts.minimum is not None:
        parts.append(f"{facts.minimum} … {facts.maximum}")
    return ", ".join(parts)


def text_of_cell(cell: Cell) -> str:
    """A cell in a text table: NULL for null, line breaks and bars made visible, JSON for nested values."""
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str):
        return cell.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("|", "\\|")
    return compact_json(cell)


def _text_row(row: Sequence[Cell]) -> str:
    return "|".join(text_of_cell(c) for c in row)


def render_table(columns: Sequence[ResultColumn], rows: Sequence[Sequence[Cell]]) -> str:
    """A compact text table: each column once as `name type`, then one line a row, cells parted by bars."""
    header = " | ".join(f"{c.name.replace('|', chr(92) + '|')} {c.type}" for c in columns)
    return "\n".join([header, *(_text_row(r) for r in rows)])


def render_facts(columns: Sequence[ResultColumn]) -> str:
    """One line a column with facts, or an empty text."""
    lines = [f"{c.name}: {_facts_text(c.facts)}" for c in columns if c.facts is not None and _facts_text(c.facts)]
    return "\n".join(lines[:_FACT_COLUMNS])
