"""Makes the pictures of the terminal app in docs/pictures: real tools and data, a scripted model.

Run from the repository's root: .venv/bin/python docs/make_pictures.py
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from datasteward.callers import Caller
from datasteward.state import StateDatabase
from datasteward.workspace import Workspace
from datasteward_agent.agent import Agent
from datasteward_agent.core_toolset import CallerToolset, ToolsetEvidence
from datasteward_agent.models.scripted import Script, ScriptedModel
from datasteward_agent.rules import CallGate
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.session_store import Session, SessionStore
from datasteward_agent.toolset import Person
from datasteward_cli.app import Scope
from datasteward_cli.changes_host import open_changes
from datasteward_cli.composition import open_tools
from datasteward_tui.app import StewardApp
from datasteward_tui.plan_screen import PlanScreen
from datasteward_tui.ports import ChatProvider, Providers, RunChoice

PICTURES = Path(__file__).parent / "pictures"
WAIT_SECONDS = 60.0
SIZES = {"small": (80, 24), "normal": (120, 40), "wide": (170, 46)}
SQL = """SELECT region, count(*) AS orders, sum(amount) AS revenue
FROM orders WHERE status = 'open'
GROUP BY ALL ORDER BY revenue DESC"""
ANSWER = """## Open orders

The north leads: **834** orders are still open there [r1], worth {a} [r1].

| region | what to do            |
|:-------|:----------------------|
| north  | chase the CRM export  |
| south  | nothing, it is normal |

```sql
UPDATE orders SET status = 'paid' WHERE status = 'open'
```
"""
PLAN = {
    "goal": "Mark orders as paid that the CRM export left open",
    "steps": [
        {"title": "Profile orders by status", "reads": ["orders"], "expected": "2 statuses"},
        {
            "title": "Set status to paid where amount is above 480",
            "reads": ["orders"],
            "writes": ["orders"],
            "expected": "about 130 rows",
            "why": "the export rounds amounts and drops the flag",
        },
        {"title": "Check the totals by region", "reads": ["orders"]},
    ],
}
TURNS = [
    {"when": {"prompt_contains": "open orders"}, "say": "I count them by region first.", "calls": [{"tool": "run_query", "arguments": {"sql": SQL}}]},
    {"say": ANSWER.format(a="208,828.40")},
    {"when": {"prompt_contains": "plan"}, "calls": [{"tool": "submit_plan", "arguments": PLAN}]},
    {"say": "I keep to the plan as you left it."},
]  # fmt: skip


def make_shop(folder: Path) -> Workspace:
    """A small shop with orders, customers and a file."""
    import duckdb

    (folder / "data").mkdir(parents=True)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT i::INTEGER AS id, (date '2026-01-01' + (i % 300)::INTEGER) AS day,"
            " ['north','south','east','west'][1 + i % 4] AS region, ((i * 37) % 5000 / 10.0)::DECIMAL(9,2) AS amount,"
            " CASE WHEN i % 3 = 0 THEN 'open' ELSE 'paid' END AS status FROM range(10000) t(i);"
            "ALTER TABLE orders ADD PRIMARY KEY (id);"
            "CREATE TABLE customers AS SELECT i AS id, 'Customer ' || i AS name FROM range(400) t(i);"
        )
        connection.execute(
            f"COPY (SELECT id, day, amount FROM orders LIMIT 500) TO '{folder / 'data' / 'payments.csv'}' (HEADER)"
        )
    workspace = Workspace(root=folder)
    workspace.make_state_folder()
    return workspace


def make_app(workspace: Workspace) -> StewardApp:
    """The app on the shop with everything a composition root hands over."""
    holder: list[StewardApp] = []

    async def make_agent(session: Session, choice: RunChoice, person: Person) -> Agent:
        tools = holder[0].link.tools
        await tools.open()
        toolset = CallerToolset(tools, Caller(front_end="agent", name="scripted"))
        return Agent(
            model=ScriptedModel(Script.model_validate({"turns": TURNS})),
            toolset=toolset,
            session=session,
            options=AgentOptions(gate=CallGate(mode=choice.mode), on_waiting="wait"),
            person=person,
            evidence=ToolsetEvidence(toolset),
        )

    def open_sessions() -> SessionStore:
        return SessionStore(workspace.state_folder / "sessions", StateDatabase(workspace.state_path))

    providers = Providers(
        open_tools=lambda: open_tools(workspace, front_end="tui", name="steward", is_model=False, no_owner=True),
        open_desk=lambda: open_changes(Scope(workspace.root, no_owner=True)),
        chat=ChatProvider(model="scripted", open_sessions=open_sessions, make_agent=make_agent),
        decided_by="ada",
    )
    holder.append(StewardApp(workspace, providers))
    return holder[0]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the app work until the condition holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the screen did not become what it should")
        await pilot.pause()
        await asyncio.sleep(0.02)
    await pilot.pause()


def is_shown(app: StewardApp, words: str) -> bool:
    """Whether the words stand on the screen."""
    return any(words in strip.text for strip in app.screen._compositor.render_strips())


async def say(pilot: Pilot[None], app: StewardApp, text: str) -> None:
    """Send a text."""
    app.prompt.focus()
    app.prompt.put(text)
    await pilot.pause()
    app.choice_list.show([])
    app.prompt.is_choosing = False
    await pilot.press("enter")


def save(app: StewardApp, name: str) -> None:
    """Write the screen as PNG."""
    import vl_convert

    svg = app.export_screenshot(title=f"Datasteward · {app.workspace.root.name}")
    (PICTURES / f"{name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=1))
    sys.stdout.write(f"{name}\n")


async def tell_the_story(size: str, theme: str) -> None:
    """Question, answer, table, chart, plan, change, undo, at one size."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        app = make_app(make_shop(Path(folder) / "shop"))
        mark = f"{size}-{theme}" if theme != "steward" else size
        async with app.run_test(size=SIZES[size]) as pilot:
            app.theme = theme
            await until(pilot, lambda: bool(app.catalog.datasets))
            save(app, f"welcome-{mark}")
            await say(pilot, app, "which open orders should worry me?")
            await until(pilot, lambda: is_shown(app, "UPDATE") and not _works(app))
            await pilot.press("ctrl+o")
            save(app, f"chat-{mark}")
            await say(pilot, app, "/open r1")
            await until(pilot, lambda: app.pane.grid is not None)
            await until(pilot, lambda: is_shown(app, "r1 · 4 rows"))
            save(app, f"grid-{mark}")
            await say(pilot, app, "/profile orders")
            await until(pilot, lambda: is_shown(app, "Profile"))
            save(app, f"profile-{mark}")
            await say(pilot, app, "/chart r1 bar region revenue")
            await until(pilot, lambda: is_shown(app, "Chart"))
            await until(pilot, lambda: is_shown(app, "█"))
            save(app, f"chart-{mark}")
            await pilot.press("f4")
            await until(pilot, lambda: is_shown(app, "Tables"))
            save(app, f"catalog-{mark}")
            await pilot.press("escape")
            await decide(pilot, app, mark)


