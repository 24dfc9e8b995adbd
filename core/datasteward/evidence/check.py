"""The check of an answer: every figure against the results it cites, or all at hand, with its ground."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from datasteward.evidence.comparing import factors, matching_rows
from datasteward.evidence.derivations import Ground, find_derivation
from datasteward.evidence.figures import find_figures
from datasteward.evidence.index import NumericColumn, ResultIndex, index_result
from datasteward.evidence.model import (
    CellReference,
    EvidenceReport,
    Figure,
    ResultsReader,
    ScanLimits,
    Verdict,
)
from datasteward.evidence.pairing import is_time_column, row_before
from datasteward.evidence.passages import Passage, citations_in, find_number_words, split_passages
from datasteward.evidence.scenes import Scenes
from datasteward.evidence.setting import Setting, says

_EXTREME_HIGH = re.compile(
    r"(?<!second )(?<!second-)(?<!third )(?<!third-)(?<!next )\b(?:highest|largest|biggest|maximum|peak)\b", re.I
)
_EXTREME_LOW = re.compile(
    r"(?<!second )(?<!second-)(?<!third )(?<!third-)(?<!next )\b(?:lowest|smallest|minimum)\b", re.I
)


NEIGHBOURS = 12
"""How many figures on either side are taken into account."""
TOO_MUCH = "not looked at: checking the whole answer would take too long"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """The results in play for one figure."""

    scenes: Scenes
    passage: Passage
    figure: Figure
    neighbours: tuple[Figure, ...]
    indexes: tuple[ResultIndex, ...]
    is_cited: bool


def check_answer(text: str, results: ResultsReader, limits: ScanLimits | None = None) -> EvidenceReport:
    """A verdict for every figure of `text`, in its order.

    A figure is held against the results cited in its sentence or table row, then its paragraph, and if none is cited
    against all of `results`, which is then said. Blocking; time grows with the cells scanned, bounded by `limits`.
    """
    limits = limits or ScanLimits()
    cuts = []
    if len(text) > limits.text_characters:
        cuts.append(f"the answer: {limits.text_characters:,} of {len(text):,} characters were read")
    body = text[: limits.text_characters]
    cited = citations_in(body)
    indexes, unknown = _read_results(results, cited, limits)
    figures = find_figures(body, limits.figures + 1)
    if len(figures) > limits.figures:
        cuts.append(f"the answer: only its first {limits.figures:,} figures were checked")
    verdicts = tuple(_judge_all(Scenes(text=body), figures[: limits.figures], indexes, limits))
    left_out = sum(v.reason == TOO_MUCH for v in verdicts)
    if left_out:
        cuts.append(f"the answer: {left_out:,} of {len(verdicts):,} figures were left out, it would take too long")
    return EvidenceReport(
        text=text,
        verdicts=verdicts,
        unknown_handles=unknown,
        cuts=(*cuts, *(i.cut for i in indexes.values() if i.cut)),
        number_words=find_number_words(body),
    )


def verify_again(report: EvidenceReport, results: ResultsReader) -> EvidenceReport:
    """The verdicts of a stored answer against today's `results`, in the same order as before."""
    return check_answer(report.text, results)


def changed_verdicts(before: EvidenceReport, after: EvidenceReport) -> tuple[Verdict, ...]:
    """Today's verdicts on figures that were backed or derived before and are not now."""
    good = ("backed", "derived")
    held = {(v.figure.start, v.figure.end) for v in before.verdicts if v.status in good}
    return tuple(v for v in after.verdicts if v.status not in good and (v.figure.start, v.figure.end) in held)


def _read_results(
    results: ResultsReader, cited: tuple[str, ...], limits: ScanLimits
) -> tuple[dict[str, ResultIndex], tuple[str, ...]]:
    indexes, unknown = {}, []
    for handle in dict.fromkeys((*cited, *(h.lower() for h in results.handles()))):
        table = results.read(handle)
        if table is not None:
            indexes[handle] = index_result(table, limits)
        elif handle in cited:
            unknown.append(handle)
    return indexes, tuple(unknown)


def _judge_all(
    scenes: Scenes, figures: tuple[Figure, ...], indexes: dict[str, ResultIndex], limits: ScanLimits
) -> Iterable[Verdict]:
    for passage, row, inside in _group(split_passages(scenes.text), figures):
        places = {id(f): place for place, f in enumerate(row)}
        for figure in inside:
            if scenes.work > limits.work:
                yield Verdict(figure=figure, status="not_checkable", reason=TOO_MUCH)
                continue
            place = places[id(figure)]
            near = row[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]
            yield _judge(scenes, passage, figure, near, indexes)


