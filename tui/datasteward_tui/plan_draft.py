"""An agent's plan as the person leaves it: steps dropped, in another order, reworded, with other SQL and comments."""

from dataclasses import dataclass

from datasteward_agent.plans import Plan, PlanDecision, PlanStep


@dataclass(slots=True, kw_only=True)
class DraftStep:
    """One step as it was handed in, as it is now, and what the person says to it."""

    handed_in: PlanStep
    step: PlanStep
    is_kept: bool = True
    comment: str = ""

    @property
    def notes(self) -> list[str]:
        """What the agent is told of the changes to a step that stays."""
        title = self.step.title
        found = []
        if title != self.handed_in.title:
            found.append(f"Step “{title}” was “{self.handed_in.title}”.")
        if self.step.sql != self.handed_in.sql:
            found.append(f"The SQL of step “{title}” was changed; propose it as it stands in the plan.")
        if self.comment:
            found.append(f"Step “{title}”: {self.comment}")
        return found


class Draft:
    """The steps, and which of them is marked."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps = [DraftStep(handed_in=s, step=s) for s in plan.steps]
        self.cursor = 0

    @property
    def current(self) -> DraftStep:
        """The marked step."""
        return self.steps[self.cursor]

    def go(self, step: int) -> None:
        """Mark another step, not beyond the ends."""
        self.cursor = max(0, min(len(self.steps) - 1, self.cursor + step))

    def move(self, step: int) -> None:
        """Take the marked step up or down."""
        other = self.cursor + step
        if 0 <= other < len(self.steps):
            self.steps[self.cursor], self.steps[other] = self.steps[other], self.steps[self.cursor]
            self.cursor = other

    def edit(self, **fields: object) -> None:
        """Give the marked step other words, SQL, or the wish to be asked."""
        self.current.step = self.current.step.model_copy(update=fields)

    def decide(self, verdict: str, reason: str = "", *, asks_each: bool = False) -> PlanDecision:
        """The decision on what is left; without any step it is a rejection. `asks_each` grants nothing beforehand."""
        kept = [s for s in self.steps if s.is_kept]
        notes = [reason] if reason else []
        notes += [note for s in kept for note in s.notes]
        dropped = [s.step.title for s in self.steps if not s.is_kept]
        if dropped:
            notes.append(f"Dropped: {', '.join(dropped)}")
        if [s.handed_in for s in kept] != [s for s in self.plan.steps if any(s is k.handed_in for k in kept)]:
            notes.append("The steps are in another order.")
        comment = "\n".join(notes)
        if not kept or verdict == "rejected":
            return PlanDecision(verdict="rejected", plan=self.plan, comment=comment)
        steps = tuple(
            s.step.model_copy(update={"asks": s.step.asks or (asks_each and bool(s.step.writes))}) for s in kept
        )
        plan = Plan(plan_id=self.plan.plan_id, goal=self.plan.goal, steps=steps)
        return PlanDecision(verdict="later" if verdict == "later" else "approved", plan=plan, comment=comment)
