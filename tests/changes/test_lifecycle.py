"""The life of a change: proposed, shown, decided, applied, taken back."""

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.service import ChangeService
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"


async def approve(service: ChangeService, change: str) -> str:
    row = await service.show(change)
    return (await service.approve(change, digest=row.summary.digest, by="ada", channel="terminal")).status


async def test_proposing_changes_nothing_and_shows_exact_counts(workspace: ChangesWorkspace) -> None:
    before = workspace.fingerprint()
    report = await workspace.service().propose(UPDATE, requested_by="mcp:test")
    table = report.preview.tables[0]
    assert (table.inserted, table.updated, table.deleted) == (0, 100, 0)
    assert (table.rows_before, table.rows_after) == (1000, 1000)
    assert report.status == "waiting"
    assert workspace.fingerprint() == before


async def test_samples_show_keys_first_then_changed_columns_before_and_after(workspace: ChangesWorkspace) -> None:
    report = await workspace.service().propose(UPDATE, requested_by="mcp:test")
    table = report.preview.tables[0]
    assert table.sample_columns[:2] == ("id", "amount")
    assert table.samples[0].before is not None and table.samples[0].after is not None
    assert (table.samples[0].before[:2], table.samples[0].after[:2]) == (("3", "0.75"), ("3", "1.50"))
    changed = table.columns[0]
    assert (changed.column, changed.changed_rows) == ("amount", 100)
    assert (changed.least_before, changed.greatest_before) == ("0.75", "248.25")


async def test_an_approved_change_is_applied_and_taken_back_with_proof(workspace: ChangesWorkspace) -> None:
    service, before = workspace.service(), workspace.fingerprint()
    report = await service.propose(UPDATE, requested_by="mcp:test")
    assert await approve(service, report.change) == "applied"
    assert workspace.fingerprint() != before
    undo = await service.propose_undo(report.change, requested_by="mcp:test")
    assert await approve(service, undo.change) == "applied"
    assert (await service.status(undo.change)).proven
    assert workspace.fingerprint() == before
    assert (await service.status(report.change)).undone_by == undo.change


