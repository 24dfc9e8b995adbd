"""The tool `undo_change`."""

from pydantic import Field

from datasteward.changes.service import ChangeService
from datasteward.tooling import ToolContext, ToolInput, tool
from datasteward_tools.change_views import ChangeOutput, present_change


class UndoChangeInput(ToolInput):
    change: str = Field(description="Such as c8.")
    purpose: str = Field(default="")


@tool(title="Propose to take a change back", is_read_only=False, is_destructive=True, is_idempotent=False)
async def undo_change(arguments: UndoChangeInput, context: ToolContext) -> ChangeOutput:
    """The effect of taking an applied change back, recorded as a change of its own that waits for a decision.

    Brings back rows, tables, views and replaced files, with proof. Refused, with the order to follow, when later
    changes build on it. Then ask change_status.
    """
    service: ChangeService = context.services.changes
    report = await service.propose_undo(
        arguments.change,
        requested_by=f"{context.caller.front_end}:{context.caller.name}",
        purpose=arguments.purpose,
    )
    return present_change(report, with_rows=True, root=service.workspace_root)
