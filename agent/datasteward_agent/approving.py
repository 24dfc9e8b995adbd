"""What a run does about proposals: asks for a decision, waits, pauses or gives up, and picks up decisions later.

Nothing here approves on its own. `desk.approve` is only called for ids that a person gave on the command line.
"""

from datasteward.changes.stopping import asks_to_stop
from datasteward.errors import ToolError
from datasteward_agent.conversation import say
from datasteward_agent.events import ApprovalDecided, ApprovalRequested, Noticed, PlanDecided, UserSaid
from datasteward_agent.fencing import fence
from datasteward_agent.plans import find_deviations, has_digests
from datasteward_agent.proposals import Proposal
from datasteward_agent.run_context import RunContext, RunStop
from datasteward_agent.toolset import STATUS_TOOL, ApprovalDesk, ProposalState
from datasteward_prompts.loading import load_prompt, render_prompt

WAIT_STEP_SECONDS = 30.0
_REFUSED = frozenset({"rejected", "denied", "expired"})
_FOLLOWED = frozenset({"replaced", "moved"})
"""What ends with another proposal in its place, measured anew and to be decided on."""


async def handle_proposal(context: RunContext, tool: str, call_id: str, proposal: Proposal) -> str:
    """The harness's words on a new proposal, for the model; may set `context.stop`."""
    if tool == STATUS_TOOL:
        return _observe(context, proposal)
    context.unproposed = None
    if proposal.status != "waiting":
        context.emit(ApprovalDecided(proposal_id=proposal.proposal_id, status=proposal.status, by="policy"))
        return _note_settled(context, tool, call_id, proposal.proposal_id, proposal.status, "")
    context.emit(
        ApprovalRequested(
            proposal_id=proposal.proposal_id,
            call_id=call_id,
            tool=tool,
            digest=proposal.digest,
            summary=proposal.summary,
        )
    )
    state = await _try_plan(context, proposal)
    if state is not None and state.status != "waiting":
        return await _finish(context, tool, call_id, state, "plan")
    match context.options.on_waiting:
        case "wait" if context.desk is not None:
            state = await _wait(context, tool, call_id, proposal.proposal_id)
            return await _finish(context, tool, call_id, state, "desk")
        case "deny":
            return await _give_up(context, tool, call_id, proposal.proposal_id)
        case _:
            if context.mode != "auto":
                context.stop = RunStop("waiting", hint=f"steward changes show {proposal.proposal_id}")
                return f"{proposal.proposal_id} waits for a person's decision; nothing is applied. The run pauses here."
            return f"{proposal.proposal_id} waits for a person's decision; nothing is applied. Go on with other work."


def _observe(context: RunContext, proposal: Proposal) -> str:
    """A state that the model asked for: it only counts for proposals of this session that were open."""
    if proposal.proposal_id in context.session.state.waiting and proposal.status not in ("waiting", "approved"):
        context.emit(ApprovalDecided(proposal_id=proposal.proposal_id, status=proposal.status))
        if proposal.status in _REFUSED:
            context.denied.append(f"{proposal.proposal_id}: {proposal.status}")
    return ""


async def settle_waiting(context: RunContext, approvals: tuple[str, ...], *, has_prompt: bool) -> None:
    """At the start of a resumed run: take up decisions made since.

    Raises `RunStop` when one is still open and the person said nothing new. A new prompt goes on beside waiting
    changes, and stands in the place of a plan's approval.
    """
    told: list[str] = []
    open_changes = list(context.session.state.waiting)
    for proposal_id in open_changes:
        state = await _grant_by_digest(context, await _look(context, proposal_id, approvals))
        if state.status == "approved" and context.desk is not None:
            context.emit(ApprovalDecided(proposal_id=proposal_id, status="approved", comment=state.comment))
            state = await context.desk.apply(proposal_id)
        if state.status in ("waiting", "approved"):
            continue
        by = "command_line" if proposal_id in approvals else "desk"
        context.emit(ApprovalDecided(proposal_id=proposal_id, status=state.status, comment=state.comment, by=by))
        if state.status in _REFUSED:
            context.denied.append(f"{proposal_id}: {state.status}")
        told.append(_tell(context, state))
        if state.status in _REFUSED and asks_to_stop(state.comment) and not has_prompt:
            raise _stopped()
        if state.successor is not None and state.status in _FOLLOWED:
            _follow(context, state, tool="", call_id="")
            open_changes.append(state.successor)
    told.extend(_settle_plan(context, approvals, has_prompt=has_prompt))
    if told:
        context.emit(UserSaid(message=say("\n\n".join(told), "harness")))
    open_ids = tuple(context.session.state.waiting)
    if open_ids and context.mode != "auto" and not has_prompt:
        raise RunStop("waiting", hint=f"steward changes show {open_ids[0]}")


def _settle_plan(context: RunContext, approvals: tuple[str, ...], *, has_prompt: bool) -> list[str]:
    plan = context.session.state.pending_plan
    if plan is None:
        return []
    if plan.plan_id not in approvals and has_prompt:
        context.emit(PlanDecided(plan=plan, verdict="rejected", comment="answered with another prompt"))
        return [f"{plan.plan_id} was not approved. The person says instead:"]
    if plan.plan_id not in approvals:
        raise RunStop("waiting", hint=f"steward run --resume {context.session.session_id} --approve {plan.plan_id}")
    context.emit(PlanDecided(plan=plan, verdict="approved"))
    leave_plan_mode(context)
    return [render_prompt(load_prompt("run_plan"), {"plan": plan.to_text()})]


