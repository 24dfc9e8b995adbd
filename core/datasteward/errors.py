"""Every error of Datasteward, decided by who can act on it.

The tree::

    DatastewardError
    ├── ToolError        the caller of a tool can act: wrong SQL, unknown name, refused statement, time or size exceeded
    │   └── Cancelled    the caller took the call back; what ran was stopped and rolled back
    ├── ConfigError      the user can act: a setting, a flag, a missing folder or extra
    └── EngineFault      nobody at the keyboard caused it: a worker died, the owner is out of reach; retrying may help

Anything else is a defect and is allowed to crash; entry points and worker boundaries log its traceback.
"""

from typing import Literal

ErrorCode = Literal[
    "invalid_arguments",
    "unknown_tool",
    "syntax",
    "binder",
    "not_found",
    "forbidden",
    "needs_approval",
    "runtime",
    "timeout",
    "cancelled",
    "too_large",
    "busy",
    "unavailable",
    "conflict",
    "disk_full",
    "internal",
]


class DatastewardError(Exception):
    """The root: a message a person can act on, and an optional hint with the next step."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The message, and the hint on a line of its own."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ToolError(DatastewardError):
    """A tool refused or failed in a way its caller can mend; `code` is stable and part of the interface."""

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode = "runtime",
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code: ErrorCode = code
        self.position = position


class Cancelled(ToolError):
    """The call was taken back by its caller; nothing of it was applied."""

    def __init__(self, message: str = "Cancelled by the caller; nothing was changed.") -> None:
        super().__init__(message, code="cancelled")


class ConfigError(DatastewardError):
    """A setting, flag or file of the user's is wrong; entry points exit with the usage code."""


class EngineFault(DatastewardError):
    """The engine or the owner process failed through no fault of the request."""
