"""Policy rules in words: what each allows, asks about or denies, and under which conditions."""

import tomllib
from typing import TYPE_CHECKING

from datasteward_tui.safe_text import show_line

if TYPE_CHECKING:
    from datasteward.changes.policy import PolicyRule


def read_rule(text: str) -> "PolicyRule | None":
    """The one rule of a `[[policy.rules]]` text, None when it is not one."""
    from pydantic import ValidationError

    from datasteward.changes.policy import PolicySettings

    try:
        rules = PolicySettings.model_validate(tomllib.loads(text).get("policy", {})).rules
    except (tomllib.TOMLDecodeError, ValidationError):
        return None
    return rules[0] if len(rules) == 1 else None


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
