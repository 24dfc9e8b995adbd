"""Runs the calls of one reply: reads side by side, everything else one after another, each with a result."""

import asyncio
import difflib
import json
import logging
import time
from collections.abc import Iterator
from itertools import groupby

from datasteward.errors import DatastewardError, ToolError
from datasteward_agent.approving import handle_proposal, leave_plan_mode
from datasteward_agent.conversation import ToolCall, ToolResult
from datasteward_agent.events import (
    PlanDecided,
    PlanSubmitted,
    QueryRan,
    QuestionAsked,
    ToolCalled,
    ToolProgressed,
    ToolReturned,
)
from datasteward_agent.fencing import fence, hash_content
from datasteward_agent.harness_tools import (
    ASK_USER,
    HARNESS_TOOLS,
    SUBMIT_PLAN,
    BadArguments,
    read_plan,
    read_question,
)
from datasteward_agent.proposals import read_proposal
from datasteward_agent.run_context import RunContext, RunStop
from datasteward_agent.toolset import ToolAnswer, ToolDefinition, ToolProgress

logger = logging.getLogger(__name__)
INFRASTRUCTURE_CODES = frozenset({"unavailable", "internal", "busy", "disk_full", "timeout", "conflict"})
"""Codes of failures that no other wording of the call would mend."""
_NOBODY = "Nobody is there to answer. Take the reading that can do least harm, and say in your answer which one it was."


