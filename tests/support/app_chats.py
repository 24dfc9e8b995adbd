"""A scripted model to talk to in the terminal app, with the workspace's real tools and sessions."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from datasteward.callers import Caller
from datasteward.state import StateDatabase
from datasteward_agent.agent import Agent
from datasteward_agent.core_toolset import CallerToolset
from datasteward_agent.models.port import ModelIdentity, ModelPiece, ModelRequest, TextDelta
from datasteward_agent.models.scripted import ScriptedModel
from datasteward_agent.rules import CallGate
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.session_store import Session, SessionStore
from datasteward_agent.toolset import EvidenceChecker, Person
from datasteward_tui.app import StewardApp
from datasteward_tui.ports import ChatProvider, RunChoice
from tests.support.app_runs import make_app


class PacedModel(ScriptedModel):
    """Waits at `gate` before its last word of each reply."""

    gate: asyncio.Event | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelPiece, None]:
        """The script's pieces; the first words come, the rest waits."""
        told = 0
        async for piece in super().stream(request):
            told += isinstance(piece, TextDelta)
            if self.gate is not None and told > 2:
                await self.gate.wait()
            yield piece


def make_chat_app(
    folder: Path,
    model: ScriptedModel,
    *,
    evidence: EvidenceChecker | None = None,
    make_model: Callable[[], ScriptedModel] | None = None,
    **parts: Any,
) -> StewardApp:
    """The app with a model; sessions are kept in the workspace."""
    holder: list[StewardApp] = []

    async def make_agent(session: Session, choice: RunChoice, person: Person) -> Agent:
        tools = await holder[0].link._held.get()
        return Agent(
            model=make_model() if make_model else model,
            toolset=CallerToolset(tools, Caller(front_end="agent", name="scripted")),
            session=session,
            options=AgentOptions(gate=CallGate(mode=choice.mode), on_waiting="wait"),
            person=person,
            evidence=evidence,
        )

    def open_sessions() -> SessionStore:
        return SessionStore(folder / ".steward" / "sessions", StateDatabase(folder / ".steward" / "state.sqlite"))

    identity: ModelIdentity = model.identity
    holder.append(
        make_app(
            folder, chat=ChatProvider(model=identity.name, open_sessions=open_sessions, make_agent=make_agent), **parts
        )
    )
    return holder[0]