def _group(
    passages: tuple[Passage, ...], figures: tuple[Figure, ...]
) -> Iterator[tuple[Passage, tuple[Figure, ...], tuple[Figure, ...]]]:
    """Each passage with the figures of its context (a cell's row) and those inside it."""
    starts = [f.start for f in figures]
    for passage in passages:
        inside = figures[bisect_left(starts, passage.start) : bisect_left(starts, passage.end)]
        low = passage.context_start if passage.kind == "cell" else passage.start
        high = passage.context_end if passage.kind == "cell" else passage.end
        if inside:
            yield passage, figures[bisect_left(starts, low) : bisect_left(starts, high)], inside


def _judge(
    scenes: Scenes, passage: Passage, figure: Figure, row: tuple[Figure, ...], indexes: dict[str, ResultIndex]
) -> Verdict:
    if figure.skip_reason is not None:
        return Verdict(figure=figure, status="not_checkable", reason=figure.skip_reason)
    others = tuple(f for f in row if f is not figure)
    missing = None
    for handles in (passage.citations, passage.paragraph_citations):
        chosen = tuple(indexes[h] for h in handles if h in indexes)
        if (handles and missing is None) or chosen:
            bench = _Bench(
                scenes=scenes, passage=passage, figure=figure, neighbours=others, indexes=chosen, is_cited=True
            )
            verdict = _judge_on(bench)
            if verdict.status != "not_found":
                return verdict
            missing = missing or verdict
    bench = _Bench(
        scenes=scenes,
        passage=passage,
        figure=figure,
        neighbours=others,
        indexes=tuple(indexes.values()),
        is_cited=False,
    )
    if missing is None:
        return _judge_on(bench)
    return _point_elsewhere(missing, _judge_on(bench))


def _point_elsewhere(missing: Verdict, elsewhere: Verdict) -> Verdict:
    if elsewhere.status == "backed" and elsewhere.cells and missing.figure.unit != "year":
        cell = elsewhere.cells[0]
        return replace(missing, reason=f"not in the cited result, but {cell.describe()}", nearest=None)
    return missing


def _judge_on(bench: _Bench) -> Verdict:
    """The best verdict over the bench's results: a cell first, then arithmetic, then what comes nearest."""
    figure = bench.figure
    if not bench.indexes:
        why = "the cited result does not exist" if bench.is_cited else "there is no result to hold it against"
        return Verdict(figure=figure, status="not_found", reason=why)
    settings = [(index, _set(bench, index)) for index in bench.indexes]
    key = _judge_key(bench, settings)
    if key is not None and key.status == "backed":
        return key
    nearest: CellReference | None = None
    reason: str | None = None
    grounds = [_ground(index, setting) for index, setting in settings]
    for ground in grounds:
        cell = _find_cell(ground)
        if cell is not None:
            return Verdict(figure=figure, status="backed", is_cited=bench.is_cited, cells=(cell,))
    for ground in grounds:
        found = find_derivation(ground)
        if found is not None:
            return Verdict(
                figure=figure,
                status="derived",
                is_cited=bench.is_cited,
                cells=found.cells,
                formula=found.formula,
                derivation=found.words,
            )
        nearest = nearest or _nearest(ground)
        reason = reason or _misplaced(ground)
    if key is not None:
        return key
    if any(abs(figure.value) in i.literals for i in bench.indexes) and figure.unit in ("plain", "currency", "percent"):
        return Verdict(figure=figure, status="not_checkable", reason="a condition in the result's own query")
    return Verdict(figure=figure, status="not_found", reason=reason, nearest=nearest)


def _set(bench: _Bench, index: ResultIndex) -> Setting:
    return bench.scenes.set_figure(index, bench.passage, bench.figure, bench.neighbours)


def _judge_key(bench: _Bench, settings: list[tuple[ResultIndex, Setting]]) -> Verdict | None:
    """Figures that are row keys or part of one: dates, years, "store 12", "Plan 365"."""
    figure = bench.figure
    for index, setting in settings:
        for hit in setting.labels:
            if hit.start <= figure.start and figure.end <= hit.end:
                cell = index.cell(hit.rows[0], hit.column)
                return Verdict(figure=figure, status="backed", is_cited=bench.is_cited, cells=(cell,))
    if figure.unit not in ("date", "year"):
        return None
    if not any(i.dates or i.years for i, _ in settings):
        return Verdict(figure=figure, status="not_checkable", reason="a date, and no result at hand holds dates")
    nearest = _nearest_date(settings[0][0])
    return Verdict(figure=figure, status="not_found", reason="no row has this date", nearest=nearest)


def _nearest_date(index: ResultIndex) -> CellReference | None:
    column = next(iter((*index.dates, *index.years)), None)
    return index.cell(0, column) if column is not None and index.rows else None


