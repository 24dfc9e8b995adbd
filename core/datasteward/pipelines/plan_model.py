"""A plan as it is shown, stored, hashed and sent between processes."""

import hashlib
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from datasteward.changes.counts import count_of
from datasteward.pipelines.options import Materialization, Options, Publish

Action = Literal["build", "fill", "merge", "append", "view", "none"]
CHARACTERS = 4000
NOTE = "note: "


class PlanRequest(Options):
    """What is to be planned."""

    select: tuple[str, ...] = ()
    """Selectors; none means every asset."""
    full_refresh: bool = False
    """Build the selected assets anew even if nothing changed."""
    start: datetime | None = None
    """Backfill from here, UTC."""
    end: datetime | None = None
    """Backfill up to here, not included, UTC."""
    as_of: datetime
    """The moment planned for, UTC."""


class PlanWindow(Options):
    """A span of time to fill."""

    start: datetime
    end: datetime


class PlanColumn(Options):
    """A column with its type and what happens to it."""

    name: str
    type: str
    change: Literal["new", "changed", "removed", "retyped", "same"] = "same"


class PlanStep(Options):
    """What happens to one asset, and why."""

    key: str
    name: str
    path: str
    materialize: Materialization
    language: str
    engine: str = ""
    """The address of the Spark server that computes it; nothing for what is computed here."""
    action: Action
    reasons: tuple[str, ...] = ()
    columns: tuple[PlanColumn, ...] = ()
    inputs: tuple[str, ...] = ()
    windows: tuple[PlanWindow, ...] = ()
    compares_windows: bool = False
    """The windows are built again and only those that differ are replaced."""
    new_files: tuple[str, ...] = ()
    rows_before: int | None = None
    rows_estimate: int | None = None
    input_bytes: int = 0
    checks: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    only_columns: tuple[str, ...] | None = None
    """When only these columns change; None when rows may change."""
    fingerprint: str
    input_versions: tuple[str, ...] = ()
    state: int = 0
    """The sequence of the state that it starts from; 0 for none."""

    @property
    def runs(self) -> bool:
        """Whether anything is done."""
        return self.action != "none"

    def identity(self) -> list[Any]:
        """What must be the same for an approval of this step to hold."""
        windows = [[w.start.isoformat(), w.end.isoformat()] for w in self.windows]
        engine = [self.engine] if self.engine else []
        return [self.key, self.action, windows, self.fingerprint, sorted(self.input_versions), self.state, *engine]


class Plan(Options):
    """Every asset with what happens to it; those that run come in an order that works."""

    version: Literal[1] = 1
    pipeline: str
    folder: str
    request: PlanRequest
    parallel: int = 1
    timeout_seconds: float = 3600.0
    publish: Publish = "each"
    steps: tuple[PlanStep, ...]
    notes: tuple[str, ...] = ()
    downstream: tuple[str, ...] = Field(default=(), description="Views outside the pipeline that read what changes.")

    @property
    def hash(self) -> str:
        """SHA-256 over what the plan does and what it starts from; 64 hexadecimal characters."""
        body: list[Any] = [self.pipeline, self.request.model_dump(mode="json", exclude={"as_of"})]
        body += [self.publish, [s.identity() for s in self.steps]]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    @property
    def running(self) -> tuple[PlanStep, ...]:
        """The steps that do something."""
        return tuple(s for s in self.steps if s.runs)

    def to_text(self, budget: int = CHARACTERS) -> str:
        """The plan for a person or a model, in at most about `budget` characters; what is left out is said."""
        running = self.running
        idle = len(self.steps) - len(running)
        head = f"plan {self.hash[:12]} of {self.pipeline}: {len(running)} to run, {idle} up to date"
        if self.publish == "all":
            head += "; published together, all or nothing"
        lines = [head] + [f"{NOTE}{n}" for n in self.notes]
        if self.downstream:
            lines.append(f"read by, outside the pipeline: {', '.join(self.downstream)}")
        spent = sum(len(line) + 1 for line in lines)
        for position, step in enumerate(running):
            block = _step_lines(step)
            size = sum(len(line) + 1 for line in block)
            if spent + size > budget and position:
                more = count_of(len(running) - position, "more step")
                lines.append(f"… {more}: {', '.join(s.name for s in running[position:])[:200]}")
                break
            lines += block
            spent += size
        return "\n".join(lines)


def _step_lines(step: PlanStep) -> list[str]:
    place = f" on Spark at {step.engine}" if step.engine else ""
    lines = [f"{step.action} {step.name} ({step.materialize}{place}): {'; '.join(step.reasons)}"]
    facts = []
    if step.rows_before is not None:
        facts.append(f"{count_of(step.rows_before, 'row')} now")
    if step.rows_estimate is not None:
        facts.append(f"about {count_of(step.rows_estimate, 'row')} to write")
    if step.input_bytes:
        facts.append(f"{count_of(step.input_bytes, 'byte')} of files")
    if step.windows:
        spans = ", ".join(f"{_short(w.start)}..{_short(w.end)}" for w in step.windows[:5])
        more = f" and {len(step.windows) - 5} more" if len(step.windows) > 5 else ""
        facts.append(f"windows {spans}{more}{' (only those that differ)' if step.compares_windows else ''}")
    if step.new_files:
        facts.append(count_of(len(step.new_files), "new file"))
    changed = [
        f"{'+' if c.change == 'new' else '-' if c.change == 'removed' else '~'}{c.name}"
        for c in step.columns
        if c.change != "same"
    ]
    if changed:
        facts.append(f"columns {' '.join(changed)}")
    if facts:
        lines.append(f"  {'; '.join(facts)}")
    if step.checks:
        lines.append(f"  checks: {', '.join(step.checks)}")
    lines += [f"  ! {d}" for d in step.destructive]
    if step.downstream:
        lines.append(f"  read by: {', '.join(step.downstream)}")
    return lines


def _short(moment: datetime) -> str:
    return moment.date().isoformat() if not (moment.hour or moment.minute) else moment.isoformat(timespec="minutes")
