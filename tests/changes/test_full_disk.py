"""A disk that is really full, and reads and writes that really fail: a clear error, nothing lost, and a way on."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.changes.conftest import ORDERS
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.errors import EngineFault, ToolError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DISK_BYTES = 24 << 20
LEFT_BYTES = 192 << 10
GROW = "INSERT INTO orders SELECT id + 100000 * (1 + r.i), customer, amount, md5(id::VARCHAR || r.i) FROM orders, range(100) AS r (i)"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[ChangesWorkspace]:
    """A workspace with 1,000 orders on a file system of its own of DISK_BYTES."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount command")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    try:
        yield ChangesWorkspace(place).make(ORDERS)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(workspace: ChangesWorkspace, left: int) -> Path:
    """Fill the disk up to `left` bytes and give the file that does."""
    filler = workspace.root / "data" / "filler.bin"
    filler.write_bytes(b"\0" * max(0, shutil.disk_usage(workspace.root).free - left))
    return filler


@pytest.mark.parametrize("left", [0, LEFT_BYTES])
async def test_a_full_disk_stops_every_step_clearly_and_the_next_try_goes_on(
    small_disk: ChangesWorkspace, left: int
) -> None:
    service = small_disk.service()
    before = small_disk.fingerprint()
    filler = fill(small_disk, left)
    with pytest.raises(ToolError) as fault:
        report = await service.propose(GROW, requested_by="t")
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert fault.value.code == "disk_full", fault.value
    filler.unlink()
    assert small_disk.fingerprint() == before

    report = await service.propose(GROW, requested_by="t")
    filler = fill(small_disk, left)
    with pytest.raises(ToolError) as fault:
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert fault.value.code == "disk_full", fault.value
    filler.unlink()
    assert small_disk.fingerprint() == before
    state = (await service.status(report.change)).status
    assert state in {"waiting", "approved"}
    if state == "waiting":
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert (await service.apply(report.change)).status == "applied"

    after = small_disk.fingerprint()
    undo = await service.propose_undo(report.change, requested_by="t")
    filler = fill(small_disk, left)
    with pytest.raises(ToolError) as fault:
        await service.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")
    assert fault.value.code == "disk_full", fault.value
    filler.unlink()
    assert small_disk.fingerprint() == after
    if (await service.status(undo.change)).status == "waiting":
        await service.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")
    done = await service.apply(undo.change)
    assert (done.status, done.proven) == ("applied", True)
    assert small_disk.fingerprint() == before


@dataclass
class FaultyWriter:
    """A writer whose process gets a failure of one system call, from its n-th use on the given file on."""

    call: str
    error: str
    path: Path
    first: int = 1
    hit: bool = False

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        return await asyncio.to_thread(self._run, job_json, timeout_seconds)

    def _run(self, job_json: str, timeout_seconds: float) -> str:
        trace = self.path.parent / "trace.txt"
        rule = f"inject={self.call}:error={self.error}:when={self.first}+"
        done = subprocess.run(
            [
                "strace",
                "-f",
                "-qq",
                "-o",
                str(trace),
                "-P",
                str(self.path),
                "-e",
                f"trace={self.call}",
                "-e",
                rule,
                sys.executable,
                "-m",
                "datasteward.changes.writer_process",
            ],
            input=job_json,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if "ptrace" in done.stderr:
            pytest.skip(f"strace may not trace here: {done.stderr.strip()[:200]}")
        self.hit = self.hit or "INJECTED" in trace.read_text()
        if done.returncode != 0:
            raise EngineFault(f"the writer ended with {done.returncode}: {done.stderr[-300:]}")
        return done.stdout


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(
    ("call", "error", "file", "codes"),
    [
        ("pread64", "EIO", "warehouse.duckdb", {"runtime", "busy"}),
        ("pwrite64,write", "EIO", "warehouse.duckdb.wal", {"runtime", "disk_full"}),
        ("pwrite64,write", "ENOSPC", "warehouse.duckdb.wal", {"disk_full"}),
        ("fsync,fdatasync", "EIO", "warehouse.duckdb.wal", {"runtime", "busy"}),
    ],
)
async def test_a_failing_read_write_or_sync_leaves_the_old_or_the_new_state_and_a_way_on(
    workspace: ChangesWorkspace, call: str, error: str, file: str, codes: set[str]
) -> None:
    before = workspace.fingerprint()
    report = await workspace.service().propose("DELETE FROM orders WHERE id < 500", requested_by="t")
    writer = FaultyWriter(call=call, error=error, path=workspace.root / file)
    service = workspace.service(writer=writer)
    told = ""
    try:
        told = (await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")).message
    except ToolError as fault:
        told = fault.message
        assert fault.code in codes, fault
    assert writer.hit, told
    sound = workspace.service()
    await sound.recover()
    is_applied = (await sound.status(report.change)).status == "applied"
    assert (workspace.fingerprint() != before) == is_applied
    assert is_applied or told
    assert (await sound.apply(report.change)).status == "applied"
    undo = await sound.propose_undo(report.change, requested_by="t")
    done = await sound.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")
    assert done.proven
    assert workspace.fingerprint() == before
