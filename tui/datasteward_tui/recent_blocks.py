"""What was recently not let through: changes denied or rejected, and calls that the gate or the policy refused."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from datasteward.journal import Entry, Journal
from datasteward.workspace import Workspace
from datasteward_tui.rules_screen import Blocked

if TYPE_CHECKING:
    from datasteward.changes.store import ChangeSummary

SHOWN = 40
_REFUSALS = {"forbidden": "refused by the gate", "needs_approval": "a change that was not proposed"}


def find_blocked(workspace: Workspace, changes: "Sequence[ChangeSummary]") -> list[Blocked]:
    """The latest first; reads the end of the journal. Raises `ToolError` when the journal cannot be read."""
    found = [_blocked_change(c) for c in changes if c.status in {"denied", "rejected"}]
    entries = Journal(workspace.journal_folder).read_latest()
    found += [_blocked_call(e) for e in entries if e.event == "call" and e.fields.get("outcome") in _REFUSALS]
    return sorted(found, key=lambda b: b.at, reverse=True)[:SHOWN]


def _blocked_change(change: "ChangeSummary") -> Blocked:
    at = datetime.fromtimestamp(change.created_at, UTC).isoformat()
    why = f"{change.message}: {change.title}" if change.message else change.title
    return Blocked(at=at, what=f"{change.handle} {change.status}", who=change.requested_by, why=why)


def _blocked_call(entry: Entry) -> Blocked:
    fields = entry.fields
    who = f"{fields.get('front_end', '')}:{fields.get('client', '')}"
    why = _REFUSALS[str(fields.get("outcome"))]
    return Blocked(at=entry.at, what=str(fields.get("tool", "")), who=who, why=why)
