"""Where a run is written: data on stdout in one of three forms, words on stderr."""

import json
import sys
from typing import TextIO

from datasteward_agent.events import (
    ApprovalRequested,
    CallDenied,
    Compacted,
    Event,
    EvidenceChecked,
    Noticed,
    PlanSubmitted,
    QueryRan,
    RetryWaited,
    RunEnded,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from datasteward_agent.fencing import show_hidden
from datasteward_agent.session_store import scrub
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.run_settings import OutputForm

EXIT_CODES: dict[str, ExitCode] = {
    "done": ExitCode.DONE,
    "failed": ExitCode.INTERNAL,
    "denied": ExitCode.DENIED,
    "waiting": ExitCode.WAITING_FOR_APPROVAL,
    "max_turns": ExitCode.TOO_MANY_TURNS,
    "budget": ExitCode.OVER_BUDGET,
    "truncated": ExitCode.TRUNCATED,
    "refused": ExitCode.REFUSED_BY_MODEL,
    "schema_not_met": ExitCode.SCHEMA_NOT_MET,
    "assert_failed": ExitCode.SCHEMA_NOT_MET,
    "tool_failed": ExitCode.TOOL_FAILED,
    "auth": ExitCode.NOT_AUTHORISED,
    "timeout": ExitCode.TIMED_OUT,
    "evidence_missing": ExitCode.EVIDENCE_MISSING,
    "interrupted": ExitCode.INTERRUPTED,
    "terminated": ExitCode.TERMINATED,
}


class RunWriter:
    """Takes the events of a run; the result is always the last thing on stdout and is flushed."""

    def __init__(
        self,
        form: OutputForm,
        *,
        is_quiet: bool = False,
        hidden: tuple[str, ...] = (),
        out: TextIO | None = None,
        words: TextIO | None = None,
    ) -> None:
        self._hidden = hidden
        self._form = form
        self._is_quiet = is_quiet
        self._out = out or sys.stdout
        self._words = words or sys.stderr
        self.events: list[Event] = []
        self.is_broken = False

    def take(self, event: Event) -> None:
        """One event, as it happens."""
        self.events.append(event)
        if self._form == "stream-json":
            self.print_line(event.model_dump_json())
        elif isinstance(event, RunEnded):
            self.print_line(event.model_dump_json() if self._form == "json" else _answer(event))
        if not self._is_quiet:
            self._narrate(event)

    def say(self, text: str) -> None:
        """Words for a person."""
        print(scrub(show_hidden(text), self._hidden), file=self._words, flush=True)

    def print_line(self, line: str) -> None:
        """A line of data; `is_broken` tells afterwards that nobody reads any more."""
        if self.is_broken:
            return
        try:
            self._out.write(scrub(line, self._hidden) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self.is_broken = True

    def _narrate(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.say(f"session {event.session}, {event.model}, mode {event.mode}")
            case ToolCalled():
                self.say(f"· {event.name} {_short(event.arguments.get('sql') or event.arguments)}")
            case ToolReturned() if event.is_error:
                self.say(f"  {event.code}: {_short(event.text)}")
            case QueryRan():
                self.say(f"  -> {', '.join(event.handles)}")
            case CallDenied():
                self.say(f"! denied {event.name}: {event.reason}")
            case RetryWaited():
                self.say(
                    f"… {event.why}: {_short(event.message)} Trying again in {event.wait_seconds:g} s"
                    f" ({event.attempt} of {event.of})"
                )
            case ApprovalRequested():
                self.say(f"? {event.proposal_id} waits for approval: {_short(event.summary)}")
            case PlanSubmitted():
                self.say(event.plan.to_text())
            case EvidenceChecked():
                missing = [f.text for f in event.figures if f.verdict == "not_found"]
                self.say(
                    f"evidence: {len(event.figures)} figures, {len(missing)} not found {' '.join(missing)}".rstrip()
                )
            case Compacted():
                self.say(f"… {event.before_tokens:,} tokens of history were summed up")
            case Noticed():
                self.say(f"{event.level}: {event.text}")
            case RunEnded():
                self.say(_closing(event))
            case _:
                pass


def _answer(ended: RunEnded) -> str:
    if ended.structured_output is not None:
        return json.dumps(ended.structured_output, ensure_ascii=False)
    return show_hidden(ended.text) or (ended.plan.to_text() if ended.plan else "")


def _closing(ended: RunEnded) -> str:
    money = "" if ended.usd_estimate is None else f", about ${ended.usd_estimate:.4f} (estimate)"
    lines = [
        f"{ended.outcome}: {ended.turns} turns, {ended.usage.total_tokens:,} tokens{money}, {ended.seconds:g} s,"
        f" exit {int(EXIT_CODES[ended.outcome])}"
    ]
    if ended.error:
        lines.append(ended.error)
    if ended.hint:
        lines.append(ended.hint)
    if ended.denied:
        lines.append(f"denied: {'; '.join(ended.denied)}")
    if ended.failed_tools:
        lines.append(f"failed: {'; '.join(ended.failed_tools)}")
    if ended.waiting:
        lines.append(f"waiting for approval: {', '.join(ended.waiting)}")
        lines.append(f"then: steward run --resume {ended.session}")
    return "\n".join(lines)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 160 else f"{text[:160]}…"
