"""A decision made once and for all: the policy rule that a change suggests, and writing it into `steward.toml`."""

import json
import os
import tomllib
from pathlib import Path

from pydantic import ValidationError

from datasteward.changes.counts import count_of
from datasteward.changes.kinds import CHANGE_KINDS
from datasteward.changes.model import Proposal
from datasteward.changes.policy import PolicyRule, PolicySettings, facts_of, judge
from datasteward.errors import ConfigError, ToolError
from datasteward.file_lock import hold_file_lock
from datasteward.model_faults import describe_faults
from datasteward.settings import load_settings
from datasteward.workspace import Workspace

LOCK_NAME = "settings.lock"
_HEAD = "[[policy.rules]]"
_MAGIC = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


def rule_for(proposal: Proposal, policy: PolicySettings) -> str:
    """The narrowest `[[policy.rules]]` text that would have allowed the change: its kinds, tables, rows, asker and, where
    there is none, no personal data.

    Raises `ToolError` (forbidden) when no such rule can be: the change cannot be taken back, breaks a check, touches
    no table or is of no kind that a rule could name, or an earlier rule decides on it.
    """
    facts = facts_of(proposal)
    if not facts.is_reversible:
        raise _no_rule("it cannot be taken back, and that is decided each time")
    if facts.breaks_checks:
        raise _no_rule("it breaks a check, and that is never allowed without asking")
    if not facts.tables or proposal.preview.files:
        raise _no_rule("it writes what a rule cannot name; rules name kinds and tables")
    if unknown := [k for k in facts.kinds if k not in CHANGE_KINDS]:
        raise _no_rule(f"rules do not know the kind {', '.join(unknown)}")
    shown = ", ".join(t.removeprefix("main.") for t in facts.tables)
    rule = PolicyRule(
        name=f"{'/'.join(facts.kinds)} on {shown}, {_rows_of(facts.rows)}",
        verdict="allow",
        kinds=tuple(k.translate(_MAGIC) for k in facts.kinds),
        tables=tuple(t.translate(_MAGIC) for t in facts.tables),
        max_rows=facts.rows,
        reversible=True,
        asked_by=(facts.asked_by.translate(_MAGIC),),
        touches_pii=False if facts.touches_pii is False else None,
    )
    found = judge(policy.model_copy(update={"rules": (*policy.rules, rule)}), facts)
    if found.verdict != "allow":
        raise _no_rule(f"{found.rule} comes first and says {found.verdict}; change that one in steward.toml")
    return _write_rule(rule)


def _rows_of(rows: int | None) -> str:
    return "as many rows as it takes" if rows is None else f"up to {count_of(rows, 'row')}"


def _no_rule(reason: str) -> ToolError:
    return ToolError(f"No rule can allow this: {reason}.", code="forbidden", hint="Approve or reject this one change.")


def _write_rule(rule: PolicyRule) -> str:
    values = rule.model_dump(mode="json", exclude_defaults=True)
    return "\n".join([_HEAD, *(f"{key} = {_value(value)}" for key, value in values.items())]) + "\n"


def _value(value: object) -> str:
    """A TOML value; JSON writes these the same way but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def add_rule(workspace: Workspace, text: str) -> PolicyRule:
    """Append one `[[policy.rules]]` text to `steward.toml` and return the rule; nothing else in the file changes.

    The file is replaced in one step, made when missing, and left alone unless what it says afterwards is exactly what
    it said before and the rule. With an approver's key the policy has to be signed anew before its rules count.
    Raises `ConfigError` when the file or the text is not valid, `ToolError` (conflict) when the rule is there already.
    """
    rule = _read_rule(text)
    workspace.make_state_folder()
    with hold_file_lock(workspace.state_folder / LOCK_NAME):
        load_settings(workspace, environment={})
        path = workspace.settings_path.resolve()
        earlier = path.read_bytes().decode() if path.is_file() else ""
        joint = "" if not earlier else "\n" if earlier.endswith("\n") else "\n\n"
        later = f"{earlier}{joint}{text.strip()}\n"
        _require_only_added(path.name, earlier, later, rule)
        _replace(path, later)
    return rule


def _read_rule(text: str) -> PolicyRule:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"This is not a rule: {error}.", hint=f"Write one {_HEAD} table.") from error
    try:
        policy = PolicySettings.model_validate(document.get("policy"))
    except ValidationError as error:
        faults = "\n".join(describe_faults(error, PolicySettings, document.get("policy")))
        raise ConfigError(f"This is not a rule: {faults}", hint=f"Write one {_HEAD} table.") from error
    if set(document) != {"policy"} or set(document["policy"]) != {"rules"} or len(policy.rules) != 1:
        raise ConfigError("The text holds more or less than one rule.", hint=f"Write one {_HEAD} table.")
    return policy.rules[0]


def _require_only_added(name: str, earlier: str, later: str, rule: PolicyRule) -> None:
    before = tomllib.loads(earlier)
    try:
        after = tomllib.loads(later)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"The rule cannot be appended to {name}: {error}.", hint=f"Write the rules there as {_HEAD} tables."
        ) from error
    had = PolicySettings.model_validate(before.get("policy", {}))
    has = PolicySettings.model_validate(after.get("policy", {}))
    if rule in had.rules:
        raise ToolError(f"{name} has this rule already.", code="conflict")
    others_stay = {k: v for k, v in before.items() if k != "policy"} == {
        k: v for k, v in after.items() if k != "policy"
    }
    if not others_stay or has != had.model_copy(update={"rules": (*had.rules, rule)}):
        raise ConfigError(f"The rule cannot be appended to {name} without changing what else it says.")


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.chmod(mode)
    draft.replace(path)
