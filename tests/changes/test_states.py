"""Each state of a change allows what it says: what cannot be done says what is true instead, and the next step."""

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.deciding import Decision
from datasteward.changes.policy import PolicySettings
from datasteward.changes.render import render_change, render_report
from datasteward.changes.service import ChangeService
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


async def approve_without_applying(service: ChangeService) -> str:
    """A change whose approver was stopped right after the yes."""
    report = await service.propose(UPDATE, requested_by="t")
    service._deciding.approve(int(report.change[1:]), report.digest, Decision(by="ada", channel="terminal"))
    return report.change


async def bring_to(state: str, workspace: ChangesWorkspace, service: ChangeService, clock: Clock) -> str:
    """A change in the state."""
    if state == "approved":
        return await approve_without_applying(service)
    report = await service.propose(UPDATE, requested_by="t")
    match state:
        case "rejected":
            await service.reject(report.change, by="ada", channel="terminal")
        case "expired":
            clock.seconds += 25 * 3600
        case "replaced":
            await service.edit(report.change, f"{UPDATE} AND id > 9", requested_by="ada")
        case _:
            if state == "moved":
                workspace.run("INSERT INTO orders VALUES (5000, 3, 1, 'new')")
            await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    return report.change


@pytest.mark.parametrize(
    ("state", "says", "next_step"),
    [
        ("approved", "c1 is approved by ada and not applied yet.", "steward changes approve c1 applies it; steward"),
        ("rejected", "c1 is rejected by ada.", "Propose it again"),
        ("expired", "c1 is expired: nobody decided in time.", "Propose it again"),
        ("applied", "c1 is applied.", "steward changes undo c1 proposes to take it back."),
        ("moved", "c1 is not applied, since what it touches has moved; c2 takes its place.", "Decide on c2."),
        ("replaced", "c1 is replaced by an edited proposal; c2 takes its place.", "Decide on c2."),
    ],
)
async def test_a_decision_that_comes_too_late_says_what_is_true_and_what_to_do(
    workspace: ChangesWorkspace, state: str, says: str, next_step: str
) -> None:
    clock = Clock()
    service = workspace.service(clock=clock)
    change = await bring_to(state, workspace, service, clock)
    digest = (await service.show(change)).summary.digest
    attempts = [
        lambda: service.postpone(change, by="eve"),
        lambda: service.approve(change, digest=digest, by="eve", channel="terminal"),
    ]
    if state != "approved":
        attempts.append(lambda: service.reject(change, by="eve", channel="terminal"))
    for attempt in attempts:
        with pytest.raises(ToolError) as late:
            await attempt()
        assert late.value.message == says
        assert (late.value.hint or "").startswith(next_step)
        assert late.value.code == "conflict"


async def test_a_denied_change_names_the_command_that_tells_the_rule(workspace: ChangesWorkspace) -> None:
    policy = PolicySettings.model_validate({"rules": [{"name": "no", "verdict": "deny"}]})
    service = workspace.service(policy=policy)
    report = await service.propose(UPDATE, requested_by="t")
    with pytest.raises(ToolError, match=r"c1 is denied by the policy\.\nsteward policy explain c1"):
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")


async def test_an_approval_that_nobody_is_applying_can_be_taken_back(workspace: ChangesWorkspace) -> None:
    service, before = workspace.service(), workspace.fingerprint()
    change = await approve_without_applying(service)
    shown = render_change(await service.show(change))
    assert f"steward changes approve {change} applies it,\nsteward changes reject {change} takes" in shown
    assert f"change_status {change} applies it" in render_report(await service.status(change))
    report = await service.reject(change, by="ada", channel="terminal", comment="not today")
    assert (report.status, report.comment) == ("rejected", "not today")
    assert (await service.apply(change)).status == "rejected"
    assert workspace.fingerprint() == before


async def test_the_late_no_of_a_clients_user_takes_no_approval_back(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    change = await approve_without_applying(service)
    with pytest.raises(ToolError, match="is approved by ada"):
        await service.reject(change, by="mcp:x", channel="elicitation")
    assert (await service.apply(change)).status == "applied"


async def test_what_never_happened_cannot_be_taken_back_and_says_what_took_its_place(
    workspace: ChangesWorkspace,
) -> None:
    service = workspace.service()
    change = await bring_to("moved", workspace, service, Clock())
    with pytest.raises(ToolError) as nothing:
        await service.propose_undo(change, requested_by="t")
    assert nothing.value.message == (
        "c1 is not applied, since what it touches has moved; c2 takes its place. There is nothing to take back."
    )
