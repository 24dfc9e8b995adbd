"""Judges a final answer: does it fit its schema, and do results back its figures. One chance to correct each."""

import json
from collections.abc import Mapping
from typing import Any

from datasteward_agent.conversation import say
from datasteward_agent.events import EvidenceChecked, Figure, UserSaid
from datasteward_agent.fencing import show_hidden
from datasteward_agent.run_context import RunContext
from datasteward_agent.toolset import EvidenceReport
from datasteward_prompts.loading import load_prompt, render_prompt

_SHOWN_VERDICTS = 30


class AnswerJudge:
    """The verdicts on the answers of one run; `structured` and `figures` are those of the last one."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._may_correct_schema = True
        self._may_correct_figures = True
        self.structured: Any = None
        self.schema_fault: str | None = None
        self.figures: tuple[Figure, ...] = ()

    async def accept(self, text: str) -> bool:
        """True when the answer stands; False when the model was told what to correct and must be asked again."""
        schema = self._context.options.output_schema
        if schema is not None:
            self.structured, self.schema_fault = read_structured(text, schema)
            if self.schema_fault is not None and self._may_correct_schema:
                self._may_correct_schema = False
                values = {"fault": self.schema_fault, "schema": json.dumps(schema)}
                self._tell(render_prompt(load_prompt("correct_schema"), values))
                return False
        return await self._accept_figures(text)

    @property
    def is_unbacked(self) -> bool:
        """Whether some figure of the last answer was found nowhere."""
        return any(f.verdict == "not_found" for f in self.figures)

    async def _accept_figures(self, text: str) -> bool:
        context = self._context
        if context.evidence is None or not text.strip():
            return True
        report = await context.evidence.check(text, tuple(context.session.state.handles))
        self.figures = _figures(report)
        is_final = not report.missing or not self._may_correct_figures
        context.emit(EvidenceChecked(figures=self.figures, is_final=is_final))
        if is_final:
            return True
        self._may_correct_figures = False
        verdicts = "\n".join(
            f"- {show_hidden(f.text)[:80]}: {show_hidden(f.detail)[:200] or 'not found'}"
            for f in report.missing[:_SHOWN_VERDICTS]
        )
        self._tell(render_prompt(load_prompt("correct_figures"), {"verdicts": verdicts}))
        return False

    def _tell(self, text: str) -> None:
        self._context.emit(UserSaid(message=say(text, "harness")))


def read_structured(text: str, schema: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The JSON value in `text` (alone or in one fenced block), and what is wrong with it, None when it fits."""
    import jsonschema

    try:
        value = json.loads(_strip_fence(text))
    except ValueError as error:
        return None, f"it is not JSON ({error})"
    validator = jsonschema.validators.validator_for(schema)(schema)
    fault = next(iter(sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))), None)
    if fault is None:
        return value, None
    where = "/".join(str(p) for p in fault.absolute_path) or "the top"
    return value, f"at {where}: {fault.message[:300]}"


def _strip_fence(text: str) -> str:
    body = text.strip()
    if body.startswith("```") and body.endswith("```") and len(body) > 6:
        return body[3:-3].split("\n", 1)[-1]
    return body


def _figures(report: EvidenceReport) -> tuple[Figure, ...]:
    return tuple(
        Figure(text=f.text, verdict=f.verdict, start=f.start, end=f.end, detail=f.detail) for f in report.figures
    )
