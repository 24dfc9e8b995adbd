"""What callers are told of a change, and the handles and titles that it goes by."""

from dataclasses import dataclass
from datetime import UTC, datetime

from datasteward.changes.model import ChangeStatus, Preview
from datasteward.changes.stored import ChangeRow
from datasteward.errors import ToolError

TITLE_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What became of a change: its state, what to say about it, and its preview."""

    change: str
    status: ChangeStatus
    message: str
    digest: str
    preview: Preview
    comment: str = ""
    successor: str | None = None
    undo_of: str | None = None
    undone_by: str | None = None
    earlier_preview: Preview | None = None
    preview_now: Preview | None = None
    """For one that has moved: the effect of the change that takes its place."""
    seconds: float | None = None
    proven: bool = False


def report_of(row: ChangeRow, successor: ChangeRow | None = None) -> ChangeReport:
    """The report of a change as stored; with the one that takes its place, if that is known."""
    summary = row.summary
    return ChangeReport(
        change=summary.handle,
        status=summary.status,
        message=summary.message,
        digest=summary.digest,
        preview=row.proposal.preview,
        comment=row.approval.comment if row.approval else "",
        successor=f"c{summary.replaced_by}" if summary.replaced_by else None,
        undo_of=f"c{summary.undo_of}" if summary.undo_of else None,
        undone_by=f"c{summary.undone_by}" if summary.undone_by else None,
        earlier_preview=row.earlier_preview,
        preview_now=successor.proposal.preview if successor and summary.status == "moved" else None,
        seconds=row.applied.seconds if row.applied else None,
        proven=row.applied.proven if row.applied else False,
    )


def parse_handle(change: str) -> int:
    """The number of `c8`; raises `ToolError` (invalid_arguments)."""
    digits = change.strip().lower().removeprefix("c")
    if not digits.isdigit():
        raise ToolError(
            f"'{change}' is not a change.",
            code="invalid_arguments",
            hint="A change is written c8; changes list shows them.",
        )
    return int(digits)


def shorten(sql: str) -> str:
    """The text on one line, cut to a title."""
    line = " ".join(sql.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1]}…"


def show_instant(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
