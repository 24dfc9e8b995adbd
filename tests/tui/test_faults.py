"""Owner, engine and model die in the middle: the app says so, keeps the conversation and goes on."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from datasteward.callers import Caller
from datasteward.calling import ToolCaller
from datasteward.owner.client import open_owner
from datasteward.state import StateDatabase
from datasteward.workspace import Workspace
from datasteward_agent.agent import Agent
from datasteward_agent.core_toolset import CallerToolset
from datasteward_agent.models.choosing import open_model
from datasteward_agent.retrying import RetryPolicy
from datasteward_agent.rules import CallGate
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.session_store import Session, SessionStore
from datasteward_agent.toolset import Person
from datasteward_tui.app import StewardApp
from datasteward_tui.ports import ChatProvider, Providers, RunChoice
from datasteward_tui.tool_link import LastingTools
from tests.support.app_runs import frame, make_app, type_line, until, until_shown
from tests.support.messages_server import MessagesServer, Reply, call, say, serve, tool
from tests.support.workspaces import kill, make_workspace, owned_workspace, owner_process_id

pytestmark = [
    pytest.mark.anyio,
    # An owner that this process starts is meant to outlive it, so nobody waits for its end.
    pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SLOW = "select count(*) from range(100000000) a, range(100000) b where a.range % 7 = b.range"
LOST = "The engine's process has ended; a new one is started."


def owned_tools(folder: Path, *, is_model: bool = False) -> LastingTools:
    """Tools in the workspace's owner process, connected anew when it has ended."""

    @asynccontextmanager
    async def open_tools() -> AsyncIterator[ToolCaller]:
        workspace = Workspace(root=folder)
        async with open_owner(workspace, front_end="agent", name="scripted", is_model=is_model) as client:
            yield client

    return LastingTools(open_tools)


def make_served_app(folder: Path, server: MessagesServer, *, has_owner: bool) -> StewardApp:
    """The app that talks to a model on a local server, with tools in an owner process or in this one."""
    workspace = Workspace(root=folder)
    agent_tools = owned_tools(folder, is_model=True)
    holder: list[StewardApp] = []

    async def make_agent(session: Session, choice: RunChoice, person: Person) -> Agent:
        tools = agent_tools if has_owner else holder[0].link.tools
        await tools.open()
        return Agent(
            model=open_model("served", base_url=server.url, stall_seconds=5.0),
            toolset=CallerToolset(tools, Caller(front_end="agent", name="scripted", is_model=True)),
            session=session,
            options=AgentOptions(
                gate=CallGate(mode=choice.mode),
                on_waiting="wait",
                retry=RetryPolicy(attempts=2, first_wait_seconds=0.05),
            ),
            person=person,
        )

    def open_sessions() -> SessionStore:
        return SessionStore(folder / ".steward" / "sessions", StateDatabase(workspace.state_path))

    chat = ChatProvider(model="served", open_sessions=open_sessions, make_agent=make_agent)
    if has_owner:
        opener = lambda: open_owner(workspace, front_end="tui", name="steward", is_model=False)  # noqa: E731
        workspace.make_state_folder()
        holder.append(StewardApp(workspace, Providers(open_tools=opener, chat=chat)))
    else:
        holder.append(make_app(folder, chat=chat))
    return holder[0]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-key")
    yield


