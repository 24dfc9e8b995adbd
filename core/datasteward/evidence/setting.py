"""What the words around a figure say about it: which rows and columns it speaks of, and which way it points."""

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Literal

from datasteward.evidence.dates import covers
from datasteward.evidence.index import GENERIC, WORD, LabelHit, ResultIndex, stem
from datasteward.evidence.model import Figure
from datasteward.evidence.passages import Passage

_ATTACHED = re.compile(
    r"^[\s*_]*(?:(?!(?:and|while|but|with|to)\b)[\w'-]+\s+){0,3}?(?:in|for|from|at|of|by|on|during)\s+(?:the\s+)?[\s*_\"“]*$"
    r"|^\s*[(\[–—-]\s*(?:in\s+)?[\"“*]*$",
    re.I,
)
_BREAK = re.compile(r"[;.)]|\b(?:and|while|but|whereas)\b", re.I)
_EXCLUDED = re.compile(
    r"\b(?:except|excluding|without|other than|besides|apart from|outside|not|non)(?: for)?\s+(?:the\s+)?$", re.I
)
_BASE = re.compile(
    r"\b(?:than|(?:compared|relative) (?:with|to)|versus|vs\.?|from|over|against|since|(?:ahead|short) of|behind|beat|on|above|below|trails?|of|to that of)"
    r"\s+(?:(?:that|those)\s+(?:of|in)\s+)?(?:in\s+|for\s+)?(?:the\s+)?[\"“*]*$",
    re.I,
)
_PHRASE = re.compile(r"[\s*_]*(?:in|of)\s+(?:[\w'-]+\s+){1,2}", re.I)
_JOINED = re.compile(
    r"^[\s*\"”']*(?:,|and|&|plus|or|,\s*and|/|\+|to|through|with|versus|vs\.?)[\s*\"“]*(?:the\s+|in\s+)?$", re.I
)
UP = re.compile(
    r"\b(?:grew|grow\w*|increas\w*|rose|ris(?:e|es|en|ing)|up|gain\w*|higher|more|above|ahead|climb\w*|jump\w*|add(?:ed|s)|larger|greater|exceed\w*|surg\w*|beat)\b",
    re.I,
)
DOWN = re.compile(
    r"\b(?:fell|fall\w*|declin\w*|decreas\w*|drop\w*|down|los(?:s|t|es|ing)|lower|less|fewer|below|behind|short|shr[aiu]nk\w*|reduc\w*|slip\w*|smaller|deficit|negative|minus|shed|trail\w*)\b",
    re.I,
)


