"""A dataset's profile in the pane: findings, and a line for each column that unfolds into its distribution."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from datasteward.changes.counts import count_of
from datasteward.profiling.figures import format_bytes, format_count, format_share
from datasteward.profiling.model import ColumnProfile, Distribution, Finding, Profile
from datasteward_tui.bars import draw_histogram, draw_levels, draw_share, rebin
from datasteward_tui.catalog import quote_if_needed
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.entry_list import EntryList
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, to_strip, wrap_text

SHOWN_FINDINGS = 6
SPARK_CELLS = 16
FEWEST_SPARKS = 8
TYPE_CELLS = 9
HISTOGRAM_LINES = 5
WORTHWHILE_SHARE = 0.02
"""Beside a histogram, frequent values are shown only when the first of them is that frequent."""
SIGNS = {"high": "✗", "medium": "!", "low": "·"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProfileView(EntryList):
    """Columns in the order of the dataset."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "finding", "rows of the finding"),
        Binding("i", "insert", "into the prompt"),
        Binding("l", "lineage", "lineage"),
    ]
    HINTS = (
        KeyHint(key="Enter", words="more", action="unfold"),
        KeyHint(key="f", words="finding's rows", action="finding"),
        KeyHint(key="i", words="into the prompt", action="insert"),
        KeyHint(key="l", words="lineage", action="lineage"),
    )

    class FindingAsked(Message):
        """The rows behind a finding are wanted."""

        def __init__(self, sql: str) -> None:
            super().__init__()
            self.sql = sql

    def __init__(self, profile: Profile, dataset: str, *, column: str | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self.profile = profile
        self._dataset = dataset
        self._shown = column

    def on_mount(self) -> None:
        """The column that was asked for stands open."""
        wanted = (self._shown or "").casefold()
        found = [i for i, c in enumerate(self.profile.columns) if c.name.casefold() == wanted]
        if found:
            self.row = found[0]
            self.unfold(found)
            self.call_after_refresh(self.move_to, found[0])

    @property
    def row_count(self) -> int:
        """The columns."""
        return len(self.profile.columns)

    def draw_head(self, width: int, palette: Palette) -> list[Strip]:
        """Rows, grain, and the worst findings."""
        made = self.profile
        about = "" if made.rows_are_exact else "about "
        facts = [f"{about}{count_of(made.rows, 'row')}", count_of(len(made.columns), "column")]
        facts += [format_bytes(made.size_bytes)] if made.size_bytes else []
        facts += [f"{count_of(made.quarantine_rows, 'row')} set aside"] if made.quarantine_rows else []
        facts += [f"sample of {made.sampled_rows:,}"] if 0 < made.sampled_rows < made.rows else []
        head = wrap_text(Text(" · ".join(facts), palette.muted), width)
        if made.grain:
            head += wrap_text(Text(show_line(made.grain, 400), palette.text), width)
        for finding in made.findings[:SHOWN_FINDINGS]:
            head += _finding_lines(finding, width, palette, names_column=True)
        if len(made.findings) > SHOWN_FINDINGS:
            head.append(
                to_strip(Text(f"  … {len(made.findings) - SHOWN_FINDINGS:,} more at their columns", palette.muted))
            )
        for words in (*made.told, *made.left_out):
            head += wrap_text(
                Text(show_line(words, 400), palette.warn), width, first=Text("· ", palette.warn), rest=Text("  ")
            )
        title = Text(
            "    " + "column".ljust(self._name_width(width)) + "type".ljust(TYPE_CELLS) + " empty distinct  values",
            palette.muted,
        )
        title.truncate(width)
        return [*head, blank(), to_strip(title)]

    def _name_width(self, width: int) -> int:
        longest = max((cell_len(show_line(c.name, 100)) for c in self.profile.columns), default=8)
        return max(8, min(longest + 1, width - 4 - TYPE_CELLS - 15 - 2 - FEWEST_SPARKS))

    def draw_row(self, index: int, width: int, palette: Palette) -> Text:
        """Name, type, empty cells, distinct values, and the shape of the values."""
        column = self.profile.columns[index]
        worst = next((f for f in self.profile.findings if f.column == column.name), None)
        sign, style = (SIGNS[worst.severity], finding_style(worst, palette)) if worst else (" ", palette.muted)
        room = self._name_width(width + 2)
        name = fit_cells(show_line(column.name, 200), room - 1)
        text = Text.assemble((f"{sign} ", style), (name, palette.strong if column.is_key else palette.text))
        text.append(" " * (room - cell_len(name)))
        text.append(fit_cells(show_line(column.type.lower(), 40), TYPE_CELLS - 1).ljust(TYPE_CELLS), palette.muted)
        empty = format_share(column.null_share) if column.nulls else "-"
        text.append(f"{empty:>6}", palette.warn if column.null_share > 0.2 else palette.muted)
        text.append(
            f"{'' if column.distinct_is_exact else '~'}{format_count(column.distinct)}".rjust(10), palette.muted
        )
        text.append("  ").append_text(_shape(column, max(0, width - text.cell_len - 2), palette))
        return text

    def draw_detail(self, index: int, width: int, palette: Palette) -> list[Strip]:
        """Range, quantiles, histogram, most frequent values, findings."""
        column = self.profile.columns[index]
        lines = wrap_text(Text(_facts(column), palette.muted), width)
        if column.distribution is not None and column.distribution.counts:
            lines += _histogram(column, column.distribution, width, palette)
        lines += _top_values(column, width, palette)
        for finding in self.profile.findings:
            if finding.column == column.name:
                lines += _finding_lines(finding, width, palette, names_column=False)
                if finding.mend_sql:
                    lines += wrap_text(Text(show_line(finding.mend_sql, 400), palette.code), width, first=Text("  "))
        return lines

    def action_finding(self) -> None:
        """The rows behind the worst finding of the column, or of the dataset."""
        column = self.profile.columns[self.row].name if self.profile.columns else None
        shown = [f for f in self.profile.findings if f.show_sql]
        found = next((f for f in shown if f.column == column), next(iter(shown), None))
        if found is None:
            self.app.notify("There is no finding with rows to show.", timeout=3)
        else:
            self.post_message(self.FindingAsked(found.show_sql))

    def action_insert(self) -> None:
        """Put the column's name into the prompt."""
        if self.profile.columns:
            self.post_message(DetailPane.Asked(quote_if_needed(self.profile.columns[self.row].name), runs=False))

    def action_lineage(self) -> None:
        """The lineage of the dataset."""
        self.post_message(DetailPane.Looked("lineage", self._dataset))


def finding_style(finding: Finding, palette: Palette) -> Style:
    """The colour of a finding's severity."""
    return {"high": palette.bad, "medium": palette.warn, "low": palette.muted}[finding.severity]


def _finding_lines(finding: Finding, width: int, palette: Palette, *, names_column: bool) -> list[Strip]:
    style = finding_style(finding, palette)
    text = Text()
    if names_column and finding.column:
        text.append(f"{show_line(finding.column, 60)}  ", palette.strong)
    text.append(show_line(finding.message, 300), palette.text)
    if finding.rows:
        text.append(f"  {'' if finding.is_exact else '~'}{count_of(finding.rows, 'row')}", palette.muted)
    return wrap_text(text, width, first=Text(f"{SIGNS[finding.severity]} ", style), rest=Text("  "))


def _shape(column: ColumnProfile, width: int, palette: Palette) -> Text:
    """The distribution as a line of bars, or the most frequent value with its share."""
    if column.distribution is not None and column.distribution.counts:
        bars = draw_levels(rebin(column.distribution.counts, min(SPARK_CELLS, width)))
        return Text(bars, palette.function)
    if column.top:
        first = column.top[0]
        share = format_share(first.share)
        return Text.assemble(
            (f"{share:>5} ", palette.number), (fit_cells(show_line(first.value, 60), width - 6), palette.muted)
        )
    return Text(fit_cells(show_line(column.masked_example or "", 60), width), palette.muted)


def _facts(column: ColumnProfile) -> str:
    facts = [column.type]
    if column.meaning is not None:
        facts.append(
            f"{column.meaning.kind} ({column.meaning.sensitivity})" if column.is_sensitive else column.meaning.kind
        )
    if column.min is not None and column.max is not None:
        facts.append(f"{show_line(column.min, 40)} to {show_line(column.max, 40)}")
    if column.max_length is not None and column.family == "text":
        facts.append(f"{column.min_length or 0} to {column.max_length} characters")
    if column.pattern:
        facts.append(f"pattern {show_line(column.pattern, 60)}")
    if column.better_type:
        facts.append(f"could be {column.better_type}")
    spread = column.distribution
    if spread is not None and spread.mean is not None:
        deviation = f" ± {spread.deviation:.4g}" if spread.deviation is not None else ""
        if column.family in {"integer", "decimal"}:
            facts.append(f"mean {spread.mean:.6g}{deviation}")
        facts += [f"{n:,} {name}" for n, name in _counts(spread) if n]
    return " · ".join(facts)


def _counts(spread: Distribution) -> Sequence[tuple[int, str]]:
    return (spread.zeros, "zeros"), (spread.negatives, "negative"), (spread.outliers, "outliers")


def _histogram(column: ColumnProfile, spread: Distribution, width: int, palette: Palette) -> list[Strip]:
    bins = len(spread.counts)
    cells = bins * max(1, min(60, width - 2) // bins)
    lines = [Text(line, palette.function) for line in draw_histogram(rebin(spread.counts, cells), HISTOGRAM_LINES)]
    low, high = (_show_place(column, edge) for edge in (spread.edges[0], spread.edges[-1]))
    middle = f"median {_show_place(column, spread.quantiles[3])}" if len(spread.quantiles) == 7 else ""
    gap = max(1, cells - len(low) - len(middle) - len(high))
    axis = f"{low}{' ' * (gap // 2)}{middle}{' ' * (gap - gap // 2)}{high}"
    return [
        *(to_strip(line) for line in lines),
        to_strip(Text("▔" * cells, palette.bar)),
        to_strip(Text(axis, palette.muted)),
    ]


def _show_place(column: ColumnProfile, value: float) -> str:
    if column.family not in {"date", "timestamp"}:
        return f"{value:,.6g}"
    try:
        moment = _EPOCH + timedelta(seconds=value)
    except OverflowError:
        return f"{value:.6g} s"
    return moment.date().isoformat() if column.family == "date" else moment.strftime("%Y-%m-%d %H:%M")


def _top_values(column: ColumnProfile, width: int, palette: Palette) -> list[Strip]:
    is_spread_out = column.distribution is not None and bool(column.distribution.counts)
    if not column.top or (is_spread_out and column.top[0].share < WORTHWHILE_SHARE):
        return []
    names = [fit_cells(show_line(v.value, 200), max(8, min(28, width // 3))) for v in column.top]
    room = max(cell_len(n) for n in names)
    figures = [f"{format_share(v.share):>6} {'' if v.is_exact else '~'}{v.rows:,}" for v in column.top]
    bar = max(6, min(40, width - room - max(map(len, figures)) - 4))
    highest = max(v.share for v in column.top) or 1.0
    lines = []
    for name, value, figure in zip(names, column.top, figures, strict=True):
        text = Text.assemble((name, palette.text), " " * (room - cell_len(name) + 1))
        text.append(draw_share(value.share / highest, bar), palette.function).append(f" {figure}", palette.muted)
        lines.append(to_strip(text))
    return lines
