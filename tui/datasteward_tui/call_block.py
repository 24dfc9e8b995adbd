"""A tool call in the transcript: one line when folded; its SQL, rows and words when unfolded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from datasteward_tui.blocks import Block, draw_bar
from datasteward_tui.markdown_lines import link_handles
from datasteward_tui.palette import Palette
from datasteward_tui.partial_json import read_partial_text
from datasteward_tui.safe_text import fit_cells, show_block, show_line
from datasteward_tui.sql_text import colour_sql
from datasteward_tui.strips import blank, to_strip, wrap_text
from datasteward_tui.tables import TableColumn, lay_out

CallState = Literal["writing", "running", "done", "error", "denied"]
SHOWN_ROWS = 12
SHOWN_LINES = 40
_SIGNS: Mapping[CallState, str] = {"writing": "◌", "running": "◔", "done": "●", "error": "✗", "denied": "⊘"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """One result of a call: the first rows, and how many there are."""

    handle: str | None
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[object, ...], ...]
    row_count: int | None
    notes: tuple[str, ...] = ()


def read_tables(structured: Mapping[str, Any]) -> tuple[ResultTable, ...]:
    """The results in a structured answer of `run_query` or `read_result`; nothing for any other shape."""
    results = structured.get("results")
    entries: Sequence[Any] = results if isinstance(results, list) else [structured]
    return tuple(table for entry in entries if (table := _read_table(entry)) is not None)


def _read_table(entry: Any) -> ResultTable | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("data"), list) or not entry.get("columns"):
        return None
    columns = []
    for column in entry["columns"]:
        if isinstance(column, Mapping):
            columns.append(TableColumn(name=str(column.get("name", "")), type=str(column.get("type", ""))))
        elif isinstance(column, list | tuple) and column:
            columns.append(TableColumn(name=str(column[0]), type=str(column[1]) if len(column) > 1 else ""))
    handle, count = entry.get("handle"), entry.get("rows")
    return ResultTable(
        handle=str(handle) if handle else None,
        columns=tuple(columns),
        rows=tuple(tuple(row) for row in entry["data"]),
        row_count=count if isinstance(count, int) else None,
        notes=tuple(str(entry[k]) for k in ("note",) if entry.get(k)),
    )


class CallBlock(Block):
    """One call from its first written character to its outcome."""

    is_foldable = True

    def __init__(self, name: str, *, sql: str = "", state: CallState = "running", is_unfolded: bool = False) -> None:
        super().__init__()
        self.name = name
        self.sql = sql
        self.state: CallState = state
        self.is_unfolded = is_unfolded
        self.handles: tuple[str, ...] = ()
        self.tables: tuple[ResultTable, ...] = ()
        self.words = ""
        self.progress = ""
        self.seconds: float | None = None
        self.argument_line = ""
        self.hint = ""
        self.error_position: int | None = None
        self.code: str | None = None
        self._partial = ""

    @property
    def opens(self) -> str | None:  # type: ignore[override]  # known only once the result is there
        """Its first result."""
        return self.handles[0] if self.handles else None

    def write(self, partial_json: str) -> None:
        """More of the arguments, as the model writes them."""
        self._partial += partial_json
        self.sql = read_partial_text(self._partial, "sql") or self.sql
        self.touch()

    def run(self, arguments: Mapping[str, Any]) -> None:
        """The call begins."""
        sql = arguments.get("sql")
        self.sql = sql if isinstance(sql, str) else ""
        rest = {k: v for k, v in arguments.items() if k != "sql"}
        self.argument_line = ", ".join(f"{k}={_short(v)}" for k, v in rest.items())
        self.state = "running"
        self.touch()

    def report(self, done: float, total: float | None, message: str) -> None:
        """How far it is."""
        share = f"{done / total:.0%} " if total else ""
        self.progress = f"{share}{message}"
        self.touch()

    def finish(
        self,
        words: str,
        structured: Mapping[str, Any],
        *,
        seconds: float | None,
        is_error: bool,
        handles: Sequence[str] = (),
    ) -> None:
        """The outcome."""
        self.words, self.seconds = words, seconds
        if is_error and structured.get("message"):
            code = structured.get("error")
            self.code = code if isinstance(code, str) else None
            self.words, self.hint = str(structured["message"]), str(structured.get("hint") or "")
            position = structured.get("position")
            self.error_position = position if isinstance(position, int) else None
        self.state = "error" if is_error else "done"
        self.tables = () if is_error else read_tables(structured)
        self.handles = tuple(handles) or tuple(t.handle for t in self.tables if t.handle)
        self.touch()

    def retitle(self, name: str) -> None:
        """It turned out to be something else, and goes on."""
        self.name, self.state, self.error_position, self.hint = name, "running", None, ""
        self.touch()

    def deny(self, reason: str) -> None:
        """It was not let through."""
        self.words, self.state = reason, "denied"
        self.touch()

    def fold(self) -> bool:
        self.is_unfolded = not self.is_unfolded
        self.touch()
        return True

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        strips = [to_strip(self._draw_head(width, palette))]
        is_open = self.is_unfolded or self.state == "writing"
        if is_open and self.sql.strip():
            lines = self._coloured_sql(palette).split("\n")
            strips += draw_bar([s for line in lines for s in wrap_text(line, width - 4)], palette)
        if self.state in {"error", "denied"}:
            told = wrap_text(Text(show_block(self.words, 2000), palette.bad), width - 4)
            if self.hint:
                told += wrap_text(Text(show_block(self.hint, 2000), palette.muted), width - 4)
            strips += draw_bar(told, palette)
        elif is_open and self.state == "done":
            strips += draw_bar(self._draw_result(width - 4, palette), palette)
        return [*strips, blank()]

    def _coloured_sql(self, palette: Palette) -> Text:
        text = colour_sql(self.sql.rstrip(), palette)
        if self.error_position is not None and self.error_position < len(text) and self.sql.isprintable():
            text.stylize(palette.bad + Style(underline=True, bold=True), self.error_position, self.error_position + 1)
        return text

    def source(self) -> str:
        return "\n".join(part for part in (self.sql, self.words) if part)

    def estimate(self, width: int) -> int:
        return 2

    def _draw_head(self, width: int, palette: Palette) -> Text:
        styles = {"done": palette.good, "error": palette.bad, "denied": palette.bad}
        sign = Text(f"{_SIGNS[self.state]} ", styles.get(self.state, palette.accent))
        facts = self._draw_facts(palette)
        name = Text(show_line(self.name, 60), palette.strong)
        room = width - sign.cell_len - name.cell_len - facts.cell_len - 4
        about = " ".join(show_line(" ".join(self.sql.split()) or self.argument_line, 400).split())
        head = Text.assemble(sign, name)
        if room > 8 and about and not (self.is_unfolded and self.sql):
            head.append("  ")
            head.append_text(
                _colour_line(fit_cells(about, room), palette)
                if self.sql
                else Text(fit_cells(about, room), palette.muted)
            )
        if facts.plain:
            head.append("  ")
            head.append_text(facts)
        head.truncate(width, overflow="ellipsis")
        return head

    def _draw_facts(self, palette: Palette) -> Text:
        text = Text()
        parts: list[tuple[str, Style]] = []
        for table in self.tables[:3]:
            if table.handle:
                parts.append((table.handle, palette.link + Style(meta={"open": table.handle})))
            if table.row_count is not None:
                parts.append((f"{table.row_count:,} row{'' if table.row_count == 1 else 's'}", palette.muted))
        if not self.tables:
            parts += [(h, palette.link + Style(meta={"open": h})) for h in self.handles[:3]]
        if self.state == "running" and self.progress:
            parts.append((show_line(self.progress, 80), palette.muted))
        if self.seconds is not None:
            parts.append((format_seconds(self.seconds), palette.muted))
        for number, (words, style) in enumerate(parts):
            if number:
                text.append(" · ", palette.muted)
            text.append(words, style)
        return text

    def _draw_result(self, width: int, palette: Palette) -> list[Strip]:
        if not self.tables:
            lines = show_block(self.words).split("\n")
            strips = [
                s for line in lines[:SHOWN_LINES] for s in wrap_text(link_handles(line, palette.text, palette), width)
            ]
            if len(lines) > SHOWN_LINES:
                strips.append(to_strip(Text(f"… {len(lines) - SHOWN_LINES:,} more lines", palette.muted)))
            return strips
        return [strip for table in self.tables for strip in draw_table(table, width, palette)]


def draw_table(table: ResultTable, width: int, palette: Palette) -> list[Strip]:
    """The first rows of a result, and what is not shown."""
    laid_out = lay_out(table.columns, table.rows[:SHOWN_ROWS], width, palette)
    strips = [to_strip(line) for line in laid_out.lines]
    left = (table.row_count or len(table.rows)) - min(SHOWN_ROWS, len(table.rows))
    facts = []
    if left > 0:
        facts.append(f"{left:,} more row{'' if left == 1 else 's'}")
    if laid_out.columns_left:
        facts.append(f"{laid_out.columns_left:,} more column{'' if laid_out.columns_left == 1 else 's'}")
    facts += [show_line(n, 400) for n in table.notes]
    if facts:
        text = Text(f"… {' · '.join(facts)}", palette.muted)
        if table.handle and left > 0:
            text.append("  open ", palette.muted)
            text.append(table.handle, palette.link + Style(meta={"open": table.handle}))
        strips += wrap_text(text, width)
    return strips


def format_seconds(seconds: float) -> str:
    """`8 ms`, `1.2 s`, `3 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return show_line(text, 60)


def _colour_line(sql: str, palette: Palette) -> Text:
    return colour_sql(sql, palette)
