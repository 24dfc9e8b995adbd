"""Which calls the harness lets through: by mode, and by `--allow` and `--deny` rules.

This narrows what an agent may try. It is no protection of the data: that is the policy's, on what statements do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from datasteward.errors import ConfigError
from datasteward_agent.events import Mode
from datasteward_agent.toolset import STATUS_TOOL, ToolDefinition

_RULE = re.compile(r"\s*([A-Za-z_*?][\w*?-]*)\s*(?:\(\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*\))?\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRule:
    """`tool` or `tool(argument=pattern)`; both take `*` and `?`, and ignore case in the pattern."""

    tool: str
    argument: str | None = None
    pattern: str | None = None

    def matches(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the rule is about this call."""
        if not fnmatchcase(name, self.tool):
            return False
        if self.argument is None or self.pattern is None:
            return True
        value = arguments.get(self.argument)
        return value is not None and fnmatchcase(" ".join(str(value).lower().split()), self.pattern.lower())


def parse_rule(text: str) -> CallRule:
    """The rule; raises `ConfigError` with the two forms that are accepted."""
    match = _RULE.match(text)
    if match is None:
        raise ConfigError(
            f"'{text}' is not a rule.",
            hint="Write a tool's name, or tool(argument=pattern), such as run_query(sql=*orders*).",
        )
    return CallRule(tool=match[1], argument=match[2], pattern=match[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGate:
    """Mode and rules of a run. A denial beats an allowance; with any allow rule, writing tools need one."""

    mode: Mode
    allow: tuple[CallRule, ...] = ()
    deny: tuple[CallRule, ...] = ()

    def refuse(self, tool: ToolDefinition, arguments: Mapping[str, Any], mode: Mode) -> str | None:
        """Why the call is not let through, None when it is."""
        if any(r.matches(tool.name, arguments) for r in self.deny):
            return f"a --deny rule forbids this call of {tool.name}"
        if tool.read_only or tool.name == STATUS_TOOL:
            return None
        if mode == "plan":
            return f"{tool.name} changes something, and mode plan only reads; hand in a plan with submit_plan"
        if self.allow and not any(r.matches(tool.name, arguments) for r in self.allow):
            return f"no --allow rule covers this call of {tool.name}"
        return None
