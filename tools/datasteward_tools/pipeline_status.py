"""The tool `pipeline_status`."""

from typing import Literal

from pydantic import Field

from datasteward.changes.counts import count_of
from datasteward.pipelines.run_book import RunRecord, RunStatus
from datasteward.pipelines.run_model import StepOutcome, StepOutcomeStatus
from datasteward.pipelines.service import PastStep, PipelineService
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool

SHOWN_STEPS = 40
MESSAGE_CHARACTERS = 300


class PipelineStatusInput(ToolInput):
    run: str | None = Field(default=None, description="Such as c8; the newest by default.")
    asset: str | None = Field(default=None, description="History of one asset instead.")
    action: Literal["show", "stop"] = "show"


class StepStatus(ToolOutput):
    """What became of one asset."""

    asset: str
    status: StepOutcomeStatus
    rows: int | None = None
    rows_before: int | None = None
    quarantined: int | None = None
    seconds: float | None = None
    message: str | None = None


class RunStatusOutput(ToolOutput):
    """One run, its steps, and why rows are in quarantine."""

    run: str
    pipeline: str
    status: RunStatus
    undone_by: str | None = None
    done: int
    total: int
    seconds_left: float | None = None
    steps: list[StepStatus] = Field(default_factory=list)
    text: str

    def to_text(self) -> str:
        """The run in words."""
        return self.text


@tool(title="Ask how pipeline runs stand", is_read_only=False, is_idempotent=True)
async def pipeline_status(arguments: PipelineStatusInput, context: ToolContext) -> RunStatusOutput:
    """How a run stands: steps, rows, failures, reasons of quarantine, seconds left; or stop it; or an asset's history.

    Quarantined rows are in tables such as quarantine.marts__orders, which run_query reads.
    """
    service = PipelineService(context.services)
    if arguments.asset is not None:
        return present_history(arguments.asset, await service.history(arguments.asset))
    if arguments.run is None:
        newest = await service.runs(1)
        record = newest[0] if newest else None
    else:
        record = await service.read_run(arguments.run)
    if record is None:
        text = "No run has begun yet; change_status tells whether one waits for approval."
        return RunStatusOutput(run=arguments.run or "none", pipeline="", status="stopped", done=0, total=0, text=text)
    if arguments.action == "stop":
        await service.stop(record.run)
    reasons = {}
    if record.status != "running" and not record.undone_by:
        for step in record.steps:
            if step.quarantine:
                reasons[step.name] = await service.quarantine_reasons(step.quarantine)
    return present_run(record, reasons, is_stopping=arguments.action == "stop")


def present_run(
    record: RunRecord, reasons: dict[str, tuple[tuple[str, int], ...]], *, is_stopping: bool = False
) -> RunStatusOutput:
    """The run as a tool's answer."""
    steps = sorted((s for s in record.steps if s.status != "up_to_date"), key=lambda s: s.status != "failed")
    done = len(steps)
    counts = [(w, sum(s.status == w for s in steps)) for w in ("published", "failed", "skipped")]
    words = ", ".join(f"{n} {w}" for w, n in counts if n) or "nothing yet"
    state = f"{record.status}, then taken back by {record.undone_by}" if record.undone_by else record.status
    head = f"run {record.run} of {record.pipeline}: {state}, {words}, of {record.total} assets"
    lines = [head + (f", about {record.seconds_left:.0f} s left" if record.seconds_left is not None else "")]
    if is_stopping:
        lines.append("asked to stop; what is published stays")
    if record.message:
        lines.append(record.message)
    if record.running:
        lines.append(f"building {', '.join(record.running)}")
    lines += [_step_line(s) for s in steps[:SHOWN_STEPS]]
    if len(steps) > SHOWN_STEPS:
        lines.append(f"… {len(steps) - SHOWN_STEPS} more")
    for name, found in reasons.items():
        lines.append(f"quarantine of {name}: " + "; ".join(f"{r}: {n:,}" for r, n in found))
    return RunStatusOutput(
        run=record.run,
        pipeline=record.pipeline,
        status=record.status,
        undone_by=record.undone_by or None,
        done=done,
        total=record.total,
        seconds_left=record.seconds_left,
        steps=[_step(s) for s in steps[:SHOWN_STEPS]],
        text="\n".join(lines),
    )


def present_history(asset: str, steps: tuple[PastStep, ...]) -> RunStatusOutput:
    """An asset's earlier steps, newest first, each compared with the one before."""
    lines = [f"history of {asset}: {count_of(len(steps), 'step')}" if steps else f"{asset} was never run"]
    for position, step in enumerate(steps):
        state = step.state
        before = next((s.state for s in steps[position + 1 :] if s.status == "published"), None)
        parts = [f"{state.at} {state.run} {step.status}"]
        if step.status == "published":
            change = f" ({state.rows - before.rows:+,})" if before is not None else ""
            parts.append(
                f"{count_of(state.rows, 'row')}{change}, {state.quarantined:,} quarantined, {state.seconds:.2f} s"
            )
            drifts = [
                f"{n} {100 * (share - before.null_shares.get(n, 0)):+.1f} points"
                for n, share in state.null_shares.items()
                if before is not None and abs(share - before.null_shares.get(n, 0)) >= 0.01
            ]
            if drifts:
                parts.append(f"NULLs: {', '.join(drifts[:5])}")
        else:
            parts.append(state.message[:MESSAGE_CHARACTERS])
        lines.append("; ".join(parts))
    return RunStatusOutput(
        run="none", pipeline="", status="done", done=len(steps), total=len(steps), text="\n".join(lines)
    )


def _step(step: StepOutcome) -> StepStatus:
    return StepStatus(
        asset=step.name,
        status=step.status,
        rows=step.rows,
        rows_before=step.rows_before,
        quarantined=step.quarantined or None,
        seconds=step.seconds or None,
        message=step.message[:MESSAGE_CHARACTERS] or None,
    )


def _step_line(step: StepOutcome) -> str:
    facts = []
    if step.rows is not None:
        change = f" ({step.rows - step.rows_before:+,})" if step.rows_before is not None else ""
        facts.append(f"{count_of(step.rows, 'row')}{change}")
    if step.quarantined:
        facts.append(f"{step.quarantined:,} in {step.quarantine}")
    if step.seconds:
        facts.append(f"{step.seconds:.2f} s")
    facts += [f"{c.name}: {c.bad:,} {c.action}" for c in step.checks if c.action == "warned"]
    if step.message:
        facts.append(step.message[:MESSAGE_CHARACTERS])
    return f"{step.status} {step.name}: {', '.join(facts)}" if facts else f"{step.status} {step.name}"