def _ground(index: ResultIndex, setting: Setting) -> Ground:
    named = [n for n in index.numbers if n.index in setting.bound_columns]
    measures = [n for n in index.numbers if not (n.is_key or n.index in index.years)] or list(index.numbers)
    rows: frozenset[int] | None = None
    for column in dict.fromkeys(h.column for h in setting.bound_labels):
        union = frozenset(r for h in setting.bound_labels if h.column == column for r in h.rows)
        union = _rows_of_role(index, setting, column, union)
        rows = union if rows is None else (rows & union) or rows
    chosen = named or measures
    if setting.bound_year is not None:
        year = str(setting.bound_year)
        chosen = [n for n in chosen if year in index.name_words[n.index]] or chosen
    return Ground(index=index, setting=setting, columns=tuple(chosen), rows=rows)


def _rows_of_role(index: ResultIndex, setting: Setting, column: int, rows: frozenset[int]) -> frozenset[int]:
    """For the "from" of "in May it rose from A to B", the row before May when the sentence does not name it."""
    is_told = any(setting.is_attached(h) for h in setting.bound_labels if h.start >= setting.figure.end)
    if (
        setting.role == "base"
        and not is_told
        and len(rows) == 1
        and not setting.bases
        and is_time_column(index, column)
    ):
        before = row_before(index, column, next(iter(rows)))
        return rows if before is None else frozenset({before})
    return rows


def _find_cell(ground: Ground) -> CellReference | None:
    setting, figure = ground.setting, ground.setting.figure
    for column in _columns_of_unit(ground):
        is_named = column.index in setting.bound_columns
        for row in matching_rows(figure, column, ground.rows, setting.direction, is_named=is_named):
            if _is_extreme_as_said(setting, column, row, ground.rows):
                return ground.index.cell(row, column.index)
    return _find_unnamed_cell(ground)


def _find_unnamed_cell(ground: Ground) -> CellReference | None:
    """The same value in a column of amounts, where the sentence names a count near the figure but not for it."""
    index, setting, figure = ground.index, ground.setting, ground.setting.figure
    if not setting.is_loosely_bound(frozenset(n.index for n in index.numbers if n.is_integral)):
        return None
    others = setting.named_columns - setting.bound_columns - index.key_columns
    for column in index.numbers:
        if column.is_integral or column in ground.columns or (others and column.index not in others):
            continue
        for row in matching_rows(figure, column, ground.rows, 0, is_named=False):
            if figure.decimals > 0 or column.values[row] * column.scale == figure.value:
                return index.cell(row, column.index)
    return None


def _columns_of_unit(ground: Ground) -> tuple[NumericColumn, ...]:
    """The columns the figure may speak of; for "5 % of its orders", where orders cannot hold it, those of percents."""
    figure = ground.setting.figure
    if (
        figure.unit != "percent"
        or ground.rows is None
        or any(factors(figure, c, is_named=True) for c in ground.columns)
    ):
        return ground.columns
    return tuple(c for c in ground.index.numbers if factors(figure, c, is_named=False))


def _is_extreme_as_said(setting: Setting, column: NumericColumn, row: int, rows: frozenset[int] | None) -> bool:
    """False when the sentence says "highest" of a column without naming a row, and another row is higher."""
    if rows is not None or setting.passage.kind == "cell" or len(setting.neighbours) > 0:
        return True
    words = setting.words
    if says(_EXTREME_HIGH, words) and not says(_EXTREME_LOW, words):
        return column.values[row] == column.ordered[-1][0]
    if says(_EXTREME_LOW, words) and not says(_EXTREME_HIGH, words):
        return column.values[row] == column.ordered[0][0]
    return True


def _nearest(ground: Ground) -> CellReference | None:
    value = ground.setting.figure.value
    best: tuple[object, int, int] | None = None
    for column in ground.columns:
        rows = [r for r in ground.rows if r in column.values] if ground.rows is not None else None
        row = (
            min(rows, key=lambda r: abs(column.values[r] - value))
            if rows
            else column.nearest(value)
            if rows is None
            else None
        )
        if row is not None:
            gap = abs(column.values[row] - value)
            if best is None or gap < best[0]:  # type: ignore[operator]  # the first item is a Decimal
                best = (gap, row, column.index)
    return ground.index.cell(best[1], best[2]) if best else None


def _misplaced(ground: Ground) -> str | None:
    """Where the value stands when it is in the result, but not where the sentence puts it."""
    for column in ground.index.numbers:
        for row in matching_rows(ground.setting.figure, column, None, 0, is_named=False):
            return f"the value stands elsewhere: {ground.index.cell(row, column.index).describe()}"
    return None
