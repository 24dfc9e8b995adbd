"""The kill loop: proposes, approves, applies and takes back changes, killed by SIGKILL at every named point in turn.

    python -m bench.changes_kill [--rounds 5]

After each kill a fresh process recovers, and state, receipts, journal and leftovers are checked. Prints a table of
kills and what they left; exits 1 at the first violation.
"""

import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.changes_workspace import KILLED, ChangesWorkspace

from datasteward.changes.crash import POINTS
from datasteward.journal import Journal

ROOT = Path(__file__).resolve().parents[1]
ORDERS = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, amount DECIMAL(10, 2), status VARCHAR);"
    "INSERT INTO orders SELECT i, i % 10, i / 4, 'open' FROM range(1000) AS r (i)"
)
CHANGES = (
    "UPDATE orders SET amount = amount * 2 WHERE customer = 3",
    "UPDATE orders SET id = id + 5000 WHERE customer = 4",
    "DELETE FROM orders",
    "INSERT INTO orders SELECT id + 10000, customer, amount, 'copy' FROM orders",
    "DROP TABLE orders",
    "DELETE FROM orders WHERE id > 900; ALTER TABLE orders RENAME COLUMN status TO state",
    "COPY (SELECT id FROM orders WHERE id < 5) TO 'data/out.csv'",
    "UPDATE orders SET status = 'x'; COPY orders TO 'data/out.csv'",
    "CREATE SCHEMA s2; CREATE TABLE s2.t AS SELECT 1 AS x",
)


class Forker:
    """Steps in forked children."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.changes_forker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def do(self, root: Path, what: str, **more: str) -> dict[str, object]:
        """One step's answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([{"root": str(root), "do": what, **more}]) + "\n")
        self.process.stdin.flush()
        answers: list[dict[str, object]] = json.loads(self.process.stdout.readline())
        return answers[0]

    def close(self) -> None:
        """End the parent of the children."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def state_of(workspace: ChangesWorkspace) -> tuple[str, str | None]:
    """What the user sees: tables and the exported file."""
    out = workspace.root / "data" / "out.csv"
    return workspace.fingerprint(), out.read_text() if out.exists() else None


def require(truth: bool, *told: object) -> None:
    """Stop at a violation."""
    if not truth:
        raise SystemExit(f"VIOLATION: {told}")


def kill_step(forker: Forker, workspace: ChangesWorkspace, point: str, what: str, **more: str) -> str:
    """Kill a step at a point, recover, check, finish it; returns what the kill left: old or new."""
    before = state_of(workspace)
    killed = forker.do(workspace.root, what, crash_at=point, **more)
    require(killed["exit"] == KILLED, point, what, more, killed)
    forker.do(workspace.root, "recover")
    after = state_of(workspace)
    journal = Journal(workspace.steward / "journal")
    require(journal.verify().is_intact, point, "journal")
    if what in {"propose", "propose_undo"}:
        require(after == before, point, what)
        return "old"
    change = more["change"]
    events = [e.event for e in journal.read() if e.fields.get("proposal") == change]
    is_applied = "change.applied" in events
    require((after != before) == is_applied, point, what, more, events)
    status = str(forker.do(workspace.root, "status", change=change, wait="0")["said"])
    require(status == ("applied" if is_applied else status) and status in {"waiting", "approved", "applied"}, status)
    finish = "approve" if status == "waiting" else "apply"
    said = forker.do(workspace.root, finish, change=change)
    require(said.get("said") == "applied", point, said)
    done = state_of(workspace)
    require(done == after if is_applied else done != before, point, "the end state is not the new one")
    journal = Journal(workspace.steward / "journal")
    counted = sum(e.event == "change.applied" and e.fields.get("proposal") == change for e in journal.read())
    require(counted == 1, point, change, "applied", counted)
    return "new" if is_applied else "old"


def run_cycle(forker: Forker, sql: str, point: str, tally: collections.Counter[tuple[str, str]]) -> None:
    """One change and its undo on a fresh workspace, both killed at the point."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = ChangesWorkspace(Path(folder)).make(ORDERS)
        (workspace.root / "data" / "out.csv").write_text("the old export\n")
        start = state_of(workspace)
        is_propose = point.startswith("propose.")
        if is_propose:
            tally[point, kill_step(forker, workspace, point, "propose", sql=sql)] += 1
        change = str(forker.do(workspace.root, "propose", sql=sql)["said"])
        if is_propose:
            forker.do(workspace.root, "approve", change=change)
            tally[point, kill_step(forker, workspace, point, "propose_undo", change=change)] += 1
            undo = str(forker.do(workspace.root, "propose_undo", change=change)["said"])
            forker.do(workspace.root, "approve", change=undo)
        else:
            tally[point, kill_step(forker, workspace, point, "approve", change=change)] += 1
            proposed = forker.do(workspace.root, "propose_undo", change=change)
            require("said" in proposed, point, sql, proposed)
            undo = str(proposed["said"])
            tally[point, kill_step(forker, workspace, point, "approve", change=undo)] += 1
        require(state_of(workspace) == start, point, sql, "undo did not restore")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    choice, tally, started = random.Random(7), collections.Counter[tuple[str, str]](), time.monotonic()
    forker = Forker()
    for _ in range(rounds):
        for point in POINTS:
            for sql in choice.sample(CHANGES, 4):
                run_cycle(forker, sql, point, tally)
    forker.close()
    print(f"{'point':<26} {'kills':>6} {'old':>6} {'new':>6}")
    for point in POINTS:
        old, new = tally[point, "old"], tally[point, "new"]
        print(f"{point:<26} {old + new:>6} {old:>6} {new:>6}")
    print(f"{sum(tally.values())} kills, 0 violations, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
