"""Short ways to set up an agent in a test and to look at what it did."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from datasteward.state import StateDatabase
from datasteward_agent.agent import Agent
from datasteward_agent.events import Event, RunEnded
from datasteward_agent.models.anthropic_messages import Endpoint, MessagesModel
from datasteward_agent.models.profiles import PROFILES, Provider
from datasteward_agent.models.scripted import Script, ScriptedModel
from datasteward_agent.retrying import RetryPolicy
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.session_store import SessionStore

FAST_RETRY = RetryPolicy(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=1.0)
KEY = "sk-ant-canary-0123456789abcdef"
EventT = TypeVar("EventT", bound=Event)


@contextmanager
def open_store(folder: Path) -> Iterator[SessionStore]:
    state = StateDatabase(folder / "state.sqlite")
    try:
        yield SessionStore(folder / "sessions", state)
    finally:
        state.close()


def messages_model(
    url: str,
    *,
    provider: Provider = "anthropic",
    name: str = "claude-opus-5-5",
    stall_seconds: float | None = None,
    key: str | None = KEY,
) -> MessagesModel:
    return MessagesModel(
        Endpoint(model_name=name, profile=PROFILES[provider], base_url=url, key=key, stall_seconds=stall_seconds)
    )


def scripted(*turns: dict[str, Any]) -> ScriptedModel:
    return ScriptedModel(Script.model_validate({"turns": list(turns)}))


def options(**changes: Any) -> AgentOptions:
    return AgentOptions(**{"retry": FAST_RETRY, **changes})


@dataclass(slots=True)
class Seen:
    """The events of a run."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [e for e in self.events if isinstance(e, kind)]

    @property
    def text(self) -> str:
        return "".join(str(getattr(e, "delta", "")) for e in self.events if e.type == "text")


async def run_once(agent: Agent, prompt: str | None, **more: Any) -> tuple[RunEnded, Seen]:
    seen = Seen()
    try:
        ended = await agent.run(prompt, seen, **more)
    finally:
        await agent.close()
    return ended, seen
