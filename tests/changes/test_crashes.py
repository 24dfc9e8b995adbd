"""A process killed at any named step leaves the old or the new state, a journal that says which, and a way on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.changes.conftest import ORDERS
from tests.support.changes_workspace import KILLED, ChangesWorkspace

from datasteward.changes.crash import POINTS
from datasteward.journal import Journal

Forked = Callable[..., list[dict[str, object]]]
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"
EXPORT = "COPY (SELECT id FROM orders WHERE id < 5) TO 'data/out.csv'"
SCRIPT = "DELETE FROM orders WHERE id > 900; ALTER TABLE orders RENAME COLUMN status TO state"
APPLY_POINTS = [p for p in POINTS if p.startswith("apply.")]
TELLING = {"apply.after_images", "apply.before_commit", "apply.after_commit", "apply.before_settle"}


def state_of(workspace: ChangesWorkspace) -> tuple[str, str | None]:
    out = workspace.root / "data" / "out.csv"
    return workspace.fingerprint(), out.read_text() if out.exists() else None


def do(forked: Forked, workspace: ChangesWorkspace, what: str, **more: str) -> dict[str, object]:
    return forked({"root": str(workspace.root), "do": what, **more})[0]


def journal_events(workspace: ChangesWorkspace, change: str) -> list[str]:
    journal = Journal(workspace.steward / "journal")
    assert journal.verify().is_intact
    return [e.event for e in journal.read() if e.fields.get("proposal") == change]


@pytest.mark.parametrize("point", [p for p in POINTS if p.startswith("propose.")])
def test_a_kill_while_proposing_leaves_the_tables_alone(
    workspace: ChangesWorkspace, forked: Forked, point: str
) -> None:
    before = state_of(workspace)
    assert do(forked, workspace, "propose", sql=UPDATE, crash_at=point)["exit"] == KILLED
    do(forked, workspace, "recover")
    assert state_of(workspace) == before
    again = do(forked, workspace, "propose", sql=UPDATE)
    assert do(forked, workspace, "approve", change=str(again["said"]))["said"] == "applied"


@pytest.mark.parametrize("point", [p for p in POINTS if p.startswith("decide.")])
def test_a_kill_while_approving_leaves_it_approved_or_waiting(
    workspace: ChangesWorkspace, forked: Forked, point: str
) -> None:
    change = str(do(forked, workspace, "propose", sql=UPDATE)["said"])
    before = state_of(workspace)
    assert do(forked, workspace, "approve", change=change, crash_at=point)["exit"] == KILLED
    assert state_of(workspace) == before
    do(forked, workspace, "recover")
    is_recorded = "change.approved" in journal_events(workspace, change)
    assert is_recorded == (point == "decide.after_record")
    what = "apply" if is_recorded else "approve"
    assert do(forked, workspace, what, change=change)["said"] == "applied"


def check_kill_and_go_on(workspace: ChangesWorkspace, forked: Forked, change: str, point: str) -> bool:
    """Kill applying at a point, recover, and check state, receipt and journal; returns whether it had committed."""
    before = state_of(workspace)
    killed = do(forked, workspace, "approve", change=change, crash_at=point)
    assert killed["exit"] == KILLED, (point, killed)
    do(forked, workspace, "recover")
    status = do(forked, workspace, "status", change=change, wait="0")["said"]
    is_applied = "change.applied" in journal_events(workspace, change)
    assert status == ("applied" if is_applied else "approved"), point
    assert (state_of(workspace) != before) == is_applied, point
    assert do(forked, workspace, "apply", change=change)["said"] == "applied"
    assert journal_events(workspace, change).count("change.applied") == 1
    after = state_of(workspace)
    assert after != before
    assert do(forked, workspace, "apply", change=change)["said"] == "applied"
    assert state_of(workspace) == after
    return is_applied


def check_cycle(workspace: ChangesWorkspace, forked: Forked, sql: str, point: str) -> None:
    """Kill the applying of a change and of its undo at the same point."""
    before = state_of(workspace)
    change = str(do(forked, workspace, "propose", sql=sql)["said"])
    did_commit = check_kill_and_go_on(workspace, forked, change, point)
    assert did_commit == (APPLY_POINTS.index(point) >= APPLY_POINTS.index("apply.after_commit"))
    undo = str(do(forked, workspace, "propose_undo", change=change)["said"])
    check_kill_and_go_on(workspace, forked, undo, point)
    assert state_of(workspace) == before
    leftovers = [p.name for p in (workspace.steward / "undo").iterdir()]
    assert len([n for n in leftovers if n.endswith(".duckdb")]) == 2, leftovers


@pytest.mark.parametrize(
    "point", [p if p in TELLING else pytest.param(p, marks=pytest.mark.slow) for p in APPLY_POINTS]
)
def test_a_kill_while_applying_or_undoing_rows_leaves_old_or_new(
    workspace: ChangesWorkspace, forked: Forked, point: str
) -> None:
    check_cycle(workspace, forked, UPDATE, point)


@pytest.mark.slow
@pytest.mark.parametrize("point", APPLY_POINTS)
@pytest.mark.parametrize("sql", [EXPORT, SCRIPT, "DROP TABLE orders"], ids=["export", "script", "drop"])
def test_a_kill_while_applying_or_undoing_files_and_schemas_leaves_old_or_new(
    tmp_path: Path, forked: Forked, sql: str, point: str
) -> None:
    workspace = ChangesWorkspace(tmp_path).make(ORDERS)
    (workspace.root / "data" / "out.csv").write_text("the old export\n")
    check_cycle(workspace, forked, sql, point)
