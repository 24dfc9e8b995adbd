"""Makes a long history short without losing what counts: handles, decisions and the plan are kept by the harness."""

from datasteward_agent.conversation import AssistantMessage, Message, UserMessage, say, strip_thinking
from datasteward_agent.session_state import SessionState

KEPT_MESSAGES = 8
KEPT_HANDLES = 80
SHOWN_SQL = 300
FULL_SHARE = 0.75
"""The share of the context at which a history is made short."""
_CHARACTERS_PER_TOKEN = 3.5


def estimate_tokens(messages: tuple[Message, ...]) -> int:
    """A rough count, for histories whose size no server has told yet."""
    return int(sum(len(m.model_dump_json()) for m in messages) / _CHARACTERS_PER_TOKEN)


def find_cut(messages: tuple[Message, ...]) -> int:
    """Where the kept end begins: at a reply or at a person's words, never between a call and its result. 0: nowhere."""
    for index in range(max(1, len(messages) - KEPT_MESSAGES), len(messages)):
        message = messages[index]
        if isinstance(message, AssistantMessage) or message.text:
            return index
    return 0


def describe_kept(state: SessionState) -> str:
    """What is kept word for word whatever the summary says: results, decisions, open proposals, the plan, the wish."""
    lines = ["Kept by the harness:"]
    handles = list(state.handles.items())
    if len(handles) > KEPT_HANDLES:
        lines.append(f"({len(handles) - KEPT_HANDLES} older results not listed; their handles still work)")
    for handle, sql in handles[-KEPT_HANDLES:]:
        flat = " ".join(sql.split())
        lines.append(f"- {handle}: {flat[:SHOWN_SQL]}{'…' if len(flat) > SHOWN_SQL else ''}" if flat else f"- {handle}")
    for decision in state.decisions:
        lines.append(
            f"- {decision.proposal_id}: {decision.status}{f' ({decision.comment})' if decision.comment else ''}"
        )
    for proposal_id in state.waiting:
        lines.append(f"- {proposal_id}: waits for a decision")
    if state.approved_plan is not None:
        lines.append(f"Approved plan {state.approved_plan.to_text()}")
    elif state.pending_plan is not None:
        lines.append(f"Plan not yet decided on: {state.pending_plan.to_text()}")
    return "\n".join(lines)


def build_short_history(
    messages: tuple[Message, ...], cut: int, summary: str, state: SessionState
) -> tuple[Message, ...]:
    """One harness message with the person's words, the summary and the kept facts, then the kept end."""
    wishes = [m.text for m in messages[:cut] if isinstance(m, UserMessage) and m.author == "person" and m.text]
    said = "\n".join(f"- {' '.join(w.split())[:1000]}" for w in wishes[-10:])
    text = (
        "The conversation before this was long and has been replaced by this summary.\n\n"
        f"What the person said:\n{said or '- (nothing)'}\n\nSummary:\n{summary}\n\n{describe_kept(state)}"
    )
    return (say(text, "harness"), *strip_thinking(messages[cut:]))


def summarise_plainly(messages: tuple[Message, ...], cut: int) -> str:
    """A summary without a model: the last words of each reply that is dropped."""
    replies = [m.text for m in messages[:cut] if isinstance(m, AssistantMessage) and m.text.strip()]
    return "\n".join(f"- {' '.join(r.split())[:400]}" for r in replies[-20:]) or "(no words)"
