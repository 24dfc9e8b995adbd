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
from datasteward_cli.app import Scope
from datasteward_cli.changes_host import open_changes
from datasteward_cli.chat_desk import ChatDesk, GrantingPerson
from datasteward_tui.app import StewardApp
from datasteward_tui.ports import ChatProvider, ModelOffer, RunChoice
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
    scope: Scope | None = None,
    notice: str = "",
    **parts: Any,
) -> StewardApp:
    """The app with a model; sessions are kept in the workspace. With a `scope` it has the inbox, and plans grant."""
    holder: list[StewardApp] = []

    async def make_agent(session: Session, choice: RunChoice, person: Person) -> Agent:
        tools = holder[0].link.tools
        await tools.open()
        toolset = CallerToolset(tools, Caller(front_end="agent", name="scripted"))
        desk = ChatDesk(toolset, scope, "agent:scripted") if scope is not None else None
        return Agent(
            model=make_model() if make_model else model,
            toolset=toolset,
            session=session,
            options=AgentOptions(gate=CallGate(mode=choice.mode), on_waiting="wait", effort=choice.effort),
            desk=desk,
            person=GrantingPerson(person, desk) if desk is not None else person,
            evidence=evidence,
        )

    def open_sessions() -> SessionStore:
        return SessionStore(folder / ".steward" / "sessions", StateDatabase(folder / ".steward" / "state.sqlite"))

    identity: ModelIdentity = model.identity
    chat = ChatProvider(
        model=identity.name,
        models=(ModelOffer(name=identity.name, about="plays a script"), ModelOffer(name="other", about="another one")),
        open_sessions=open_sessions,
        make_agent=make_agent,
        notice=notice,
    )
    if scope is not None:
        parts["open_desk"] = lambda: open_changes(scope)
    holder.append(make_app(folder, chat=chat, **parts))
    return holder[0]
