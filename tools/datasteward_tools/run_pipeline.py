"""The tool `run_pipeline`."""

from pydantic import Field

from datasteward.changes.model import ChangeStatus
from datasteward.pipelines.service import PipelineService
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool
from datasteward_tools.pipeline_status import present_run


class RunPipelineInput(ToolInput):
    plan: str = Field(description="Hash from plan_pipeline.")
    purpose: str = Field(default="", description="Why, for who decides.")
    wait_seconds: float = Field(default=30.0, ge=0, le=40)


class RunPipelineOutput(ToolOutput):
    """The change that the run is, and how it stands."""

    change: str
    status: ChangeStatus
    text: str

    def to_text(self) -> str:
        """The state in words."""
        return self.text


@tool(title="Run a pipeline plan", is_read_only=False, is_destructive=True, is_idempotent=False)
async def run_pipeline(arguments: RunPipelineInput, context: ToolContext) -> RunPipelineOutput:
    """Propose to run exactly this plan: a change such as c8 that waits for a person or the policy.

    Refused when files, inputs or state moved since. An asset is published when its checks pass; a killed run goes on when
    planned again. Then ask change_status, pipeline_status; undo_change takes it back.
    """
    service = PipelineService(context.services)
    started = await service.run(
        arguments.plan,
        requested_by=f"{context.caller.front_end}:{context.caller.name}",
        purpose=arguments.purpose,
        wait_seconds=arguments.wait_seconds,
    )
    if started.report is None:
        change = started.record.run if started.record else "none"
        text = f"{change} is still going on; pipeline_status tells how far it is."
        return RunPipelineOutput(change=change, status="applying", text=text)
    report = started.report
    record = await service.read_run(report.change)
    if record is not None:
        return RunPipelineOutput(change=report.change, status=report.status, text=present_run(record, {}).text)
    words = {"waiting": "waits for a decision", "denied": "is denied by the policy"}.get(
        report.status, f"is {report.status}"
    )
    lines = [f"{report.change} {words}{f': {report.message}' if report.message else ''}", *report.preview.notes[1:]]
    return RunPipelineOutput(change=report.change, status=report.status, text="\n".join(lines))
