"""From an agent's events to blocks of the transcript, live and when a session is opened again.

Imported only when there is a model to talk to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from datasteward_agent.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallDenied,
    Compacted,
    Event,
    EvidenceChecked,
    ModelSaid,
    Noticed,
    PlanDecided,
    PlanSubmitted,
    QuestionAsked,
    RetryWaited,
    RunEnded,
    TextArrived,
    ThinkingArrived,
    ToolCalled,
    ToolInputArrived,
    ToolProgressed,
    ToolReturned,
    UsageCounted,
    UserSaid,
)
from datasteward_tui.blocks import Block, DrawingBlock, NoticeBlock, NoticeLevel, PersonBlock
from datasteward_tui.call_block import CallBlock
from datasteward_tui.reply_block import ReplyBlock

QUIET_TOOLS = frozenset({"submit_plan", "ask_user"})
"""Harness tools whose own events say it better."""
_OUTCOMES = {
    "failed": "The run failed.",
    "denied": "The run ended because calls were denied.",
    "waiting": "The run waits for a decision.",
    "max_turns": "The run reached its number of turns.",
    "budget": "The run reached its budget.",
    "truncated": "The reply was cut off by the model's own limit.",
    "refused": "The model refused.",
    "tool_failed": "A tool failed.",
    "auth": "The model's server did not accept the key.",
    "timeout": "The run took too long.",
    "interrupted": "Stopped.",
    "terminated": "Stopped.",
}


class Stage(Protocol):
    """Where blocks are shown."""

    def add(self, block: Block) -> None:
        """Put a block at the end."""

    def changed(self, block: Block) -> None:
        """A block has other content now."""


@dataclass(slots=True, kw_only=True)
class ChatFacts:
    """What the status line says of a conversation."""

    context_share: float | None = None
    usd: float | None = None
    activity: str = ""


@dataclass(slots=True)
class EventTeller:
    """Shows one conversation's events on a stage; `echoes_person` when the person's words are not there yet."""

    stage: Stage
    on_facts: Callable[[], None] = lambda: None
    echoes_person: bool = False
    facts: ChatFacts = field(default_factory=ChatFacts)
    _reply: ReplyBlock | None = None
    _last_reply: ReplyBlock | None = None
    _calls: dict[str, CallBlock] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Show one event."""
        match event:
            case TextArrived():
                self._say("writing")
                self._feed(event.delta)
            case ThinkingArrived():
                self._say("thinking")
            case ModelSaid():
                self._settle_reply(event)
            case UserSaid():
                if self.echoes_person and event.message.author == "person" and event.message.text:
                    self.stage.add(PersonBlock(event.message.text))
            case ToolInputArrived() | ToolCalled() | ToolProgressed() | ToolReturned() | CallDenied():
                self._take_call(event)
            case EvidenceChecked():
                self._mark(event)
            case UsageCounted():
                self.facts.usd = event.usd_estimate
                self.facts.context_share = event.context_tokens / event.context_limit if event.context_limit else None
                self.on_facts()
            case RunEnded():
                self._end(event)
            case _:
                self._notice(event)

    def _say(self, activity: str) -> None:
        if self.facts.activity != activity:
            self.facts.activity = activity
            self.on_facts()

    def _feed(self, words: str) -> None:
        if self._reply is None:
            self._reply = ReplyBlock()
            self.stage.add(self._reply)
        self._reply.feed(words)
        self.stage.changed(self._reply)

    def _settle_reply(self, event: ModelSaid) -> None:
        words = event.message.text
        if self._reply is None and words.strip():
            self._reply = ReplyBlock()
            self.stage.add(self._reply)
        if self._reply is not None:
            self._reply.settle(words, is_partial=event.message.is_partial)
            self.stage.changed(self._reply)
            self._last_reply = self._reply
        self._reply = None

    def _call(self, call_id: str, name: str) -> CallBlock | None:
        if name in QUIET_TOOLS:
            return None
        if call_id not in self._calls:
            self._calls[call_id] = CallBlock(name, state="writing")
            self.stage.add(self._calls[call_id])
        return self._calls[call_id]

    def _take_call(self, event: ToolInputArrived | ToolCalled | ToolProgressed | ToolReturned | CallDenied) -> None:
        block = self._calls.get(event.call_id)
        if not isinstance(event, ToolProgressed):
            block = self._call(event.call_id, event.name)
        if block is None:
            return
        match event:
            case ToolInputArrived():
                self._say(f"writing {event.name}")
                block.write(event.delta)
            case ToolCalled():
                self._say(f"running {event.name}")
                block.run(event.arguments)
            case ToolProgressed():
                block.report(event.done, event.total, event.message)
            case ToolReturned():
                block.finish(
                    event.text, event.structured, seconds=event.seconds, is_error=event.is_error, handles=event.handles
                )
                self._say("thinking")
            case CallDenied():
                block.deny(event.reason)
        self.stage.changed(block)

    def _mark(self, event: EvidenceChecked) -> None:
        if self._last_reply is not None and event.is_final:
            figures = sorted(event.figures, key=lambda f: f.start)
            self._last_reply.mark(tuple((f.text, f.verdict) for f in figures))
            self.stage.changed(self._last_reply)

    def _notice(self, event: Event) -> None:
        block: Block | None = None
        match event:
            case ApprovalRequested():
                lines = [w for w in event.summary.splitlines() if not w.startswith(f"{event.proposal_id}:")]
                about = lines[0] if lines else ""
                words = f"{event.proposal_id} waits for your decision. {about}".strip()
                block = NoticeBlock(words, "warning", "F2 shows it with its rows.", opens=event.proposal_id)
            case ApprovalDecided():
                comment = f" “{event.comment}”" if event.comment else ""
                level: NoticeLevel = "good" if event.status in {"approved", "applied"} else "info"
                block = NoticeBlock(f"{event.proposal_id} {event.status}.{comment}", level, opens=event.proposal_id)
            case PlanSubmitted():
                block = DrawingBlock(
                    f"Plan {event.plan.plan_id}", event.plan.to_text(), opens=event.plan.plan_id or None
                )
            case PlanDecided():
                comment = f" “{event.comment}”" if event.comment else ""
                block = NoticeBlock(f"{event.plan.plan_id} {event.verdict}.{comment}", "info")
            case QuestionAsked() if event.answer is not None:
                block = NoticeBlock(f"{event.question}\n{event.answer}", "info")
            case RetryWaited():
                self._void_reply(event)
                words = f"{event.message} Trying again in {event.wait_seconds:.0f} s ({event.attempt} of {event.of})."
                block = NoticeBlock(words, "warning")
            case Compacted():
                block = NoticeBlock(f"The conversation was shortened from {event.before_tokens:,} tokens.", "info")
            case Noticed():
                block = NoticeBlock(event.text, event.level)
            case _:
                return
        if block is not None:
            self.stage.add(block)

    def _void_reply(self, event: RetryWaited) -> None:
        if self._reply is not None and event.discarded_characters:
            self._reply.settle("")
            self.stage.changed(self._reply)
            self._reply = None

    def _end(self, event: RunEnded) -> None:
        self._reply = None
        self.facts.activity = ""
        for block in self._calls.values():
            if block.state in {"writing", "running"}:
                block.deny("stopped")
                self.stage.changed(block)
        self._calls.clear()
        if event.outcome != "done":
            words = " ".join(
                w for w in (_OUTCOMES.get(event.outcome, f"Ended: {event.outcome}."), event.error or "") if w
            )
            is_stop = event.outcome in {"interrupted", "terminated", "waiting"}
            hint = "F2 shows what waits." if event.outcome == "waiting" else event.hint
            self.stage.add(NoticeBlock(words, "info" if is_stop else "error", hint))
        self.on_facts()


class BlockList:
    """A stage that only collects, for a session that is opened again."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def add(self, block: Block) -> None:
        """Keep it."""
        self.blocks.append(block)

    def changed(self, block: Block) -> None:
        """Nothing is drawn yet."""
