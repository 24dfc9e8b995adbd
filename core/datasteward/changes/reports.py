"""What callers are told of a change, and the handles and titles that it goes by."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from datasteward.changes.model import ChangeStatus, Preview
from datasteward.changes.stored import ChangeRow, ChangeSummary
from datasteward.errors import ToolError

TITLE_CHARACTERS = 80
LONGEST_NUMBER = 18
"""Digits that fit a number of the state database."""


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


def describe_state(row: ChangeRow) -> str:
    """What is true of a change now, in a sentence: `c8 is expired: nobody decided in time.`"""
    summary, approval = row.summary, row.approval
    by = f" by {approval.by}" if approval is not None else ""
    successor = f"; c{summary.replaced_by} takes its place" if summary.replaced_by is not None else ""
    return f"{summary.handle} {_state_words(summary, by)}{successor}."


def _state_words(summary: ChangeSummary, by: str) -> str:
    match summary.status:
        case "waiting":
            return "waits for a decision"
        case "approved":
            return f"is approved{by} and not applied yet"
        case "applying":
            return "is being applied"
        case "applied":
            taken_back = f" and was taken back by c{summary.undone_by}" if summary.undone_by is not None else ""
            return f"is applied{taken_back}"
        case "rejected":
            return f"is rejected{by}"
        case "denied":
            return "is denied by the policy"
        case "expired":
            return "is expired: " + ("it was approved and not applied in time" if by else "nobody decided in time")
        case "moved":
            return "is not applied, since what it touches has moved"
        case "failed":
            return "is failed, and nothing was changed by it"
        case "replaced":
            return "is replaced by an edited proposal"
        case "unknown":
            return "has an outcome that is not known yet"
        case _:
            assert_never(summary.status)


def next_step(row: ChangeRow) -> str:
    """What a person can do about a change in this state."""
    summary, change = row.summary, row.summary.handle
    match summary.status:
        case "waiting":
            return f"steward changes approve {change} or steward changes reject {change} decides on it."
        case "approved":
            return (
                f"steward changes approve {change} applies it; steward changes reject {change} takes the approval back."
            )
        case "applying" | "unknown":
            return f"steward changes show {change} tells how it ends."
        case "applied" if summary.undone_by is None:
            return f"steward changes undo {change} proposes to take it back."
        case "moved" | "replaced" if summary.replaced_by is not None:
            return f"Decide on c{summary.replaced_by}."
        case "denied":
            return f"steward policy explain {change} tells which rule denies it."
        case "failed":
            return f"steward changes show {change} tells why; mend that and propose it again."
        case _:
            return "Propose it again if it is wanted."


def wrong_state(row: ChangeRow) -> ToolError:
    """The error for a step that this state does not allow: what is true instead, and the next step."""
    return ToolError(describe_state(row), code="conflict", hint=next_step(row))


def parse_handle(change: str) -> int:
    """The number of `c8`; raises `ToolError` (invalid_arguments, not_found)."""
    digits = change.strip().lower().removeprefix("c")
    if not (digits.isascii() and digits.isdigit()):
        raise ToolError(f"'{change}' is not a change.", code="invalid_arguments", hint="A change is written c8.")
    if len(digits) > LONGEST_NUMBER:
        raise ToolError(f"There is no change {change}.", code="not_found")
    return int(digits)


def shorten(sql: str) -> str:
    """The text on one line, cut to a title."""
    line = " ".join(sql.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1]}…"


def show_instant(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
