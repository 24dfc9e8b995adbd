"""Times proposing, applying and taking back changes against the bare statements, in one process, best of three.

    python -m bench.changes [--rows 10000000]

Wall and CPU milliseconds, each also as a multiple of the bare statement's, which includes its commit. The statement is
timed twice: on a connection that is open and warm, and with opening and closing the file, as each of our jobs does and
as any other program must. Proposing is the writer's job without its process start (which is timed apart), once a print
of the table is known: the first proposal after a write by another program takes one, and its time is shown apart too.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tests.support.changes_workspace import ChangesWorkspace, ProcessWriter

from datasteward.changes.host import SubprocessWriter
from datasteward.changes.service import ChangeReport

READY_SECONDS = 2.0
SMALL = "UPDATE orders SET amount = amount + 1 WHERE customer IN (1, 2, 3)"
TABLE = (
    "CREATE TABLE orders AS SELECT i AS id, i % {customers} AS customer, (i * 7 % 100000 / 100)::DECIMAL(10, 2) AS amount,"
    " 'status ' || (i % 5) AS status, DATE '2020-01-01' + (i % 1000)::INTEGER AS day, 'note number ' || i AS note,"
    " i * 3 AS a, i % 97 AS b, (i % 1000) / 7.0 AS c, i % 2 = 0 AS d FROM range({rows}) AS r (i)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Wall seconds, and CPU seconds of all threads of this process."""

    wall_seconds: float
    cpu_seconds: float


def best_of(times: int, action: Callable[[], object]) -> Cost:
    """The least of each over some runs."""
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return Cost(wall_seconds=min(f[0] for f in found), cpu_seconds=min(f[1] for f in found))


def show(what: str, cost: Cost, against: Cost | None = None) -> None:
    """One line of the table; on a busy machine the CPU figures are the ones to compare."""
    ratios = ""
    if against is not None:
        wall, cpu = cost.wall_seconds / against.wall_seconds, cost.cpu_seconds / against.cpu_seconds
        ratios = f"{wall:8.1f} x {cpu:8.1f} x"
    print(f"{what:<58} {cost.wall_seconds * 1000:9.1f} ms {cost.cpu_seconds * 1000:9.1f} ms {ratios}", flush=True)


def time_bare(workspace: ChangesWorkspace, sql: str, times: int) -> Cost:
    """The statement alone, autocommitted, on an open connection."""
    copy = workspace.root / "bare.duckdb"
    shutil.copy(workspace.database, copy)
    connection = duckdb.connect(str(copy))
    cost = best_of(times, lambda: connection.execute(sql).fetchall())
    connection.close()
    copy.unlink()
    return cost


def time_whole(workspace: ChangesWorkspace, sql: str, times: int) -> Cost:
    """The statement with opening and closing the file, whose content is as it was each time."""
    copy = workspace.root / "bare.duckdb"
    found = []
    for _ in range(times):
        shutil.copy(workspace.database, copy)

        def run() -> None:
            with duckdb.connect(str(copy)) as connection:
                connection.execute(sql).fetchall()

        found.append(best_of(1, run))
    copy.unlink()
    return Cost(wall_seconds=min(f.wall_seconds for f in found), cpu_seconds=min(f.cpu_seconds for f in found))


def time_change(workspace: ChangesWorkspace, sql: str, label: str, times: int) -> None:
    """Preview, apply and undo of one statement."""
    bare = time_bare(workspace, sql, times)
    show(f"{label}: bare statement", bare)
    show(f"{label}: open, bare statement, close", time_whole(workspace, sql, times), bare)
    service = workspace.service()
    proposals = []

    def propose() -> None:
        proposals.append(asyncio.run(service.propose(sql, requested_by="bench")))

    show(f"{label}: propose, table not printed yet", best_of(1, propose), bare)
    show(f"{label}: propose (preview, digest, journal)", best_of(times, propose), bare)
    report = proposals[-1]
    done: list[ChangeReport] = []

    def approve(report: ChangeReport) -> None:
        work = service.approve(report.change, digest=report.digest, by="bench", channel="headless")
        done.append(asyncio.run(work))
        assert done[-1].status == "applied", done[-1]

    show(f"{label}: approve and apply with undo record", best_of(1, lambda: approve(report)), bare)
    undo: list[ChangeReport] = []
    propose_undo = best_of(
        1, lambda: undo.append(asyncio.run(service.propose_undo(report.change, requested_by="bench")))
    )
    show(f"{label}: propose the undo", propose_undo, bare)
    show(f"{label}: approve and apply the undo, with proof", best_of(1, lambda: approve(undo[0])), bare)
    assert done[-1].proven


async def time_ready_writer(workspace: ChangesWorkspace) -> Cost:
    """Proposing by a writer process that was started ahead, as the owner has it; CPU is that of this process alone."""
    writer = SubprocessWriter(keeps_ready=True)
    service = workspace.service(writer=writer)
    found = []
    for _ in range(4):
        writer.prepare()
        await asyncio.sleep(READY_SECONDS)
        wall, cpu = time.perf_counter(), time.process_time()
        await service.propose(SMALL, requested_by="bench")
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    await writer.close()
    return Cost(wall_seconds=min(f[0] for f in found), cpu_seconds=min(f[1] for f in found))


def time_inbox(root: Path) -> None:
    """The inbox with 10,000 closed changes."""
    workspace = ChangesWorkspace(root).make("CREATE TABLE t (a INTEGER)")
    service = workspace.service()
    report = asyncio.run(service.propose("INSERT INTO t VALUES (1)", requested_by="bench"))
    with service.store.transaction() as moves:
        proposal = moves.get(1).proposal
        for number in range(10_000):
            moves.add(
                proposal.model_copy(update={"nonce": str(number)}),
                status="rejected",
                title="INSERT INTO t VALUES (1)",
                stamp="",
                staging="",
                verdict="ask",
                lifetime_seconds=1,
            )
    show("inbox of 10,001: list open ones", best_of(5, lambda: asyncio.run(service.summaries(only_open=True))))
    show("inbox of 10,001: list newest 100", best_of(5, lambda: asyncio.run(service.summaries(limit=100))))
    show("inbox of 10,001: state of one", best_of(5, lambda: asyncio.run(service.status(report.change))))


def main() -> None:
    """Run everything at the size asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        small = ChangesWorkspace(Path(folder) / "small").make(TABLE.format(customers=1000, rows=1_000_000))
        time_change(small, SMALL, "UPDATE of 3,000 of 1 M x 10", 3)
        fresh = small.service(writer=ProcessWriter())
        cost = best_of(2, lambda: asyncio.run(fresh.propose(SMALL, requested_by="bench")))
        show("UPDATE of 3,000 of 1 M x 10: propose, new writer process", cost)
        show("UPDATE of 3,000 of 1 M x 10: propose, process kept ready", asyncio.run(time_ready_writer(small)))
        time_inbox(Path(folder) / "inbox")
        large = ChangesWorkspace(Path(folder) / "large").make(TABLE.format(customers=10, rows=rows))
        names = "id, customer, amount, status, day, note, a, b, c, d"
        exact = f"SELECT count(*), sum(hash({names})), bit_xor(hash({names})) FROM orders"
        show(f"exact fingerprint of {rows:,} x 10", time_bare(large, exact, 2))
        time_change(large, "UPDATE orders SET amount = amount + 1 WHERE customer = 1", f"UPDATE of 10% of {rows:,}", 1)
        time_change(large, "DELETE FROM orders", f"DELETE of all of {rows:,}", 1)


if __name__ == "__main__":
    main()
