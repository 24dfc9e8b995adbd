"""Steps published in one transaction: short ones share a commit, and a run may ask for one commit for all."""

import time
from dataclasses import dataclass, field

import duckdb

from datasteward.changes.crash import crash_point
from datasteward.pipelines.build_model import Guard
from datasteward.pipelines.building import Built
from datasteward.pipelines.plan_model import PlanStep
from datasteward.pipelines.state import StepRow, add_steps

SHARED_SECONDS = 0.05
"""How long a transaction may be open before the next step gets another one."""
SHORT_ROWS = 100_000
"""A step that never ran is expected to be short when what it reads is no longer than this."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """An open transaction on a cursor of its own, and the steps built in it, which nobody else sees yet."""

    cursor: duckdb.DuckDBPyConnection
    database: str
    pipeline: str
    built: list[Built] = field(default_factory=list)
    began: float = 0.0
    is_open: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The assets built so far."""
        return tuple(b.outcome.key for b in self.built)

    @property
    def is_due(self) -> bool:
        """Whether it has been open long enough."""
        return time.monotonic() - self.began > SHARED_SECONDS

    def begin(self) -> None:
        """Open the transaction unless it is open."""
        if not self.is_open:
            self.cursor.execute("BEGIN TRANSACTION")
            self.is_open, self.began = True, time.monotonic()

    def commit(self, guard: Guard) -> tuple[Built, ...]:
        """Publish all that was built, with its state rows; raises with everything still to be rolled back."""
        done = tuple(self.built)
        rows = [StepRow(pipeline=self.pipeline, asset=b.outcome.key, status="published", state=b.state) for b in done]
        add_steps(self.cursor, self.database, rows)
        for built in done:
            crash_point(f"step.before_commit:{built.outcome.key}")
        with guard():
            self.cursor.execute("COMMIT")
        self._forget()
        for built in done:
            crash_point(f"step.after_commit:{built.outcome.key}")
        return done

    def roll_back(self) -> tuple[str, ...]:
        """Take everything back; returns the assets that had been built."""
        keys = self.keys
        try:
            self.cursor.execute("ROLLBACK")
        except duckdb.Error:
            pass
        self._forget()
        return keys

    def _forget(self) -> None:
        self.built, self.is_open = [], False


def is_short(step: PlanStep, seconds_before: float | None, input_rows: list[int | None]) -> bool:
    """Whether a step is expected to take so little that waiting for it costs less than a commit of its own."""
    if step.language != "sql" or step.engine:
        return False
    if seconds_before is not None and step.action != "fill":
        return seconds_before < SHARED_SECONDS
    return step.input_bytes < SHORT_ROWS * 10 and all(n is not None and n <= SHORT_ROWS for n in input_rows)
