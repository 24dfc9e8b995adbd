"""`steward` without a command: the terminal app on this workspace's tools, inbox and, with a key, a model."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.callers import Caller
from datasteward.calling import ToolCaller
from datasteward.errors import ConfigError
from datasteward_cli.app import Scope
from datasteward_cli.composition import open_tools

if TYPE_CHECKING:
    from datasteward_agent.agent import Agent
    from datasteward_agent.session_store import Session, SessionStore
    from datasteward_agent.toolset import Person
    from datasteward_tui.ports import ApprovalDesk, ChatProvider, RunChoice, Workflow
    from datasteward_tui.tool_link import LastingTools

AGENT_NAME = "steward chat"
KEY_VARIABLE = "ANTHROPIC_API_KEY"


def show_app(scope: Scope) -> None:
    """Run the terminal app until the person leaves it; raises `ConfigError` when it is not installed."""
    try:
        from datasteward_tui.app import run
        from datasteward_tui.ports import Providers
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The terminal app needs {error.name}, which is not installed.", hint="pip install 'datasteward[tui]'"
        ) from error
    parts = _Parts(scope)
    providers = Providers(
        open_tools=parts.open_tools,
        open_desk=parts.open_desk,
        chat=parts.chat(),
        list_workflows=partial(_read_workflows, scope.workspace.root),
        preferences_path=_preferences_path(),
    )
    run(scope.workspace, providers)


def _read_workflows(root: Path) -> "Sequence[Workflow]":
    from datasteward_cli.workflows import read_workflows

    return read_workflows(root)


def _preferences_path() -> Path | None:
    """`datasteward/app.json` in the user's configuration folder; None when there is no home."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(folder) if folder else Path.home() / ".config") / "datasteward" / "app.json"
    except RuntimeError:
        return None


class _Parts:
    """What the app is given; the person's connection and the agent's stay apart, so that only the person sees all."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._local: ToolCaller | None = None
        """The person's tools when they run in this process; then they are the agent's, too."""
        self._agent_tools: LastingTools | None = None

    @asynccontextmanager
    async def open_tools(self) -> AsyncIterator[ToolCaller]:
        """The person's tools; the agent's connection is closed with them."""
        workspace, no_owner = self._scope.workspace, self._scope.no_owner
        async with open_tools(workspace, front_end="tui", name="steward", is_model=False, no_owner=no_owner) as tools:
            self._local = tools if no_owner else None
            try:
                yield tools
            finally:
                self._local = None
                held, self._agent_tools = self._agent_tools, None
                if held is not None:
                    await held.close()

    async def _open_agent_tools(self) -> ToolCaller:
        from datasteward_tui.tool_link import LastingTools

        if self._local is not None:
            return self._local
        if self._scope.no_owner:
            raise ConfigError("The workspace's tools are not open yet.", hint="Try again in a moment.")
        if self._agent_tools is None:
            workspace = self._scope.workspace
            self._agent_tools = LastingTools(
                lambda: open_tools(workspace, front_end="agent", name=AGENT_NAME, is_model=True)
            )
        await self._agent_tools.open()
        return self._agent_tools

    def open_desk(self) -> "AbstractAsyncContextManager[ApprovalDesk]":
        """The inbox, decided in this process by the person at this terminal."""
        from datasteward_cli.changes_host import open_changes

        return open_changes(self._scope)

    def chat(self) -> "ChatProvider | None":
        """The model to talk to, or None without a key."""
        if not os.environ.get(KEY_VARIABLE):
            return None
        from datasteward_agent.models.offers import offer_models
        from datasteward_tui.ports import ChatProvider, ModelOffer

        offers = tuple(ModelOffer(name=o.name, about=o.about) for o in offer_models())
        return ChatProvider(
            model=offers[0].name, models=offers, open_sessions=self._open_sessions, make_agent=self._make_agent
        )

    def _open_sessions(self) -> "SessionStore":
        from datasteward.state import StateDatabase
        from datasteward_agent.session_store import FOLDER_NAME, SessionStore

        workspace = self._scope.workspace
        return SessionStore(workspace.state_folder / FOLDER_NAME, StateDatabase(workspace.state_path))

    async def _make_agent(self, session: "Session", choice: "RunChoice", person: "Person") -> "Agent":
        import asyncio

        from datasteward_agent.agent import Agent
        from datasteward_agent.core_toolset import CallerToolset, ToolsetEvidence
        from datasteward_agent.models.choosing import open_model
        from datasteward_agent.rules import CallGate
        from datasteward_agent.run_context import AgentOptions
        from datasteward_cli.chat_desk import ChatDesk, GrantingPerson

        toolset = CallerToolset(
            await self._open_agent_tools(), Caller(front_end="agent", name=AGENT_NAME, is_model=True)
        )
        desk = ChatDesk(toolset, self._scope, f"agent:{AGENT_NAME}")
        return Agent(
            model=await asyncio.to_thread(open_model, choice.model),
            toolset=toolset,
            session=session,
            options=AgentOptions(gate=CallGate(mode=choice.mode), on_waiting="wait", effort=choice.effort),
            desk=desk,
            person=GrantingPerson(person, desk),
            evidence=ToolsetEvidence(toolset),
        )
