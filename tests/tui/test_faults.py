"""The owner process dies in the middle: the app says so and goes on."""

from pathlib import Path

import pytest

from datasteward.owner.client import open_owner
from datasteward.workspace import Workspace
from datasteward_tui.app import StewardApp
from datasteward_tui.ports import Providers
from tests.support.app_runs import frame, type_line, until, until_shown
from tests.support.workspaces import kill, owned_workspace, owner_process_id

pytestmark = pytest.mark.anyio


# An owner that this process starts is meant to outlive it, so nobody waits for its end.
@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
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
            assert "Traceback" not in frame(app)


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
