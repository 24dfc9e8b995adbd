"""What the agent needs from outside: tools to call, proposals to look up, a person to ask, evidence to check."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from datasteward_agent.plans import Plan, PlanDecision

STATUS_TOOL = "change_status"
"""The tool that tells a proposal's state; calling it proposes nothing."""
ToolCode = str
"""An `ErrorCode` of `datasteward.errors`, or one of the harness's own (denied, unknown_tool)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """What a model is told of a tool; `input_schema` is JSON Schema."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """A tool's answer or error; `text` is what a model reads, `handles` the results it made."""

    text: str
    structured: Mapping[str, Any] = field(default_factory=dict)
    is_error: bool = False
    code: ToolCode | None = None
    handles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgress:
    """How far a call has come: `done` of `total` (None when unknown), and what is being done."""

    done: float
    total: float | None = None
    message: str = ""


OnProgress = Callable[[ToolProgress], Awaitable[None]]


class Toolset(Protocol):
    """The workspace's tools. A call that its caller cancels is stopped and undone by the toolset."""

    def definitions(self) -> Sequence[ToolDefinition]:
        """Every tool, in a fixed order."""

    async def call(self, name: str, arguments: Mapping[str, Any], call_id: str, on_progress: OnProgress) -> ToolAnswer:
        """The answer; errors a model can mend are answers with `is_error`, never exceptions."""


ProposalStatus = Literal[
    "waiting", "approved", "applied", "rejected", "denied", "expired", "moved", "failed", "replaced", "unknown"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalState:
    """Where a proposal stands, with the decider's comment, a text for the model, and what took its place."""

    proposal_id: str
    status: ProposalStatus
    comment: str = ""
    text: str = ""
    successor: str | None = None


class ApprovalDesk(Protocol):
    """The proposals of the workspace, as the harness sees them. Never offered to a model."""

    async def look(self, proposal_id: str) -> ProposalState:
        """The state now."""

    async def wait(self, proposal_id: str, timeout_seconds: float) -> ProposalState:
        """The state once it is no longer waiting, or after the timeout."""

    async def apply(self, proposal_id: str) -> ProposalState:
        """Apply an approved proposal, once however often it is asked; any other is left as it is."""

    async def withdraw(self, proposal_id: str, reason: str) -> ProposalState:
        """Take back a proposal that nobody will decide."""

    async def approve(self, proposal_id: str, comment: str) -> ProposalState:
        """Approve for the person at the terminal; raises `ConfigError` where that is not allowed."""

    async def grant(self, proposal_id: str, plan: Plan) -> ProposalState:
        """Decide by a plan that a person approved, if it covers exactly what the proposal touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model wants to know from a person, with answers to choose from if it named any."""

    question: str
    options: tuple[str, ...] = ()


class Person(Protocol):
    """Somebody at the keyboard. Nobody there is `None` in its place."""

    async def review_plan(self, plan: Plan) -> PlanDecision:
        """The person's decision, with the plan as they edited it."""

    async def answer(self, question: Question) -> str | None:
        """The answer, None when the person declines."""


Verdict = Literal["backed", "derived", "not_found", "not_checkable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureVerdict:
    """One figure of an answer: where it stands, what backs it or what comes nearest."""

    text: str
    verdict: Verdict
    start: int = 0
    end: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """The verdicts on all figures of a text, in its order."""

    figures: tuple[FigureVerdict, ...] = ()

    @property
    def missing(self) -> tuple[FigureVerdict, ...]:
        """The figures that nothing backs."""
        return tuple(f for f in self.figures if f.verdict == "not_found")


class EvidenceChecker(Protocol):
    """Compares the figures of a text with stored results."""

    async def check(self, text: str, handles: tuple[str, ...]) -> EvidenceReport:
        """The report; `handles` are the results this conversation made, the text's own citations count too."""