async def decide(pilot: Pilot[None], app: StewardApp, mark: str) -> None:
    """A plan, a change, its approval and its undo."""
    app._typed_at = 0.0
    await say(pilot, app, "make a plan to mend them")
    app._typed_at = 0.0
    await until(pilot, lambda: isinstance(app.screen, PlanScreen) or app.screen_person.has_waiting)
    if not isinstance(app.screen, PlanScreen):
        await pilot.press("f7")
    await until(pilot, lambda: isinstance(app.screen, PlanScreen))
    await pilot.press("down", "c", *"only those of the north", "enter")
    save(app, f"plan-{mark}")
    screen = app.screen
    assert isinstance(screen, PlanScreen)
    screen._clock = lambda: time.monotonic() + 10
    await pilot.press("a")
    await until(pilot, lambda: is_shown(app, "I keep to the plan") and not _works(app))
    await say(
        pilot, app, "UPDATE orders SET status = 'paid' WHERE status = 'open' AND amount > 480 AND region = 'north'"
    )
    await until(pilot, lambda: app.dock.panel.row is not None and is_shown(app, "⚑ c1"))
    save(app, f"approval-{mark}")
    panel = app.dock.panel
    await pilot.press("f2")
    panel._clock = lambda: time.monotonic() + 10
    for _ in range(20):
        await pilot.press("pagedown")
    await pilot.press("a")
    await until(pilot, lambda: is_shown(app, "c1 applied in"))
    await pilot.press("h")
    await until(pilot, lambda: is_shown(app, "u undo"))
    panel._clock = lambda: time.monotonic() + 20
    await pilot.press("u")
    await until(pilot, lambda: is_shown(app, "would take back c1"))
    save(app, f"undo-{mark}")
    await pilot.press("escape", "f1")
    await pilot.pause()
    save(app, f"help-{mark}")


def _works(app: StewardApp) -> bool:
    return app.conversation is not None and app.conversation.is_running


async def main() -> None:
    """All pictures."""
    PICTURES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["normal", "small", "wide", "light"]
    for name in wanted:
        await (tell_the_story("normal", "steward-light") if name == "light" else tell_the_story(name, "steward"))


if __name__ == "__main__":
    asyncio.run(main())
