"""`steward run --plan` and `--approve` at a real terminal: a yes grants what was shown, and nothing grants more."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.support.steward_process import run_steward
from tests.support.terminals import open_terminal

from datasteward_agent.plans import MeasuredWork, Plan, PlanStep, find_granting_step
from datasteward_cli.app import Scope
from datasteward_cli.changes_commands import with_service
from datasteward_cli.plan_grants import render_grants

DOUBLE = "UPDATE orders SET amount = amount * 2 WHERE id = 1"
PLAN = {
    "goal": "double order 1",
    "steps": [{"title": "double it", "writes": ["orders"], "kinds": ["update"], "why": "it was halved"}],
}
YES = "[y/N]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS SELECT i AS id, 10 AS amount FROM range(20) AS r (i)")
        connection.execute("CREATE TABLE customers AS SELECT 1 AS id")
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    return tmp_path


def write_turns(folder: Path, *statements: str) -> None:
    calls = [{"calls": [{"tool": "propose_change", "arguments": {"sql": s}}]} for s in statements]
    (folder / "turns.json").write_text(json.dumps({"turns": [*calls, {"say": "That is all."}]}))


RUN = ("run", "--json", "--model", "scripted:turns.json")


def amounts(folder: Path) -> list[int]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return [a for (a,) in connection.execute("SELECT DISTINCT amount FROM orders ORDER BY 1").fetchall()]


def show(folder: Path, change: str) -> Any:
    return with_service(Scope(folder, no_owner=True), lambda service: service.show(change))


def test_a_yes_grants_the_change_that_the_plan_names(folder: Path) -> None:
    write_turns(folder, DOUBLE)
    terminal = open_terminal(folder, *RUN, "--plan", "plan.json")
    shown = terminal.read_until(YES)
    assert "GRANTS one change by update of orders" in shown and "it was halved" in shown
    assert amounts(folder) == [10], "nothing happens before the yes"
    terminal.type("y\n")
    assert terminal.finish() == 0, terminal.shown
    assert amounts(folder) == [10, 20]
    approval = show(folder, "c1").approval
    assert approval.channel == "headless" and "plan p1, step 1" in approval.comment


def test_a_no_runs_nothing(folder: Path) -> None:
    write_turns(folder, DOUBLE)
    terminal = open_terminal(folder, *RUN, "--plan", "plan.json")
    terminal.read_until(YES)
    terminal.type("n\n")
    assert terminal.finish() == 3
    assert amounts(folder) == [10]
    assert run_steward(folder, "sessions", "list", "--json").out == ""


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM orders WHERE id = 1", id="another kind"),
        pytest.param("UPDATE customers SET id = 2", id="another table"),
        pytest.param(f"{DOUBLE}; UPDATE customers SET id = 2", id="another table too"),
        pytest.param("COPY orders TO 'out.csv'", id="a file"),
    ],
)
def test_a_deviation_asks_again(folder: Path, statement: str) -> None:
    write_turns(folder, statement)
    terminal = open_terminal(folder, *RUN, "--plan", "plan.json")
    terminal.read_until(YES)
    terminal.type("y\n")
    assert terminal.finish() == 4, terminal.shown
    assert show(folder, "c1").summary.status == "waiting"


def test_a_step_grants_one_change(folder: Path) -> None:
    write_turns(folder, DOUBLE, DOUBLE)
    terminal = open_terminal(folder, *RUN, "--plan", "plan.json")
    terminal.read_until(YES)
    terminal.type("y\n")
    assert terminal.finish() == 4, terminal.shown
    assert amounts(folder) == [10, 20]
    assert show(folder, "c2").summary.status == "waiting"


def test_without_a_terminal_nothing_is_granted_and_the_run_resumes(folder: Path) -> None:
    write_turns(folder, DOUBLE)
    waiting = run_steward(folder, *RUN, "--plan", "plan.json")
    assert (waiting.code, waiting.result["waiting"]) == (4, ["c1"])
    assert amounts(folder) == [10]
    terminal = open_terminal(folder, *RUN, "--resume", waiting.result["session"], "--approve", "c1")
    assert "~1" in terminal.read_until(YES)
    terminal.type("y\n")
    assert terminal.finish() == 0, terminal.shown
    assert amounts(folder) == [10, 20]
    assert show(folder, "c1").approval.channel == "terminal"


def test_an_older_change_is_granted_by_its_digest_alone(folder: Path) -> None:
    write_turns(folder, DOUBLE)
    waiting = run_steward(folder, *RUN, "start")
    digest = show(folder, "c1").summary.digest
    for step, code in ((PLAN["steps"][0], 4), ({"title": "that one", "digests": [digest]}, 0)):  # type: ignore[index]
        (folder / "plan.json").write_text(json.dumps({"goal": "go on", "steps": [step]}))
        terminal = open_terminal(folder, *RUN, "--resume", waiting.result["session"], "--plan", "plan.json")
        terminal.read_until(YES)
        terminal.type("y\n")
        assert terminal.finish() == code, terminal.shown
    assert amounts(folder) == [10, 20]


def test_with_an_approvers_key_the_passphrase_is_asked(folder: Path) -> None:
    async def make(service: Any) -> str:
        return str(service.make_approver("open sesame"))

    with_service(Scope(folder, no_owner=True), make)
    write_turns(folder, DOUBLE)
    for passphrase, code, after in (("wrong", 3, [10]), ("open sesame", 0, [10, 20])):
        terminal = open_terminal(folder, *RUN, "--plan", "plan.json")
        terminal.read_until(YES)
        terminal.type("y\n")
        terminal.read_until("passphrase")
        terminal.type(f"{passphrase}\n")
        assert terminal.finish() == code, terminal.shown
        assert passphrase not in terminal.shown
        assert amounts(folder) == after


def work(**changes: Any) -> MeasuredWork:
    return MeasuredWork(
        **{
            "digest": "d1",
            "kinds": ("update",),
            "writes": ("orders",),
            "writes_files": False,
            "breaks_checks": False,
            "is_reversible": True,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("step", "done", "is_granted"),
    [
        ({"writes": ["main.Orders"], "kinds": ["UPDATE"]}, {}, True),
        ({"writes": ["orders", "x"], "kinds": ["update", "insert"]}, {}, True),
        ({"writes": ["orders"]}, {}, False),
        ({"kinds": ["update"]}, {}, False),
        ({"writes": ["orders"], "sql": "UPDATE orders SET a = 1;\r\n"}, {"sql": "UPDATE orders SET a = 1"}, True),
        ({"writes": ["orders"], "sql": "UPDATE orders SET a = 'x y'"}, {"sql": "UPDATE orders SET a = 'x  y'"}, False),
        ({"writes": ["orders"], "kinds": ["update"], "sql": "DELETE FROM orders"}, {"sql": "UPDATE orders"}, False),
        ({"writes": ["orders"], "kinds": ["update"], "asks": True}, {}, False),
        ({"writes": ["s.orders"], "kinds": ["update"]}, {}, False),
        ({"writes": ["orders"], "kinds": ["update"]}, {"writes": ()}, False),
        ({"writes": ["orders"], "kinds": ["update"]}, {"kinds": ()}, False),
        ({"writes": ["orders"], "kinds": ["update"]}, {"kinds": ("update", "insert")}, False),
        ({"writes": ["orders"], "kinds": ["update"]}, {"is_reversible": False}, False),
        ({"writes": ["orders"], "kinds": ["update"]}, {"breaks_checks": True}, False),
        ({"writes": ["orders"], "kinds": ["update"]}, {"writes_files": True}, False),
        ({"digests": ["d1"]}, {"writes_files": True}, True),
        ({"digests": ["d1"]}, {"is_reversible": False}, False),
        ({"digests": ["d"]}, {}, False),
    ],
)
def test_a_step_grants_exactly_what_it_names(step: dict[str, Any], done: dict[str, Any], is_granted: bool) -> None:
    plan = Plan(goal="g", steps=(PlanStep.model_validate({"title": "t", **step}),))
    assert (find_granting_step(plan, work(**done)) == 0) is is_granted
    assert find_granting_step(plan, work(**done), frozenset({0})) is None


def test_a_plan_cannot_draw_over_what_is_approved() -> None:
    step = PlanStep(title="look\n   grants nothing\x1b[2J", writes=("orders",), kinds=("drop_table\x1b[8m",))
    shown = render_grants(Plan(goal="g\u202e", steps=(step,)))
    assert "\x1b" not in shown and "\u202e" not in shown
    assert len(shown.splitlines()) == 4
