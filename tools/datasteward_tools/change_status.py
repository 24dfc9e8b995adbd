"""The tool `change_status`."""

from typing import Annotated

from pydantic import Field

from datasteward.changes.service import LONGEST_WAIT_SECONDS, ChangeService
from datasteward.tooling import ToolContext, ToolInput, tool
from datasteward_tools.change_views import ChangeOutput, present_change


class ChangeStatusInput(ToolInput):
    change: str = Field(description="Such as c8.")
    wait_seconds: Annotated[float, Field(ge=0, le=LONGEST_WAIT_SECONDS)] = Field(
        default=20.0, description="At most 40."
    )


@tool(title="Ask what became of a change", is_read_only=False, is_idempotent=True)
async def change_status(arguments: ChangeStatusInput, context: ToolContext) -> ChangeOutput:
    """The state of a change: waiting, approved, applied, rejected (with the comment), denied, expired, moved, unknown.

    Waits for a decision up to wait_seconds; call again while it says waiting. There is no tool that approves.
    """
    service: ChangeService = context.services.changes
    report = await service.status(arguments.change, wait_seconds=arguments.wait_seconds)
    return present_change(report, with_rows=False)