LONGEST_TURN = 60
Role = Literal["base", "subject", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnHit:
    """A column's name found in a text; several columns may share a span."""

    start: int
    end: int
    columns: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A figure in its passage, seen with one result in hand."""

    text: str
    passage: Passage
    figure: Figure
    neighbours: tuple[Figure, ...]
    """The other figures of the passage that stand for values, not for row keys."""
    labels: tuple[LabelHit, ...]
    column_hits: tuple[ColumnHit, ...]
    key_columns: frozenset[int]

    @property
    def words(self) -> str:
        """The passage's text, or for a cell its heading."""
        if self.passage.kind == "cell":
            return self.passage.heading or ""
        return self.text[self.passage.start : self.passage.end]

    @cached_property
    def bound_labels(self) -> tuple[LabelHit, ...]:
        """The row keys that the figure speaks of, nearest first; all of a row's keys for a table cell."""
        usable = [h for h in self.labels if h.end <= self.figure.start or h.start >= self.figure.end]
        usable = [
            h
            for h in usable
            if not _EXCLUDED.search(self.text[max(self.passage.context_start, h.start - 24) : h.start])
        ]
        if self.passage.kind == "cell":
            return tuple(usable)
        bound: list[LabelHit] = []
        for column in {h.column for h in usable}:
            alike = [h for h in usable if h.column == column]
            bound.extend(self._bind(self._of_role(alike)))
        return tuple(sorted(bound, key=lambda h: min(abs(h.start - self.figure.end), abs(self.figure.start - h.end))))

    @cached_property
    def role(self) -> Role:
        """Which side of "from A to B" or "B against A" the figure is; "none" outside of such a pair."""
        if self.passage.kind == "cell":
            return "none"
        before = self.text[max(self.passage.start, self.figure.start - 24) : self.figure.start]
        left = max((n for n in self.neighbours if n.end <= self.figure.start), key=lambda n: n.end, default=None)
        right = min((n for n in self.neighbours if n.start >= self.figure.end), key=lambda n: n.start, default=None)
        if (
            re.search(r"\b(?:from|was)\s+$", before, re.I)
            and right
            and re.fullmatch(r"[^.;]{0,12}\bto\s+", self.text[self.figure.end : right.start])
        ):
            return "base"
        joint = self.text[left.end : self.figure.start] if left else ""
        if re.fullmatch(r"\s*(?:against|versus|vs\.?|compared (?:with|to))\s+", joint):
            return "base"
        if left and re.fullmatch(r"[^.;]{0,12}\bto\s+", joint) and re.search(r"\bfrom\s+$", self.text[: left.start]):
            return "subject"
        follow = self.text[self.figure.end : right.start] if right else ""
        return "subject" if re.fullmatch(r"\s*(?:against|versus|vs\.?|compared (?:with|to))\s+", follow) else "none"

    def _of_role(self, hits: list[LabelHit]) -> list[LabelHit]:
        """Of the two labels of a comparison the one on the figure's side, unless one is attached to the figure."""
        bases = [h for h in hits if h in self.bases]
        subjects = [h for h in hits if h not in bases]
        after = [h for h in hits if h.start >= self.figure.end]
        if self.role == "none" or not bases or not subjects or (after and self.is_attached(after[0])):
            return hits
        return bases if self.role == "base" else subjects

    def is_attached(self, hit: LabelHit) -> bool:
        """True for "5 in North" and "5 (North)"."""
        return not self._parted(self.figure.end, hit.start) and bool(
            _ATTACHED.match(self.text[self.figure.end : hit.start])
        )

    @cached_property
    def bound_year(self) -> int | None:
        """The year the figure is said to be of, for results that keep one year a column."""
        years = [n for n in self.neighbours if n.unit == "year"]
        hits = [LabelHit(start=n.start, end=n.end, column=int(n.value), rows=()) for n in years]
        hits = [h for h in hits if h.end <= self.figure.start or self.is_attached(h)]
        bound = self._bind(self._of_role(hits)) if hits and self.passage.kind == "prose" else []
        return bound[0].column if len(bound) == 1 else None

    def _bind(self, hits: list[LabelHit]) -> list[LabelHit]:
        after = [h for h in hits if h.start >= self.figure.end]
        before = [h for h in hits if h.end <= self.figure.start]
        if after and self.is_attached(after[0]):
            return self._chain(after, 0, 1)
        if before:
            return self._respective(self._chain(before, len(before) - 1, -1))
        return [] if _BREAK.search(self.text[self.figure.end : after[0].start]) else self._chain(after, 0, 1)

    def _parted(self, start: int, end: int) -> bool:
        return any(start <= n.start < end for n in self.neighbours if n.unit not in ("year", "date"))

    def _chain(self, hits: list[LabelHit], first: int, step: int) -> list[LabelHit]:
        """The hit and those joined to it by a comma or "and"."""
        chained, position = [hits[first]], first + step
        while 0 <= position < len(hits):
            left, right = sorted((hits[position], chained[-1]), key=lambda h: h.start)
            if not _JOINED.match(self.text[left.end : right.start]):
                break
            chained.append(hits[position])
            position += step
        return chained

    def _respective(self, chained: list[LabelHit]) -> list[LabelHit]:
        """Of "A and B made 1 and 2" the label in the figure's place."""
        if len(chained) < 2:
            return chained
        ordered = sorted(chained, key=lambda h: h.start)
        last = ordered[-1].end
        tail = sorted([n for n in (*self.neighbours, self.figure) if n.start >= last], key=lambda n: n.start)
        alike = [n for n in tail if n.unit == self.figure.unit]
        if len(alike) == len(ordered) and all(_is_joined(self.text[a.end : b.start]) for a, b in pairwise(alike)):
            return [ordered[alike.index(self.figure)]]
        return chained

    @cached_property
    def bound_columns(self) -> frozenset[int]:
        """The columns that the figure speaks of; empty when none is named near it."""
        if self.passage.kind == "cell":
            return frozenset(c for h in self.column_hits for c in h.columns)
        own = self._following_column(self.figure)
        if own is not None:
            return frozenset(own.columns)
        taken = [hit for n in self.neighbours if (hit := self._following_column(n)) is not None]
        free = [h for h in self.column_hits if h not in taken and not self.key_columns.issuperset(h.columns)]
        before = [h for h in free if h.end <= self.figure.start]
        if not before:
            return frozenset()
        chosen = [before[-1]]
        for hit in reversed(before[:-1]):
            if not _JOINED.match(self.text[hit.end : chosen[-1].start]):
                break
            chosen.append(hit)
        chosen = self._respective_columns(chosen)
        return frozenset(c for h in chosen for c in h.columns)

    def _respective_columns(self, chosen: list[ColumnHit]) -> list[ColumnHit]:
        if len(chosen) < 2:
            return chosen
        ordered = sorted(chosen, key=lambda h: h.start)
        tail = sorted([n for n in (*self.neighbours, self.figure) if n.start >= ordered[-1].end], key=lambda n: n.start)
        return [ordered[tail.index(self.figure)]] if len(tail) == len(ordered) else chosen

    def _following_column(self, figure: Figure) -> ColumnHit | None:
        for hit in self.column_hits:
            between = self.text[figure.end : hit.start]
            if (
                hit.start >= figure.end
                and len(between) < 30
                and re.fullmatch(r"[\s*_]*(?:(?:in|of|are|were|is|was)\s+)?(?:[\w'-]+\s+){0,2}", between)
            ):
                if re.search(r"\b(?:and|while|but|with|as(?! (?:many|much))|on|by|from|to|than|for)\b", between):
                    return None
                return hit
        return None

    def is_loosely_bound(self, integral: frozenset[int]) -> bool:
        """True when only columns of whole numbers (`integral`) are named near the figure, and hardly as what it is.

        As in "91383.00 in paid orders": it has decimals or is money, or the name is the noun of a phrase of its own.
        """
        bound = self.bound_columns
        if self.passage.kind == "cell" or not bound or not bound <= integral:
            return False
        is_no_count = (self.figure.decimals > 0 and self.figure.scale == 1) or self.figure.unit == "currency"
        own = self._following_column(self.figure)
        phrase = self.text[self.figure.end : own.start] if own is not None else ""
        return is_no_count or bool(_PHRASE.fullmatch(phrase))

    @property
    def named_columns(self) -> frozenset[int]:
        """Every column named in the passage."""
        return frozenset(c for h in self.column_hits for c in h.columns)

    @cached_property
    def direction(self) -> int:
        """-1 or 1 when the words make the figure a fall or a rise, else 0."""
        stop = min([n.start for n in self.neighbours if n.start >= self.figure.end] or [self.passage.end])
        after = re.match(r"\s*(?:[\w'%-]+\s+){0,2}?[\w-]+", self.text[self.figure.end : stop])
        if self.passage.kind == "prose" and after and (way := _way(after.group(), is_first=True)):
            return way
        start = max([n.end for n in self.neighbours if n.end <= self.figure.start] or [self.passage.start])
        near = _way(
            self.text[start : self.figure.start] if self.passage.kind == "prose" else self.words, is_first=False
        )
        return near or _way_before(self.words, max(0, self.figure.start - self.passage.start))

    @cached_property
    def bases(self) -> tuple[LabelHit, ...]:
        """The labels that a comparison in the passage is made against."""
        low = self.passage.context_start
        return tuple(h for h in self.labels if _BASE.search(self.text[max(low, h.start - 40) : h.start]))


def _is_joined(text: str) -> bool:
    return (
        bool(re.fullmatch(r"\s*(?:[\w%$€£'-]+\s+){0,2}(?:,|and|, and|versus|vs\.?)?\s*(?:[\w$€£]+\s+){0,1}", text))
        and "." not in text
    )


@lru_cache(maxsize=512)
def says(cue: re.Pattern[str], words: str) -> bool:
    """Whether a cue stands in a passage's words; asked for every figure in it, searched once."""
    return cue.search(words) is not None


@lru_cache(maxsize=64)
def _turns(cue: re.Pattern[str], words: str) -> tuple[int, ...]:
    return tuple(m.end() for m in cue.finditer(words))


def _way_before(words: str, stop: int) -> int:
    """The way of the last word of rise or fall that ends before `stop`."""
    up, down = (bisect_right(_turns(cue, words), stop) for cue in (UP, DOWN))
    if not up and not down:
        return 0
    last = max([*_turns(UP, words)[:up][-1:], *_turns(DOWN, words)[:down][-1:]])
    return _way(words[max(0, last - LONGEST_TURN) : min(stop, last + LONGEST_TURN)], is_first=False)


def _way(text: str, *, is_first: bool) -> int:
    ups, downs = [m.start() for m in UP.finditer(text)], [m.start() for m in DOWN.finditer(text)]
    if re.search(r"\bmore than\s*$", text, re.I) and ups:
        ups.pop()
    if re.search(r"\bless than\s*$", text, re.I) and downs:
        downs.pop()
    if not ups or not downs:
        return 1 if ups else -1 if downs else 0
    pick = min if is_first else max
    return 1 if pick(ups) == pick([*ups, *downs]) else -1


def find_columns(index: ResultIndex, text: str, offset: int, labels: list[LabelHit]) -> tuple[ColumnHit, ...]:
    """The result's column names in `text`, the fullest match at each place, not where a row key stands."""
    words = [(offset + w.start(), offset + w.end(), stem(w.group())) for w in WORD.finditer(text)]
    hits: list[tuple[int, int, int, int]] = []
    uses = Counter(w for name in index.name_words for w in set(name))
    for column, name in enumerate(index.name_words):
        key = [w for w in name if w not in GENERIC] or list(name)
        unique = {w for w in key if uses[w] == 1 and len(w) > 2 and not w.isdigit()}
        for at, (start, end, word) in enumerate(words):
            if word not in key or any(h.start <= start < h.end for h in labels):
                continue
            window = words[max(0, at - 3) : at + 4]
            near = {w for _, _, w in window}
            if word in unique or all(k in near for k in key):
                matched = sum(1 for n in set(name) if n in near)
                hits.append((start, end, column, matched * 4 - len(set(name) - near)))
    places = sorted({(s, e) for s, e, _, _ in hits})
    found = []
    for start, end in places:
        here = [(score, column) for s, e, column, score in hits if (s, e) == (start, end)]
        best = max(score for score, _ in here)
        found.append(ColumnHit(start=start, end=end, columns=tuple(c for score, c in here if score == best)))
    return tuple(found)


def find_keys(index: ResultIndex, text: str, figures: tuple[Figure, ...]) -> list[LabelHit]:
    """Dates, years and numbered keys ("store 12") that stand in the text as row keys."""
    found: list[LabelHit] = []
    for figure in figures:
        if figure.unit == "date":
            for column, cells in index.dates.items():
                rows = tuple(r for r, c in enumerate(cells) if c and any(covers(d, c) for d in figure.dates))
                found.extend([LabelHit(start=figure.start, end=figure.end, column=column, rows=rows)] if rows else [])
            for column, years in index.years.items():
                rows = tuple(r for d in figure.dates if d.year for r in years.get(d.year, []))
                found.extend([LabelHit(start=figure.start, end=figure.end, column=column, rows=rows)] if rows else [])
        elif figure.unit == "year":
            found.extend(_year_keys(index, figure))
        elif figure.unit == "plain":
            found.extend(_numbered_keys(index, text, figure))
    return found


def _year_keys(index: ResultIndex, figure: Figure) -> list[LabelHit]:
    year = int(figure.value)
    found = []
    for column, years in index.years.items():
        if year in years:
            found.append(LabelHit(start=figure.start, end=figure.end, column=column, rows=tuple(years[year])))
    for column, cells in index.dates.items():
        rows = tuple(r for r, c in enumerate(cells) if c and c.year == year)
        found.extend([LabelHit(start=figure.start, end=figure.end, column=column, rows=rows)] if rows else [])
    return found


def _numbered_keys(index: ResultIndex, text: str, figure: Figure) -> list[LabelHit]:
    """ "week 7", "store 12": a key column's noun before the number."""
    before = WORD.findall(text[max(0, figure.start - 24) : figure.start])
    if not before:
        return []
    noun, found = stem(before[-1]), []
    for numeric in index.numbers:
        nouns = [w for w in index.name_words[numeric.index] if w not in ("id", "no", "number", "count", "key")]
        if numeric.is_integral and (numeric.is_key and noun in (nouns or index.name_words[numeric.index])):
            rows = tuple(numeric.between(figure.value, figure.value))
            found.extend(
                [LabelHit(start=figure.start, end=figure.end, column=numeric.index, rows=rows)] if rows else []
            )
    return found