def worker_process_ids(parent: int) -> list[int]:
    """The engine's workers among the children of a process."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(c) for c in children if b"worker" in Path(f"/proc/{c}/cmdline").read_bytes()]


async def test_a_killed_owner_is_started_anew_at_the_next_query(tmp_path: Path) -> None:
    with owned_workspace(tmp_path / "shop") as folder:
        workspace = Workspace(root=folder)
        providers = Providers(open_tools=lambda: open_owner(workspace, front_end="tui", name="steward", is_model=False))
        app = StewardApp(workspace, providers)
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: bool(app.catalog.datasets))
            await type_line(pilot, "!select 41 as one")
            await until_shown(pilot, "r1 · 1 row")
            kill(owner_process_id(folder))
            await type_line(pilot, "!select 42 as two")
            await until_shown(pilot, "r2 · 1 row")
            await until_shown(pilot, LOST)
            assert "Traceback" not in frame(app)


async def test_the_owner_dies_in_the_middle_of_an_agents_call(tmp_path: Path, key: None) -> None:
    """The read is asked again of a new owner, the answer comes, and the session goes on."""
    turns: list[Reply] = [
        call(tool("run_query", sql="select 41 as one")),
        say("It is 41 [r1]."),
        call(tool("run_query", call_id="toolu_2", sql="select 42 as two")),
        say("It is 42 [r2]."),
    ]
    with owned_workspace(tmp_path / "shop") as folder:

        def answer(body: object, number: int) -> Reply:
            if number == 2:
                kill(owner_process_id(folder))
            return turns[number]

        with serve(answer) as server:
            app = make_served_app(folder, server, has_owner=True)
            async with app.run_test(size=(110, 40)) as pilot:
                await until(pilot, lambda: bool(app.catalog.datasets))
                await type_line(pilot, "tell me one?")
                await until_shown(pilot, "It is 41 [r1].")
                await type_line(pilot, "tell me two?")
                await until_shown(pilot, "It is 42 [r2].")
                assert "✗" not in frame(app)
                await type_line(pilot, "!select 43 as three")
                await until_shown(pilot, "r3 · 1 row")
        assert len(server.bodies) == 4
        assert "It is 41 [r1]." in json.dumps(server.bodies[-1])


async def test_a_catalog_that_cannot_be_read_is_told_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "shop", with_database=False)
    (folder / "warehouse.duckdb").write_bytes(b"this is no database" * 1000)
    app = make_app(folder)
    async with app.run_test(size=(110, 40)) as pilot:
        await until_shown(pilot, "✗ ")
        assert "No data files or tables" not in frame(app)
        assert "Traceback" not in frame(app)


async def test_workers_that_are_killed_in_a_query_are_replaced(tmp_path: Path) -> None:
    app = make_app(make_workspace(tmp_path / "shop"))
    async with app.run_test(size=(110, 40)) as pilot:
        await until(pilot, lambda: bool(app.catalog.datasets))
        await type_line(pilot, SLOW)
        await until_shown(pilot, "1 running")
        for process_id in worker_process_ids(os.getpid()):
            kill(process_id)
        await type_line(pilot, "!select 42 as two")
        await until_shown(pilot, " · 1 row · ")
        await pilot.press("escape")
        await until(pilot, lambda: "1 running" not in frame(app))
        assert "Traceback" not in frame(app)


async def test_a_model_that_dies_in_mid_sentence_is_asked_again(tmp_path: Path, key: None) -> None:
    folder = make_workspace(tmp_path / "shop")
    with serve([say("These words are lost on the way.", cut_after=4), say("All is well.")]) as server:
        app = make_served_app(folder, server, has_owner=False)
        async with app.run_test(size=(110, 40)) as pilot:
            await type_line(pilot, "how is it?")
            await until_shown(pilot, "All is well.")
            await until_shown(pilot, "Trying again in")
            assert "lost on the way" not in frame(app)


async def test_a_model_that_stays_away_ends_the_run_but_not_the_session(tmp_path: Path, key: None) -> None:
    folder = make_workspace(tmp_path / "shop")
    gone = Reply(status=500)
    with serve([say("First answer."), gone, gone, say("Back again.")]) as server:
        app = make_served_app(folder, server, has_owner=False)
        async with app.run_test(size=(110, 40)) as pilot:
            await type_line(pilot, "first?")
            await until_shown(pilot, "First answer.")
            await type_line(pilot, "second?")
            await until_shown(pilot, "The run failed.")
            session = app.conversation.session_id if app.conversation else None
            await type_line(pilot, "third?")
            await until_shown(pilot, "Back again.")
            assert app.conversation is not None and app.conversation.session_id == session
        assert "First answer." in json.dumps(server.bodies[-1])


async def test_without_an_owner_the_app_says_so_and_stays(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path)
    workspace.make_state_folder()
    providers = Providers(
        open_tools=lambda: open_owner(workspace, front_end="tui", name="steward", is_model=False, start=False)
    )
    app = StewardApp(workspace, providers)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "No owner process is running for this workspace.")
        await type_line(pilot, "!select 1")
        await until_shown(pilot, "✗ SQL")
        app.prompt.put("still here")
        await until_shown(pilot, "still here")
