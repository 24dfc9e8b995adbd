"""The agent's desk in the terminal app: it decides nothing but what the person there granted by their yes to a plan."""

import contextlib
from typing import TYPE_CHECKING

from datasteward.errors import ToolError
from datasteward_agent.core_toolset import ToolsetDesk
from datasteward_agent.plans import Plan, PlanDecision
from datasteward_agent.toolset import Person, ProposalState, Question, Toolset
from datasteward_cli.changes_commands import user_name
from datasteward_cli.plan_grants import PlanGrant

if TYPE_CHECKING:
    from datasteward_cli.app import Scope


class ChatDesk(ToolsetDesk):
    """One run's desk; the person's yes to a plan holds until the run is over, once for each step."""

    def __init__(self, toolset: Toolset, scope: "Scope", requested_by: str) -> None:
        super().__init__(toolset)
        self._scope = scope
        self._requested_by = requested_by
        self._grant: PlanGrant | None = None

    async def take_yes(self, plan: Plan) -> None:
        """Remember the plan as the person approved it, in the place of an earlier one."""
        from datasteward_cli.changes_host import open_changes

        async with open_changes(self._scope) as service:
            now = service.store.now()
        self._grant = PlanGrant(plan=plan, by=user_name(), since=now, requested_by=self._requested_by)

    async def grant(self, proposal_id: str, plan: Plan) -> ProposalState:
        """Approved and applied where a step of the approved plan covers it exactly; else as it is, in the inbox.

        With an approver's key nothing is granted: each approval takes the passphrase.
        """
        from datasteward_cli.changes_host import open_changes

        if self._grant is not None:
            with contextlib.suppress(ToolError):
                async with open_changes(self._scope) as service:
                    await self._grant.approve(service, proposal_id, plan, channel="app")
        return await self.look(proposal_id)


class GrantingPerson:
    """The person at the screen; what they approve is told to the desk."""

    def __init__(self, person: Person, desk: ChatDesk) -> None:
        self._person = person
        self._desk = desk

    async def review_plan(self, plan: Plan) -> PlanDecision:
        """The person's decision."""
        decision = await self._person.review_plan(plan)
        if decision.verdict == "approved":
            await self._desk.take_yes(decision.plan)
        return decision

    async def answer(self, question: Question) -> str | None:
        """The person's answer."""
        return await self._person.answer(question)
