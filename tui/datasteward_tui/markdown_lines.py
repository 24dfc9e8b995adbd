"""Markdown as lines of terminal cells: headings, lists, quotes, tables, code with SQL colours, and `[r17]` links.

Links and images of the text are never made active: their address is shown as words. HTML is shown as text.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_block, show_line, show_lines
from datasteward_tui.sql_text import colour_sql
from datasteward_tui.strips import blank, to_strip, wrap_text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

HANDLE = re.compile(r"\[?\b([rcp][1-9][0-9]{0,8})\b\]?")
_BRACKETED = re.compile(r"\[([rcp][1-9][0-9]{0,8})\]|\b(r[1-9][0-9]{0,8})\b")
BULLETS = "•◦▪"
SQL_NAMES = frozenset({"sql", "duckdb", "psql", "postgres", "postgresql"})
MARKS = {"backed": "✓", "derived": "≈", "not_found": "✗", "not_checkable": "·"}


@dataclass(slots=True)
class FigureMarks:
    """The verdicts on a text's figures, consumed in the order in which the figures stand in it."""

    figures: Sequence[tuple[str, str]] = ()
    """Pairs of the figure as written and its verdict."""
    position: int = 0

    def mark(self, text: Text, palette: Palette) -> Text:
        """`text` with a mark after each figure that has a verdict."""
        out, start = Text(), 0
        while self.position < len(self.figures):
            figure, verdict = self.figures[self.position]
            at = text.plain.find(figure, start)
            if at < 0:
                break
            end = at + len(figure)
            style = {"backed": palette.good, "derived": palette.good, "not_found": palette.bad}.get(
                verdict, palette.muted
            )
            piece = text[start:end]
            piece.stylize(style, at - start)
            out.append_text(piece)
            out.append(MARKS.get(verdict, ""), style)
            start = end
            self.position += 1
        out.append_text(text[start:])
        return out


@dataclass(slots=True)
class _Painter:
    width: int
    palette: Palette
    marks: FigureMarks
    strips: list[Strip] = field(default_factory=list)
    leads: list[tuple[Text, Text]] = field(default_factory=list)
    lists: list[int | None] = field(default_factory=list)

    def lead(self) -> tuple[Text, Text]:
        """What stands before the next line, and before those after it."""
        first = Text.assemble(*(a for a, _ in self.leads))
        rest = Text.assemble(*(b for _, b in self.leads))
        self.leads = [(b, b) for _, b in self.leads]
        return first, rest

    def paragraph(self, text: Text) -> None:
        first, rest = self.lead()
        self.strips += wrap_text(text, self.width, first=first, rest=rest)

    def gap(self) -> None:
        if self.strips and self.strips[-1].text.strip("│ "):
            _, rest = self.lead() if self.leads and not self.lists else (None, Text())
            self.strips.append(to_strip(rest) if rest.plain.strip() else blank())


def render_markdown(source: str, width: int, palette: Palette, marks: FigureMarks | None = None) -> list[Strip]:
    """The lines of `source` in at most `width` cells, without blank lines at either end."""
    painter = _Painter(width=max(8, width), palette=palette, marks=marks or FigureMarks())
    tokens = _parser().parse("\n".join(show_lines(source)))
    _paint_blocks(painter, tokens)
    while painter.strips and not painter.strips[-1].text.strip():
        painter.strips.pop()
    return painter.strips


@functools.cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _paint_blocks(painter: _Painter, tokens: "Sequence[Token]") -> None:
    position = 0
    while position < len(tokens):
        token = tokens[position]
        match token.type:
            case "heading_open":
                painter.gap()
                level = int(token.tag[1:])
                painter.paragraph(_heading(tokens[position + 1], level, painter))
                position += 2
            case "paragraph_open":
                if not token.hidden:
                    painter.gap()
                painter.paragraph(_inline(tokens[position + 1], painter))
                position += 2
            case "fence" | "code_block":
                painter.gap()
                _paint_code(painter, token.content, token.info.strip().split(" ")[0].lower())
            case "hr":
                painter.gap()
                painter.paragraph(Text("─" * min(painter.width, 40), painter.palette.bar))
            case "table_open":
                painter.gap()
                end = next(i for i in range(position, len(tokens)) if tokens[i].type == "table_close")
                _paint_table(painter, tokens[position:end])
                position = end
            case "html_block":
                painter.paragraph(Text(show_block(token.content.strip()), painter.palette.text))
            case _:
                _paint_container(painter, token)
        position += 1


def _paint_container(painter: _Painter, token: "Token") -> None:
    palette = painter.palette
    match token.type:
        case "bullet_list_open":
            if not painter.lists:
                painter.gap()
            painter.lists.append(None)
        case "ordered_list_open":
            if not painter.lists:
                painter.gap()
            painter.lists.append(int(token.attrs.get("start", 1)))
        case "bullet_list_close" | "ordered_list_close":
            painter.lists.pop()
        case "list_item_open":
            number = painter.lists[-1]
            bullet = f"{number}." if number is not None else BULLETS[min(len(painter.lists), len(BULLETS)) - 1]
            if number is not None:
                painter.lists[-1] = number + 1
            lead = f"{bullet} " if number is not None else f" {bullet} "
            painter.leads.append((Text(lead, palette.accent), Text(" " * cell_len(lead))))
        case "list_item_close" | "blockquote_close":
            painter.leads.pop()
        case "blockquote_open":
            painter.gap()
            painter.leads.append((Text("│ ", palette.bar), Text("│ ", palette.bar)))
        case _:
            pass


