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
from tests.support.terminals import open_terminal

from datasteward.changes.deciding import Decision
from datasteward.errors import ToolError
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


def test_a_comment_stays_on_its_line_of_the_journal(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    steward(workspace, "changes", "reject", "c1", "-m", "no\nc2 was applied\x1b[2J")
    assert steward(workspace, "log", "--change", "c1") == 0
    assert "comment=no\\nc2 was applied\\u{1b}[2J" in capsys.readouterr().out


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


ALLOW_UPDATES = "[[policy.rules]]\nname = 'updates'\nverdict = 'allow'\nkinds = ['update']\n"
PASSPHRASE = "correct horse battery"


def approve_without_applying(workspace: ChangesWorkspace) -> None:
    """As after a kill right behind the yes."""
    service = workspace.service()
    digest = service.store.get(1).summary.digest
    service._deciding.approve(1, digest, Decision(by="ada", channel="terminal"))


def test_an_approved_change_that_was_not_applied_is_applied_without_another_question(
    workspace: ChangesWorkspace,
) -> None:
    approve_without_applying(workspace)
    terminal = open_terminal(workspace.root, "changes", "approve", "c1")
    assert terminal.finish() == 0, terminal.shown
    assert "c1 is approved already by ada; applying it." in terminal.shown
    assert "c1: applied" in terminal.shown
    assert workspace.receipts() == ["c1"]


def test_an_approval_that_was_not_applied_is_taken_back_by_rejecting(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    approve_without_applying(workspace)
    assert steward(workspace, "changes", "later", "c1") == 10
    assert "c1 is approved by ada and not applied yet.\nsteward changes approve c1 applies" in capsys.readouterr().err
    assert steward(workspace, "changes", "reject", "c1") == 0
    assert steward(workspace, "changes", "list") == 0
    assert "no changes" in capsys.readouterr().out


def test_an_edited_change_that_the_policy_allows_is_applied_and_is_a_success(workspace: ChangesWorkspace) -> None:
    (workspace.root / "steward.toml").write_text(ALLOW_UPDATES)
    (workspace.root / "e.sql").write_text("UPDATE orders SET amount = 0 WHERE id = 3")
    terminal = open_terminal(workspace.root, "changes", "approve", "c1", "--edit", "e.sql")
    assert terminal.finish() == 0, terminal.shown
    assert "c2: applied" in terminal.shown
    assert workspace.receipts() == ["c2"]


def test_a_wrong_number_or_a_no_leaves_the_change_waiting(workspace: ChangesWorkspace) -> None:
    asyncio.run(
        workspace.service().propose("CREATE OR REPLACE TABLE orders AS SELECT 1 AS id FROM range(7)", requested_by="t")
    )
    wrong = open_terminal(workspace.root, "changes", "approve", "c2")
    shown = wrong.read_until("to apply c2: ")
    assert "orders replaced: +7 ~0 -100 rows" in shown
    assert "Type how many rows go in orders (the number after -)" in " ".join(shown.split())
    wrong.type("107\n")
    assert wrong.finish() == 4, wrong.shown
    assert "c2 was not approved; it still waits." in wrong.shown
    no = open_terminal(workspace.root, "changes", "approve", "c1")
    no.read_until("[y/N]")
    no.type("n\n")
    assert no.finish() == 4, no.shown
    right = open_terminal(workspace.root, "changes", "approve", "c2")
    right.read_until("to apply c2: ")
    right.type("100\n")
    assert right.finish() == 0, right.shown


def test_watching_shows_what_is_open_and_then_only_what_changes(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    asyncio.run(service.propose(UPDATE, requested_by="mcp:closed-before"))
    asyncio.run(service.reject("c2", by="ada", channel="terminal"))
    terminal = open_terminal(workspace.root, "changes", "watch", "--for", "30")
    terminal.read_until("c1     waiting")
    asyncio.run(service.propose(UPDATE, requested_by="mcp:agent"))
    terminal.read_until("c3     waiting")
    asyncio.run(service.reject("c1", by="ada", channel="terminal"))
    terminal.read_until("c1     rejected")
    terminal.type("\x03")
    assert terminal.finish() == 130
    assert "closed-before" not in terminal.shown and "c2" not in terminal.shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("changes", "watch", "--for", "-1"), 2, "--for"),
        (("changes", "show", "c99999999999999999999"), 10, "There is no change c99999999999999999999."),
        (("policy", "explain", "c99999999999999999999"), 10, "There is no change"),
        (("changes", "show", "c99"), 10, "There is no change c99.\nThe newest is c1."),
        (("log", "--change", "zz"), 2, "'zz' is not a change."),
        (("log", "--change", "c999"), 10, "The journal tells nothing of a change c999."),
        (("changes", "propose", "SELECT 1", "-f", "e.sql"), 2, "given twice"),
    ],
)
def test_what_cannot_be_meant_is_an_error(
    workspace: ChangesWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(workspace.root)
    (workspace.root / "e.sql").write_text("SELECT 1")
    assert steward(workspace, *words) == code
    assert says in capsys.readouterr().err


def test_a_read_is_answered_with_a_command_and_not_with_a_tool(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["--no-owner", "-w", str(workspace.root), "changes", "propose", "SELECT 1"]) == 2
    told = capsys.readouterr().err
    assert "steward query" in told and "run_query" not in told
    with pytest.raises(ToolError, match="steward query"):
        with_service(Scope(workspace.root, no_owner=True), lambda s: s.edit("c1", "SELECT 1", requested_by="cli:me"))


def test_an_error_that_quotes_data_cannot_draw_on_the_screen(
    workspace: ChangesWorkspace,
) -> None:
    workspace.run("CREATE TABLE named (n VARCHAR PRIMARY KEY)")
    (workspace.root / "e.sql").write_text(
        "INSERT INTO named SELECT chr(27) || '[2J' || chr(10) || 'c1: applied' FROM range(2)"
    )
    terminal = open_terminal(workspace.root, "changes", "approve", "c1", "--edit", str(workspace.root / "e.sql"))
    assert terminal.finish() == 10, terminal.shown
    assert "Duplicate key" in terminal.shown or "duplicate key" in terminal.shown, terminal.shown
    assert "\x1b[2J" not in terminal.shown
    assert not [line for line in terminal.shown.splitlines() if line.startswith("c1: applied")]


def test_a_policy_that_is_not_signed_says_so_wherever_it_would_decide(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.root / "steward.toml").write_text(ALLOW_UPDATES)
    made = open_terminal(workspace.root, "approver", "init")
    for question in ("New passphrase: ", "Once more: "):
        made.read_until(question)
        made.type(f"{PASSPHRASE}\n")
    assert made.finish() == 0, made.shown
    assert "do not count" in made.shown and "steward policy sign" in made.shown
    run_app(
        ["--no-owner", "-w", str(workspace.root), "changes", "propose", "UPDATE orders SET amount = 1 WHERE id = 5"]
    )
    assert steward(workspace, "changes", "show", "c2") == 0
    assert steward(workspace, "policy", "explain", "c2") == 0
    shown, _, explained = capsys.readouterr().out.rpartition("digest: ")
    assert "policy: allow: decided by rule 'updates'" in shown
    assert "The policy is not signed, so its allow rules do not count" in shown
    assert explained.partition("\n")[2].startswith("ask: The policy is not signed")
    steward(workspace, "doctor")
    assert "note    policy: 1 rule, 1 of them allow, which do not count" in capsys.readouterr().out
    signed = open_terminal(workspace.root, "policy", "sign")
    signed.read_until("passphrase: ")
    signed.type(f"{PASSPHRASE}\n")
    assert signed.finish() == 0, signed.shown
    assert steward(workspace, "policy", "explain", "c2") == 0
    assert "not signed" not in capsys.readouterr().out


def test_a_short_passphrase_or_a_second_key_is_refused_before_the_next_question(workspace: ChangesWorkspace) -> None:
    short = open_terminal(workspace.root, "approver", "init")
    short.read_until("New passphrase: ")
    short.type("short\n")
    assert short.finish() == 2 and "Once more" not in short.shown
    workspace.service().make_approver(PASSPHRASE)
    second = open_terminal(workspace.root, "approver", "init")
    assert second.finish() == 2
    assert "exists already" in second.shown and "passphrase:" not in second.shown


def test_signing_shows_the_rules_that_are_signed_and_whether_they_are_signed_already(
    workspace: ChangesWorkspace,
) -> None:
    (workspace.root / "steward.toml").write_text(
        f"{ALLOW_UPDATES}tables = ['sales.*', 'orders']\nmax_rows = 1500\nreversible = true\n"
        '[[policy.rules]]\nname = "wide \\u001b[2J"\nverdict = "deny"\nmin_rows = 7\n'
    )
    workspace.service().make_approver(PASSPHRASE)
    first = open_terminal(workspace.root, "policy", "sign")
    shown = first.read_until("passphrase: ").replace("\r", "")
    assert (
        "  1. allow updates\n       kinds: update\n       tables: sales.*, orders\n       max_rows: 1,500\n"
        "       reversible: yes\n  2. deny  wide \\u{1b}[2J\nWhat no rule settles is asked about.\n"
        "It is not signed as it is now.\n"
    ) in shown
    assert "min_rows" not in shown
    first.type(f"{PASSPHRASE}\n")
    assert first.finish() == 0, first.shown
    again = open_terminal(workspace.root, "policy", "sign")
    assert "It is signed already." in again.read_until("passphrase: ")
    again.type("\x03")
    assert again.finish() == 130, again.shown


def test_a_policy_that_changes_while_the_passphrase_is_typed_is_not_signed(workspace: ChangesWorkspace) -> None:
    (workspace.root / "steward.toml").write_text(ALLOW_UPDATES)
    workspace.service().make_approver(PASSPHRASE)
    terminal = open_terminal(workspace.root, "policy", "sign")
    terminal.read_until("passphrase: ")
    (workspace.root / "steward.toml").write_text(ALLOW_UPDATES.replace("update'", "*'"))
    terminal.type(f"{PASSPHRASE}\n")
    assert terminal.finish() == 10, terminal.shown
    assert "The policy has changed since it was shown; it was not signed." in terminal.shown


def test_signing_without_a_key_asks_nothing_and_names_the_command_that_makes_one(workspace: ChangesWorkspace) -> None:
    terminal = open_terminal(workspace.root, "policy", "sign")
    assert terminal.finish() == 2, terminal.shown
    assert "There is no approver's key yet" in terminal.shown and "steward approver init" in terminal.shown
    assert "passphrase:" not in terminal.shown and "restore" not in terminal.shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("approver", "init"), "Making the approver's key needs a terminal"),
        (("policy", "sign"), "Signing the policy needs a terminal"),
        (("changes", "approve", "c1"), "Approving needs a terminal"),
    ],
)
def test_what_needs_a_terminal_says_so_of_itself(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert steward(workspace, *words) == 3
    told = capsys.readouterr().err
    assert says in told and f"steward {' '.join(words[:2])}" in told


def test_the_list_shows_a_change_that_was_taken_back_as_undone(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    service = workspace.service()

    async def apply_and_undo() -> None:
        for change in ("c1", "c2"):
            if change == "c2":
                await service.propose_undo("c1", requested_by="cli:ada")
            digest = service.store.get(int(change[1:])).summary.digest
            await service.approve(change, digest=digest, by="ada", channel="terminal")

    asyncio.run(apply_and_undo())
    assert steward(workspace, "changes", "list", "--all") == 0
    later, earlier = capsys.readouterr().out.splitlines()
    assert later.startswith("c2     applied   cli:ada ")
    assert earlier.startswith("c1     undone    mcp:agent ") and earlier.endswith(" (taken back by c2)")
    assert steward(workspace, "changes", "list", "--all", "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(f["change"], f["undone_by"]) for f in found] == [("c2", None), ("c1", 2)]


def test_the_journal_of_a_change_and_its_page_name_each_other(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steward(workspace, "log", "--help") == 0
    assert "steward changes show c8 --format markdown" in " ".join(capsys.readouterr().out.split())
    assert steward(workspace, "changes", "show", "--help") == 0
    assert "steward log --change c8" in " ".join(capsys.readouterr().out.split())


def test_tabs_in_an_error_of_the_engine_are_shown_as_spaces(
    workspace: ChangesWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "abs(DATE '2026-01-01')"
    for words in (("query", f"SELECT {wrong}"), ("changes", "propose", f"UPDATE orders SET amount = {wrong}")):
        assert run_app(["--no-owner", "-w", str(workspace.root), *words]) == 10
        told = capsys.readouterr().err
        assert "\n    abs(" in told and "u{9}" not in told, told
    with pytest.raises(ToolError) as raised:
        with_service(
            Scope(workspace.root, no_owner=True),
            lambda s: s.edit("c1", f"UPDATE orders SET amount = {wrong}", requested_by="cli:me"),
        )
    assert "|     abs(" in raised.value.message and "u{9}" not in raised.value.message


def test_the_help_names_subcommands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["--help"]) == 0
    assert "List, show, pin and prune stored results." in capsys.readouterr().out
