"""The measured effect of a change as lines: tables with their columns and rows before and after, objects, files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text
from textual.strip import Strip

from datasteward.changes.counts import count_of
from datasteward_tui.change_words import describe_file, describe_seconds, describe_table
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.strips import to_strip, wrap_text
from datasteward_tui.tables import NULL

if TYPE_CHECKING:
    from datasteward.changes.model import Preview, SampleRow, TableEffect

WIDEST_SAMPLE = 30
SHOWN_SAMPLES = 8
ARROW = " → "


def draw_effect(preview: "Preview", width: int, palette: Palette, *, is_applied: bool = False) -> Iterator[Strip]:
    """Each table with its changed columns and rows before and after, then all that is no table, then the way back.

    What happens to the table is left to the headline when there is but one, and when it was estimated and is applied.
    """
    for effect in preview.tables:
        if is_applied and effect.is_estimated:
            continue
        style = palette.bad if effect.deleted or effect.action == "dropped" else palette.strong
        if len(preview.tables) > 1:
            yield from wrap_text(Text(show_line(describe_table(effect), 300), style), width)
        yield from _draw_columns(effect, width, palette)
        yield from _draw_samples(effect, width, palette)
    yield from _draw_rest(preview, width, palette)
    if preview.is_reversible:
        undo = Text("✓ can be undone", palette.good)
    else:
        undo = Text(
            f"! cannot be undone: {show_line(preview.irreversible_because or 'no undo record', 300)}", palette.bad
        )
    undo.append(f" · measured in {describe_seconds(preview.seconds)} by doing it and rolling it back", palette.muted)
    yield from wrap_text(undo, width)


def _draw_rest(preview: "Preview", width: int, palette: Palette) -> Iterator[Strip]:
    for change in preview.schema_changes:
        words = f"{change.kind} {change.name} is {change.action}"
        yield from wrap_text(Text(show_line(words, 300), palette.warn), width)
        for detail in change.details:
            yield from wrap_text(Text(show_line(detail, 400), palette.muted), width, first=Text("  "))
    for file in preview.files:
        yield from wrap_text(Text(describe_file(file), palette.warn), width)
    for check in preview.checks:
        words = f"✗ check {check.name} would fail: {check.detail}"
        yield from wrap_text(Text(show_line(words, 600), palette.bad), width)
    if preview.personal:
        named = ", ".join(f"{p.dataset}.{p.column} ({p.kind})" for p in preview.personal)
        yield from wrap_text(Text(show_line(f"personal data: {named}", 1000), palette.warn), width)
    if preview.downstream:
        words = f"downstream: {', '.join(preview.downstream)}"
        yield from wrap_text(Text(show_line(words, 1000), palette.warn), width)
    for note in preview.notes:
        yield from wrap_text(Text(show_line(note, 600), palette.muted), width, first=Text("· ", palette.muted))


def _draw_columns(effect: "TableEffect", width: int, palette: Palette) -> Iterator[Strip]:
    for column in effect.columns:
        if not column.changed_rows:
            continue
        text = Text("  ")
        text.append(show_line(column.column, 60), palette.strong)
        text.append(f" {show_line(column.type, 40)}  {count_of(column.changed_rows, 'row')}", palette.muted)
        if column.nulls_before != column.nulls_after:
            text.append(f"  nulls {_count(column.nulls_before)} → {_count(column.nulls_after)}", palette.warn)
        before, after = (
            _range(column.least_before, column.greatest_before),
            _range(column.least_after, column.greatest_after),
        )
        if before and after:
            text.append(f"  {before}", palette.removed)
            text.append(" → ", palette.muted)
            text.append(after, palette.added)
        yield from wrap_text(text, width, first=Text(""), rest=Text("    "))


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _range(least: str | None, greatest: str | None) -> str:
    if least is None and greatest is None:
        return ""
    low, high = show_line(least or NULL, 30), show_line(greatest or NULL, 30)
    return low if low == high else f"{low} … {high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SampleColumn:
    """One column of the samples: whether it changes in some row, and the cells each side takes."""

    index: int
    name: str
    is_key: bool
    before_cells: int
    after_cells: int

    @property
    def cells(self) -> int:
        """The width with both sides and the arrow between them."""
        inner = self.before_cells + (self.after_cells + len(ARROW) if self.after_cells else 0)
        return max(inner, cell_len(self.name))


def _draw_samples(effect: "TableEffect", width: int, palette: Palette) -> Iterator[Strip]:
    samples = effect.samples[:SHOWN_SAMPLES]
    if not samples:
        return
    columns = [_measure_column(effect, samples, i) for i in _columns_to_show(effect, samples)]
    fitting = 1
    while fitting < len(columns) and sum(c.cells + 2 for c in columns[: fitting + 1]) + 4 <= width:
        fitting += 1
    head = "  ".join(f"{c.name}{' ' * (c.cells - cell_len(c.name))}" for c in columns[:fitting])
    yield to_strip(Text(f"    {head}", palette.muted))
    for sample in samples:
        yield _draw_sample(sample, columns[:fitting], palette)
    facts = []
    total = effect.inserted + effect.updated + effect.deleted
    if total > len(samples):
        facts.append(count_of(total - len(samples), "more row"))
    if len(columns) > fitting:
        facts.append(count_of(len(columns) - fitting, "more column"))
    if facts:
        yield to_strip(Text(f"    … {', '.join(facts)}", palette.muted))


def _columns_to_show(effect: "TableEffect", samples: "Sequence[SampleRow]") -> list[int]:
    """Keys first, then what changes, then the rest."""
    keys = list(range(effect.key_columns))
    rest = range(effect.key_columns, len(effect.sample_columns))
    changed = [i for i in rest if any(_is_changed(s, i) for s in samples)]
    return [*keys, *changed, *(i for i in rest if i not in changed)]


def _is_changed(sample: "SampleRow", index: int) -> bool:
    return bool(sample.before and sample.after and sample.before[index] != sample.after[index])


def _measure_column(effect: "TableEffect", samples: "Sequence[SampleRow]", index: int) -> _SampleColumn:
    single = [s.before or s.after for s in samples]
    after = [s.after for s in samples if _is_changed(s, index)]
    return _SampleColumn(
        index=index,
        name=fit_cells(show_line(effect.sample_columns[index], 60), WIDEST_SAMPLE),
        is_key=index < effect.key_columns,
        before_cells=max((cell_len(_cell(row, index)) for row in single if row), default=0),
        after_cells=max((cell_len(_cell(row, index)) for row in after if row), default=0),
    )


def _draw_sample(sample: "SampleRow", columns: "Sequence[_SampleColumn]", palette: Palette) -> Strip:
    sign, style = {
        "insert": ("+", palette.added),
        "delete": ("-", palette.removed),
        "update": ("~", palette.accent),
    }[sample.action]
    line = Text.assemble((f"  {sign} ", style))
    row = sample.before or sample.after or ()
    for column in columns:
        words = _cell(row, column.index)
        if _is_changed(sample, column.index):
            assert sample.after is not None
            after = _cell(sample.after, column.index)
            piece = Text.assemble(
                (words, palette.removed),
                " " * (column.before_cells - cell_len(words)),
                (ARROW, palette.muted),
                (after, palette.added),
            )
        else:
            is_whole = sample.action != "update"
            piece = Text(words, style if is_whole else palette.text if column.is_key else palette.muted)
        line.append_text(piece)
        line.append(" " * (column.cells - piece.cell_len + 2))
    return to_strip(line)


def _cell(row: "Sequence[str | None]", index: int) -> str:
    value = row[index]
    return NULL if value is None else fit_cells(show_line(value, WIDEST_SAMPLE * 2), WIDEST_SAMPLE)
