"""What a passage says with one result in hand, worked out once for all the figures in it."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TypeVar

from datasteward.evidence.index import LabelHit, ResultIndex
from datasteward.evidence.model import Figure
from datasteward.evidence.passages import Passage
from datasteward.evidence.setting import ColumnHit, Setting, find_columns, find_keys

NEAREST_HITS = 24
"""How many row keys and column names on either side of a figure are taken into account."""
Hit = TypeVar("Hit", LabelHit, ColumnHit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """The row keys and column names that stand in a passage, dates and numbered keys aside."""

    labels: tuple[LabelHit, ...]
    columns: tuple[ColumnHit, ...]


def _nearest(hits: tuple[Hit, ...], figure: Figure) -> tuple[Hit, ...]:
    """The hits nearest to the figure on either side, in their order."""
    if len(hits) <= 2 * NEAREST_HITS:
        return hits
    place = bisect_left(hits, figure.start, key=lambda h: h.start)
    return hits[max(0, place - NEAREST_HITS) : place + NEAREST_HITS]


@dataclass(slots=True, kw_only=True)
class Scenes:
    """The scenes of one text; `work` counts what was looked at, in steps of a few microseconds."""

    text: str
    work: int = 0
    _scenes: dict[tuple[str, int, int], _Scene] = field(default_factory=dict)
    _labels: dict[tuple[str, int, int], tuple[LabelHit, ...]] = field(default_factory=dict)
    _keys: dict[tuple[str, int], tuple[LabelHit, ...]] = field(default_factory=dict)

    def set_figure(
        self, index: ResultIndex, passage: Passage, figure: Figure, neighbours: tuple[Figure, ...]
    ) -> Setting:
        """The figure in its passage, seen with the result."""
        scene = self._read(index, passage)
        keys = [hit for near in (*neighbours, figure) for hit in self._find_keys(index, near)]
        spans = {(k.start, k.end) for k in keys}
        nearby = _nearest(scene.labels, figure)
        labels = [h for h in nearby if not any(s <= h.start and h.end <= e for s, e in spans)] + keys
        columns = _nearest(scene.columns, figure) if passage.kind == "prose" else scene.columns
        if passage.kind == "prose":
            columns = tuple(c for c in columns if not any(s <= c.start < e for s, e in spans))
        claimed = {(f.start, f.end) for f in neighbours if any(h.start <= f.start and f.end <= h.end for h in labels)}
        years = sum(n.unit == "year" for n in neighbours)
        near = len(labels) * 4 + len(columns) * 4 + len(neighbours) * 2 + years * 8
        self.work += 40 + near + len(index.rows) // 20
        return Setting(
            text=self.text,
            passage=passage,
            figure=figure,
            neighbours=tuple(n for n in neighbours if (n.start, n.end) not in claimed and n.skip_reason is None),
            labels=tuple(sorted(labels, key=lambda h: (h.start, h.column))),
            column_hits=columns,
            key_columns=index.key_columns,
        )

    def _read(self, index: ResultIndex, passage: Passage) -> _Scene:
        place = (index.handle, passage.start, passage.end)
        found = self._scenes.get(place)
        if found is None:
            text = self.text
            labels = self._find_labels(index, passage.context_start, passage.context_end)
            if passage.kind == "cell":
                columns = find_columns(index, passage.heading or "", 0, [])
            else:
                columns = find_columns(index, text[passage.start : passage.end], passage.start, list(labels))
            found = self._scenes[place] = _Scene(labels=labels, columns=columns)
            self.work += (passage.end - passage.start) * 4
        return found

    def _find_labels(self, index: ResultIndex, start: int, end: int) -> tuple[LabelHit, ...]:
        place = (index.handle, start, end)
        found = self._labels.get(place)
        if found is None:
            found = self._labels[place] = tuple(index.find_labels(self.text[start:end], start))
            self.work += (end - start) * 2 + len(found)
        return found

    def _find_keys(self, index: ResultIndex, figure: Figure) -> tuple[LabelHit, ...]:
        place = (index.handle, figure.start)
        found = self._keys.get(place)
        if found is None:
            found = self._keys[place] = tuple(find_keys(index, self.text, (figure,)))
            self.work += 10 + len(found)
        return found
