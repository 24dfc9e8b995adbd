"""Plans: an agent's ordered steps, what a person made of them, and what an approval grants."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, ValidationError

from datasteward.errors import ConfigError
from datasteward_agent.conversation import Shape


class PlanStep(Shape):
    """One step: the datasets it reads and writes, why, the effect that is expected, and its SQL where it is known.

    Approved by a person, a step grants one change to nothing but `writes`: of exactly its `sql` when it has one, else
    of the statement `kinds` named; or the change whose digest is among `digests`. A step that names none of these, or
    that the person wants to be asked about, grants nothing.
    """

    title: str = Field(min_length=1, max_length=200)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    why: str = ""
    expected: str = ""
    sql: str = ""
    asks: bool = False
    """The person approved the step and wants to see its change before it is applied."""


class Plan(Shape):
    """Steps in order under a handle such as `p1`."""

    plan_id: str = ""
    goal: str = Field(min_length=1)
    steps: tuple[PlanStep, ...] = Field(min_length=1, max_length=50)

    @property
    def writes(self) -> frozenset[str]:
        """Every dataset that some step writes, in lower case."""
        return frozenset(fold_name(w) for s in self.steps for w in s.writes)

    def to_text(self) -> str:
        """The plan as a numbered list."""
        lines = [f"{self.plan_id or 'plan'}: {self.goal}"]
        for number, step in enumerate(self.steps, 1):
            facts = [
                f"reads {', '.join(step.reads)}" if step.reads else "",
                f"writes {', '.join(step.writes)}" if step.writes else "writes nothing",
                f"by {', '.join(step.kinds)}" if step.kinds else "",
                f"change with digest {', '.join(step.digests)}" if step.digests else "",
                f"expected: {step.expected}" if step.expected else "",
                f"why: {step.why}" if step.why else "",
                "its change is asked for" if step.asks else "",
            ]
            lines.append(f"{number}. {step.title} ({'; '.join(f for f in facts if f)})")
            lines += [f"   {line}" for line in step.sql.strip().splitlines()]
        return "\n".join(lines)


class PlanDecision(Shape):
    """A person's decision on the plan as they left it: steps edited, dropped or put in another order."""

    verdict: Literal["approved", "rejected", "later"]
    plan: Plan
    comment: str = ""


def fold_name(name: str) -> str:
    """A dataset name for comparing: case and the schema `main` don't matter in DuckDB."""
    folded = name.strip().strip('"').lower()
    return folded.removeprefix("main.")


def find_deviations(plan: Plan, writes: tuple[str, ...]) -> tuple[str, ...]:
    """The datasets a change writes that no step of the approved plan names."""
    return tuple(w for w in writes if fold_name(w) not in plan.writes)


def has_digests(plan: Plan) -> bool:
    """Whether some step names a change by its digest."""
    return any(step.digests for step in plan.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredWork:
    """What a waiting change was measured to do: `writes` are the tables, views and other objects it touches.

    `sql` is its statements, joined by `;` and a line end.
    """

    digest: str
    kinds: tuple[str, ...]
    writes: tuple[str, ...]
    sql: str = ""
    writes_files: bool
    breaks_checks: bool
    is_reversible: bool


def find_granting_step(plan: Plan, work: MeasuredWork, spent: frozenset[int] = frozenset()) -> int | None:
    """The index of the first step not yet `spent` that grants exactly this work, or None.

    What cannot be taken back or breaks a check is never granted, and files only by digest.
    """
    if not work.is_reversible or work.breaks_checks:
        return None
    for index, step in enumerate(plan.steps):
        if index not in spent and not step.asks and (work.digest in step.digests or _covers(step, work)):
            return index
    return None


def _covers(step: PlanStep, work: MeasuredWork) -> bool:
    named, kinds = {fold_name(w) for w in step.writes}, {k.strip().lower() for k in step.kinds}
    is_meant = fold_sql(step.sql) == fold_sql(work.sql) if step.sql.strip() else kinds.issuperset(work.kinds)
    return (
        is_meant
        and bool(work.writes)
        and bool(work.kinds)
        and not work.writes_files
        and named.issuperset(map(fold_name, work.writes))
    )


def fold_sql(sql: str) -> str:
    """SQL for comparing: only line ends and what stands around the text make no difference."""
    return sql.replace("\r\n", "\n").strip().rstrip(";").rstrip()


def parse_plan(text: str, origin: str) -> Plan:
    """A plan from JSON as `--plan-only` printed it; raises `ConfigError` naming the fault."""
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(p) for p in fault["loc"]) or "the file"
        raise ConfigError(
            f"{origin} is not a plan: {where}: {fault['msg']}.",
            hint="steward run --plan-only --json prints one under the key 'plan'.",
        ) from error
