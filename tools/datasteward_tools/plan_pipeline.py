"""The tool `plan_pipeline`."""

from datetime import datetime

from pydantic import Field

from datasteward.pipelines.plan_model import Action, Plan
from datasteward.pipelines.service import PipelineService
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool


class PlanPipelineInput(ToolInput):
    pipeline: str | None = Field(default=None, description="Name or folder.")
    select: list[str] = Field(default=[], description="name, glob, tag:x, +up, down+, -not; all by default.")
    full_refresh: bool = Field(default=False, description="Build anew.")
    start: datetime | None = Field(default=None, description="From, UTC.")
    end: datetime | None = Field(default=None, description="Up to, UTC.")
    budget: int = Field(default=3000, ge=500, le=20_000)


class PlannedStep(ToolOutput):
    """One asset that runs, and why."""

    asset: str
    action: Action
    reasons: list[str]


class PlanOutput(ToolOutput):
    """The plan; `hash` is what run_pipeline takes."""

    hash: str
    pipeline: str
    up_to_date: int
    steps: list[PlannedStep]
    text: str

    def to_text(self) -> str:
        """The plan in words."""
        return f"{self.text}\nhash {self.hash[:16]}"


@tool(title="Plan a pipeline", is_read_only=True)
async def plan_pipeline(arguments: PlanPipelineInput, context: ToolContext) -> PlanOutput:
    """What a pipeline run would do and why: assets, windows, checks, what is replaced, who reads it, and a plan hash.

    A folder of .sql and .py files is a pipeline; faults come with file, line and column. Nothing is run.
    """
    plan = await PipelineService(context.services).plan(
        arguments.pipeline,
        select=arguments.select,
        full_refresh=arguments.full_refresh,
        start=arguments.start,
        end=arguments.end,
        report=context.report,
    )
    return present_plan(plan, arguments.budget)


def present_plan(plan: Plan, budget: int) -> PlanOutput:
    """The plan as a tool's answer."""
    running = plan.running
    return PlanOutput(
        hash=plan.hash,
        pipeline=plan.pipeline,
        up_to_date=len(plan.steps) - len(running),
        steps=[PlannedStep(asset=s.name, action=s.action, reasons=list(s.reasons)[:3]) for s in running[:200]],
        text=plan.to_text(budget),
    )
