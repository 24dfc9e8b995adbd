"""What a plan given with `steward run --plan` grants, once a person at the terminal has read it and said yes."""

import contextlib
import getpass
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import click

from datasteward.errors import ToolError
from datasteward_agent.plans import MeasuredWork, Plan, PlanStep, find_granting_step

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from datasteward.changes.service import ChangeService
    from datasteward.changes.store import ChangeRow
    from datasteward_cli.app import Scope

RUN_NAME = "steward run"
REQUESTED_BY = f"agent:{RUN_NAME}"
_OPEN_AGAIN = frozenset({"waiting", "moved", "failed", "expired"})


@dataclass(slots=True, kw_only=True)
class PlanGrant:
    """A person's yes to one plan, kept in this process only: what it grants ends with the run.

    `since` is the change store's clock at the yes; a change that is older is granted by its digest alone.
    """

    plan: Plan
    by: str
    since: float
    key: "Ed25519PrivateKey | None" = None
    requested_by: str = REQUESTED_BY
    spent: set[int] = field(default_factory=set)

    async def approve(
        self, service: "ChangeService", change: str, plan: Plan, channel: Literal["headless", "app"] = "headless"
    ) -> None:
        """Approve and apply the change if a step of the plan still grants it; anything else is left waiting."""
        if not _is_same(plan, self.plan):
            return
        row = await service.show(change)
        step = self._find_step(row)
        if step is None or row.summary.status != "waiting":
            return
        self.spent.add(step)
        report = await service.approve(
            change,
            digest=row.summary.digest,
            by=self.by,
            channel=channel,
            comment=f"granted by plan {plan.plan_id}, step {step + 1}, approved at the terminal",
            key=self.key,
        )
        if report.status in _OPEN_AGAIN:
            self.spent.discard(step)

    def _find_step(self, row: "ChangeRow") -> int | None:
        step = find_granting_step(self.plan, measure_work(row), frozenset(self.spent))
        if step is None or row.summary.digest in self.plan.steps[step].digests:
            return step
        is_of_this_run = row.proposal.requested_by == self.requested_by and row.summary.created_at >= self.since
        return step if is_of_this_run else None


def measure_work(row: "ChangeRow") -> MeasuredWork:
    """What a stored change does: by its statements and by its measured effect, whichever names more."""
    proposal, preview = row.proposal, row.proposal.preview
    touched = [w.label for s in proposal.statements for w in s.writes]
    touched += [t.table.label for t in preview.tables]
    touched += [c.name for c in preview.schema_changes]
    return MeasuredWork(
        digest=row.summary.digest,
        kinds=("undo",) if proposal.undo else tuple(dict.fromkeys(s.kind for s in proposal.statements)),
        writes=tuple(dict.fromkeys(touched)),
        sql=";\n".join(s.sql for s in proposal.statements),
        writes_files=bool(preview.files) or any(s.target_file for s in proposal.statements),
        breaks_checks=bool(preview.checks),
        is_reversible=preview.is_reversible,
    )


def ask_for_grant(scope: "Scope", plan: Plan) -> PlanGrant | None:
    """The person's yes to the plan that is shown; None where there is no terminal, so that nothing is granted.

    Words go to stderr, because stdout is the run's. Raises `ToolError` (cancelled) when the answer is no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    from datasteward_cli.changes_commands import drop_typed_ahead, user_name, with_service

    async def ask(service: "ChangeService") -> PlanGrant:
        click.echo(render_grants(plan))
        drop_typed_ahead()
        if not click.confirm("Carry out this plan, and apply what it grants without asking again?", default=False):
            raise ToolError("The plan was not approved, so nothing was run.", code="cancelled")
        key = None
        if service.needs_signature():
            key = service.unlock_approver(getpass.getpass("Approver's passphrase: "))
        return PlanGrant(plan=plan, by=user_name(), since=service.store.now(), key=key)

    with contextlib.redirect_stdout(sys.stderr):
        return with_service(scope, ask)


def render_grants(plan: Plan) -> str:
    """The plan for a person to decide on: every step, and under it exactly what a yes grants."""
    lines = [f"Plan: {_line(plan.goal)}"]
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"{number}. {_line(step.title)}")
        facts = (("reads", ", ".join(step.reads)), ("why", step.why), ("expected", step.expected))
        lines += [f"     {name}: {_line(text)}" for name, text in facts if text]
        lines += [f"   {grant}" for grant in _grants_of(step)]
    lines.append("Granted is only what can be taken back and breaks no check; all else is asked for.")
    return "\n".join(lines)


def _grants_of(step: PlanStep) -> list[str]:
    from datasteward.changes.quoting import quote

    grants = [f"GRANTS the change with digest {_line(d)}" for d in step.digests]
    if step.asks:
        return ["its change will be asked for"]
    if step.sql.strip() and step.writes:
        grants += [f"GRANTS one change of {_line(', '.join(step.writes))} by exactly this SQL:"]
        grants += quote(step.sql.strip())
    elif step.kinds and step.writes:
        grants.append(f"GRANTS one change by {_line(', '.join(step.kinds))} of {_line(', '.join(step.writes))}")
    elif step.writes:
        grants.append(f"writes {_line(', '.join(step.writes))}, by kinds it does not name: will be asked for")
    return grants or ["grants nothing"]


def _line(text: str) -> str:
    from datasteward.changes.quoting import make_safe

    return make_safe(" ".join(text.split()))


def _is_same(plan: Plan, other: Plan) -> bool:
    return plan.goal == other.goal and plan.steps == other.steps
