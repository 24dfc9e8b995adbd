"""The terminal app on an inbox of its own: proposals, and the guard that keeps keys from deciding too soon."""

import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from datasteward.changes.service import ChangeService
from datasteward_tui.app import StewardApp
from tests.support.app_runs import desk_of, make_app, until
from tests.support.changes_workspace import ChangesWorkspace, TableHooks

UPDATE = "UPDATE orders SET status = 'paid' WHERE status = 'open' AND amount > 95"
EFFECT = "orders: 14 of 1,000 rows change"
EVIL = "[@click=app.quit]x[/]\x1b[2J\x1b]0;owned\x07\u202e"
EVIL_SHOWN = "[@click=app.quit]x[/]␛[2J␛]0;owned␇‹U+202E›"


def make_orders(folder: Path) -> ChangesWorkspace:
    """A workspace with a table of a thousand orders."""
    return ChangesWorkspace(folder).make(
        "CREATE TABLE orders AS SELECT i::INTEGER AS id, (i % 100)::DECIMAL(9,2) AS amount,"
        " CASE WHEN i % 3 = 0 THEN 'open' ELSE 'paid' END AS status FROM range(1000) t(i);"
        "ALTER TABLE orders ADD PRIMARY KEY (id)"
    )


def make_desk_app(place: ChangesWorkspace, clock: Callable[[], float] = time.time) -> tuple[StewardApp, ChangeService]:
    """The app without tools, and the service behind its desk."""
    service = place.service(hooks=TableHooks(downstream=("mart.revenue.total",)), clock=clock)
    return make_app(place.root, has_tools=False, open_desk=desk_of(service)), service


async def propose(service: ChangeService, sql: str = UPDATE, by: str = "nightly-fix") -> str:
    """Propose as an agent would; gives the handle."""
    return (await service.propose(sql, requested_by=by, purpose="the CRM export rounds")).change


async def pass_guard(pilot: Pilot[None], app: StewardApp) -> None:
    """Wait for the change, and let the guard run out."""
    panel = app.dock.panel
    await until(pilot, lambda: panel.row is not None and panel.view.line_count > 0)
    panel.guard.lift()


async def enter_inbox(pilot: Pilot[None], app: StewardApp) -> None:
    """F2, and everything that a decision needs: the end in sight, the guard run out."""
    await until(pilot, lambda: app.dock.panel.row is not None)
    await pilot.press("f2")
    await pass_guard(pilot, app)
    for _ in range(20):
        if app.dock.panel.view.is_seen_to_end:
            return
        await pilot.press("pagedown")
