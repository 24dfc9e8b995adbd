"""What a session knows, built from its events alone: live and after a resume it is the same code that builds it."""

from dataclasses import dataclass, field

from datasteward_agent.conversation import Message, close_open_calls
from datasteward_agent.events import (
    ApprovalDecided,
    ApprovalRequested,
    Compacted,
    Event,
    ModelSaid,
    PlanDecided,
    PlanSubmitted,
    QueryRan,
    RunEnded,
    RunStarted,
    ToolReturned,
    UsageCounted,
    UserSaid,
)
from datasteward_agent.limits import Usage
from datasteward_agent.plans import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a proposal."""

    proposal_id: str
    status: str
    comment: str


@dataclass(slots=True, kw_only=True)
class SessionState:
    """The conversation, the results and decisions of it, and what is still open."""

    messages: list[Message] = field(default_factory=list)
    handles: dict[str, str] = field(default_factory=dict)
    """Result handle to the SQL that made it, empty when a tool made it without SQL."""
    decisions: list[Decision] = field(default_factory=list)
    waiting: dict[str, ApprovalRequested] = field(default_factory=dict)
    plan_count: int = 0
    pending_plan: Plan | None = None
    approved_plan: Plan | None = None
    last_number: int = 0
    title: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    outcome: str = ""
    turns: int = 0

    def take(self, event: Event) -> None:
        """Bring the state up to date with one event, in order."""
        self.last_number = max(self.last_number, event.n)
        match event:
            case UserSaid():
                self.messages.append(event.message)
                if not self.title and event.message.author == "person":
                    self.title = " ".join(event.message.text.split())[:100]
            case ModelSaid():
                self.messages.append(event.message)
            case Compacted():
                self.messages[:] = event.messages
            case ToolReturned():
                for handle in event.handles:
                    self.handles.setdefault(handle, "")
            case QueryRan():
                self.handles.update(dict.fromkeys(event.handles, event.sql))
            case ApprovalRequested():
                self.waiting[event.proposal_id] = event
            case ApprovalDecided():
                self._decide(event)
            case PlanSubmitted():
                self.plan_count += 1
                self.pending_plan = event.plan
            case PlanDecided():
                self.pending_plan = event.plan if event.verdict == "later" else None
                self.approved_plan = event.plan if event.verdict == "approved" else self.approved_plan
            case RunStarted():
                self.model = event.model
            case UsageCounted():
                self.usage = self.usage.plus(event.turn)
                self.turns += 1
            case RunEnded():
                self.outcome = event.outcome
            case _:
                pass

    def _decide(self, event: ApprovalDecided) -> None:
        if event.status not in ("waiting", "approved"):
            self.waiting.pop(event.proposal_id, None)
        self.decisions.append(Decision(proposal_id=event.proposal_id, status=event.status, comment=event.comment))

    @property
    def sendable_messages(self) -> tuple[Message, ...]:
        """The conversation as a model may be sent it: every call has a result."""
        return close_open_calls(tuple(self.messages))


def build_state(events: list[Event]) -> SessionState:
    """The state after `events`."""
    state = SessionState()
    for event in events:
        state.take(event)
    return state
