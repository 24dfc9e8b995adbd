"""Where figures stand: sentences, list items, table rows and chart data, with the citations that govern them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

CITATION = re.compile(r"\[\s*(r[1-9]\d{0,17}(?:\s*[,;]\s*r[1-9]\d{0,17})*)\s*(?:[:|][^\]\n]{0,80})?\]", re.I)
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([\w-]*+)[^\n]*+\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_NOISE = re.compile(
    r"`[^`\n]+`|https?://\S+|(?<!\S)\S{1,80}@\S{1,80}\.\w{1,20}|!?\]\([^)\n]{0,500}\)|\b[rcp]\d+\b|^[ \t]*(?:[-*+][ \t]+)?\d+[.)][ \t]|"
    r"\b(?!\d{1,2}\.\d{1,2}\.(?:19|20)\d\d\b)(?!\d{1,3}\.\d{3}\b)v?\d+\.\d+\.\d+(?:[-+.]\w+)*\b(?!,)|\bv\d+(?:\.\d+)*\b|(?<![\w./-])(?:[\w.-]{1,60}/){1,12}[\w.-]{0,60}\.\w{1,8}|"
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b(?=[0-9a-f]{0,64}[a-f])(?=[0-9a-f]{0,64}\d)[0-9a-f]{10,64}\b|"
    r"<[^>\n]{1,200}>|(?<![\w-])(?=[A-Z-]{2,40}\d)[A-Z]{2,20}-[A-Z0-9-]{1,40}\b",
    re.M,
)
_SQL = re.compile(
    r"^[ \t]*(?:SELECT|WITH|INSERT|UPDATE|DELETE|CREATE|FROM)\b[^\n]*\b(?:FROM|SELECT|SET|INTO|AS)\b.*$", re.M
)
_SENTENCE_END = re.compile(r"(?<=[^\s.][.!?…])[\"')\]*_]*(?:\s*\[r\d[^\]]*\])*\s+(?=[\"'(*_A-ZÀ-Þ\d$€£])(?!\[)|\n")
_ABBREVIATION = re.compile(
    r"\b(?:vs|e\.g|i\.e|approx|ca|no|st|dr|mr|ms|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|Mio|Mrd|incl|excl)\.$",
    re.I,
)
_TABLE_RULE = re.compile(r"^[ \t]*+\|?+[ \t]*+:?+-{2,}+:?+[ \t]*+(?:\|[ \t]*+:?+-{2,}+:?+[ \t]*+)*+\|?+[ \t]*+$")
_OBJECT = re.compile(r"\{[^{}]*\}")
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\s]+)')
_NUMBER_WORDS = re.compile(
    r"\b(?:half|a third|two thirds|a quarter|three quarters|twice|double[ds]?|tripled?|dozens?|hundreds|thousands|millions|"
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred)\b",
    re.I,
)
Kind = Literal["prose", "cell"]
LONGEST_PASSAGE = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of text judged as one: a sentence, or one cell of a table or chart with its row and heading.

    `context` is the text whose labels govern the passage (for a cell, its whole row); `heading` names its column.
    `paragraph_citations` are those of the paragraph, for a passage that has none of its own.
    """

    kind: Kind
    start: int
    end: int
    citations: tuple[str, ...]
    paragraph_citations: tuple[str, ...]
    context_start: int
    context_end: int
    heading: str | None = None


def find_masked(text: str) -> str:
    """`text` with everything that is not prose, a table or chart data blanked, every other character in its place."""
    characters = list(text)
    for start, end in _noise_spans(text):
        for i in range(start, end):
            if characters[i] != "\n":
                characters[i] = "\x00"
    return "".join(characters)


def find_number_words(text: str) -> tuple[str, ...]:
    """Numbers written in words, which are out of the checker's scope."""
    return tuple(m.group() for m in _NUMBER_WORDS.finditer(find_masked(text)))


def citations_in(text: str) -> tuple[str, ...]:
    """The handles cited in `text`, in order, each once."""
    found = (h.strip().lower() for m in CITATION.finditer(text) for h in re.split(r"[,;]", m.group(1)))
    return tuple(dict.fromkeys(found))


def split_passages(text: str) -> tuple[Passage, ...]:
    """The passages of `text` in order; fenced code other than chart data belongs to none."""
    found: list[Passage] = []
    inherited: tuple[str, ...] = ()
    spans = list(_paragraphs(text))
    for place, (start, end) in enumerate(spans):
        body = text[start:end]
        cited = citations_in(body) or _citation_below(text, spans[place + 1 : place + 2])
        chart = _FENCE.match(body)
        if chart:
            found.extend(_chart_passages(text, start, chart, cited or inherited))
            continue
        own = cited or (inherited if _is_continuation(body) else ())
        found.extend(_paragraph_passages(text, start, end, own))
        inherited = cited or inherited
    return tuple(found)


def _citation_below(text: str, following: list[tuple[int, int]]) -> tuple[str, ...]:
    """The citations of the next paragraph when it holds little else, as below a table."""
    for start, end in following:
        if not re.search(
            r"\w", re.sub(r"(?i)\b(?:source|from|data|result)s?\b", "", CITATION.sub("", text[start:end]))
        ):
            return citations_in(text[start:end])
    return ()


def _is_continuation(body: str) -> bool:
    return bool(re.match(r"\s*(?:\||[-*+•]\s|\d+[.)]\s)", body))


def _noise_spans(text: str) -> Iterator[tuple[int, int]]:
    for match in _FENCE.finditer(text):
        if not _is_chart(match):
            yield match.span()
        else:
            yield match.start(), match.start(3)
    for pattern in (CITATION, _NOISE, _SQL):
        for match in pattern.finditer(text):
            yield match.span()


