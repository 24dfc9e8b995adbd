"""The workspace's own tools behind the agent's protocols: toolset, approval desk and evidence, all through tool calls."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from datasteward.errors import ConfigError, ToolError
from datasteward_agent.plans import Plan
from datasteward_agent.toolset import (
    EvidenceReport,
    FigureVerdict,
    OnProgress,
    ProposalState,
    ProposalStatus,
    ToolAnswer,
    ToolDefinition,
    ToolProgress,
    Toolset,
    Verdict,
)

if TYPE_CHECKING:
    from datasteward.callers import Caller
    from datasteward.calling import ToolCaller
    from datasteward.tooling import Progress

_HANDLE = re.compile(r"r[0-9]+\Z")
STATUS_TOOL = "change_status"
EVIDENCE_TOOL = "check_answer"


class CallerToolset:
    """A `ToolCaller` of the core as the agent's toolset."""

    def __init__(self, tools: "ToolCaller", caller: "Caller") -> None:
        self._tools = tools
        self._caller = caller

    def definitions(self) -> Sequence[ToolDefinition]:
        """The workspace's tools in their own order."""
        return tuple(
            ToolDefinition(
                name=d.name, description=d.description, input_schema=d.input_schema, read_only=d.is_read_only
            )
            for d in self._tools.definitions()
        )

    async def call(self, name: str, arguments: Mapping[str, Any], call_id: str, on_progress: OnProgress) -> ToolAnswer:
        """The tool's answer, with the handles of the results it stored."""

        async def report(progress: "Progress") -> None:
            await on_progress(ToolProgress(done=progress.done, total=progress.total, message=progress.message))

        answer = await self._tools.call(name, arguments, self._caller, report)
        return ToolAnswer(
            text=answer.text,
            structured=answer.structured,
            is_error=answer.is_error,
            code=answer.code,
            handles=() if answer.is_error else tuple(dict.fromkeys(find_handles(answer.structured))),
        )


def find_handles(structured: Mapping[str, Any]) -> Iterator[str]:
    """The result handles that an answer names under `handle`, at the top or in a list."""
    handle = structured.get("handle")
    if isinstance(handle, str) and _HANDLE.match(handle):
        yield handle
    for value in structured.values():
        for item in value if isinstance(value, list) else ():
            if isinstance(item, Mapping):
                yield from find_handles(item)


class ToolsetDesk:
    """Proposals seen through the tool that tells their state.

    It can look, wait and let an approved one be applied. Approving, withdrawing and granting are no tool's to do:
    the first is refused, the others leave the proposal as it is, waiting in the inbox.
    """

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset

    async def look(self, proposal_id: str) -> ProposalState:
        """The state now; raises `ToolError` when it cannot be told."""
        return await self._ask(proposal_id, 0.0)

    async def wait(self, proposal_id: str, timeout_seconds: float) -> ProposalState:
        """The state once decided, or after the timeout."""
        return await self._ask(proposal_id, timeout_seconds)

    async def apply(self, proposal_id: str) -> ProposalState:
        """Asking with patience lets an approved change be applied, once."""
        return await self._ask(proposal_id, 30.0)

    async def withdraw(self, proposal_id: str, reason: str) -> ProposalState:
        """Left for the inbox."""
        return await self._ask(proposal_id, 0.0)

    async def approve(self, proposal_id: str, comment: str) -> ProposalState:
        """Refused: raises `ConfigError` naming the command that shows the preview."""
        raise ConfigError(
            f"{proposal_id} can't be approved from here.", hint=f"steward changes approve {proposal_id}, then resume."
        )

    async def grant(self, proposal_id: str, plan: Plan) -> ProposalState:
        """Left for the inbox."""
        return await self._ask(proposal_id, 0.0)

    async def _ask(self, proposal_id: str, wait_seconds: float) -> ProposalState:
        arguments = {"change": proposal_id, **({"wait_seconds": wait_seconds} if wait_seconds else {})}
        answer = await self._toolset.call(STATUS_TOOL, arguments, f"desk-{proposal_id}", _drop)
        if answer.is_error:
            raise ToolError(answer.text, code="not_found" if answer.code == "not_found" else "unavailable")
        told = str(answer.structured.get("status", "unknown"))
        known: tuple[ProposalStatus, ...] = get_args(ProposalStatus)
        in_work: ProposalStatus = "approved" if told == "applying" else "unknown"
        status: ProposalStatus = next((s for s in known if s == told), in_work)
        return ProposalState(
            proposal_id=proposal_id,
            status=status,
            comment=str(answer.structured.get("comment") or ""),
            text=answer.text,
        )


class ToolsetEvidence:
    """Evidence checked by the workspace's tool for it."""

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset

    async def check(self, text: str, handles: tuple[str, ...]) -> EvidenceReport:
        """The tool's verdicts; raises `ToolError` when it cannot check."""
        schemas = [d.input_schema for d in self._toolset.definitions() if d.name == EVIDENCE_TOOL]
        named = next((n for n in ("handles", "results") for s in schemas if n in s.get("properties", {})), None)
        arguments = {"text": text, **({named: list(handles)} if named and handles else {})}
        answer = await self._toolset.call(EVIDENCE_TOOL, arguments, "evidence", _drop)
        if answer.is_error:
            raise ToolError(answer.text, code="unavailable")
        return EvidenceReport(figures=tuple(_read_figures(answer.structured)))


def has_tool(toolset: Toolset, name: str) -> bool:
    """Whether the toolset offers that tool."""
    return any(d.name == name for d in toolset.definitions())


def _read_figures(structured: Mapping[str, Any]) -> Iterator[FigureVerdict]:
    items = structured.get("figures") or structured.get("verdicts") or ()
    for item in items if isinstance(items, list | tuple) else ():
        told = item.get("verdict") or item.get("status")
        verdict: Verdict = next((v for v in get_args(Verdict) if v == told), "not_checkable")
        yield FigureVerdict(
            text=str(item.get("text") or item.get("figure") or ""),
            verdict=verdict,
            start=_whole(item.get("start")),
            end=_whole(item.get("end")),
            detail=str(item.get("detail") or item.get("because") or item.get("reason") or ""),
        )


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


async def _drop(_: ToolProgress) -> None:
    return None
