"""The writer's door: one job in, one outcome out, on a database file that is opened for this job alone."""

import duckdb

from datasteward.changes.apply import CommitError, apply_change
from datasteward.changes.jobs import (
    JOB,
    OUTCOME,
    Applied,
    ApplyJob,
    Failed,
    Measurement,
    Moved,
    NotApplied,
    PreviewJob,
    ReceiptJob,
)
from datasteward.changes.measurement import measure
from datasteward.changes.receipts import DISK_FULL, UnpublishedError, settle_attempt
from datasteward.changes.running import explain
from datasteward.errors import ErrorCode, ToolError


def run(job_json: str) -> str:
    """Run one job given as JSON and return its outcome as JSON; a fault of the change comes back as `failed`.

    The process must not have the database file open. The transaction is over when this returns.
    """
    job = JOB.validate_json(job_json)
    outcome: Measurement | Moved | Applied | NotApplied | Failed
    try:
        match job:
            case PreviewJob():
                outcome = measure(job)
            case ApplyJob():
                outcome = apply_change(job)
            case ReceiptJob():
                outcome = settle_attempt(job)
    except ToolError as error:
        outcome = _failed(error)
    except duckdb.Error as error:
        outcome = _failed(explain(error))
    except OSError as error:
        code: ErrorCode = "disk_full" if error.errno in DISK_FULL else "runtime"
        outcome = Failed(code=code, message=str(error), hint="Nothing was changed.")
    return OUTCOME.dump_json(outcome).decode()


def _failed(error: ToolError) -> Failed:
    return Failed(
        code=error.code,
        message=error.message,
        hint=error.hint,
        position=error.position,
        is_settled=not isinstance(error, CommitError | UnpublishedError),
        is_committed=isinstance(error, UnpublishedError),
    )
