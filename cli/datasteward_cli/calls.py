"""One tool call from a command: progress on stderr, the answer back, errors raised."""

import asyncio
import re
import sys
from collections.abc import Mapping
from typing import Any

from datasteward.callers import Caller, Progress
from datasteward.calling import ToolAnswer
from datasteward.errors import ToolError
from datasteward_cli.app import TAB_CELLS, Scope
from datasteward_cli.composition import open_tools

COMMANDS = {
    "propose_change": "steward changes propose",
    "change_status": "steward changes show",
    "undo_change": "steward changes undo",
    "search_catalog": "steward catalog",
    "read_result": "steward results show",
    "run_query": "steward query",
    "profile_data": "steward profile",
    "trace_lineage": "steward lineage trace",
    "plan_pipeline": "steward pipeline plan",
    "run_pipeline": "steward pipeline run",
    "pipeline_status": "steward pipeline status",
}
"""What a person types where an agent calls a tool; hints name tools."""
_TOOL_NAME = re.compile(r"\b(?:" + "|".join(COMMANDS) + r")\b")
CALLER = Caller(front_end="cli", name="steward", is_model=False)


def call_tool(scope: Scope, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
    """The tool's answer; raises `ToolError` for an error answer."""
    return asyncio.run(_call(scope, name, arguments))


async def _call(scope: Scope, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
    async with open_tools(
        scope.workspace, front_end="cli", name="steward", is_model=False, no_owner=scope.no_owner
    ) as tools:
        progress = _Progress()
        answer = await tools.call(name, arguments, CALLER, progress.show)
        progress.clear()
    if answer.is_error:
        facts = answer.structured
        raise ToolError(
            name_commands(str(facts.get("message") or answer.text)),
            code=answer.code or "runtime",
            hint=name_commands(facts.get("hint") or "") or None,
            position=facts.get("position"),
        )
    return answer


def name_commands(text: str) -> str:
    """The text with commands in place of tool names; what is quoted, and rows, stay as they are."""
    return "\n".join(
        line if line.startswith(("|", " ")) else _TOOL_NAME.sub(lambda match: COMMANDS[match[0]], line)
        for line in text.split("\n")
    )


def name_commands_in(error: ToolError) -> ToolError:
    """The same error for a person at the command line; the lines of what it quotes from data are marked."""
    from datasteward.changes.quoting import quote

    first, *rest = name_commands(error.message).expandtabs(TAB_CELLS).split("\n")
    return ToolError(
        "\n".join([first, *(quote("\n".join(rest)) if rest else [])]),
        code=error.code,
        hint=name_commands(error.hint) if error.hint else None,
        position=error.position,
    )


class _Progress:
    """A line on stderr that is drawn over, only on a terminal."""

    def __init__(self) -> None:
        self._width = 0

    async def show(self, progress: Progress) -> None:
        if sys.stderr.isatty():
            share = f"{progress.done / progress.total:.0%} " if progress.total else ""
            text = f"{share}{progress.message}"[:100]
            sys.stderr.write(f"\r{text.ljust(self._width)}")
            sys.stderr.flush()
            self._width = len(text)

    def clear(self) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
