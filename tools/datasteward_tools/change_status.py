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
    """The state: waiting, approved, applied, rejected (with the comment), denied, expired, moved, failed, replaced,
    unknown.

    Waits up to wait_seconds for a decision; call again while it says waiting. No tool approves.
    """
    service: ChangeService = context.services.changes
    report = await service.status(arguments.change, wait_seconds=arguments.wait_seconds)
    return present_change(report, with_rows=False, root=service.workspace_root)
