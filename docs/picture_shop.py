"""The small shop and the scripted model that the pictures of the terminal app show."""

from pathlib import Path

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
from datasteward_tui.ports import ChatProvider, Providers, RunChoice

SQL = """SELECT region, count(*) AS orders, sum(amount) AS revenue
FROM orders WHERE status = 'open'
GROUP BY ALL ORDER BY revenue DESC"""
MEND = "UPDATE orders SET status = 'paid' WHERE status = 'open' AND amount > 480 AND region = 'north'"
ANSWER = """## Open orders

The north leads: **834** orders are still open there [r1], worth 208,828.40 [r1].

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
            "expected": "about 30 rows",
            "why": "the export rounds amounts and drops the flag",
            "sql": "UPDATE orders SET status = 'paid' WHERE status = 'open' AND amount > 480",
        },
        {"title": "Check the totals by region", "reads": ["orders"]},
    ],
}
TURNS = [
    {"when": {"prompt_contains": "open orders"}, "say": "I count them by region first.", "calls": [{"tool": "run_query", "arguments": {"sql": SQL}}]},
    {"say": ANSWER},
    {"when": {"prompt_contains": "plan"}, "calls": [{"tool": "submit_plan", "arguments": PLAN}]},
    {"calls": [{"tool": "propose_change", "arguments": {"sql": MEND, "purpose": "the CRM export drops the flag"}}]},
    {"say": "I kept to the plan as you left it: only the north."},
]  # fmt: skip
PIPELINE = {
    "staging/orders.sql": (
        "/* @asset\nchecks:\n  - expect: amount > 1\n    on_fail: quarantine\n    max: 5%\n"
        "  - unique: [id]\n@end */\nSELECT id, day, region, amount FROM 'data/payments.csv'\n"
    ),
    "marts/by_region.sql": "SELECT region, sum(amount) AS revenue FROM staging.orders GROUP BY ALL\n",
    "marts/by_day.sql": "SELECT day, count(*) AS orders, sum(amount) AS revenue FROM staging.orders GROUP BY ALL\n",
    "marts/best_region.sql": (
        "/* @asset\nchecks:\n  - expect: revenue < 100\n@end */\n"
        "SELECT region, revenue FROM marts.by_region QUALIFY row_number() OVER (ORDER BY revenue DESC) = 1\n"
    ),
}


def make_shop(folder: Path) -> Workspace:
    """A small shop with orders, customers, a file and a pipeline."""
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
        file = folder / "data" / "payments.csv"
        connection.execute(f"COPY (SELECT id, day, region, amount FROM orders LIMIT 5000) TO '{file}' (HEADER)")
    for name, text in PIPELINE.items():
        path = folder / "pipelines" / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    workspace = Workspace(root=folder)
    workspace.make_state_folder()
    return workspace


def make_app(workspace: Workspace) -> StewardApp:
    """The app on the shop with everything a composition root hands over."""
    holder: list[StewardApp] = []

    async def make_agent(session: Session, choice: RunChoice, person: Person) -> Agent:
        tools = holder[0].link.tools
        await tools.open()
        toolset = CallerToolset(tools, Caller(front_end="agent", name="steward chat", is_model=True))
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


async def run_pipeline(app: StewardApp) -> None:
    """Plan the shop's pipeline, approve it and run it; leaves the run in the run book."""
    plan = await app.link.call("plan_pipeline", {"pipeline": "shop"})
    started = await app.link.call("run_pipeline", {"plan": plan.structured["hash"]})
    change = str(started.structured["change"])
    async with open_changes(Scope(app.workspace.root, no_owner=True)) as desk:
        report = await desk.status(change)
        await desk.approve(change, digest=report.digest, by="ada", channel="app")
