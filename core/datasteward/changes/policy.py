"""Policy: ordered rules on what a change does, never on its text; what no rule settles is asked."""

import fnmatch
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from datasteward.changes.counts import count_of
from datasteward.changes.kinds import CHANGE_KINDS, can_meet, explain_unknown
from datasteward.changes.model import Model, Proposal, SchemaChange, TableName, Verdict
from datasteward.changes.quoting import make_line
from datasteward.errors import ConfigError
from datasteward.model_faults import describe_faults

_CASES_HINT = 'Write [[case]] tables with name, expect and facts = { kinds = ["insert"], rows = 5 }.'
Truth = bool | None
"""None when a fact is not known."""


class PolicyRule(BaseModel):
    """One rule of `[[policy.rules]]`; every condition that is set must hold.

    An `allow` rule needs each condition known and true for all tables and kinds of the change; an `ask` or `deny` rule
    holds as soon as one table or kind meets it, and when a fact is not known. An `allow` rule covers what cannot be
    taken back only with `reversible = false`, and never a change that breaks a check.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """What the rule is called in explanations."""
    verdict: Verdict
    """`allow`, `ask` or `deny`."""
    kinds: tuple[str, ...] = ()
    """Statement kinds, as globs: `insert`, `update`, `delete`, `merge`, `create_*`, `drop_*`, `copy_to`, `undo`."""
    tables: tuple[str, ...] = ()
    """Tables touched, as globs on `schema.table`; a name without a dot means schema `main`."""
    max_rows: int | None = Field(default=None, ge=0)
    """Holds when at most this many rows change."""
    min_rows: int | None = Field(default=None, ge=0)
    """Holds when at least this many rows change."""
    max_share: float | None = Field(default=None, ge=0, le=1)
    """Holds when at most this share of any table's rows changes."""
    min_share: float | None = Field(default=None, ge=0, le=1)
    """Holds when at least this share of some table's rows changes."""
    reversible: bool | None = None
    """Holds when the change can, or cannot, be taken back."""
    asked_by: tuple[str, ...] = ()
    """Who asks, as globs on `front end:client`, such as `mcp:claude-*`."""
    touches_pii: bool | None = None
    """Holds when a changed column holds personal data by contract, name or values, or none does."""

    @field_validator("kinds")
    @classmethod
    def _meet_a_kind(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for glob in kinds:
            if not can_meet(glob):
                raise ValueError(explain_unknown(glob))
        return kinds


class PolicySettings(BaseModel):
    """`[policy]`: what is decided without asking, and how long decisions last."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rules: tuple[PolicyRule, ...] = ()
    """Rules in order; the first that holds decides."""
    default: Literal["ask", "deny"] = "ask"
    """What happens when no rule holds."""
    elicit: Literal["reversible", "never"] = "reversible"
    """What the user of an MCP client may decide in the client: `reversible`, what can be taken back, breaks no check, is
    not of high risk and changes at most a tenth of a table; or `never`, nothing. The rest waits for the inbox."""
    proposal_hours: float = Field(default=24.0, gt=0, le=24 * 365)
    """How long a proposal waits for a decision."""
    approval_minutes: float = Field(default=15.0, gt=0, le=60 * 24 * 7)
    """How long an approval may wait to be applied."""
    undo_bytes: int = Field(default=20 * 10**9, ge=0)
    """Disk for all undo records; the oldest go first, the newest always stays."""
    undo_days: float = Field(default=30.0, gt=0)
    """Undo records older than this are removed."""


class ChangeFacts(Model):
    """The computed facts that rules judge; None is what is not known.

    `tables` are those that change, those that an export reads, and schemas that appear or go as `schema.*`. `rows` and
    `share` are not known of a pipeline run before it ran, `touches_pii` when columns could not be looked at.
    """

    kinds: tuple[str, ...]
    tables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    rows: int | None = 0
    share: float | None = 0.0
    is_reversible: bool = True
    breaks_checks: bool = False
    asked_by: str = ""
    touches_pii: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """Whether one rule held, and the first condition that said otherwise."""

    name: str
    verdict: Verdict
    holds: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerdict:
    """What the policy says, which rule decided, and what became of the rules before it."""

    verdict: Verdict
    rule: str
    outcomes: tuple[RuleOutcome, ...]

    def to_text(self) -> str:
        """One line for the verdict and one for each rule looked at."""
        lines = [f"{self.verdict}: decided by {self.rule}"]
        lines += [f"  {'holds' if o.holds else 'no   '}  {o.name} ({o.verdict}): {o.because}" for o in self.outcomes]
        return "\n".join(make_line(line) for line in lines)


def facts_of(proposal: Proposal) -> ChangeFacts:
    """The facts of a proposal."""
    preview = proposal.preview
    tables = [_full(t.table) for t in preview.tables]
    tables += [
        t.renamed_from if "." in t.renamed_from else f"main.{t.renamed_from}" for t in preview.tables if t.renamed_from
    ]
    tables += [_place(c) for c in preview.schema_changes]
    tables += [_full(r) for s in proposal.statements if s.kind == "copy_to" for r in s.reads]
    counts = [t.inserted + t.updated + t.deleted for t in preview.tables]
    written = [max(f.rows or 0, f.rows_before or 0) for f in preview.files]
    is_known = not any(t.is_estimated for t in preview.tables)
    shares = [n / max(1, t.rows_before) for n, t in zip(counts, preview.tables, strict=True)]
    return ChangeFacts(
        kinds=("undo",)
        if proposal.undo and not proposal.statements
        else tuple(dict.fromkeys(s.kind for s in proposal.statements)),
        tables=tuple(dict.fromkeys(tables)),
        files=tuple(f.path for f in preview.files),
        rows=sum(counts) + sum(written) if is_known else None,
        share=min(1.0, max(shares, default=0.0)) if is_known else None,
        is_reversible=preview.is_reversible,
        breaks_checks=bool(preview.checks),
        asked_by=proposal.requested_by,
        touches_pii=None if preview.personal is None else bool(preview.personal),
    )


def _full(table: TableName) -> str:
    return f"{table.schema_name}.{table.name}"


def _place(change: SchemaChange) -> str:
    if change.kind == "schema":
        return f"{change.name}.*"
    bare = change.name.removeprefix(f"{change.schema_name}.") if change.schema_name != "main" else change.name
    return f"{change.schema_name}.{bare}"


def judge(settings: PolicySettings, facts: ChangeFacts) -> PolicyVerdict:
    """The verdict of the first rule that holds, or the default."""
    outcomes = []
    for rule in settings.rules:
        reason = _why_not(rule, facts)
        outcomes.append(
            RuleOutcome(
                name=rule.name, verdict=rule.verdict, holds=reason is None, because=reason or "every condition holds"
            )
        )
        if reason is None:
            return PolicyVerdict(verdict=rule.verdict, rule=f"rule '{rule.name}'", outcomes=tuple(outcomes))
    return PolicyVerdict(verdict=settings.default, rule="the default", outcomes=tuple(outcomes))


def _why_not(rule: PolicyRule, facts: ChangeFacts) -> str | None:
    is_allow = rule.verdict == "allow"
    if is_allow and facts.breaks_checks:
        return "the change breaks a check"
    if is_allow and not facts.is_reversible and rule.reversible is not False:
        return "the change cannot be taken back"
    for truth, reason in _conditions(rule, facts):
        if truth is False or (truth is None and is_allow):
            return reason
    return None


def _conditions(rule: PolicyRule, facts: ChangeFacts) -> list[tuple[Truth, str]]:
    is_allow = rule.verdict == "allow"
    rows, share = facts.rows, facts.share
    changing = "how many rows change is not known"
    if rows is not None:
        changing = f"{count_of(rows, 'row')} {'changes' if rows == 1 else 'change'}"
    part = "which share of a table changes is not known" if share is None else f"{share:.1%} of a table changes"
    found: list[tuple[Truth, str]] = []
    if rule.kinds:
        found.append((_match(facts.kinds, rule.kinds, is_allow), f"kinds are {', '.join(facts.kinds)}"))
    if rule.tables:
        touched, globs = _in_schemas(facts.tables), _in_schemas(rule.tables)
        found.append((_match(touched, globs, is_allow), f"tables are {', '.join(touched) or 'none'}"))
        if is_allow and facts.files and not rule.kinds:
            found.append((False, "it writes files, which a rule on tables allows only if it names the kinds"))
    if rule.asked_by:
        found.append((_match((facts.asked_by,), rule.asked_by, is_allow), f"asked by {facts.asked_by}"))
    if rule.max_rows is not None:
        found.append((None if rows is None else rows <= rule.max_rows, f"{changing}, more than {rule.max_rows:,}"))
    if rule.min_rows is not None:
        found.append((None if rows is None else rows >= rule.min_rows, f"{changing}, fewer than {rule.min_rows:,}"))
    if rule.max_share is not None:
        found.append((None if share is None else share <= rule.max_share, part))
    if rule.min_share is not None:
        found.append(
            (None if share is None else share >= rule.min_share, f"only {part}" if share is not None else part)
        )
    if rule.reversible is not None:
        found.append((facts.is_reversible == rule.reversible, f"reversible is {facts.is_reversible}"))
    if rule.touches_pii is not None:
        known = None if facts.touches_pii is None else facts.touches_pii == rule.touches_pii
        found.append((known, f"touches_pii is {'not known' if facts.touches_pii is None else facts.touches_pii}"))
    return found


def _in_schemas(names: Sequence[str]) -> tuple[str, ...]:
    """Names as `schema.table`; one without a dot is in `main`."""
    return tuple(name if "." in name else f"main.{name}" for name in names)


def _match(values: Sequence[str], globs: Sequence[str], is_allow: bool) -> Truth:
    if not values:
        return False if is_allow else None
    hits = [any(fnmatch.fnmatchcase(v.lower(), g.lower()) for g in globs) for v in values]
    return all(hits) if is_allow else any(hits)


class CaseFacts(ChangeFacts):
    """Facts as a person writes them; a kind that no change is of is a mistake."""

    @field_validator("kinds")
    @classmethod
    def _are_kinds(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if kind not in CHANGE_KINDS:
                raise ValueError(explain_unknown(kind))
        return kinds


class PolicyCase(Model):
    """One case of a policy test file: facts, and the verdict they must get."""

    name: str
    expect: Verdict
    facts: CaseFacts


class _CaseFile(Model):
    case: tuple[PolicyCase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """What the policy said to one case."""

    case: PolicyCase
    found: PolicyVerdict

    @property
    def passed(self) -> bool:
        """Whether it said what was expected."""
        return self.found.verdict == self.case.expect


def run_cases(settings: PolicySettings, path: Path) -> tuple[CaseOutcome, ...]:
    """Judge every `[[case]]` of a TOML file; raises `ConfigError` when the file is not one of cases."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not a file of policy cases: {error}.", hint=_CASES_HINT) from error
    try:
        cases = _CaseFile.model_validate(document).case
    except ValidationError as error:
        faults = "\n".join(describe_faults(error, _CaseFile, document))
        raise ConfigError(f"{path} is not a file of policy cases:\n{faults}", hint=_CASES_HINT) from error
    return tuple(CaseOutcome(case=c, found=judge(settings, c.facts)) for c in cases)
