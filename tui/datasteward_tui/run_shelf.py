"""Pipeline runs as the app sees them: read from the workspace's run book, also when no owner process is there.

What reads them takes time and is called in threads; the models behind are imported only once there is a run.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.errors import DatastewardError, ToolError

if TYPE_CHECKING:
    from datasteward.pipelines.plan_model import Plan, PlanStep
    from datasteward.pipelines.run_book import RunRecord
    from datasteward.pipelines.run_model import StepOutcome

WATCHED_SECONDS = 24 * 3600.0
"""A run that has told nothing for so long is not looked at to find out whether it still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in one line; `seconds_left` is None when nothing is known of it."""

    run: str
    pipeline: str
    status: str
    done: int
    total: int
    published: int = 0
    seconds_left: float | None = None
    undone_by: str = ""
    """The change that took the run back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """One asset of a run: what was planned, and what has become of it."""

    name: str
    state: str
    """`waiting`, `running`, or what the run book says of it."""
    reasons: tuple[str, ...] = ()
    action: str = ""
    outcome: "StepOutcome | None" = None
    doing: str = ""
    """What it is at now, for those that tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSight:
    """A run with all of its steps, in the order of the plan."""

    record: "RunRecord"
    plan: "Plan | None"
    steps: tuple[RunStep, ...]
    looked_at: float

    @property
    def line(self) -> RunLine:
        """The run in one line."""
        return _line(self.record)


class RunShelf:
    """The runs of one workspace."""

    def __init__(self, state_folder: Path) -> None:
        self._state_folder = state_folder
        self._folder = state_folder / "pipelines" / "runs"
        self._lines: dict[str, tuple[float, RunLine]] = {}

    def names(self, limit: int = 50) -> list[str]:
        """The newest runs first; empty when nothing was ever run."""
        return [name for name, _ in self._stamps()[:limit]]

    def has(self, run: str) -> bool:
        """Whether there is a run of that name."""
        return (self._folder / f"{run}.json").is_file()

    def lines(self, limit: int = 50) -> list[RunLine]:
        """The newest runs first, read anew only where something was told since the last look."""
        found = self._latest(limit)
        undone = self._taken_back() if found else {}
        return [replace(line, undone_by=undone.get(line.run, "")) for line in found]

    def _latest(self, limit: int) -> list[RunLine]:
        found = []
        for name, stamp in self._stamps()[:limit]:
            kept = self._lines.get(name)
            is_fresh = kept is not None and kept[0] == stamp and kept[1].status != "running"
            if not is_fresh:
                record = self._read(name)
                if record is None:
                    continue
                kept = (stamp, _line(record))
                self._lines[name] = kept
            if kept is not None:
                found.append(kept[1])
        return found

    def running(self) -> list[RunLine]:
        """The runs that go on now."""
        newest = self._stamps()[:8]
        if not newest or time.time() - newest[0][1] > WATCHED_SECONDS:
            return []
        return [line for line in self._latest(8) if line.status == "running"]

    def look(self, run: str) -> RunSight | None:
        """The run with its steps, or None."""
        record = self._read(run)
        if record is None:
            return None
        plan = self._plan(record.plan_hash)
        return RunSight(record=record, plan=plan, steps=_steps(record, plan), looked_at=time.time())

    def _stamps(self) -> list[tuple[str, float]]:
        try:
            with os.scandir(self._folder) as entries:
                found = [(e.name[:-5], e.stat().st_mtime) for e in entries if e.name.endswith(".json")]
        except OSError:
            return []
        return sorted(found, key=lambda item: item[1], reverse=True)

    def _read(self, run: str) -> "RunRecord | None":
        from datasteward.pipelines.run_book import RunBook

        try:
            return RunBook(self._state_folder).read_run(run)
        except (DatastewardError, OSError, ValueError):
            return None

    def _taken_back(self) -> Mapping[str, str]:
        from datasteward.pipelines.run_book import RunBook

        try:
            return RunBook(self._state_folder).taken_back()
        except (DatastewardError, OSError):
            return {}

    def _plan(self, plan_hash: str) -> "Plan | None":
        from datasteward.pipelines.run_book import RunBook

        try:
            return RunBook(self._state_folder).find_plan(plan_hash)
        except (OSError, ValueError, ToolError):
            return None


def _line(record: "RunRecord") -> RunLine:
    done = sum(s.status != "up_to_date" for s in record.steps)
    return RunLine(
        run=record.run,
        pipeline=record.pipeline,
        status=record.status,
        done=done,
        total=record.total,
        published=sum(s.status == "published" for s in record.steps),
        seconds_left=record.seconds_left,
        undone_by=record.undone_by,
    )


def _steps(record: "RunRecord", plan: "Plan | None") -> tuple[RunStep, ...]:
    outcomes = {s.name: s for s in record.steps if s.status != "up_to_date"}
    planned = {s.name: s for s in plan.running} if plan is not None else {}
    running = dict(_part_running(words, planned) for words in record.running)
    left = "waiting" if record.status == "running" else "not run"
    found = []
    for name in dict.fromkeys([*planned, *outcomes, *running]):
        outcome, step = outcomes.get(name), planned.get(name)
        state = outcome.status if outcome is not None else "running" if name in running else left
        found.append(
            RunStep(
                name=name,
                state=state,
                reasons=step.reasons if step is not None else (),
                action=step.action if step is not None else "",
                outcome=outcome,
                doing=running.get(name, ""),
            )
        )
    return tuple(found)


def _part_running(words: str, planned: "Mapping[str, PlanStep]") -> tuple[str, str]:
    """The asset's name, and what stands in brackets behind it."""
    if words in planned:
        return words, ""
    name, _, doing = words.partition(" (")
    return name, doing.removesuffix(")")
