"""The workspace's own tools behind the agent's protocols: toolset, approval desk and evidence, all through tool calls."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from datasteward.errors import ConfigError, ToolError
from datasteward_agent.plans import Plan
from datasteward_agent.toolset import (
    STATUS_TOOL,
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
EVIDENCE_TOOL = "check_answer"
MOST_HANDLES = 50


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
        arguments = {"change": proposal_id, "wait_seconds": wait_seconds}
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
            successor=str(answer.structured["next_change"]) if answer.structured.get("next_change") else None,
        )


class ToolsetEvidence:
    """Evidence checked by the workspace's tool for it."""

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset

    async def check(self, text: str, handles: tuple[str, ...]) -> EvidenceReport:
        """The tool's verdicts; raises `ToolError` when it cannot check."""
        arguments = {"text": text, "handles": list(handles[-MOST_HANDLES:])}
        answer = await self._toolset.call(EVIDENCE_TOOL, arguments, "evidence", _drop)
        if answer.is_error:
            raise ToolError(answer.text, code="unavailable")
        return EvidenceReport(figures=tuple(_read_figures(answer.structured)))


def has_tool(toolset: Toolset, name: str) -> bool:
    """Whether the toolset offers that tool."""
    return any(d.name == name for d in toolset.definitions())


def _read_figures(structured: Mapping[str, Any]) -> Iterator[FigureVerdict]:
    known: tuple[Verdict, ...] = get_args(Verdict)
    for item in structured.get("verdicts", ()):
        verdict: Verdict = next((v for v in known if v == item["status"]), "not_checkable")
        yield FigureVerdict(
            text=str(item["figure"]),
            verdict=verdict,
            start=int(item["start"]),
            end=int(item["end"]),
            detail=_ground(item),
        )
    for handle in structured.get("unknown_handles", ()):
        yield FigureVerdict(text=f"[{handle}]", verdict="not_found", detail="there is no such result")


def _ground(item: Mapping[str, Any]) -> str:
    found = [item.get("derivation"), *list(item.get("cells") or ())[:1], item.get("reason")]
    grounds = [str(g) for g in found if g]
    if item.get("nearest"):
        grounds.append(f"nearest: {item['nearest']}")
    return "; ".join(grounds)


async def _drop(_: ToolProgress) -> None:
    return None
