"""The writer's process is started ahead of its job, and nothing of it outlives its host."""

import os

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.host import SubprocessWriter

pytestmark = pytest.mark.anyio


async def ready_process(writer: SubprocessWriter) -> int:
    assert writer._next is not None
    return (await writer._next).process.pid


async def test_the_process_kept_ready_takes_the_next_job_and_leaves_with_it(workspace: ChangesWorkspace) -> None:
    writer = SubprocessWriter(keeps_ready=True)
    service = workspace.service(writer=writer)
    writer.prepare()
    first = await ready_process(writer)
    workspace.run("INSERT INTO orders VALUES (5000, 1, 1, 'the file is nobody else')")
    report = await service.propose("DELETE FROM orders WHERE id < 10", requested_by="t")
    assert report.preview.tables[0].deleted == 10
    second = await ready_process(writer)
    assert second != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    await writer.close()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_a_ready_process_that_was_killed_is_replaced(workspace: ChangesWorkspace) -> None:
    writer = SubprocessWriter(keeps_ready=True)
    service = workspace.service(writer=writer)
    writer.prepare()
    assert writer._next is not None
    process = (await writer._next).process
    process.kill()
    await process.wait()
    report = await service.propose("DELETE FROM orders WHERE id < 10", requested_by="t")
    assert report.status == "waiting"
    await writer.close()