def leave_plan_mode(context: RunContext) -> None:
    """An approved plan may be carried out: changes are proposed from here on."""
    if context.mode == "plan":
        context.mode = "ask"


async def _look(context: RunContext, proposal_id: str, approvals: tuple[str, ...]) -> ProposalState:
    if context.desk is None:
        return ProposalState(proposal_id=proposal_id, status="waiting")
    try:
        if proposal_id in approvals:
            return await context.desk.approve(proposal_id, "approved with steward run --approve")
        if context.options.on_waiting == "wait":
            return await _wait_for(context.desk, proposal_id)
        return await context.desk.look(proposal_id)
    except ToolError as error:
        if error.code == "not_found":
            return ProposalState(proposal_id=proposal_id, status="unknown", text=error.message)
        raise


async def _grant_by_digest(context: RunContext, state: ProposalState) -> ProposalState:
    """A plan that came after the proposal can only mean it by its digest."""
    plan = context.session.state.approved_plan
    if state.status != "waiting" or plan is None or context.desk is None or not has_digests(plan):
        return state
    return await context.desk.grant(state.proposal_id, plan)


async def _wait(context: RunContext, tool: str, call_id: str, proposal_id: str) -> ProposalState:
    """The decision on the proposal, or on the one that a person's edit or a moved table put in its place."""
    assert context.desk is not None
    state = await _wait_for(context.desk, proposal_id)
    while state.successor is not None and state.status in _FOLLOWED:
        context.emit(ApprovalDecided(proposal_id=state.proposal_id, status=state.status, comment=state.comment))
        _follow(context, state, tool=tool, call_id=call_id)
        state = await _wait_for(context.desk, state.successor)
    return state


def _follow(context: RunContext, state: ProposalState, *, tool: str, call_id: str) -> None:
    assert state.successor is not None
    summary = f"It takes the place of {state.proposal_id}, which was {state.status}."
    context.emit(ApprovalRequested(proposal_id=state.successor, call_id=call_id, tool=tool, summary=summary))


async def _wait_for(desk: ApprovalDesk, proposal_id: str) -> ProposalState:
    while True:
        state = await desk.wait(proposal_id, WAIT_STEP_SECONDS)
        if state.status != "waiting":
            return state


async def _try_plan(context: RunContext, proposal: Proposal) -> ProposalState | None:
    plan = context.session.state.approved_plan
    if plan is None or context.desk is None:
        return None
    strays = find_deviations(plan, proposal.writes)
    if strays and not has_digests(plan):
        text = f"{proposal.proposal_id} is not in plan {plan.plan_id}: {', '.join(strays)}"
        context.emit(Noticed(level="warning", text=text))
        return None
    state = await context.desk.grant(proposal.proposal_id, plan)
    if state.status == "waiting":
        text = f"{proposal.proposal_id} is not granted by plan {plan.plan_id}, so it is asked for"
        context.emit(Noticed(level="warning", text=text))
    return state


async def _finish(context: RunContext, tool: str, call_id: str, state: ProposalState, by: str) -> str:
    if state.status == "approved" and context.desk is not None:
        state = await context.desk.apply(state.proposal_id)
    context.emit(
        ApprovalDecided(
            proposal_id=state.proposal_id,
            status=state.status,
            comment=state.comment,
            by="plan" if by == "plan" else "desk",
        )
    )
    words = _note_settled(context, tool, call_id, state.proposal_id, state.status, state.comment)
    return f"{words}\n{fence(state.text, source=state.proposal_id, mark=context.mark)}" if state.text else words


async def _give_up(context: RunContext, tool: str, call_id: str, proposal_id: str) -> str:
    reason = "nobody is there to decide, and the run denies what waits"
    if context.desk is not None:
        await context.desk.withdraw(proposal_id, reason)
    context.emit(ApprovalDecided(proposal_id=proposal_id, status="denied", comment=reason, by="harness"))
    context.deny(call_id, tool, f"{proposal_id}: {reason}", f"{tool}:waiting")
    return f"{proposal_id} was denied: {reason}. Nothing was applied. Do not propose it again."


def _note_settled(context: RunContext, tool: str, call_id: str, proposal_id: str, status: str, comment: str) -> str:
    if status in _REFUSED:
        context.deny(call_id, tool, f"{proposal_id} was {status}", f"{tool}:{proposal_id}")
        if asks_to_stop(comment):
            context.stop = _stopped()
    elif status in ("failed", "moved", "unknown"):
        context.failed_tools[tool] = status
    elif status == "applied":
        context.failed_tools.pop(tool, None)
    said = f" The person says: {comment}" if comment else ""
    return f"{proposal_id} is {status}.{said}"


def _stopped() -> RunStop:
    return RunStop("denied", "A person told the agent to stop.")


def _tell(context: RunContext, state: ProposalState) -> str:
    if state.status in ("failed", "moved", "unknown"):
        context.failed_tools["apply"] = state.status
    said = f" The person says: {state.comment}" if state.comment else ""
    block = f"\n{fence(state.text, source=state.proposal_id, mark=context.mark)}" if state.text else ""
    return f"Decision on {state.proposal_id}: {state.status}.{said}{block}"
