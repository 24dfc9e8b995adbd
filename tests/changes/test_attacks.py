"""Altered, replayed, expired, raced and self-made approvals: none is applied."""

import json
import sqlite3
from collections.abc import Callable

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.deciding import Decision
from datasteward.changes.digest import digest_of
from datasteward.changes.model import Approval, TableEffect, TableName, UndoWork
from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.service import ChangeService
from datasteward.errors import ConfigError, ToolError

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"
PASSPHRASE = "correct horse battery"
Forked = Callable[..., list[dict[str, object]]]


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


def tamper(workspace: ChangesWorkspace, sql: str, *values: object) -> None:
    connection = sqlite3.connect(workspace.steward / "state.sqlite")
    with connection:
        connection.execute(sql, values)
    connection.close()


async def proposed(service: ChangeService, sql: str = UPDATE) -> tuple[str, str]:
    report = await service.propose(sql, requested_by="mcp:agent")
    return report.change, report.digest


async def test_another_digest_than_the_one_shown_is_refused(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    change, _ = await proposed(service)
    with pytest.raises(ToolError, match="its digest is another one"):
        await service.approve(change, digest="0" * 64, by="ada", channel="terminal")


@pytest.mark.parametrize("with_digest", [False, True])
async def test_an_altered_proposal_is_not_applied(workspace: ChangesWorkspace, with_digest: bool) -> None:
    service, before = workspace.service(), workspace.fingerprint()
    change, digest = await proposed(service)
    await approve_without_applying(service, change, digest)
    row = await service.show(change)
    statement = row.proposal.statements[0].model_copy(update={"sql": "DELETE FROM orders"})
    altered = row.proposal.model_copy(update={"statements": (statement,)})
    tamper(workspace, "UPDATE changes SET proposal = ?", altered.model_dump_json())
    if with_digest:
        from datasteward.changes.digest import digest_of

        tamper(workspace, "UPDATE changes SET digest = ?", digest_of(altered))
    with pytest.raises(ToolError, match="not for this change"):
        await workspace.service().apply(change)
    assert workspace.fingerprint() == before


async def approve_without_applying(service: ChangeService, change: str, digest: str) -> None:
    service._deciding.approve(int(change[1:]), digest, Decision(by="ada", channel="terminal"))


async def test_an_approval_cannot_be_replayed_on_another_change(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    first, digest = await proposed(service)
    await service.approve(first, digest=digest, by="ada", channel="terminal")
    second, _ = await proposed(service)
    approval = json.dumps((await service.show(first)).approval.model_dump(mode="json"))  # type: ignore[union-attr]
    sql = "UPDATE changes SET status = 'approved', approved_until = 9e9, approval = ? WHERE number = ?"
    tamper(workspace, sql, approval, int(second[1:]))
    before = workspace.fingerprint()
    with pytest.raises(ToolError, match="not for this change"):
        await workspace.service().apply(second)
    assert workspace.fingerprint() == before


async def test_an_applied_change_set_back_to_approved_is_not_applied_again(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    change, digest = await proposed(service, "INSERT INTO orders SELECT 9000 + id, 1, 1, 'x' FROM orders WHERE id < 3")
    await service.approve(change, digest=digest, by="ada", channel="terminal")
    after = workspace.fingerprint()
    tamper(workspace, "UPDATE changes SET status = 'approved', applied = NULL, approved_until = 9e9")
    assert (await workspace.service().apply(change)).status == "applied"
    assert workspace.fingerprint() == after


async def test_a_proposal_expires_and_setting_the_clock_back_does_not_help(workspace: ChangesWorkspace) -> None:
    clock = Clock()
    service = workspace.service(clock=clock)
    change, digest = await proposed(service)
    clock.seconds += 25 * 3600
    assert (await service.status(change)).status == "expired"
    clock.seconds -= 48 * 3600
    with pytest.raises(ToolError, match="is expired"):
        await workspace.service(clock=clock).approve(change, digest=digest, by="ada", channel="terminal")


async def test_an_approval_that_waits_too_long_expires_even_on_a_clock_set_back(workspace: ChangesWorkspace) -> None:
    clock = Clock()
    service, before = workspace.service(clock=clock), workspace.fingerprint()
    change, digest = await proposed(service)
    await approve_without_applying(service, change, digest)
    clock.seconds += 16 * 60
    await service.summaries()
    clock.seconds -= 3600
    assert (await service.apply(change)).status == "expired"
    assert workspace.fingerprint() == before


async def test_with_a_key_nothing_is_approved_without_its_signature(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    service.make_approver(PASSPHRASE)
    change, digest = await proposed(service)
    for channel in ("terminal", "app", "headless"):
        with pytest.raises(ToolError, match="signature"):
            await service.approve(change, digest=digest, by="ada", channel=channel)
    with pytest.raises(ToolError, match="in the inbox"):
        await service.approve(change, digest=digest, by="ada", channel="elicitation")
    with pytest.raises(ToolError, match="passphrase"):
        service.unlock_approver("wrong passphrase")
    key = service.unlock_approver(PASSPHRASE)
    report = await service.approve(change, digest=digest, by="ada", channel="terminal", key=key)
    assert report.status == "applied"


@pytest.mark.parametrize("remove", ["nothing", "file", "record"])
async def test_an_approval_written_by_hand_is_not_applied(workspace: ChangesWorkspace, remove: str) -> None:
    service, before = workspace.service(), workspace.fingerprint()
    service.make_approver(PASSPHRASE)
    change, digest = await proposed(service)
    forged = Approval(
        change=change, digest=digest, verdict="approve", by="ada", channel="terminal", at="", nonce="", signature="AAAA"
    )
    sql = "UPDATE changes SET status = 'approved', approved_until = 9e9, approval = ?"
    tamper(workspace, sql, forged.model_dump_json())
    if remove == "file":
        (workspace.steward / "approver.pem").unlink()
    elif remove == "record":
        tamper(workspace, "DELETE FROM change_approver")
    with pytest.raises(ToolError, match="signature"):
        await workspace.service().apply(change)
    assert workspace.fingerprint() == before


async def test_a_second_key_is_refused(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    service.make_approver(PASSPHRASE)
    with pytest.raises(ConfigError, match="exists already"):
        service.make_approver(PASSPHRASE)


async def test_with_a_key_the_policy_allows_only_what_was_signed(workspace: ChangesWorkspace) -> None:
    policy = PolicySettings(rules=(PolicyRule(name="small", verdict="allow", kinds=("update",), max_rows=200),))
    service = workspace.service(policy=policy)
    service.make_approver(PASSPHRASE)
    assert (await service.propose(UPDATE, requested_by="t")).status == "waiting"
    service.sign_policy(PASSPHRASE)
    assert (await service.propose(UPDATE, requested_by="t")).status == "applied"
    wider = PolicySettings(rules=(PolicyRule(name="small", verdict="allow", kinds=("*",), max_rows=9999),))
    assert (await workspace.service(policy=wider).propose(UPDATE, requested_by="t")).status == "waiting"


def test_of_processes_that_approve_at_once_exactly_one_wins(workspace: ChangesWorkspace, forked: Forked) -> None:
    root = str(workspace.root)
    for _ in range(3):
        before = workspace.run("SELECT sum(amount) FROM orders WHERE customer = 3")[0][0]
        change = str(forked({"root": root, "do": "propose", "sql": UPDATE})[0]["said"])
        answers = forked(*[{"root": root, "do": "approve", "change": change}] * 5)
        assert [a.get("said") for a in answers].count("applied") == 1, answers
        assert all(a.get("code") == "conflict" for a in answers if "said" not in a), answers
        after = workspace.run("SELECT sum(amount) FROM orders WHERE customer = 3")[0][0]
        assert after == 2 * before  # type: ignore[operator]


def test_processes_that_apply_at_once_apply_once(workspace: ChangesWorkspace, forked: Forked) -> None:
    root = str(workspace.root)
    change = str(forked({"root": root, "do": "propose", "sql": UPDATE})[0]["said"])
    forked({"root": root, "do": "approve", "change": change, "crash_at": "decide.after_record"})
    answers = forked(*[{"root": root, "do": "apply", "change": change}] * 5)
    assert [a.get("said") for a in answers] == ["applied"] * 5
    assert workspace.receipts() == [change]
    assert workspace.run("SELECT sum(amount) FROM orders WHERE customer = 3") == workspace.run(
        "SELECT sum(i / 4)::DECIMAL(10, 2) * 2 FROM range(1000) AS r (i) WHERE i % 10 = 3"
    )


def test_an_approval_racing_a_rejection_has_one_outcome(workspace: ChangesWorkspace, forked: Forked) -> None:
    root = str(workspace.root)
    change = str(forked({"root": root, "do": "propose", "sql": UPDATE})[0]["said"])
    answers = forked(
        {"root": root, "do": "approve", "change": change}, {"root": root, "do": "reject", "change": change}
    )
    said = [a.get("said") for a in answers]
    assert sorted(str(s) for s in said) in (["None", "applied"], ["None", "rejected"])
    assert workspace.receipts() == ([change] if "applied" in said else [])


SIGNED = PolicySettings(
    rules=(PolicyRule(name="staging is free", verdict="allow", tables=("staging.*",), kinds=("insert",)),)
)


def forge_policy_approval(workspace: ChangesWorkspace, change: str, digest: str) -> None:
    made = Approval(
        change=change, digest=digest, verdict="approve", by="x", channel="policy", at="2026-01-01T00:00:00Z", nonce="x"
    )
    sql = "UPDATE changes SET status = 'approved', approval = ?, digest = ?, approved_until = 9e9"
    tamper(workspace, sql, made.model_dump_json(), digest)


@pytest.mark.parametrize("with_key", [False, True])
async def test_an_approval_in_the_policys_name_counts_only_for_what_the_policy_allows(
    workspace: ChangesWorkspace, with_key: bool
) -> None:
    service, before = workspace.service(policy=SIGNED), workspace.fingerprint()
    if with_key:
        service.make_approver(PASSPHRASE)
        service.sign_policy(PASSPHRASE)
    change, digest = await proposed(service)
    forge_policy_approval(workspace, change, digest)
    with pytest.raises(ToolError, match=r"[Tt]he policy"):
        await workspace.service(policy=SIGNED).apply(change)
    assert workspace.fingerprint() == before


async def test_a_proposal_dressed_up_for_the_policy_is_not_applied(workspace: ChangesWorkspace) -> None:
    workspace.run("CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS a")
    service = workspace.service(policy=SIGNED, with_gate=True)
    service.make_approver(PASSPHRASE)
    service.sign_policy(PASSPHRASE)
    change, _ = await proposed(service, "DELETE FROM orders")
    before = workspace.fingerprint()
    proposal = (await service.show(change)).proposal
    (statement,) = proposal.statements
    (effect,) = proposal.preview.tables
    staging = TableName(schema_name="staging", name="t")
    dressed = proposal.model_copy(
        update={
            "statements": (statement.model_copy(update={"kind": "insert", "writes": (staging,)}),),
            "preview": proposal.preview.model_copy(
                update={"tables": (effect.model_copy(update={"table": staging, "deleted": 0, "inserted": 1}),)}
            ),
        }
    )
    tamper(workspace, "UPDATE changes SET proposal = ?", dressed.model_dump_json())
    forge_policy_approval(workspace, change, digest_of(dressed))
    with pytest.raises(ToolError, match="not what the policy was asked about"):
        await workspace.service(policy=SIGNED, with_gate=True).apply(change)
    assert workspace.fingerprint() == before


async def test_counts_that_were_made_up_are_not_applied(workspace: ChangesWorkspace) -> None:
    service, before = workspace.service(), workspace.fingerprint()
    change, _ = await proposed(service)
    proposal = (await service.show(change)).proposal
    (effect,) = proposal.preview.tables
    small = proposal.preview.model_copy(update={"tables": (effect.model_copy(update={"updated": 1}),)})
    made_up = proposal.model_copy(update={"preview": small})
    tamper(workspace, "UPDATE changes SET proposal = ?, digest = ?", made_up.model_dump_json(), digest_of(made_up))
    done = await service.approve(change, digest=digest_of(made_up), by="ada", channel="terminal")
    assert (done.status, done.message) == ("moved", "the counts that were shown are not those of the effect")
    assert workspace.fingerprint() == before
    assert done.preview_now is not None and done.preview_now.tables[0].updated == effect.updated


async def test_a_signed_policy_still_applies_what_it_allows(workspace: ChangesWorkspace) -> None:
    workspace.run("CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS a")
    service = workspace.service(policy=SIGNED, with_gate=True)
    service.make_approver(PASSPHRASE)
    service.sign_policy(PASSPHRASE)
    report = await service.propose("INSERT INTO staging.t VALUES (2); INSERT INTO staging.t SELECT 3", requested_by="t")
    assert report.status == "applied"


FORGED: tuple[tuple[str, dict[str, object], PolicyRule], ...] = (
    (
        "UPDATE people SET email = '-'",
        {"personal": ()},
        PolicyRule(name="r", verdict="allow", touches_pii=False),
    ),
    (
        "DROP VIEW seen",
        {"schema_changes": ()},
        PolicyRule(name="r", verdict="allow", tables=("staging.*",), kinds=("drop_view",)),
    ),
    (
        "DELETE FROM people WHERE id < 9",
        {"tables": (TableEffect(table=TableName(name="people"), deleted=9, rows_before=10_000, rows_after=9_991),)},
        PolicyRule(name="r", verdict="allow", max_share=0.05),
    ),
)


@pytest.mark.parametrize(("sql", "forged", "rule"), FORGED)
async def test_facts_that_were_made_up_for_a_signed_policy_are_found_out_anew(
    workspace: ChangesWorkspace, sql: str, forged: dict[str, object], rule: PolicyRule
) -> None:
    workspace.run(
        "CREATE TABLE people AS SELECT i AS id, 'u' || i || '@example.org' AS email FROM range(20) AS r (i);"
        " CREATE VIEW seen AS SELECT id FROM people"
    )
    policy = PolicySettings(rules=(rule,))
    service = workspace.service(policy=policy, with_gate=True)
    service.make_approver(PASSPHRASE)
    service.sign_policy(PASSPHRASE)
    change, _ = await proposed(service, sql)
    before = workspace.fingerprint()
    proposal = (await service.show(change)).proposal
    made_up = proposal.model_copy(update={"preview": proposal.preview.model_copy(update=forged)})
    tamper(workspace, "UPDATE changes SET proposal = ?", made_up.model_dump_json())
    forge_policy_approval(workspace, change, digest_of(made_up))
    with pytest.raises(ToolError, match=r"[Tt]he policy"):
        await workspace.service(policy=policy, with_gate=True).apply(change)
    assert workspace.fingerprint() == before


async def test_statements_beside_an_undo_are_no_undo_to_a_rule(workspace: ChangesWorkspace) -> None:
    policy = PolicySettings(rules=(PolicyRule(name="r", verdict="allow", kinds=("undo",)),))
    service = workspace.service(policy=policy, with_gate=True)
    service.make_approver(PASSPHRASE)
    service.sign_policy(PASSPHRASE)
    change, _ = await proposed(service, "DELETE FROM orders")
    before = workspace.fingerprint()
    proposal = (await service.show(change)).proposal
    made_up = proposal.model_copy(update={"undo": UndoWork(change="c9", record_hash="0")})
    tamper(workspace, "UPDATE changes SET proposal = ?", made_up.model_dump_json())
    forge_policy_approval(workspace, change, digest_of(made_up))
    with pytest.raises(ToolError, match=r"[Tt]he policy"):
        await workspace.service(policy=policy, with_gate=True).apply(change)
    assert workspace.fingerprint() == before
