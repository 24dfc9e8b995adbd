"""A proposed change as lines: who and why, its SQL, and its measured effect with rows before and after."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_block, show_line
from datasteward_tui.sql_text import colour_sql
from datasteward_tui.strips import blank, to_strip, wrap_text
from datasteward_tui.tables import NULL

if TYPE_CHECKING:
    from datasteward.changes.model import FileEffect, Preview, SampleRow, TableEffect
    from datasteward.changes.store import ChangeRow

WIDEST_SAMPLE = 30
SHOWN_SAMPLES = 8


def draw_change(row: "ChangeRow", width: int, palette: Palette) -> list[Strip]:
    """All that a person needs for a decision, nothing cut but cells, which say so."""
    proposal, preview = row.proposal, row.proposal.preview
    strips: list[Strip] = []
    asked = Text.assemble((show_line(proposal.requested_by, 80), palette.strong))
    if proposal.purpose:
        asked.append(f"  “{show_line(proposal.purpose, 600)}”", palette.muted)
    strips += wrap_text(asked, width)
    if row.summary.message:
        strips += wrap_text(Text(show_block(row.summary.message, 2000), palette.warn), width)
    for statement in proposal.statements:
        for line in colour_sql(statement.sql.strip(), palette).split("\n"):
            strips += wrap_text(line, width, first=Text("▏ ", palette.bar))
    if proposal.undo is not None:
        strips += wrap_text(Text(f"takes back {show_line(proposal.undo.change, 20)}", palette.strong), width)
    for parameter in proposal.parameters:
        strips += wrap_text(
            Text(f"${show_line(parameter.name, 40)} = {show_line(str(parameter.value), 400)}", palette.muted), width
        )
    strips += _draw_effect(preview, width, palette)
    return strips


def summarise_effect(preview: "Preview") -> str:
    """The effect in a few words: rows, objects and files."""
    parts = [_table_facts(t) for t in preview.tables]
    parts += [f"{c.kind} {c.name} {c.action}" for c in preview.schema_changes if not _is_told(c.name, preview)]
    parts += [f"{f.path.rsplit('/', 1)[-1]} {f.action}" for f in preview.files]
    return show_line("; ".join(parts) or "no effect", 400)


def headline(preview: "Preview") -> str:
    """The effect and what speaks against it, in a line."""
    parts = [summarise_effect(preview)]
    if preview.checks:
        parts.append(f"✗ {len(preview.checks)} checks would fail")
    if not preview.is_reversible:
        parts.append("! cannot be undone")
    if preview.downstream:
        parts.append(f"{len(preview.downstream)} downstream")
    return " · ".join(parts)


def _is_told(name: str, preview: "Preview") -> bool:
    return any(t.table.label == name for t in preview.tables)


def _table_facts(effect: "TableEffect") -> str:
    name = effect.table.label
    if effect.action != "rows":
        return f"{name} {effect.action}, {effect.rows_before:,} → {effect.rows_after:,} rows"
    parts = []
    if effect.updated:
        parts.append(f"{effect.updated:,} of {effect.rows_before:,} rows change")
    if effect.inserted:
        parts.append(f"{effect.inserted:,} come in")
    if effect.deleted:
        parts.append(f"{effect.deleted:,} of {effect.rows_before:,} go")
    return f"{name}: {', '.join(parts) or 'no row changes'}"


def _draw_effect(preview: "Preview", width: int, palette: Palette) -> Iterator[Strip]:
    for effect in preview.tables:
        style = palette.bad if effect.deleted or effect.action == "dropped" else palette.strong
        yield from wrap_text(Text(show_line(_table_facts(effect), 300), style), width)
        yield from _draw_columns(effect, width, palette)
        yield from _draw_samples(effect, width, palette)
    for change in preview.schema_changes:
        words = f"{change.kind} {change.name} is {change.action}"
        yield from wrap_text(Text(show_line(words, 300), palette.warn), width)
        for detail in change.details:
            yield from wrap_text(Text(show_line(detail, 400), palette.muted), width, first=Text("  "))
    for file in preview.files:
        yield from wrap_text(Text(_file_facts(file), palette.warn), width)
    for check in preview.checks:
        words = f"✗ check {check.name} would fail: {check.detail}"
        yield from wrap_text(Text(show_line(words, 600), palette.bad), width)
    if preview.downstream:
        words = f"downstream: {', '.join(preview.downstream)}"
        yield from wrap_text(Text(show_line(words, 1000), palette.warn), width)
    for note in preview.notes:
        yield from wrap_text(Text(show_line(note, 600), palette.muted), width, first=Text("· ", palette.muted))
    if preview.is_reversible:
        undo = Text("✓ can be undone", palette.good)
    else:
        undo = Text(
            f"! cannot be undone: {show_line(preview.irreversible_because or 'no undo record', 300)}", palette.bad
        )
    undo.append(f" · measured in {describe_seconds(preview.seconds)} by doing it and rolling it back", palette.muted)
    yield from wrap_text(undo, width)


def _file_facts(file: "FileEffect") -> str:
    rows = f", {file.rows:,} rows" if file.rows is not None else ""
    sizes = f"{file.size_before:,} → {file.size_after:,} bytes" if file.size_before else f"{file.size_after:,} bytes"
    return show_line(f"file {file.path} is {file.action}: {sizes}{rows}", 600)


def _draw_columns(effect: "TableEffect", width: int, palette: Palette) -> Iterator[Strip]:
    for column in effect.columns:
        if not column.changed_rows:
            continue
        text = Text("  ")
        text.append(show_line(column.column, 60), palette.strong)
        text.append(f" {show_line(column.type, 40)}  {column.changed_rows:,} rows", palette.muted)
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


def _draw_samples(effect: "TableEffect", width: int, palette: Palette) -> Iterator[Strip]:
    samples = effect.samples[:SHOWN_SAMPLES]
    if not samples:
        return
    shown = _columns_to_show(effect, samples)
    cells = [[_cell(side, i) for i in shown] for s in samples for side in (s.before, s.after) if side is not None]
    names = [show_line(effect.sample_columns[i], 60) for i in shown]
    sizes = [min(WIDEST_SAMPLE, max([cell_len(n), *(cell_len(c[k]) for c in cells)])) for k, n in enumerate(names)]
    fitting = 0
    while fitting < len(sizes) and sum(sizes[: fitting + 1]) + 2 * fitting + 4 <= width:
        fitting += 1
    fitting = max(1, fitting)
    head = "  ".join(fit_cells(n, s).ljust(s) for n, s in zip(names[:fitting], sizes, strict=False))
    yield to_strip(Text(f"    {head}", palette.muted))
    for sample in samples:
        yield from _draw_sample(sample, shown[:fitting], sizes, effect.key_columns, palette)
    facts = []
    total = effect.inserted + effect.updated + effect.deleted
    if total > len(samples):
        facts.append(f"{total - len(samples):,} more rows")
    if len(shown) > fitting:
        facts.append(f"{len(shown) - fitting} more columns")
    if facts:
        yield to_strip(Text(f"    … {', '.join(facts)}", palette.muted))


def _columns_to_show(effect: "TableEffect", samples: "Sequence[SampleRow]") -> list[int]:
    keys = list(range(effect.key_columns))
    rest = range(effect.key_columns, len(effect.sample_columns))
    changed = [i for i in rest if any(s.before and s.after and s.before[i] != s.after[i] for s in samples)]
    if changed:
        return [*keys, *changed, *(i for i in rest if i not in changed)]
    return [*keys, *rest]


def _draw_sample(
    sample: "SampleRow", shown: Sequence[int], sizes: Sequence[int], keys: int, palette: Palette
) -> Iterator[Strip]:
    if sample.before is not None:
        yield _side("-", sample.before, sample.after, shown, sizes, keys, palette.removed, palette)
    if sample.after is not None:
        yield _side("+", sample.after, sample.before, shown, sizes, keys, palette.added, palette)


def _side(
    sign: str,
    row: Sequence[str | None],
    other: Sequence[str | None] | None,
    shown: Sequence[int],
    sizes: Sequence[int],
    keys: int,
    style: Style,
    palette: Palette,
) -> Strip:
    text = Text(f"  {sign} ", style)
    line = Text.assemble(text)
    for position, index in enumerate(shown):
        is_changed = other is None or other[index] != row[index]
        is_repeated = sign == "+" and not is_changed and index >= keys
        words = fit_cells("" if is_repeated else _cell(row, index), sizes[position])
        line.append(words, style if is_changed else palette.muted)
        line.append(" " * (sizes[position] - cell_len(words) + 2))
    return to_strip(line)


def _cell(row: Sequence[str | None], index: int) -> str:
    value = row[index]
    return NULL if value is None else show_line(value, WIDEST_SAMPLE * 2)


def describe_age(since: float, now: float | None = None) -> str:
    """`12 s`, `4 min`, `3 h`, `2 d` since a moment in seconds since 1970."""
    seconds = max(0.0, (time.time() if now is None else now) - since)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def empty_lines(words: str, width: int, palette: Palette) -> list[Strip]:
    """A sentence in place of a change."""
    return [*wrap_text(Text(words, palette.muted), width), blank()]


def describe_seconds(seconds: float) -> str:
    """`0.12 s`."""
    return f"{seconds:.2f} s"
