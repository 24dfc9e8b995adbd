"""The comparison of both engines, carried out in a process of its own."""

import json
import os
import subprocess
import sys

from datasteward.engine.jobs import WorkerSettings
from datasteward.errors import EngineFault, ToolError
from datasteward.pipelines.spark.parity_model import ParityJob, ParityReport

MODULE = "datasteward.pipelines.spark.parity"
OVERHEAD_SECONDS = 60.0


def check_parity(job: ParityJob, settings: WorkerSettings) -> ParityReport:
    """The report; blocks for as long as both engines compute.

    Raises `ToolError` when nothing could be compared and `EngineFault` when the process died or outlasted its time.
    """
    bound = job.timeout_seconds * 2 * max(1, len(job.texts)) + OVERHEAD_SECONDS
    request = json.dumps([job.model_dump(mode="json"), settings.to_json()])
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "PYTHONPATH") if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", MODULE],
            input=request.encode(),
            capture_output=True,
            env=kept,
            timeout=bound,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineFault(f"the comparison was stopped after {bound:.0f} seconds") from error
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip()[-400:]
        raise EngineFault(f"the comparison's process ended with code {done.returncode}: {told}")
    report = ParityReport.model_validate_json(done.stdout)
    if report.fault:
        raise ToolError(report.fault, hint=report.hint)
    return report
