"""The inbox on the command line: what it shows, and that approving needs a person at a terminal."""

import asyncio
import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward_cli.app import Scope, run_app
from datasteward_cli.changes_commands import with_service

UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"


@pytest.fixture
def workspace(tmp_path: Path) -> ChangesWorkspace:
    made = ChangesWorkspace(tmp_path).make(
        "CREATE TABLE orders AS SELECT i AS id, i % 10 AS customer, i AS amount FROM range(100) AS r (i)"
    )
    asyncio.run(made.service().propose(UPDATE, requested_by="mcp:agent", purpose="double \x1b[2J it"))
    return made


def steward(workspace: ChangesWorkspace, *words: str) -> int:
    return run_app(["-w", str(workspace.root), *words])


def test_the_list_and_a_change_are_shown_with_control_characters_made_visible(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steward(workspace, "changes", "list") == 0
    assert steward(workspace, "changes", "show", "c1") == 0
    out = capsys.readouterr().out
    assert "c1     waiting" in out
    assert "orders: +0 ~10 -0 rows" in out
    assert "\x1b" not in out and "double \\u{1b}[2J it" in out


def test_approving_without_a_terminal_is_refused(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = workspace.fingerprint()
    assert steward(workspace, "changes", "approve", "c1") == 3
    assert "needs a terminal" in capsys.readouterr().err
    assert workspace.fingerprint() == before


def test_a_rejected_change_and_its_trace(workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert steward(workspace, "changes", "reject", "c1", "-m", "wrong customer") == 0
    assert steward(workspace, "changes", "show", "c1", "--format", "json") == 0
    trace = json.loads(capsys.readouterr().out.partition("rejected\n")[2])
    assert [s["event"] for s in trace["steps"]] == ["change.proposed", "change.rejected"]
    assert trace["approval"]["comment"] == "wrong customer"


def test_policy_cases_decide_the_exit_code(workspace: ChangesWorkspace, tmp_path: Path) -> None:
    cases = tmp_path / "cases.toml"
    cases.write_text('[[case]]\nname = "a"\nexpect = "ask"\nfacts = { kinds = ["insert"] }\n')
    assert steward(workspace, "policy", "test", str(cases)) == 0
    cases.write_text(cases.read_text().replace('"ask"', '"allow"'))
    assert steward(workspace, "policy", "test", str(cases)) == 10


def test_a_yes_typed_at_a_terminal_after_the_preview_applies_it(workspace: ChangesWorkspace) -> None:
    code = "import sys; from datasteward_cli.app import run_app; sys.exit(run_app(sys.argv[1:]))"
    process, terminal = pty.fork()
    if process == 0:
        arguments = ["-w", str(workspace.root), "changes", "approve", "c1"]
        os.execv(sys.executable, [sys.executable, "-c", code, *arguments])
    shown = read_until(terminal, b"[y/N]", seconds=60)
    assert "~10" in shown
    os.write(terminal, b"y\n")
    read_until(terminal, b"c1: applied", seconds=60)
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert workspace.receipts() == ["c1"]


def read_until(terminal: int, mark: bytes, *, seconds: float) -> str:
    """What the terminal shows up to a mark; fails when the mark does not come in time."""
    seen, end = b"", time.monotonic() + seconds
    while mark not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, seen.decode("utf-8", "replace")
        seen += os.read(terminal, 4096)
    return seen.decode("utf-8", "replace")


CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - name: amount
        logicalType: integer
        required: true
"""


def test_an_edited_change_is_held_against_the_contracts_too(workspace: ChangesWorkspace) -> None:
    (workspace.root / "contracts").mkdir()
    (workspace.root / "contracts" / "orders.yaml").write_text(CONTRACT)
    scope = Scope(workspace.root, no_owner=True)
    report = with_service(
        scope, lambda s: s.edit("c1", "UPDATE orders SET amount = NULL WHERE customer = 3", requested_by="cli:me")
    )
    (broken,) = report.preview.checks
    assert "amount" in broken.name and "10" in broken.detail
