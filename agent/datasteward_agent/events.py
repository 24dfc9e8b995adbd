"""The one event stream of a run: what the terminal app, headless output, the session log, tests and replay consume.

Every event carries `v` (the version of this vocabulary), `n` (its number in the session), `at` (UTC) and `type`.
Fields are added without a new version; a renamed or removed one raises it. Events that only show progress
(`text`, `thinking`, `tool.input`, `tool.progress`) are not kept in the session log: the whole `message` follows them,
partial when it was interrupted.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from datasteward_agent.conversation import AssistantMessage, Message, Shape, UserMessage
from datasteward_agent.limits import Usage
from datasteward_agent.plans import Plan

EVENT_VERSION = 1
Mode = Literal["plan", "ask", "auto"]
Outcome = Literal[
    "done",
    "failed",
    "denied",
    "waiting",
    "max_turns",
    "budget",
    "truncated",
    "refused",
    "schema_not_met",
    "tool_failed",
    "auth",
    "timeout",
    "evidence_missing",
    "assert_failed",
    "interrupted",
    "terminated",
]


class BaseEvent(Shape):
    """What every event carries; number, time and version are set when it is emitted."""

    v: Literal[1] = 1
    n: int = 0
    at: str = ""


class RunStarted(BaseEvent):
    """A prompt was taken up; `resumed` when the session already had turns."""

    type: Literal["run.start"] = "run.start"
    session: str
    model: str
    provider: str
    mode: Mode
    tools: tuple[str, ...]
    resumed: bool = False


class UserSaid(BaseEvent):
    """A message that goes to the model: a person's words, the harness's, or tool results."""

    type: Literal["user"] = "user"
    message: UserMessage


class TurnStarted(BaseEvent):
    """A request to the model begins."""

    type: Literal["turn.start"] = "turn.start"
    turn: int


class TextArrived(BaseEvent):
    """More words of the reply."""

    type: Literal["text"] = "text"
    delta: str


class ThinkingArrived(BaseEvent):
    """More of the summarised reasoning."""

    type: Literal["thinking"] = "thinking"
    delta: str


class ToolInputArrived(BaseEvent):
    """More of a call's arguments as they are written (raw JSON text)."""

    type: Literal["tool.input"] = "tool.input"
    call_id: str
    name: str
    delta: str


class ModelSaid(BaseEvent):
    """A whole reply, or the part of it that arrived before an interruption."""

    type: Literal["message"] = "message"
    message: AssistantMessage


class ToolCalled(BaseEvent):
    """A call begins."""

    type: Literal["tool.call"] = "tool.call"
    call_id: str
    name: str
    arguments: dict[str, Any]
    read_only: bool


class ToolProgressed(BaseEvent):
    """A call reports how far it is."""

    type: Literal["tool.progress"] = "tool.progress"
    call_id: str
    done: float
    total: float | None = None
    message: str = ""


class ToolReturned(BaseEvent):
    """A call ended. `structured` is for consumers in the same process and is never written out."""

    type: Literal["tool.result"] = "tool.result"
    call_id: str
    name: str
    text: str
    is_error: bool = False
    code: str | None = None
    handles: tuple[str, ...] = ()
    seconds: float
    content_sha256: str = ""
    """Of the structured answer without handles and times: equal answers have equal hashes."""
    structured: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)


class QueryRan(BaseEvent):
    """A call ran SQL and stored its rows."""

    type: Literal["query"] = "query"
    call_id: str
    sql: str
    handles: tuple[str, ...]


class ApprovalRequested(BaseEvent):
    """A proposal waits for a person."""

    type: Literal["approval.request"] = "approval.request"
    proposal_id: str
    call_id: str
    tool: str
    digest: str | None = None
    summary: str = ""


class ApprovalDecided(BaseEvent):
    """A proposal no longer waits, or the harness gave it up."""

    type: Literal["approval.decision"] = "approval.decision"
    proposal_id: str
    status: str
    comment: str = ""
    by: Literal["desk", "harness", "command_line", "plan", "policy"] = "desk"


