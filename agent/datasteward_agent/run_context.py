"""What the parts of one run share: its options, its session, where events go, and what has happened so far."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from datasteward.errors import DatastewardError
from datasteward_agent.events import TRANSIENT, CallDenied, Event, Mode, Outcome
from datasteward_agent.limits import Budget, Spending
from datasteward_agent.models.port import Effort
from datasteward_agent.retrying import RetryPolicy
from datasteward_agent.rules import CallGate
from datasteward_agent.session_store import Session
from datasteward_agent.toolset import ApprovalDesk, EvidenceChecker, Person, Toolset

logger = logging.getLogger(__name__)
OnWaiting = Literal["wait", "pause", "deny"]
SAME_DENIAL_LIMIT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How a run behaves. `on_waiting` says what a proposal or plan that needs a person does to it.

    wait: hold until it is decided. pause: end the run so that it can be resumed. deny: take the proposal back.
    """

    gate: CallGate = field(default_factory=lambda: CallGate(mode="ask"))
    budget: Budget = field(default_factory=Budget)
    on_waiting: OnWaiting = "pause"
    output_schema: Mapping[str, Any] | None = None
    is_plan_only: bool = False
    requires_evidence: bool = False
    effort: Effort | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    guidance: str = ""
    parallel_reads: int = 8


class RunStop(Exception):
    """Ends the run with an outcome; an error and a hint for the person, if there is one."""

    def __init__(self, outcome: Outcome, error: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome
        self.error = error
        self.hint = hint


@dataclass(slots=True, kw_only=True)
class RunContext:
    """One run. `stop` is set by a call that must end the run once its turn's results are recorded."""

    options: AgentOptions
    session: Session
    toolset: Toolset
    desk: ApprovalDesk | None
    person: Person | None
    evidence: EvidenceChecker | None
    spending: Spending
    mark: str
    mode: Mode
    on_event: Callable[[Event], None]
    denied: list[str] = field(default_factory=list)
    unproposed: str | None = None
    """A write that was refused for want of a proposal, until one is made."""
    failed_tools: dict[str, str] = field(default_factory=dict)
    denials: dict[str, int] = field(default_factory=dict)
    stop: RunStop | None = None
    is_over: bool = False

    def emit(self, event: Event) -> None:
        """Record the event if it is one that lasts, and hand it on; nothing is emitted after the run is over."""
        if self.is_over:
            return
        if isinstance(event, TRANSIENT):
            self.on_event(event)
            return
        stamped = self.session.stamp(event)
        self.session.append(stamped)
        self.on_event(stamped)

    def emit_last(self, event: Event) -> Event:
        """Record the event as far as the disk allows, hand it on in any case, and return it as it was stamped."""
        stamped = self.session.stamp(event)
        try:
            self.session.append(stamped)
        except DatastewardError:
            logger.warning("the session log could not take the last events")
        self.on_event(stamped)
        return stamped

    def deny(self, call_id: str, name: str, reason: str, key: str) -> None:
        """Record a denied call; the same one denied over and over ends the run."""
        self.emit(CallDenied(call_id=call_id, name=name, reason=reason))
        self.denied.append(f"{name}: {reason}")
        self.denials[key] = self.denials.get(key, 0) + 1
        if self.denials[key] >= SAME_DENIAL_LIMIT:
            self.stop = RunStop("denied", f"The model repeated a call of {name} that was denied: {reason}.")
