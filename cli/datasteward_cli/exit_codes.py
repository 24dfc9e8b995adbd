"""The exit codes of every command; part of the interface."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script may conclude from a command's end."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    DENIED = 3
    WAITING_FOR_APPROVAL = 4
    TOO_MANY_TURNS = 5
    OVER_BUDGET = 6
    TRUNCATED = 7
    REFUSED_BY_MODEL = 8
    SCHEMA_NOT_MET = 9
    TOOL_FAILED = 10
    NOT_AUTHORISED = 11
    TIMED_OUT = 12
    EVIDENCE_MISSING = 13
    INTERRUPTED = 130
    TERMINATED = 143
