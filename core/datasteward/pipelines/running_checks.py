"""Whether an approved plan still holds."""

from collections.abc import Mapping

from datasteward.pipelines.plan_model import Plan, PlanStep
from datasteward.pipelines.state_model import AssetState


def find_move(approved: Plan, now: Plan, states: Mapping[str, AssetState], change: str) -> str | None:
    """Why the approved plan no longer holds, or None; what this very change has published before counts as done."""
    if approved.request.model_dump(exclude={"as_of"}) != now.request.model_dump(exclude={"as_of"}):
        return "another selection was planned"
    if approved.publish != now.publish:
        return f"it was planned to publish {approved.publish}, now it is {now.publish}"
    wanted = {s.key: s for s in approved.steps}
    current = {s.key: s for s in now.steps}
    if wanted.keys() != current.keys():
        names = sorted(wanted.keys() ^ current.keys())
        return f"the pipeline's assets are others: {', '.join(n.removeprefix('main.') for n in names[:5])}"
    for key, step in wanted.items():
        found = current[key]
        state = states.get(key)
        if change and state is not None and state.change == change and not found.runs:
            continue
        if found.identity() != step.identity():
            return f"{step.name} is not as planned: {_describe_difference(step, found)}"
    return None


def _describe_difference(planned: PlanStep, now: PlanStep) -> str:
    if planned.fingerprint != now.fingerprint:
        return "its file changed"
    if sorted(planned.input_versions) != sorted(now.input_versions):
        return "its inputs changed"
    if planned.state != now.state:
        return "it was published since"
    return f"the plan was {planned.action}, now it is {now.action}"
