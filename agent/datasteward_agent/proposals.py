"""Reads from a tool's answer whether a change now waits for a decision, and what it would write."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasteward_agent.toolset import ToolAnswer

_ID = re.compile(r"c[0-9]+\Z")
_ID_KEYS = ("change", "proposal", "change_id", "proposal_id", "id", "handle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal as a tool answered it; `writes` are dataset names."""

    proposal_id: str
    status: str
    digest: str | None
    writes: tuple[str, ...]
    summary: str


def read_proposal(answer: ToolAnswer) -> Proposal | None:
    """The proposal that `answer` names in its structured form; None when it names none."""
    facts = answer.structured
    status = facts.get("status")
    proposal_id = next((str(facts[k]) for k in _ID_KEYS if isinstance(facts.get(k), str) and _ID.match(facts[k])), None)
    if proposal_id is None or not isinstance(status, str):
        return None
    digest = facts.get("digest")
    return Proposal(
        proposal_id=proposal_id,
        status=status,
        digest=digest if isinstance(digest, str) else None,
        writes=tuple(_read_writes(facts)),
        summary=answer.text[:500],
    )


def _read_writes(facts: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key in ("writes", "tables", "effects", "schema_changes", "files"):
        items = facts.get(key)
        for item in items if isinstance(items, list | tuple) else ():
            if isinstance(item, str):
                found.append(item)
            elif isinstance(item, Mapping):
                name = item.get("table") or item.get("name") or item.get("path")
                if isinstance(name, str):
                    found.append(name)
    return list(dict.fromkeys(found))
