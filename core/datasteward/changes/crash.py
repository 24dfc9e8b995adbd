"""Named places where a test may stop the process for good, to prove what a crash leaves behind."""

import os
import signal

CRASH_VARIABLE = "DATASTEWARD_CRASH_AT"

POINTS = (
    "propose.before_record",
    "propose.after_record",
    "decide.before_record",
    "decide.after_record",
    "apply.before_claim",
    "apply.after_claim",
    "apply.before_writer",
    "apply.writer_started",
    "apply.after_begin",
    "apply.after_statements",
    "apply.after_images",
    "apply.after_receipt",
    "apply.before_commit",
    "apply.after_commit",
    "apply.before_publish",
    "apply.after_publish",
    "apply.after_writer",
    "apply.before_settle",
    "apply.after_settle",
)


def crash_point(name: str) -> None:
    """Kill this process without any clean-up when DATASTEWARD_CRASH_AT names this point; otherwise do nothing."""
    if os.environ.get(CRASH_VARIABLE) == name:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