class ToolRunner:
    """The calls of one run."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._tools = {t.name: t for t in (*context.toolset.definitions(), *HARNESS_TOOLS)}
        self._reading = asyncio.Semaphore(context.options.parallel_reads)

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """What the model is offered: in mode plan only what reads."""
        return tuple(t for t in self._tools.values() if t.read_only or self._context.mode != "plan")

    async def run(self, calls: tuple[ToolCall, ...]) -> tuple[ToolResult, ...]:
        """A result for each call, in the order of the calls."""
        results: list[ToolResult] = []
        for is_read, group in self._batches(calls):
            if is_read:
                async with asyncio.TaskGroup() as tasks:
                    running = [tasks.create_task(self._run_read(call)) for call in group]
                results.extend(task.result() for task in running)
            else:
                for call in group:
                    results.append(await self._run_one(call))
        return tuple(results)

    def _batches(self, calls: tuple[ToolCall, ...]) -> Iterator[tuple[bool, list[ToolCall]]]:
        for is_read, group in groupby(calls, key=self._is_plain_read):
            yield is_read, list(group)

    def _is_plain_read(self, call: ToolCall) -> bool:
        tool = self._tools.get(call.name)
        return tool is not None and tool.read_only and tool not in HARNESS_TOOLS

    async def _run_read(self, call: ToolCall) -> ToolResult:
        async with self._reading:
            return await self._run_one(call)

    async def _run_one(self, call: ToolCall) -> ToolResult:
        context = self._context
        tool = self._tools.get(call.name)
        is_read = tool is None or tool.read_only
        context.emit(ToolCalled(call_id=call.call_id, name=call.name, arguments=call.arguments, read_only=is_read))
        if context.stop is not None and not is_read:
            return self._tell(call, "Not run: the run ends before this call.", "denied", is_error=True)
        if tool is None:
            return self._tell(call, self._unknown(call.name), "unknown_tool", is_error=True)
        refusal = context.options.gate.refuse(tool, call.arguments, context.mode)
        if refusal is not None:
            context.deny(call.call_id, call.name, refusal, _key(call))
            return self._tell(call, f"Denied: {refusal}. Do not repeat it.", "denied", is_error=True)
        if call.name == SUBMIT_PLAN:
            return await self._submit_plan(call)
        if call.name == ASK_USER:
            return await self._ask_user(call)
        return await self._call_tool(call)

    async def _call_tool(self, call: ToolCall) -> ToolResult:
        started = time.perf_counter()
        answer = await self._answer(call)
        self._record(call, answer, time.perf_counter() - started)
        context = self._context
        text = fence(answer.text, source=call.name, mark=context.mark)
        proposal = None if answer.is_error else read_proposal(answer)
        if proposal is not None and not self._tools[call.name].read_only:
            words = await handle_proposal(context, call.name, call.call_id, proposal)
            text = f"{text}\n{words}".rstrip()
        self._judge(call, answer)
        return ToolResult(call_id=call.call_id, text=text, is_error=answer.is_error)

    async def _answer(self, call: ToolCall) -> ToolAnswer:
        async def report(progress: ToolProgress) -> None:
            self._context.emit(
                ToolProgressed(call_id=call.call_id, done=progress.done, total=progress.total, message=progress.message)
            )

        try:
            return await self._context.toolset.call(call.name, call.arguments, call.call_id, report)
        except ToolError as error:
            return ToolAnswer(text=f"{error.code}: {error}", is_error=True, code=error.code)
        except DatastewardError as error:
            return ToolAnswer(text=f"unavailable: {error}", is_error=True, code="unavailable")
        except Exception:
            logger.exception("calling %s failed", call.name)
            return ToolAnswer(text=f"internal: {call.name} failed.", is_error=True, code="internal")

    def _record(self, call: ToolCall, answer: ToolAnswer, seconds: float) -> None:
        self._context.emit(
            ToolReturned(
                call_id=call.call_id,
                name=call.name,
                text=answer.text,
                is_error=answer.is_error,
                code=answer.code,
                handles=answer.handles,
                seconds=round(seconds, 4),
                content_sha256="" if answer.is_error else hash_content(answer.structured),
                structured=dict(answer.structured),
            )
        )
        sql = call.arguments.get("sql")
        if answer.handles and isinstance(sql, str):
            self._context.emit(QueryRan(call_id=call.call_id, sql=sql, handles=answer.handles))

    def _judge(self, call: ToolCall, answer: ToolAnswer) -> None:
        context = self._context
        if not answer.is_error:
            context.failed_tools.pop(call.name, None)
        elif answer.code == "forbidden":
            context.deny(call.call_id, call.name, "the engine forbids it", _key(call))
        elif answer.code == "needs_approval":
            context.unproposed = f"{call.name}: a change needs a proposal"
        elif answer.code in INFRASTRUCTURE_CODES:
            context.failed_tools[call.name] = answer.code or ""

    async def _submit_plan(self, call: ToolCall) -> ToolResult:
        context = self._context
        try:
            plan = read_plan(call.arguments, f"p{context.session.state.plan_count + 1}")
        except BadArguments as error:
            return self._tell(call, str(error), "invalid_arguments", is_error=True)
        context.emit(PlanSubmitted(plan=plan))
        if context.options.is_plan_only:
            context.stop = RunStop("done")
            return self._tell(call, f"{plan.plan_id} is handed in; the run ends here.")
        if context.person is not None:
            decision = await context.person.review_plan(plan)
            event = PlanDecided(plan=decision.plan, verdict=decision.verdict, comment=decision.comment)
            context.emit(event)
            return self._tell(call, self._weigh_plan(event))
        if context.options.on_waiting == "deny":
            context.emit(PlanDecided(plan=plan, verdict="rejected", comment="nobody is there to review it"))
            context.deny(call.call_id, call.name, f"{plan.plan_id}: nobody is there to review it", SUBMIT_PLAN)
            return self._tell(
                call, f"{plan.plan_id} was denied: nobody is there to review it.", "denied", is_error=True
            )
        context.stop = RunStop(
            "waiting", hint=f"steward run --resume {context.session.session_id} --approve {plan.plan_id}"
        )
        return self._tell(call, f"{plan.plan_id} waits for a person's review. The run pauses here.")

    def _weigh_plan(self, decided: PlanDecided) -> str:
        said = f" The person says: {decided.comment}" if decided.comment else ""
        plan = decided.plan
        if decided.verdict == "approved":
            leave_plan_mode(self._context)
            return f"Approved, as it stands here:{said}\n{plan.to_text()}\nWhat it does not name is not granted."
        if decided.verdict == "later":
            self._context.stop = RunStop("waiting", hint=f"{plan.plan_id} waits for its review")
            return f"{plan.plan_id} waits.{said}"
        return f"{plan.plan_id} was rejected.{said} Hand in another plan, or ask."

    async def _ask_user(self, call: ToolCall) -> ToolResult:
        try:
            question = read_question(call.arguments)
        except BadArguments as error:
            return self._tell(call, str(error), "invalid_arguments", is_error=True)
        person = self._context.person
        answer = await person.answer(question) if person is not None else None
        self._context.emit(QuestionAsked(question=question.question, options=question.options, answer=answer))
        return self._tell(call, _NOBODY if answer is None else f"The person answers: {answer}")

    def _tell(self, call: ToolCall, text: str, code: str | None = None, *, is_error: bool = False) -> ToolResult:
        """A result in the harness's own words, recorded like any other."""
        self._context.emit(
            ToolReturned(call_id=call.call_id, name=call.name, text=text, is_error=is_error, code=code, seconds=0.0)
        )
        return ToolResult(call_id=call.call_id, text=text, is_error=is_error)

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._tools, n=2, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Tools: {', '.join(self._tools)}."
        return f"There is no tool '{name[:80]}'. {hint}"


def _key(call: ToolCall) -> str:
    return f"{call.name}:{json.dumps(call.arguments, sort_keys=True, default=str)}"
