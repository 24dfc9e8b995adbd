"""The whole story of a change, as JSON for programs and as a Markdown page for a reader."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from datasteward.changes.digest import show_digest
from datasteward.changes.quoting import make_line, make_safe
from datasteward.changes.render import STATES, has_effect_to_take_back, render_preview
from datasteward.changes.stored import ChangeEvent, ChangeRow

_STEPS = {
    "change.proposed": "proposed",
    "change.approved": "approved",
    "change.rejected": "rejected",
    "change.postponed": "left for later",
    "change.edited": "edited",
    "change.applying": "applying began",
    "change.applied": "applied",
    "change.interrupted": "interrupted before anything was changed",
    "change.moved": "not applied, since what it touches had moved",
    "change.failed": "failed; nothing was changed",
    "change.expired": "expired",
    "change.unknown": "outcome not known yet",
}
_DECISIONS = frozenset({"change.approved", "change.rejected", "change.postponed", "change.edited"})


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


def trace_markdown(row: ChangeRow, events: Sequence[ChangeEvent], *, root: Path | None = None) -> str:
    """The decision trace as a page: who asked what and why, SQL, effect, policy, decisions, outcome and hashes.

    Everything that others wrote stands in code blocks, so that none of it is Markdown.
    """
    sections = (
        ("Why, in their words (not verified)", _fence(row.proposal.purpose) if row.proposal.purpose else []),
        ("What is done", list(_work(row))),
        ("Effect, measured and rolled back before it was decided on", _fence(_effect(row, root))),
        ("Policy", _fence(row.verdict)),
        ("Decisions", list(_decisions(events)) or ["Nobody has decided on it."]),
        ("Outcome", list(_outcome(row, events))),
        ("Steps and hashes", _hashes(row, events)),
    )
    lines = [f"# Change {row.summary.handle}: {STATES[row.summary.status]}", ""]
    lines += [f"Asked by {_code(row.proposal.requested_by)} at {_time(row.summary.created_at)}.", ""]
    for title, body in sections:
        if body:
            lines += [f"## {title}", "", *body, ""]
    return "\n".join(lines)


def _work(row: ChangeRow) -> Iterator[str]:
    proposal = row.proposal
    if proposal.undo is not None:
        yield f"It takes back {proposal.undo.change}."
    for number, statement in enumerate(proposal.statements):
        yield from [""] * bool(number)
        yield from _fence(statement.sql, "sql")
    if proposal.parameters:
        yield from ["", "With the parameters:", ""]
        yield from _fence("\n".join(f"{p.name} = {p.value!r}" for p in proposal.parameters))


def _effect(row: ChangeRow, root: Path | None) -> str:
    stands = has_effect_to_take_back(row.summary.status, row.summary.undone_by)
    return render_preview(row.proposal.preview, with_return=stands, reader="person", root=root)


def _decisions(events: Sequence[ChangeEvent]) -> Iterator[str]:
    for event in events:
        if event.event in _DECISIONS:
            by, channel, comment = (str(event.fields.get(key) or "") for key in ("by", "channel", "comment"))
            where = f" ({channel})" if channel else ""
            yield f"- {_time(event.at)}: {_STEPS[event.event]} by {_code(by)}{where}{':' if comment else ''}"
            if comment:
                yield from ["", *(f"  {line}" for line in _fence(comment)), ""]


def _outcome(row: ChangeRow, events: Sequence[ChangeEvent]) -> Iterator[str]:
    summary = row.summary
    yield f"{STATES[summary.status].capitalize()}."
    said_already = row.approval.comment if row.approval is not None else ""
    if summary.message and summary.message != said_already:
        yield from ["", *_fence(summary.message)]
    if row.applied is not None and row.applied_at is not None:
        yield f"It took {row.applied.seconds:.2f} s and was committed by {_time(row.applied_at)}."
        if any(e.event == "change.applied" and e.fields.get("was_interrupted") for e in events):
            yield "Its process was interrupted; the receipt in the database showed that it had been applied."
        if row.applied.proven:
            yield "Proven: the fingerprint equals the one before the change that it takes back."
    if summary.replaced_by is not None:
        yield f"c{summary.replaced_by} takes its place."
    if summary.undone_by is not None:
        yield f"It was taken back by c{summary.undone_by}."


def _hashes(row: ChangeRow, events: Sequence[ChangeEvent]) -> list[str]:
    digest = row.summary.digest
    lines = [f"- digest: `{digest}` ({show_digest(digest)})"]
    if row.approval is not None:
        signed = "signed with the approver's key" if row.approval.signature else "not signed"
        lines.append(f"- decision names digest: `{row.approval.digest}`, {signed}")
    if row.applied is not None and row.applied.record_hash:
        lines.append(f"- undo record: `{row.applied.record_hash}`")
    lines += ["", "| step | when | what | journal entry |", "|--:|---|---|---|"]
    for event in events:
        entry = f"`{event.entry_hash}`" if event.entry_hash else "not written yet"
        lines.append(f"| {event.id} | {_time(event.at)} | {_STEPS.get(event.event, event.event)} | {entry} |")
    return lines


def _fence(text: str, language: str = "text") -> list[str]:
    """A code block that its text cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return [f"{mark}{language}", *make_safe(text).split("\n"), mark]


def _code(text: str) -> str:
    shown = make_line(text).replace("`", "'")
    return f"`{shown}`" if shown else "someone"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
