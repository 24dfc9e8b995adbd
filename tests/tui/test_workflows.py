"""Prompt files as slash commands."""

from pathlib import Path

import pytest

from datasteward.errors import ToolError
from datasteward_cli.workflows import read_workflows
from tests.support.agent_runs import scripted
from tests.support.app_chats import make_chat_app
from tests.support.app_runs import type_line, until, until_shown
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.anyio

OWN = "---\ntitle: Compare two tables\narguments:\n  - name: a\n  - name: b\n---\nCompare {{a}} with {{b}}.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shop = make_workspace(tmp_path / "shop")
    (shop / "prompts").mkdir()
    (shop / "prompts" / "compare.md").write_text(OWN)
    return shop


async def test_a_prompt_file_is_a_command_whose_text_the_model_gets(folder: Path) -> None:
    model = scripted({"say": "They are alike."})
    app = make_chat_app(folder, model, list_workflows=lambda: read_workflows(folder))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.workflows))
        app.prompt.put("/comp")
        await until_shown(pilot, "/compare")
        await type_line(pilot, "/compare 'old orders' sales of today")
        await until_shown(pilot, "They are alike.")
        await until_shown(pilot, "❯ /compare 'old orders' sales of today")
        assert app.conversation is not None and app.conversation.session_id is not None
    folder_of_sessions = folder / ".steward" / "sessions"
    told = "".join(p.read_text() for p in folder_of_sessions.rglob("*.jsonl"))
    assert "Compare old orders with sales of today." in told


async def test_a_missing_argument_is_named_before_anything_is_sent(folder: Path) -> None:
    app = make_chat_app(folder, scripted({"say": "no"}), list_workflows=lambda: read_workflows(folder))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.workflows))
        await type_line(pilot, "/compare one")
        await until_shown(pilot, "compare: 'b' is missing; arguments: a, b.")
        await until_shown(pilot, "/compare A B")


async def test_a_prompt_file_that_is_wrong_is_told_and_the_app_goes_on(folder: Path) -> None:
    (folder / "prompts" / "bad.md").write_text("no front matter")
    with pytest.raises(ToolError, match=r"bad\.md must begin with front matter"):
        read_workflows(folder)
    app = make_chat_app(folder, scripted({"say": "still here"}), list_workflows=lambda: read_workflows(folder))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "bad.md must begin with")
        await type_line(pilot, "hello")
        await until_shown(pilot, "still here")
