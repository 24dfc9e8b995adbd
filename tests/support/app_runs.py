"""The terminal app under a pilot: frames as text, and waits with a bound."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from datasteward.callers import Caller
from datasteward.calling import Report, ToolAnswer, ToolCaller, ToolDefinition
from datasteward.workspace import Workspace
from datasteward_cli.composition import open_tools
from datasteward_tui.app import StewardApp
from datasteward_tui.ports import ApprovalDesk, Providers

WAIT_SECONDS = float(os.environ.get("APP_WAIT_SECONDS", "30"))
SIZES = ((80, 24), (120, 40), (200, 50))
SNAPSHOTS = Path(__file__).resolve().parents[1] / "tui" / "snapshots"


def local_tools(workspace: Workspace) -> Callable[[], AbstractAsyncContextManager[ToolCaller]]:
    """The real tools of the workspace, in this process."""
    return lambda: open_tools(workspace, front_end="tui", name="steward", is_model=False, no_owner=True)


class NoTools:
    """A toolset without tools and with an empty catalog, so that nothing else opens the database."""

    def definitions(self) -> Sequence[ToolDefinition]:
        """None."""
        return ()

    async def call(
        self, name: str, arguments: Mapping[str, Any] | None, caller: Caller, report: Report | None = None
    ) -> ToolAnswer:
        """An empty catalog."""
        return ToolAnswer(text="", structured={"total": 0, "datasets": []})


@asynccontextmanager
async def no_tools() -> AsyncIterator[ToolCaller]:
    """`NoTools`, for an app."""
    yield NoTools()


def make_app(folder: Path, *, has_tools: bool = True, **parts: Any) -> StewardApp:
    """The app on a folder with real tools and the given further providers."""
    workspace = Workspace(root=folder)
    workspace.make_state_folder()
    open_tools = local_tools(workspace) if has_tools else no_tools
    return StewardApp(workspace, Providers(open_tools=open_tools, decided_by="ada", **parts))


def desk_of(service: ApprovalDesk) -> Callable[[], AbstractAsyncContextManager[ApprovalDesk]]:
    """A desk on a change service of this process."""

    @asynccontextmanager
    async def open_desk() -> AsyncIterator[ApprovalDesk]:
        yield service

    return open_desk


def frame(app: StewardApp) -> str:
    """What is on the screen, as text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def until(pilot: Pilot[None], condition: Callable[[], bool], what: str = "the condition") -> None:
    """Let the app work until `condition` holds; fails after a bound."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come:\n{frame(pilot.app)}"  # type: ignore[arg-type]
        await pilot.pause()
        await asyncio.sleep(0.01)
    await pilot.pause()


async def until_shown(pilot: Pilot[None], words: str) -> None:
    """Wait until `words` stand on the screen."""
    await until(pilot, lambda: words in frame(pilot.app), repr(words))  # type: ignore[arg-type]


async def type_line(pilot: Pilot[None], text: str) -> None:
    """Put a text into the prompt and send it."""
    app = pilot.app
    assert isinstance(app, StewardApp)
    app.prompt.focus()
    app.prompt.put(text)
    await pilot.pause()
    app.choice_list.show([])
    app.prompt.is_choosing = False
    await pilot.press("enter")
    await pilot.pause()


def match_snapshot(app: StewardApp, name: str) -> None:
    """Compare the screen with the stored frame; with UPDATE_SNAPSHOTS set, store it instead."""
    text = frame(app)
    path = SNAPSHOTS / f"{name}-{app.size.width}x{app.size.height}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text + "\n", f"{path.name} differs; now:\n{text}"
