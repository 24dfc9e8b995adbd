"""Previews for a model: personal values as their shapes."""

import re
from collections.abc import Sequence
from dataclasses import replace

from datasteward.changes.model import ColumnChange, Preview, SampleRow, TableEffect
from datasteward.changes.reports import ChangeReport
from datasteward.profiling.personal_text import conceal


def without_personal_values(report: ChangeReport) -> ChangeReport:
    """The report for a model: the shapes of personal values only, `x` for letters and `9` for digits."""
    return replace(
        report,
        preview=_mask_preview(report.preview),
        earlier_preview=None if report.earlier_preview is None else _mask_preview(report.earlier_preview),
        preview_now=None if report.preview_now is None else _mask_preview(report.preview_now),
    )


def _mask_preview(preview: Preview) -> Preview:
    hidden = {(p.dataset, p.column) for p in preview.personal or ()}
    return preview.model_copy(update={"tables": tuple(_mask_table(t, hidden) for t in preview.tables)})


def _mask_table(effect: TableEffect, hidden: set[tuple[str, str]]) -> TableEffect:
    label = effect.table.label
    hides = [(label, column) in hidden for column in effect.sample_columns]
    return effect.model_copy(
        update={
            "samples": tuple(_mask_sample(row, hides) for row in effect.samples),
            "columns": tuple(_mask_column(c, hides=(label, c.column) in hidden) for c in effect.columns),
        }
    )


def _mask_sample(row: SampleRow, hides: Sequence[bool]) -> SampleRow:
    sides = {
        side: None if cells is None else tuple(_mask(c, hides=h) for c, h in zip(cells, hides, strict=True))
        for side, cells in (("before", row.before), ("after", row.after))
    }
    return row.model_copy(update=sides)


def _mask_column(column: ColumnChange, *, hides: bool) -> ColumnChange:
    fields = ("least_before", "greatest_before", "least_after", "greatest_after")
    return column.model_copy(update={f: _mask(getattr(column, f), hides=hides) for f in fields})


def _mask(cell: str | None, *, hides: bool) -> str | None:
    if cell is None:
        return None
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "x", cell)) if hides else conceal(cell)
