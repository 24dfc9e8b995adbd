"""The policy in plain lines, as the approver is shown it before it is signed."""

from collections.abc import Iterator

from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.quoting import make_line


def policy_lines(policy: PolicySettings) -> list[str]:
    """The rules in their order: what an `allow` rule asks for in full, others by name; then what no rule settles."""
    default = "is asked about" if policy.default == "ask" else "is denied"
    if not policy.rules:
        return [f"The policy has no rules: every change {default}."]
    lines = ["The policy, in the order of its rules:"]
    for number, rule in enumerate(policy.rules, 1):
        lines.append(f"{number:>3}. {rule.verdict:<5} {make_line(rule.name)}")
        if rule.verdict == "allow":
            lines += [f"       {line}" for line in _condition_lines(rule)]
    return [*lines, f"What no rule settles {default}."]


def _condition_lines(rule: PolicyRule) -> Iterator[str]:
    conditions = rule.model_dump(mode="json", exclude={"name", "verdict"}, exclude_defaults=True)
    for name, value in conditions.items():
        yield f"{name}: {make_line(_words(value))}"
    if not conditions:
        yield "no condition: every change that can be taken back and breaks no check"


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
