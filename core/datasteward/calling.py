"""How front ends see tools: definitions, and one answer form for success and error."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from datasteward.callers import Caller, Progress
from datasteward.errors import ErrorCode, ToolError

Report = Callable[[Progress], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """What a client is told of a tool; schemas are JSON Schema."""

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    is_read_only: bool
    is_destructive: bool
    is_idempotent: bool
    is_open_world: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """A tool's answer or error; `text` and `structured` carry the same facts."""

    text: str
    structured: Mapping[str, Any]
    is_error: bool = False
    code: ErrorCode | None = None


class ToolCaller(Protocol):
    """A toolset that can be called, here or in the owner process."""

    def definitions(self) -> Sequence[ToolDefinition]:
        """Every tool, in a fixed order."""

    async def call(
        self, name: str, arguments: Mapping[str, Any] | None, caller: Caller, report: Report | None = None
    ) -> ToolAnswer:
        """The answer; errors the caller can mend are answers with `is_error`, a cancel is raised."""


def error_answer(error: ToolError) -> ToolAnswer:
    """A `ToolError` as an answer: code, message, position and the next step, in text and structure alike."""
    structured: dict[str, Any] = {"error": error.code, "message": error.message}
    if error.position is not None:
        structured["position"] = error.position
    if error.hint:
        structured["hint"] = error.hint
    lines = [f"{error.code}: {error.message}"]
    if error.position is not None:
        lines.append(f"at character {error.position}")
    if error.hint:
        lines.append(error.hint)
    return ToolAnswer(text="\n".join(lines), structured=structured, is_error=True, code=error.code)