class CallDenied(BaseEvent):
    """The harness or the toolset refused a call."""

    type: Literal["denied"] = "denied"
    call_id: str
    name: str
    reason: str


class PlanSubmitted(BaseEvent):
    """The model handed in a plan."""

    type: Literal["plan"] = "plan"
    plan: Plan


class PlanDecided(BaseEvent):
    """A person decided on a plan, as they left it."""

    type: Literal["plan.decision"] = "plan.decision"
    plan: Plan
    verdict: Literal["approved", "rejected", "later"]
    comment: str = ""


class QuestionAsked(BaseEvent):
    """The model asks the person something."""

    type: Literal["question"] = "question"
    question: str
    options: tuple[str, ...] = ()
    answer: str | None = None


class RetryWaited(BaseEvent):
    """A request failed and is sent again after `wait_seconds`; what had arrived of it is void."""

    type: Literal["retry"] = "retry"
    why: str
    message: str
    attempt: int
    of: int
    wait_seconds: float
    discarded_characters: int = 0


class UsageCounted(BaseEvent):
    """Tokens of one reply, and the session run's totals; money is an estimate from list prices."""

    type: Literal["usage"] = "usage"
    turn: Usage
    total: Usage
    usd_estimate: float | None = None
    context_tokens: int = 0
    context_limit: int = 0


class Compacted(BaseEvent):
    """The history was replaced by a summary and its last messages, which are all here."""

    type: Literal["compaction"] = "compaction"
    before_tokens: int
    by: Literal["model", "harness"]
    kept_handles: tuple[str, ...] = ()
    messages: tuple[Message, ...]


class Noticed(BaseEvent):
    """Something a person should know."""

    type: Literal["notice"] = "notice"
    level: Literal["info", "warning", "error"] = "info"
    text: str


class Figure(Shape):
    """One figure of an answer and its verdict."""

    text: str
    verdict: Literal["backed", "derived", "not_found", "not_checkable"]
    start: int = 0
    end: int = 0
    detail: str = ""


class EvidenceChecked(BaseEvent):
    """The figures of an answer were compared with stored results."""

    type: Literal["evidence"] = "evidence"
    figures: tuple[Figure, ...]
    is_final: bool


class RunEnded(BaseEvent):
    """The last event of every run, whatever became of it."""

    type: Literal["result"] = "result"
    outcome: Outcome
    session: str
    text: str = ""
    error: str | None = None
    hint: str | None = None
    structured_output: Any = None
    plan: Plan | None = None
    turns: int = 0
    usage: Usage = Usage()
    usd_estimate: float | None = None
    seconds: float = 0.0
    handles: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    failed_tools: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    model: str = ""


Event = Annotated[
    RunStarted
    | UserSaid
    | TurnStarted
    | TextArrived
    | ThinkingArrived
    | ToolInputArrived
    | ModelSaid
    | ToolCalled
    | ToolProgressed
    | ToolReturned
    | QueryRan
    | ApprovalRequested
    | ApprovalDecided
    | CallDenied
    | PlanSubmitted
    | PlanDecided
    | QuestionAsked
    | RetryWaited
    | UsageCounted
    | Compacted
    | Noticed
    | EvidenceChecked
    | RunEnded,
    Field(discriminator="type"),
]
TRANSIENT = (TextArrived, ThinkingArrived, ToolInputArrived, ToolProgressed)

_adapter: TypeAdapter[Event] | None = None


def _event_adapter() -> TypeAdapter[Event]:
    global _adapter  # noqa: PLW0603 - built at first use, because it costs start-up time that most commands need not pay
    if _adapter is None:
        _adapter = TypeAdapter(Event)
    return _adapter


def parse_event(line: str | bytes) -> Event:
    """The event of one JSON line; raises `ValueError` when it is none of this version."""
    try:
        return _event_adapter().validate_json(line)
    except ValidationError as error:
        raise ValueError(str(error.errors(include_url=False, include_input=False)[:3])) from error


def event_schema() -> dict[str, Any]:
    """JSON Schema of one event."""
    return _event_adapter().json_schema(mode="serialization")
