"""Decisions of a person who sits at an MCP client: only for what policy lets them decide there, on an exact digest."""

from dataclasses import dataclass

from datasteward.changes.render import render_change
from datasteward.changes.reports import report_of
from datasteward.changes.service import ChangeService
from datasteward.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientQuestion:
    """What the person is shown and what an approval of it names."""

    change: str
    digest: str
    message: str


class ClientDecisions:
    """Asks about waiting changes and records the answers; whatever may not be decided in a client is not asked."""

    def __init__(self, service: ChangeService) -> None:
        self._service = service

    async def question(self, change: str) -> ClientQuestion | None:
        """The question about a waiting change, or None when it has to wait for the inbox."""
        row = await self._service.show(change)
        if not self._service.can_elicit(report_of(row)):
            return None
        shown = render_change(row, root=self._service.workspace_root)
        return ClientQuestion(
            change=row.summary.handle,
            digest=row.summary.digest,
            message=f"Apply {row.summary.handle}? Its effect was measured and rolled back:\n\n{shown}",
        )

    async def answer(self, change: str, digest: str, *, is_approved: bool, comment: str, by: str) -> str:
        """Record the decision and carry it out; a sentence when it came too late or no longer fits, else empty."""
        try:
            if is_approved:
                await self._service.approve(change, digest=digest, by=by, channel="elicitation", comment=comment)
            else:
                await self._service.reject(change, by=by, channel="elicitation", comment=comment, digest=digest)
        except ToolError as error:
            return str(error)
        return ""