def _heading(token: "Token", level: int, painter: _Painter) -> Text:
    text = _inline(token, painter)
    text.stylize(painter.palette.heading if level <= 2 else painter.palette.strong)
    return text


def _paint_code(painter: _Painter, content: str, language: str) -> None:
    content = content.removesuffix("\n")
    text = colour_sql(content, painter.palette) if language in SQL_NAMES else Text(content, painter.palette.code)
    first, rest = painter.lead()
    for line in text.split("\n", allow_blank=True):
        bar = Text("▏ ", painter.palette.bar)
        painter.strips += wrap_text(line, painter.width, first=Text.assemble(first, bar), rest=Text.assemble(rest, bar))
        first = rest


def _paint_table(painter: _Painter, tokens: "Sequence[Token]") -> None:
    rows: list[list[Text]] = []
    aligns: list[str] = []
    for position, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"th_open", "td_open"}:
            rows[-1].append(_inline(tokens[position + 1], painter))
            if token.type == "th_open":
                aligns.append("right" if "right" in str(token.attrs.get("style", "")) else "left")
    if rows:
        first, rest = painter.lead()
        room = painter.width - max(first.cell_len, rest.cell_len)
        for number, line in enumerate(lay_out_table(rows, aligns, room, painter.palette)):
            painter.strips.append(to_strip(Text.assemble(rest if number else first, line)))


def lay_out_table(
    rows: Sequence[Sequence[Text]], aligns: Sequence[str], width: int, palette: Palette
) -> Iterator[Text]:
    """A header, a rule and rows in columns; columns that don't fit are narrowed from the widest down."""
    count = max(len(row) for row in rows)
    widths = [max((row[i].cell_len for row in rows if i < len(row)), default=0) for i in range(count)]
    gaps = 2 * (count - 1)
    while sum(widths) + gaps > width and max(widths) > 4:
        widest = widths.index(max(widths))
        widths[widest] -= max(1, min(sum(widths) + gaps - width, widths[widest] // 4))
    for number, row in enumerate(rows):
        line = Text()
        for index, size in enumerate(widths):
            cell = row[index].copy() if index < len(row) else Text()
            cell = _fit(cell, size)
            pad = " " * (size - cell.cell_len)
            is_right = index < len(aligns) and aligns[index] == "right"
            line.append_text(Text.assemble(pad, cell) if is_right else Text.assemble(cell, pad))
            if index < count - 1:
                line.append("  ")
        if number == 0:
            line.stylize(palette.strong)
        line.truncate(width)
        yield line
        if number == 0:
            yield Text("─" * min(width, sum(widths) + gaps), palette.bar)


def _fit(cell: Text, width: int) -> Text:
    if cell.cell_len <= width:
        return cell
    return Text(fit_cells(cell.plain, width), cell.spans[0].style if cell.spans else "")


def _inline(token: "Token", painter: _Painter) -> Text:
    palette = painter.palette
    text = Text()
    styles: list[Style] = [palette.text]
    href = ""
    for child in token.children or ():
        match child.type:
            case "text" | "html_inline":
                piece = link_handles(show_line(child.content), styles[-1], palette)
                text.append_text(painter.marks.mark(piece, palette))
            case "code_inline":
                text.append(show_line(child.content), palette.code)
            case "softbreak":
                text.append(" ")
            case "hardbreak":
                text.append("\n")
            case "strong_open" | "em_open" | "s_open":
                extra = {"strong_open": palette.strong, "em_open": Style(italic=True), "s_open": Style(strike=True)}
                styles.append(styles[-1] + extra[child.type])
            case "strong_close" | "em_close" | "s_close":
                styles.pop()
            case "link_open":
                href = str(child.attrs.get("href", ""))
            case "link_close" | "image":
                target = (
                    href if child.type == "link_close" else f"{show_line(child.content)} {child.attrs.get('src', '')}"
                )
                if target and not text.plain.endswith(target):
                    text.append(f" ({show_line(target, 300)})", palette.muted)
            case _:
                pass
    return text


def link_handles(words: str, style: Style, palette: Palette) -> Text:
    """Harmless `words` in which `[r17]`, `[c8]`, `[p3]` and a bare `r17` open what they name."""
    text = Text()
    start = 0
    for match in _BRACKETED.finditer(words):
        text.append(words[start : match.start()], style)
        handle = match[1] or match[2]
        text.append(match[0], style + palette.link + Style(meta={"open": handle}))
        start = match.end()
    text.append(words[start:], style)
    return text
