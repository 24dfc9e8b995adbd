"""What a failed attempt at a step means: whether it may pass by itself, and how it is told."""

import duckdb

from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.errors import Cancelled, ToolError
from datasteward.pipelines.analysis import Node
from datasteward.pipelines.auditing import CheckFailed
from datasteward.pipelines.options import RetryCause
from datasteward.pipelines.run_model import StepOutcome

FAULTS = (duckdb.Error, OSError, ToolError)
"""What fails a step; anything else is a fault of this program and ends the run."""


def describe_failure(node: Node, error: Exception, *, seconds: float, attempts: int, is_stopped: bool) -> StepOutcome:
    """The outcome of a step whose last attempt ended with `error`."""
    if isinstance(error, ToolError):
        explained = error
    elif isinstance(error, duckdb.Error):
        explained = explain_duckdb_error(error, node.sql)
    else:
        explained = ToolError(f"{node.asset.name}: {error}", code="runtime")
    if isinstance(explained, Cancelled) and not is_stopped:
        explained = ToolError(
            f"{node.asset.name} took longer than it may; nothing of it was published.", code="timeout"
        )
    return StepOutcome(
        key=node.asset.key,
        name=node.asset.name,
        status="failed",
        seconds=round(seconds, 4),
        attempts=attempts,
        message=explained.message,
        code=explained.code,
        checks=error.results if isinstance(error, CheckFailed) else (),
    )


def is_interruption(error: Exception) -> bool:
    """Whether the attempt was stopped from outside, by its deadline or by taking the run back."""
    return isinstance(error, duckdb.InterruptException | Cancelled)


def find_passing_cause(error: Exception) -> RetryCause | None:
    """Why a fault may pass by itself, or None when trying again would not help."""
    text = str(error)
    if isinstance(error, duckdb.TransactionException) or "Conflict on" in text or "conflict" in text.lower():
        return "conflict"
    if "Could not set lock" in text or "Conflicting lock" in text or getattr(error, "code", "") == "busy":
        return "lock"
    if isinstance(error, duckdb.IOException | OSError):
        return "io"
    return None
