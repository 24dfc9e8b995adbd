"""What the tools on changes answer: the state in words first, then the effect."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from datasteward.changes.masking import without_personal_values
from datasteward.changes.model import ChangeStatus
from datasteward.changes.render import has_effect_to_take_back, render_report
from datasteward.changes.service import ChangeReport
from datasteward.tooling import ToolOutput


class TableChange(ToolOutput):
    """Exact counts for one table."""

    table: str
    action: Literal["rows", "created", "dropped", "replaced", "altered"]
    inserted: int
    updated: int
    deleted: int


class ChangeOutput(ToolOutput):
    """The state of a change and its effect."""

    change: str
    status: ChangeStatus
    message: str | None = None
    comment: str | None = None
    next_change: str | None = Field(default=None, description="The change that took this one's place.")
    tables: list[TableChange]
    reversible: bool | None = Field(default=None, description="Unset when there is nothing to take back.")
    proven: bool | None = None
    text: str

    def to_text(self) -> str:
        """State, comment and effect."""
        return self.text


def present_change(report: ChangeReport, *, with_rows: bool, root: Path) -> ChangeOutput:
    """The report as a tool's answer: rows before and after only `with_rows`, personal values as their shapes.

    Files below `root` are named relative to it.
    """
    report = without_personal_values(report)
    preview = report.preview_now or report.preview
    stands = report.preview_now is not None or has_effect_to_take_back(report.status, report.undone_by)
    return ChangeOutput(
        change=report.change,
        status=report.status,
        message=report.message or None,
        comment=report.comment or None,
        next_change=report.successor,
        tables=[
            TableChange(table=t.table.label, action=t.action, inserted=t.inserted, updated=t.updated, deleted=t.deleted)
            for t in preview.tables
        ],
        reversible=preview.is_reversible if stands else None,
        proven=report.proven or None,
        text=render_report(report, with_rows=with_rows, root=root),
    )
