"""Steps of changes on their way into the journal, and the whole story of a change as JSON and Markdown."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from datasteward.changes.digest import show_digest
from datasteward.changes.ports import JournalLike, JsonLike
from datasteward.changes.store import ChangeEvent, ChangeRow, ChangeStore


class JournalWriter:
    """Moves steps from the state database into the journal; a crash in between repeats a step, never loses one."""

    def __init__(self, store: ChangeStore, journal: JournalLike) -> None:
        self._store = store
        self._journal = journal

    def flush(self) -> None:
        """Write every step that the journal misses, in order; repeated ones carry the same `step` number."""
        for event in self._store.unwritten_events():
            fields: dict[str, JsonLike] = {
                **json.loads(json.dumps(dict(event.fields))),
                "proposal": f"c{event.number}",
                "step": event.id,
            }
            entry = self._journal.append(event.event, fields)
            with self._store.transaction() as moves:
                moves.mark_written(event.id, entry.hash)


def trace_json(row: ChangeRow, events: Sequence[ChangeEvent]) -> str:
    """The decision trace: proposal, verdicts, decisions and outcome with their hashes, as indented JSON."""
    document = {
        "change": row.summary.handle,
        "status": row.summary.status,
        "digest": row.summary.digest,
        "proposal": row.proposal.model_dump(mode="json"),
        "policy": row.verdict,
        "approval": row.approval.model_dump(mode="json") if row.approval else None,
        "applied": row.applied.model_dump(mode="json") if row.applied else None,
        "steps": [
            {"step": e.id, "at": _time(e.at), "event": e.event, "fields": dict(e.fields), "journal": e.entry_hash}
            for e in events
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def trace_markdown(row: ChangeRow, events: Sequence[ChangeEvent]) -> str:
    """The decision trace as a Markdown page."""
    lines = [
        f"# Change {row.summary.handle}: {row.summary.status}",
        "",
        f"Digest `{row.summary.digest}` ({show_digest(row.summary.digest)}), asked by {row.summary.requested_by}.",
        "",
    ]
    for statement in row.proposal.statements:
        lines += ["```sql", statement.sql, "```", ""]
    lines += ["| step | when | event | details | journal entry |", "|--:|---|---|---|---|"]
    for event in events:
        details = "; ".join(
            f"{k}: {v}" for k, v in event.fields.items() if v not in ("", None, []) and k != "sql_sha256"
        )
        safe = details.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {event.id} | {_time(event.at)} | {event.event} | {safe} | {(event.entry_hash or '')[:12]} |")
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
