"""Calls of this process's own tools: every call journaled, every error an answer."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from datasteward.callers import Caller, Progress
from datasteward.calling import Report, ToolAnswer, ToolDefinition, error_answer
from datasteward.errors import ConfigError, EngineFault, ToolError
from datasteward.journal import JsonValue
from datasteward.services import Services
from datasteward.tooling import Tool, ToolContext, ToolOutput, Toolset

logger = logging.getLogger(__name__)


def define(tool: Tool[Any, Any]) -> ToolDefinition:
    """The definition of one tool."""
    return ToolDefinition(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema(),
        output_schema=tool.output_schema(),
        is_read_only=tool.is_read_only,
        is_destructive=tool.is_destructive,
        is_idempotent=tool.is_idempotent,
        is_open_world=tool.is_open_world,
    )


class LocalCaller:
    """Calls the tools of this process's services."""

    def __init__(self, toolset: Toolset, services: Services) -> None:
        self._toolset = toolset
        self._services = services
        self._definitions = tuple(define(t) for t in toolset.tools.values())
        self._numbers = count(1)

    def definitions(self) -> Sequence[ToolDefinition]:
        """Every tool, in the toolset's order."""
        return self._definitions

    async def call(
        self, name: str, arguments: Mapping[str, Any] | None, caller: Caller, report: Report | None = None
    ) -> ToolAnswer:
        """Run the tool and journal the call, whatever becomes of it."""
        started = time.perf_counter()
        call_id = f"{caller.connection or 'local'}-{next(self._numbers)}"
        context = ToolContext(services=self._services, caller=caller, call_id=call_id, report=report or _drop)
        output: ToolOutput | None = None
        try:
            if not self._toolset.get(name).is_read_only:
                await asyncio.to_thread(self._services.refresh_policy)
            output = await self._toolset.call(name, arguments, context)
            answer = ToolAnswer(text=output.to_text(), structured=output.to_structured())
        except asyncio.CancelledError:
            self._record(name, arguments, caller, started, outcome="cancelled", answer=None)
            raise
        except ToolError as error:
            answer = error_answer(error)
        except ConfigError as error:
            answer = error_answer(ToolError(error.message, code="unavailable", hint=error.hint))
        except EngineFault as error:
            answer = error_answer(ToolError(error.message, code="unavailable", hint=error.hint or "Call again."))
        except Exception:
            logger.exception("tool %s failed", name)
            answer = error_answer(
                ToolError(
                    f"{name} failed inside Datasteward.", code="internal", hint="steward owner status names the log."
                )
            )
        return await asyncio.to_thread(self._finish, name, arguments, caller, started, answer)

    def _finish(
        self, name: str, arguments: Mapping[str, Any] | None, caller: Caller, started: float, answer: ToolAnswer
    ) -> ToolAnswer:
        try:
            self._record(name, arguments, caller, started, outcome=answer.code or "ok", answer=answer)
        except ToolError as error:
            return error_answer(error)
        return answer

    def _record(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        caller: Caller,
        started: float,
        *,
        outcome: str,
        answer: ToolAnswer | None,
    ) -> None:
        fields: dict[str, JsonValue] = {
            "tool": name if name in self._toolset.tools else "unknown",
            "client": f"{caller.name} {caller.version}".strip()[:80],
            "front_end": caller.front_end,
            "connection": caller.connection,
            "process": caller.process_id,
            "outcome": outcome,
            "ms": round((time.perf_counter() - started) * 1000, 1),
        }
        sql = (arguments or {}).get("sql")
        if isinstance(sql, str):
            fields["sql_sha256"] = hashlib.sha256(sql.encode("utf-8", "surrogatepass")).hexdigest()
        if answer is not None and not answer.is_error:
            fields.update(_counts(answer.structured))
        self._services.journal.append("call", fields, durable=False)


def _counts(structured: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Handles and row counts of an answer; never a value."""
    results = structured.get("results")
    if isinstance(results, list):
        return {"handles": [r.get("handle") for r in results], "rows": [r.get("rows") for r in results]}
    counts: dict[str, JsonValue] = {}
    for key in ("handle", "rows", "total"):
        value = structured.get(key)
        if isinstance(value, str | int):
            counts[key] = value
    change = structured.get("change")
    if isinstance(change, str):
        counts["proposal"] = change
    return counts


async def _drop(_: Progress) -> None:
    return None
