"""A session as Markdown for people and as SQL for going on without an agent."""

from collections.abc import Iterable

from datasteward_agent.conversation import Text
from datasteward_agent.events import (
    ApprovalDecided,
    ApprovalRequested,
    Compacted,
    Event,
    EvidenceChecked,
    ModelSaid,
    Noticed,
    PlanDecided,
    PlanSubmitted,
    QueryRan,
    QuestionAsked,
    RetryWaited,
    RunEnded,
    RunStarted,
    ToolCalled,
    ToolReturned,
    UserSaid,
)


def export_markdown(session_id: str, events: Iterable[Event]) -> str:
    """Prompts, answers, SQL, what tools answered, decisions and outcomes in order, as one Markdown document."""
    blocks = [f"# Session {session_id}"]
    queries: set[str] = set()
    for event in events:
        if isinstance(event, QueryRan):
            queries.add(event.call_id)
        block = _block(event)
        if block:
            blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def _block(event: Event) -> str | None:
    match event:
        case RunStarted():
            return f"*{event.at}: {event.model} ({event.provider}), mode {event.mode}*"
        case UserSaid():
            words = "\n\n".join(p.text for p in event.message.parts if isinstance(p, Text))
            who = "You" if event.message.author == "person" else "Harness"
            return f"## {who}\n\n{words}" if words else None
        case ModelSaid():
            mark = "\n\n*(interrupted)*" if event.message.is_partial else ""
            return f"## Agent\n\n{event.message.text}{mark}" if event.message.text else None
        case ToolCalled():
            sql = event.arguments.get("sql")
            shown = sql if isinstance(sql, str) else str(event.arguments)
            return f"**{event.name}**\n\n{_code(shown, 'sql' if isinstance(sql, str) else '')}"
        case ToolReturned():
            return _code(event.text, "text")
        case ApprovalRequested():
            return f"> {event.proposal_id} waits for approval: {event.summary.splitlines()[0] if event.summary else ''}"
        case ApprovalDecided():
            return f"> {event.proposal_id}: {event.status}{f' ({event.comment})' if event.comment else ''}"
        case PlanSubmitted():
            return f"### Plan\n\n{event.plan.to_text()}"
        case PlanDecided():
            return f"> plan {event.plan.plan_id}: {event.verdict}{f' ({event.comment})' if event.comment else ''}"
        case QuestionAsked():
            return f"> {event.question}\n>\n> {event.answer or '(no answer)'}"
        case _:
            return _note(event)


def _note(event: Event) -> str | None:
    match event:
        case RetryWaited():
            return f"*tried again ({event.attempt} of {event.of}): {event.message}*"
        case Compacted():
            return f"*the history before this ({event.before_tokens:,} tokens) was summarised by the {event.by}*"
        case Noticed():
            return f"*{event.level}: {event.text}*"
        case EvidenceChecked() if event.is_final and event.figures:
            rows = [f"| {_cell(f.text)} | {f.verdict} | {_cell(f.detail)} |" for f in event.figures]
            return "\n".join(["| figure | verdict | from |", "|---|---|---|", *rows])
        case RunEnded():
            money = "" if event.usd_estimate is None else f", about ${event.usd_estimate:.4f} (estimate)"
            fault = f": {event.error}" if event.error else ""
            return f"*{event.outcome}{fault}; {event.turns} turns, {event.usage.total_tokens:,} tokens{money}*"
        case _:
            return None


def export_sql(session_id: str, events: Iterable[Event]) -> str:
    """Every statement that ran, in order, as a script; each with its handle and the prompt it answers."""
    lines = [f"-- Session {session_id}"]
    calls: dict[str, str] = {}
    for event in events:
        match event:
            case UserSaid() if event.message.author == "person" and event.message.text:
                lines.append("\n" + "\n".join(f"-- {line}" for line in event.message.text.splitlines()))
            case ToolCalled() if isinstance(event.arguments.get("sql"), str):
                calls[event.call_id] = event.arguments["sql"]
            case ToolReturned() if event.call_id in calls:
                note = f"-- {event.name} -> {' '.join(event.handles) or event.code or 'no result stored'}"
                body = calls[event.call_id].strip().rstrip(";")
                lines.append(f"{note}\n{_comment(body) if event.is_error else body + ';'}")
            case _:
                pass
    return "\n".join(lines) + "\n"


def _comment(sql: str) -> str:
    return "\n".join(f"-- {line}" for line in sql.splitlines())


def _code(text: str, language: str) -> str:
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}{language}\n{text}\n{ticks}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
