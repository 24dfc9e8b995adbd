"""Another program that holds the database, and writes just before it lets go."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.service import ChangeService

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"
HOLDER = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True);"
    "sql = sys.stdin.readline(); c.execute(sql); c.close(); print('written', flush=True)"
)


@contextmanager
def holder(workspace: ChangesWorkspace) -> Iterator[subprocess.Popen[str]]:
    """A process that has the database open, runs the line it is given, and closes it."""
    command = [sys.executable, "-c", HOLDER, str(workspace.database)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


async def apply_while_held(workspace: ChangesWorkspace, service: ChangeService, change: str, sql: str) -> str:
    """The state of a change whose writer waits for the database while another program writes."""
    with holder(workspace) as process:
        report = await service.status(change)
        applying = asyncio.create_task(service.approve(change, digest=report.digest, by="ada", channel="terminal"))
        async with asyncio.timeout(20):
            while (await service.status(change)).status != "applying":
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            assert not applying.done()
            process.communicate(f"{sql}\n")
            return (await applying).status


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO orders VALUES (100000, 77, 1, 'new')", "UPDATE orders SET amount = 1 WHERE customer = 3"],
)
async def test_what_is_written_while_the_writer_waits_is_a_move(workspace: ChangesWorkspace, sql: str) -> None:
    workspace.lock_wait_seconds = 15.0
    service = workspace.service()
    change = (await service.propose(UPDATE, requested_by="mcp:agent")).change
    assert await apply_while_held(workspace, service, change, sql) == "moved"


async def test_a_program_that_only_looked_is_waited_for(workspace: ChangesWorkspace) -> None:
    workspace.lock_wait_seconds = 15.0
    service = workspace.service()
    change = (await service.propose(UPDATE, requested_by="mcp:agent")).change
    assert await apply_while_held(workspace, service, change, "SELECT 1") == "applied"