async def test_an_undo_can_itself_be_taken_back(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    await approve(service, report.change)
    changed = workspace.fingerprint()
    undo = await service.propose_undo(report.change, requested_by="t")
    await approve(service, undo.change)
    redo = await service.propose_undo(undo.change, requested_by="t")
    assert await approve(service, redo.change) == "applied"
    assert workspace.fingerprint() == changed
    assert (await service.status(report.change)).undone_by is None


async def test_what_is_taken_back_again_after_a_redo_stands_in_nobodys_way(workspace: ChangesWorkspace) -> None:
    service, before = workspace.service(), workspace.fingerprint()
    first = await service.propose("UPDATE orders SET status = 'x' WHERE customer = 1", requested_by="t")
    await approve(service, first.change)
    last = (await service.propose(UPDATE, requested_by="t")).change
    await approve(service, last)
    second = last
    for _ in range(3):
        last = (await service.propose_undo(last, requested_by="t")).change
        await approve(service, last)
    assert (await service.status(second)).undone_by is not None
    undo = await service.propose_undo(first.change, requested_by="t")
    assert await approve(service, undo.change) == "applied"
    assert workspace.fingerprint() == before


async def test_a_rejection_reaches_the_proposer_with_its_comment(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    await service.reject(report.change, by="ada", channel="app", comment="customer 4, not 3")
    seen = await workspace.service().status(report.change, wait_seconds=5)
    assert (seen.status, seen.comment) == ("rejected", "customer 4, not 3")
    with pytest.raises(ToolError, match="rejected"):
        await approve(service, report.change)


async def test_an_edit_makes_a_new_digest_and_the_old_one_cannot_be_approved(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    edited = await service.edit(report.change, UPDATE.replace("3", "4"), requested_by="ada")
    assert edited.digest != report.digest
    old = await service.status(report.change)
    assert (old.status, old.successor) == ("replaced", edited.change)
    with pytest.raises(ToolError):
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert await approve(service, edited.change) == "applied"


async def test_rows_that_move_after_the_preview_are_asked_about_again(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    workspace.run("INSERT INTO orders VALUES (5000, 3, 1, 'new')")
    moved = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert (moved.status, "1000 rows in the preview and has 1001" in moved.message) == ("moved", True)
    assert moved.successor is not None
    again = await service.status(moved.successor)
    assert again.status == "waiting"
    assert again.preview.tables[0].updated == 101
    assert again.earlier_preview is not None and again.earlier_preview.tables[0].updated == 100
    assert await approve(service, moved.successor) == "applied"


async def test_equal_content_written_in_between_is_not_a_move(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    workspace.run("UPDATE orders SET amount = amount")
    assert await approve(service, report.change) == "applied"


async def test_a_change_elsewhere_in_the_database_is_not_a_move(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    workspace.run("CREATE TABLE other AS SELECT 1 AS x")
    assert await approve(service, report.change) == "applied"


async def test_data_read_from_another_table_moves_too(workspace: ChangesWorkspace) -> None:
    workspace.run("CREATE TABLE prices AS SELECT 3 AS customer, 7 AS price")
    service = workspace.service()
    sql = "UPDATE orders SET amount = p.price FROM prices AS p WHERE p.customer = orders.customer"
    report = await service.propose(sql, requested_by="t")
    workspace.run("UPDATE prices SET price = 8")
    assert await approve(service, report.change) == "moved"


async def test_other_rows_that_get_the_same_values_are_a_move(workspace: ChangesWorkspace) -> None:
    workspace.run("CREATE TABLE late AS SELECT 1 AS id")
    service = workspace.service()
    sql = "UPDATE orders SET status = 'late' WHERE id IN (SELECT id FROM late)"
    report = await service.propose(sql, requested_by="t")
    workspace.run("UPDATE late SET id = 2")
    assert await approve(service, report.change) == "moved"


async def test_undo_is_refused_with_the_order_when_later_changes_build_on_it(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    changes = []
    for customer in (1, 2, 3):
        report = await service.propose(f"UPDATE orders SET status = 'x' WHERE customer = {customer}", requested_by="t")
        await approve(service, report.change)
        changes.append(report.change)
    with pytest.raises(ToolError) as refusal:
        await service.propose_undo(changes[0], requested_by="t")
    assert refusal.value.hint == f"Take back in this order: {changes[2]}, then {changes[1]}, then {changes[0]}."


async def test_undo_is_refused_when_another_program_wrote_since(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    await approve(service, report.change)
    workspace.run("DELETE FROM orders WHERE id = 3")
    with pytest.raises(ToolError, match="orders has changed since c1"):
        await service.propose_undo(report.change, requested_by="t")


async def test_the_first_approved_write_makes_the_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace = ChangesWorkspace(tmp_path_factory.mktemp("empty")).make()
    service = workspace.service()
    report = await service.propose("CREATE TABLE t AS SELECT 1 AS x", requested_by="t")
    assert not workspace.database.exists()
    assert await approve(service, report.change) == "applied"
    assert workspace.run("SELECT x FROM t") == [(1,)]


async def test_applying_twice_answers_with_what_happened(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose("INSERT INTO orders VALUES (7000, 1, 1, 'new')", requested_by="t")
    assert await approve(service, report.change) == "applied"
    assert (await service.apply(report.change)).status == "applied"
    assert workspace.run("SELECT count(*) FROM orders WHERE id = 7000") == [(1,)]


async def test_history_names_every_step_with_its_journal_hash(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    await approve(service, report.change)
    steps = await service.history(report.change)
    assert [s.event for s in steps] == ["change.proposed", "change.approved", "change.applying", "change.applied"]
    assert all(s.entry_hash for s in steps)
