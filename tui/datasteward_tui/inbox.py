"""Keeps the approval panel in step with the workspace's proposals, and carries the person's decisions out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasteward.errors import DatastewardError
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.change_lines import summarise_effect
from datasteward_tui.ports import ApprovalDesk
from datasteward_tui.tool_link import Held

if TYPE_CHECKING:
    from datasteward.changes.service import ChangeReport
    from datasteward.changes.store import ChangeRow, ChangeSummary
    from datasteward_tui.approval_panel import Verb

POLL_SECONDS = 1.0
HISTORY_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits now, and which of it was not there at the last look."""

    changes: "tuple[ChangeSummary, ...]"
    is_new: bool


class Inbox:
    """The proposals as last read."""

    def __init__(self, desk: "Held[ApprovalDesk]", say: Callable[[NoticeBlock], None]) -> None:
        self._desk = desk
        self._say = say
        self._known: frozenset[tuple[str, str]] | None = None
        self.waiting: tuple[ChangeSummary, ...] = ()

    async def look(self) -> Waiting:
        """Read what waits; raises `DatastewardError` when the desk is out of reach."""
        desk = await self._desk.get()
        found = tuple(c for c in await desk.summaries(only_open=True) if c.status == "waiting")
        keys = frozenset((c.handle, c.digest) for c in found)
        is_new = bool(keys - (self._known or frozenset()))
        self._known = keys
        self.waiting = found
        return Waiting(changes=found, is_new=is_new)

    async def everything(self) -> "tuple[ChangeSummary, ...]":
        """The latest changes, whatever became of them."""
        return await (await self._desk.get()).summaries(limit=HISTORY_LENGTH)

    async def read(self, change: str) -> "ChangeRow":
        """All of one change; raises `ToolError`."""
        return await (await self._desk.get()).show(change)

    async def decide(self, verb: "Verb", change: str, digest: str, *, by: str, comment: str) -> None:
        """Carry a decision out and say what came of it."""
        try:
            desk = await self._desk.get()
            match verb:
                case "approve":
                    report = await desk.approve(change, digest=digest, by=by, channel="app", comment=comment)
                case "reject":
                    report = await desk.reject(change, by=by, channel="app", comment=comment, digest=digest)
                case "later":
                    report = await desk.postpone(change, by=by)
                case "undo":
                    report = await desk.propose_undo(change, requested_by=by, purpose=comment)
        except DatastewardError as error:
            self._say(NoticeBlock(f"{change}: {error.message}", "error", error.hint))
            return
        self._say(_tell(verb, change, report))


def _tell(verb: "Verb", change: str, report: "ChangeReport") -> NoticeBlock:
    if verb == "undo":
        return NoticeBlock(
            f"{report.change} would take back {change}: it waits for your decision.", "info", "F2 shows it."
        )
    if verb == "later":
        return NoticeBlock(f"{change} stays in the inbox.", "info")
    match report.status:
        case "applied":
            took = f" in {report.seconds:.2f} s" if report.seconds is not None else ""
            proof = " The tables are proven to be as they were before." if report.proven else ""
            undo = (
                f"/undo {change} proposes to take it back."
                if report.preview.is_reversible and not report.undo_of
                else None
            )
            return NoticeBlock(f"{change} applied{took}: {summarise_effect(report.preview)}.{proof}", "good", undo)
        case "rejected":
            return NoticeBlock(f"{change} rejected.{f' “{report.comment}”' if report.comment else ''}", "info")
        case "waiting":
            return NoticeBlock(
                f"{change} was not applied and waits again: {report.message}", "warning", "F2 shows it anew."
            )
        case _:
            return NoticeBlock(f"{change} is {report.status}: {report.message}", "warning")
