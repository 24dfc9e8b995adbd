"""What a run is asked for and what comes of it, as it crosses between processes."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from datasteward.errors import ErrorCode
from datasteward.pipelines.loading import PipelineFiles
from datasteward.pipelines.options import Options
from datasteward.pipelines.plan_model import Plan, PlanRequest
from datasteward.pipelines.state_model import CheckResult

StepOutcomeStatus = Literal["published", "failed", "skipped", "up_to_date"]


class RunJob(Options):
    """One run: the files, what is to be planned, and the plan that was approved."""

    run: str
    change: str = ""
    """The change that this run carries out; what an interrupted attempt of it published counts as done."""
    folder: str
    texts: Mapping[str, str]
    request: PlanRequest
    approved: Plan
    images: str | None = None
    """Path of the undo record to write; None for a run that cannot be taken back."""

    def files(self) -> PipelineFiles:
        """The pipeline's files."""
        return PipelineFiles(folder=self.folder, texts=self.texts)


class StepOutcome(Options):
    """What became of one asset."""

    key: str
    name: str
    status: StepOutcomeStatus
    rows: int | None = None
    quarantined: int = 0
    quarantine: str | None = None
    """The table that holds the quarantined rows."""
    seconds: float = 0.0
    attempts: int = 1
    checks: tuple[CheckResult, ...] = ()
    message: str = ""
    code: ErrorCode | None = None
    rows_before: int | None = None
    null_shares: Mapping[str, float] = Field(default_factory=dict)


class RunOutcome(Options):
    """What became of a run; `moved` says why an approved plan no longer holds, and then nothing was run."""

    run: str
    steps: tuple[StepOutcome, ...] = ()
    moved: str | None = None
    plan: Plan | None = None
    """The plan of now, when the approved one no longer holds."""
    record_path: str | None = None
    record_hash: str | None = None
    record_bytes: int = 0
    seconds: float = 0.0

    @property
    def status(self) -> Literal["done", "failed", "partly", "moved"]:
        """`partly` when some assets were published and others were not."""
        if self.moved is not None:
            return "moved"
        bad = any(s.status in {"failed", "skipped"} for s in self.steps)
        good = any(s.status == "published" for s in self.steps)
        return ("partly" if good else "failed") if bad else "done"
