"""A full disk, a killed writer, a held database or too little memory: a clear error, and nothing is lost."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, ProcessWriter

from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio
GROW = "INSERT INTO orders SELECT id + 100000 * (1 + r.i), customer, amount, md5(id::VARCHAR || r.i) FROM orders, range(200) AS r (i)"


@pytest.mark.parametrize("point", ["apply.before_commit", "apply.after_commit"])
async def test_a_writer_killed_alone_is_found_out_about_by_its_receipt(workspace: ChangesWorkspace, point: str) -> None:
    before = workspace.fingerprint()
    report = await workspace.service().propose("DELETE FROM orders WHERE id < 10", requested_by="t")
    service = workspace.service(writer=KilledOnce(point))
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    is_committed = point == "apply.after_commit"
    assert done.status == ("applied" if is_committed else "approved")
    assert (workspace.fingerprint() != before) == is_committed
    assert (await service.apply(report.change)).status == "applied"


class KilledOnce:
    """A writer whose first job is killed."""

    def __init__(self, point: str) -> None:
        self.first = ProcessWriter(crash_at=point)
        self.rest = ProcessWriter()
        self.jobs = 0

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        self.jobs += 1
        writer = self.first if self.jobs == 1 else self.rest
        return await writer.run(job_json, timeout_seconds=timeout_seconds)


async def test_a_full_disk_while_applying_keeps_the_approval(workspace: ChangesWorkspace) -> None:
    report = await workspace.service().propose(GROW, requested_by="t")
    before = workspace.fingerprint()
    small = workspace.service(writer=ProcessWriter(limit_file_bytes=2 << 20))
    with pytest.raises(ToolError) as fault:
        await small.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert fault.value.code == "disk_full"
    assert workspace.fingerprint() == before
    service = workspace.service()
    assert (await service.status(report.change)).status == "approved"
    assert (await service.apply(report.change)).status == "applied"


async def test_too_little_memory_says_so_and_changes_nothing(workspace: ChangesWorkspace) -> None:
    before = workspace.fingerprint()
    service = ChangesWorkspace(workspace.root, memory_bytes=4 << 20).service()
    with pytest.raises(ToolError) as fault:
        await service.propose(GROW.replace("range(200)", "range(20000)"), requested_by="t")
    assert fault.value.code == "too_large"
    assert workspace.fingerprint() == before


async def test_a_database_held_by_another_process_is_named_busy_and_the_approval_kept(
    workspace: ChangesWorkspace,
) -> None:
    service = workspace.service()
    report = await service.propose("DELETE FROM orders WHERE id < 10", requested_by="t")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()",
            str(workspace.database),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ToolError) as fault:
            await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
        assert fault.value.code == "busy"
    finally:
        holder.communicate(b"\n", timeout=20)
    assert (await service.apply(report.change)).status == "applied"


async def test_an_altered_undo_record_is_refused(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose("DELETE FROM orders WHERE id < 10", requested_by="t")
    await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    record = Path((await service.show(report.change)).applied.record_path)  # type: ignore[union-attr, arg-type]
    import duckdb

    connection = duckdb.connect(str(record))
    connection.execute("UPDATE record SET body = replace(body, 'orders', 'other')")
    connection.close()
    with pytest.raises(ToolError, match="altered"):
        await service.propose_undo(report.change, requested_by="t")
    record.write_bytes(b"not a database" * 1000)
    with pytest.raises(ToolError, match="cannot be read"):
        await service.propose_undo(report.change, requested_by="t")
    record.unlink()
    with pytest.raises(ToolError, match="was removed"):
        await service.propose_undo(report.change, requested_by="t")


async def test_a_staged_file_that_was_swapped_is_not_published(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose("COPY orders TO 'data/out.csv'", requested_by="t")
    staged = Path(report.preview.files[0].staged)
    staged.write_text("forged")
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert done.status == "moved"
    assert not (workspace.root / "data" / "out.csv").exists()


async def test_old_undo_records_go_by_age_and_quota_but_the_newest_stays(workspace: ChangesWorkspace) -> None:
    from datasteward.changes.policy import PolicySettings

    service = workspace.service(policy=PolicySettings(undo_bytes=1))
    for customer in (1, 2):
        report = await service.propose(f"DELETE FROM orders WHERE customer = {customer}", requested_by="t")
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    await service.recover()
    assert [p.name.partition("-")[0] for p in (workspace.steward / "undo").glob("c*")] == ["c2"]
    with pytest.raises(ToolError, match=r"removed|later"):
        await service.propose_undo("c1", requested_by="t")
    assert (await service.propose_undo("c2", requested_by="t")).status == "waiting"


@pytest.mark.parametrize("days_later", [1, 400])
async def test_the_kept_copy_of_an_old_file_stays_as_long_as_the_record_of_its_change(
    workspace: ChangesWorkspace, days_later: int
) -> None:
    file, clock = workspace.root / "data" / "old.csv", Clock()
    file.write_text("years old\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    service = workspace.service(clock=clock)
    report = await service.propose("COPY orders TO 'data/old.csv'", requested_by="t")
    await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    later = await service.propose("DELETE FROM orders WHERE id = 1", requested_by="t")
    await service.approve(later.change, digest=later.digest, by="ada", channel="terminal")
    clock.ahead = days_later * 86400.0
    await service.recover()
    left = [p.name.partition("-")[0] for p in (workspace.steward / "undo").glob("c1-*")]
    assert left == (["c1", "c1"] if days_later == 1 else [])
    if days_later == 1:
        undo = await service.propose_undo("c1", requested_by="t")
        await service.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")
        assert file.read_text() == "years old\n"


class Clock:
    """The time, and how far it is ahead."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead
