"""The tool `check_answer`."""

import asyncio

from pydantic import Field

from datasteward.errors import ToolError
from datasteward.evidence.passages import citations_in
from datasteward.lineage.noting import AnswerFigure, note_answer
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool

RECENT_RESULTS = 20


class CheckAnswerInput(ToolInput):
    text: str = Field(max_length=200_000, description="With its [r17] citations.")
    handles: list[str] | None = Field(default=None, max_length=50, description="For figures without citation.")


class FigureVerdict(ToolOutput):
    figure: str
    start: int
    end: int
    status: str
    is_cited: bool
    cells: list[str]
    formula: str | None = None
    derivation: str | None = None
    reason: str | None = None
    nearest: str | None = None
    line: str = Field(exclude=True)


class CheckAnswerOutput(ToolOutput):
    is_backed: bool
    verdicts: list[FigureVerdict]
    unknown_handles: list[str]
    cuts: list[str]
    number_words: list[str]
    answer: str | None = None
    """The name under which lineage keeps the answer."""

    def to_text(self) -> str:
        """A summary, then what needs mending first, then the rest."""
        counts = {
            s: sum(v.status == s for v in self.verdicts) for s in ("backed", "derived", "not_found", "not_checkable")
        }
        told = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in counts.items() if n) or "no figures"
        kept = f" (traceable as {self.answer})" if self.answer else ""
        lines = [f"{'backed' if self.is_backed else 'NOT backed'}: {told}{kept}"]
        lines += [f"unknown citation: {h}" for h in self.unknown_handles]
        ordered = sorted(self.verdicts, key=lambda v: v.status != "not_found")
        lines += [f"- {v.line}" for v in ordered[:60]]
        if len(ordered) > 60:
            lines.append(f"… {len(ordered) - 60} more")
        lines += [f"cut: {cut}" for cut in self.cuts]
        if self.number_words:
            lines.append(f"not checked, written in words: {', '.join(dict.fromkeys(self.number_words[:20]))}")
        return "\n".join(lines)


@tool(title="Check an answer's figures")
async def check_answer(arguments: CheckAnswerInput, context: ToolContext) -> CheckAnswerOutput:
    """A verdict for every figure of an answer: backed (its cell), derived (its arithmetic), not found, not checkable.

    Use before giving figures to the user; mend or drop what is not found. Cite results as [r17] in the sentence.
    """
    services: Services = context.services
    wanted = dict.fromkeys(h.lower() for h in (*citations_in(arguments.text), *(arguments.handles or ())))
    if arguments.handles is None:
        recent = await asyncio.to_thread(services.results.latest, RECENT_RESULTS)
        wanted |= dict.fromkeys(r.handle for r in recent)
    queries = {}
    for handle in list(wanted)[:100]:
        try:
            await services.engine.wait_stored(handle, services.settings.limits.timeout_seconds)
            stored = await asyncio.to_thread(services.results.get, handle)
        except ToolError as error:
            if error.code != "not_found":
                raise
            continue
        queries[stored.handle] = stored.sql
    reply = await services.engine.run(
        "check_answer", {"text": arguments.text, "queries": queries}, report=context.report
    )
    checked = CheckAnswerOutput.model_validate(reply["report"])
    figures = [
        AnswerFigure(text=v.figure, sources=tuple((h, c) for h, c in sources), formula=v.formula)
        for v, sources in zip(checked.verdicts, reply["sources"], strict=True)
    ]
    if not any(f.sources for f in figures):
        return checked
    name = await asyncio.to_thread(note_answer, services.lineage, arguments.text, figures)
    return checked.model_copy(update={"answer": name})
