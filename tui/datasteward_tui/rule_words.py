"""Policy rules in words: what each allows, asks about or denies, and under which conditions."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datasteward.errors import ConfigError
from datasteward_tui.safe_text import show_line

if TYPE_CHECKING:
    from datasteward.changes.policy import PolicyRule


ONE_RULE = "only one [[policy.rules]] table is accepted"


def read_rule(text: str) -> "PolicyRule":
    """The one rule of a `[[policy.rules]]` text; raises `ConfigError` with a line for each fault: what, and what may be."""
    from pydantic import ValidationError

    from datasteward.changes.policy import PolicyRule

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}") from error
    rules = _only_rules(document)
    try:
        return PolicyRule.model_validate(rules[0])
    except ValidationError as error:
        faults = [_describe_fault(dict(fault), list(PolicyRule.model_fields)) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from error


def _only_rules(document: Mapping[str, Any]) -> Sequence[object]:
    """The rules of a text that holds exactly one and nothing else."""
    policy = document.get("policy", {})
    others = [f"[{name}]" for name in document if name != "policy"]
    others += [f"policy.{name}" for name in policy if name != "rules"] if isinstance(policy, dict) else ["policy"]
    if others:
        raise ConfigError(
            f"unknown table {others[0]}: {ONE_RULE}" if "." not in others[0] else f"{others[0]}: {ONE_RULE}"
        )
    rules = policy.get("rules", ())
    if not isinstance(rules, list) or len(rules) != 1:
        held = f"{len(rules)} rules" if isinstance(rules, list | tuple) else f"rules = {rules!r}"
        raise ConfigError(f"it holds {held}: one is accepted, under [[policy.rules]]")
    return rules


def _describe_fault(fault: Mapping[str, Any], known: Sequence[str]) -> str:
    key = ".".join(str(part) for part in fault["loc"]) or "the rule"
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        return f"unknown key '{key}'; " + (f"did you mean {near[0]}?" if near else f"accepted: {', '.join(known)}")
    expected = str(fault["msg"]).replace("Input should be", "expected")
    return f"{key} is missing" if fault["type"] == "missing" else f"{key} is {fault['input']!r}: {expected}"


def describe_rule(rule: "PolicyRule") -> list[tuple[str, str]]:
    """Label and harmless words for each condition; a rule without any holds for every change."""
    facts = [
        ("does", ", ".join(rule.kinds)),
        ("to", ", ".join(rule.tables)),
        ("rows", _range(rule.min_rows, rule.max_rows, "{:,}")),
        ("share", _range(rule.min_share, rule.max_share, "{:.0%}")),
        ("undo", _choose(rule.reversible, "only what can be undone", "also what cannot be undone")),
        ("asked by", ", ".join(rule.asked_by)),
        ("personal", _choose(rule.touches_pii, "personal data", "no personal data")),
    ]
    told = [(label, show_line(words, 400)) for label, words in facts if words]
    return told or [("always", "for every change")]


def _choose(is_set: bool | None, yes: str, no: str) -> str:
    return "" if is_set is None else yes if is_set else no


def _range(least: float | None, most: float | None, form: str) -> str:
    parts = []
    if least is not None:
        parts.append(f"at least {form.format(least)}")
    if most is not None:
        parts.append(f"at most {form.format(most)}")
    return ", ".join(parts)