def _is_chart(match: re.Match[str]) -> bool:
    language, body = match.group(2).casefold(), match.group(3)
    return language in ("vega-lite", "vegalite", "vega", "chart") or (language == "mermaid" and "pie" in body[:40])


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Spans of paragraphs and fenced blocks."""
    position = 0
    fences = [m.span() for m in _FENCE.finditer(text)]
    for start, end in [*fences, (len(text), len(text))]:
        yield from _written_lines(text, position, start)
        if end > start:
            yield start, end
        position = end


def _written_lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of consecutive lines that are not blank."""
    first = position = start
    for line in text[start:end].split("\n"):
        stop = min(end, position + len(line) + 1)
        if not line.strip():
            if first < position:
                yield first, position
            first = stop
        position = stop
    if first < position:
        yield first, position


def _paragraph_passages(text: str, start: int, end: int, cited: tuple[str, ...]) -> Iterator[Passage]:
    lines = _line_spans(text, start, end)
    position = 0
    while position < len(lines):
        first, last = lines[position]
        rule = lines[position + 1] if position + 1 < len(lines) else None
        if rule and "|" in text[first:last] and _TABLE_RULE.match(text[rule[0] : rule[1]]):
            stop = position + 2
            while stop < len(lines) and "|" in text[lines[stop][0] : lines[stop][1]]:
                stop += 1
            yield from _table_passages(text, lines[position:stop], cited)
            position = stop
            continue
        stop = position + 1
        while stop < len(lines) and not _starts_block(text, lines, stop):
            stop += 1
        yield from _sentences(text, first, lines[stop - 1][1], cited)
        position = stop


def _starts_block(text: str, lines: list[tuple[int, int]], index: int) -> bool:
    line = text[lines[index][0] : lines[index][1]]
    follows = index + 1 < len(lines) and bool(_TABLE_RULE.match(text[lines[index + 1][0] : lines[index + 1][1]]))
    return bool(re.match(r"\s*(?:[-*+•]\s|\d+[.)]\s|#)", line)) or ("|" in line and follows)


def _line_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [(start + m.start(), start + m.end()) for m in re.finditer(r"[^\n]+", text[start:end])]


def _sentences(text: str, start: int, end: int, cited: tuple[str, ...]) -> Iterator[Passage]:
    """The sentences of a paragraph; one that never ends is cut into pieces, so that work stays in proportion."""
    for passage in _whole_sentences(text, start, end, cited):
        for piece in range(passage.start, passage.end, LONGEST_PASSAGE):
            stop = min(passage.end, piece + LONGEST_PASSAGE)
            yield replace(passage, start=piece, end=stop, context_start=piece, context_end=stop)


def _whole_sentences(text: str, start: int, end: int, cited: tuple[str, ...]) -> Iterator[Passage]:
    body, position = text[start:end].replace("\n", " "), 0
    for match in [*_SENTENCE_END.finditer(body), None]:
        stop = len(body) if match is None else match.end()
        if match is not None and _ABBREVIATION.search(body[max(position, match.start() - 12) : match.start()]):
            continue
        yield Passage(
            kind="prose",
            start=start + position,
            end=start + stop,
            citations=citations_in(body[position:stop]),
            paragraph_citations=cited,
            context_start=start + position,
            context_end=start + stop,
        )
        position = stop


def _table_passages(text: str, lines: list[tuple[int, int]], cited: tuple[str, ...]) -> Iterator[Passage]:
    headings = [text[a:b].strip() for a, b in _cell_spans(text, lines[0])]
    for line in lines[2:]:
        own = citations_in(text[line[0] : line[1]])
        is_long = line[1] - line[0] > LONGEST_PASSAGE
        for index, (start, end) in enumerate(_cell_spans(text, line)):
            yield Passage(
                kind="cell",
                start=start,
                end=end,
                citations=own,
                paragraph_citations=cited,
                context_start=start if is_long else line[0],
                context_end=end if is_long else line[1],
                heading=headings[index] if index < len(headings) else None,
            )


def _cell_spans(text: str, line: tuple[int, int]) -> list[tuple[int, int]]:
    start, end = line
    while end > start and text[end - 1] in " \t|":
        end -= 1
    while start < end and text[start] in " \t|":
        start += 1
    spans, position = [], start
    for match in re.finditer(r"(?<!\\)\|", text[start:end]):
        spans.append((position, start + match.start()))
        position = start + match.end()
    return [*spans, (position, end)]


def _chart_passages(text: str, offset: int, fence: re.Match[str], cited: tuple[str, ...]) -> Iterator[Passage]:
    """Data points of an inline Vega-Lite chart, one passage a value; lines of a Mermaid pie as sentences."""
    if not _is_chart(fence):
        return
    inner, body = offset + fence.start(3), fence.group(3)
    if fence.group(2).casefold() == "mermaid":
        for line in re.finditer(r"[^\n]+", body):
            yield from _sentences(text, inner + line.start(), inner + line.end(), cited)
        return
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return
    values = body.find('"values"')
    for point in _OBJECT.finditer(body, values, body.find("]", values)) if values >= 0 else ():
        is_long = point.end() - point.start() > LONGEST_PASSAGE
        for pair in _PAIR.finditer(point.group()):
            start = inner + point.start()
            yield Passage(
                kind="cell",
                start=start + pair.start(2),
                end=start + pair.end(2),
                citations=(),
                paragraph_citations=cited,
                context_start=start + pair.start(2) if is_long else start,
                context_end=start + pair.end(2) if is_long else inner + point.end(),
                heading=pair.group(1),
            )
