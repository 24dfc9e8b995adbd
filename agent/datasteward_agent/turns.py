"""The turns of a run: ask the model, run its calls, keep within bounds, and judge the answer."""

import json
from typing import Literal, get_args

from datasteward_agent.answering import AnswerJudge
from datasteward_agent.approving import settle_waiting
from datasteward_agent.compaction import (
    FULL_SHARE,
    build_short_history,
    estimate_tokens,
    find_cut,
    summarise_plainly,
)
from datasteward_agent.conversation import AssistantMessage, Message, Text, UserMessage, say, strip_thinking
from datasteward_agent.events import (
    Compacted,
    ModelSaid,
    Noticed,
    Outcome,
    RunEnded,
    RunStarted,
    TurnStarted,
    UsageCounted,
    UserSaid,
)
from datasteward_agent.limits import cap_output_tokens, find_spent_bound
from datasteward_agent.models.port import Model, ModelFault, ModelLimits, ModelReply, ModelRequest
from datasteward_agent.retrying import Asker
from datasteward_agent.run_context import RunContext, RunStop
from datasteward_agent.tool_running import ToolRunner
from datasteward_prompts.loading import load_prompt, render_prompt


class TurnLoop:
    """The turns of one run, and the result they come to."""

    def __init__(self, model: Model, context: RunContext) -> None:
        self._model = model
        self._context = context
        self._asker = Asker(model, context.options.retry, context.emit)
        self._tools = ToolRunner(context)
        self._judge = AnswerJudge(context)
        self._limits: ModelLimits | None = None
        self._final_text = ""
        self._was_compacted_for_room = False
        self._is_capped = False

    async def drive(self, prompt: str | None, approvals: tuple[str, ...]) -> None:
        """Turns until the prompt is answered; ends by raising `RunStop`."""
        context = self._context
        state = context.session.state
        context.emit(self._announce())
        if context.options.budget.usd is not None and self._model.identity.price is None:
            raise RunStop(
                "failed",
                f"The price of {self._model.identity.name} is not known, so --max-usd can't hold.",
                hint="Bound the run with --max-tokens instead.",
            )
        if state.waiting or state.pending_plan is not None:
            await settle_waiting(context, approvals, has_prompt=bool(prompt))
        if prompt:
            context.emit(UserSaid(message=say(prompt)))
        messages = state.sendable_messages
        if not messages or (isinstance(messages[-1], AssistantMessage) and not messages[-1].is_partial):
            raise _nothing_to_do(bool(messages), state.outcome)
        if isinstance(messages[-1], AssistantMessage):
            context.emit(UserSaid(message=say("Go on where you were interrupted.", "harness")))
        self._limits = await self._model.limits()
        while True:
            await self._take_turn(self._limits)

    async def _take_turn(self, limits: ModelLimits) -> None:
        context = self._context
        self._check_budget()
        messages = self._own_messages()
        if self._is_full(messages, limits):
            await self._compact("full", limits)
            messages = self._own_messages()
        context.spending.turns += 1
        context.emit(TurnStarted(turn=context.spending.turns))
        try:
            reply = await self._asker.ask(self._request(messages, limits))
        except ModelFault as fault:
            await self._survive(fault, limits)
            return
        self._count(reply, limits)
        await self._act_on(reply, limits)

    async def _act_on(self, reply: ModelReply, limits: ModelLimits) -> None:
        message = reply.message
        match message.stop:
            case "tool_use":
                results = await self._tools.run(message.calls)
                self._context.emit(UserSaid(message=UserMessage(parts=results, author="harness")))
                if self._context.stop is not None:
                    raise self._context.stop
            case "pause_turn":
                return
            case "end_turn" | "stop_sequence":
                self._final_text = message.text
                if await self._judge.accept(message.text):
                    raise RunStop("done")
            case "max_tokens":
                self._final_text = message.text
                if self._is_capped:
                    raise RunStop("budget", "The budget left no room for the rest of the reply.")
                raise RunStop("truncated", "The reply reached the model's output limit.")
            case "refusal":
                raise RunStop("refused", f"The model refused{f' ({reply.refusal})' if reply.refusal else ''}.")
            case _:
                await self._make_room("The reply filled the model's context.", limits)

    def _announce(self) -> RunStarted:
        context = self._context
        identity = self._model.identity
        return RunStarted(
            session=context.session.session_id,
            model=identity.name,
            provider=identity.provider,
            mode=context.mode,
            tools=tuple(t.name for t in self._tools.definitions),
            resumed=bool(context.session.state.messages),
        )

    def _check_budget(self) -> None:
        bound = find_spent_bound(self._context.options.budget, self._context.spending)
        if bound == "turns":
            raise RunStop("max_turns", f"The run's {self._context.options.budget.turns} turns are used up.")
        if bound is not None:
            raise RunStop("budget", f"The run's budget of {bound} is used up (money is an estimate).")

    def _own_messages(self) -> tuple[Message, ...]:
        """The conversation, with thinking only where this very model wrote it."""
        name = self._model.identity.name
        return tuple(
            m if isinstance(m, UserMessage) or m.model == name else strip_thinking((m,))[0]
            for m in self._context.session.state.sendable_messages
        )

    def _request(self, messages: tuple[Message, ...], limits: ModelLimits) -> ModelRequest:
        options, spending = self._context.options, self._context.spending
        room = min(limits.output_tokens, max(1024, limits.context_tokens // 2))
        capped = cap_output_tokens(room, options.budget, spending)
        self._is_capped = capped < room
        return ModelRequest(
            system=self._system(limits),
            messages=messages,
            tools=self._tools.definitions,
            max_output_tokens=capped,
            effort=options.effort,
            output_schema=options.output_schema,
        )

    def _system(self, limits: ModelLimits) -> str:
        options = self._context.options
        guidance = [options.guidance] if options.guidance else []
        if options.output_schema is not None:
            schema = json.dumps(options.output_schema, ensure_ascii=False)
            guidance.append(render_prompt(load_prompt("answer_in_schema"), {"schema": schema}))
        values = {"mode": self._context.mode, "mark": self._context.mark, "guidance": "\n\n".join(guidance)}
        return render_prompt(load_prompt("system"), values)

    def _count(self, reply: ModelReply, limits: ModelLimits) -> None:
        context = self._context
        context.spending.add(reply.usage)
        context.emit(ModelSaid(message=reply.message))
        context.emit(
            UsageCounted(
                turn=reply.usage,
                total=context.spending.usage,
                usd_estimate=context.spending.usd,
                context_tokens=context.spending.last_prompt_tokens,
                context_limit=limits.context_tokens,
            )
        )

    async def _survive(self, fault: ModelFault, limits: ModelLimits) -> None:
        if fault.kind == "context_full":
            await self._make_room(fault.message, limits)
            return
        outcome: Literal["auth", "failed"] = "auth" if fault.kind == "auth" else "failed"
        status = f" (HTTP {fault.status})" if fault.status else ""
        raise RunStop(outcome, f"{fault.kind}{status}: {fault.message}")

    async def _make_room(self, why: str, limits: ModelLimits) -> None:
        if self._was_compacted_for_room:
            raise RunStop("truncated", f"{why} Summing up the history did not help.")
        self._was_compacted_for_room = True
        await self._compact(why, limits, by_model=False)

    def _is_full(self, messages: tuple[Message, ...], limits: ModelLimits) -> bool:
        tokens = self._context.spending.last_prompt_tokens or estimate_tokens(messages)
        return tokens > FULL_SHARE * limits.context_tokens

    async def _compact(self, why: str, limits: ModelLimits, *, by_model: bool = True) -> None:
        context = self._context
        messages = self._own_messages()
        before = context.spending.last_prompt_tokens or estimate_tokens(messages)
        cut = find_cut(messages)
        if cut < 2:
            if by_model:
                return
            raise RunStop("truncated", f"{why} The history is too short to sum up.")
        summary = await self._summarise(messages[:cut], limits) if by_model else None
        short = build_short_history(messages, cut, summary or summarise_plainly(messages, cut), context.session.state)
        context.spending.last_prompt_tokens = 0
        context.emit(
            Compacted(
                before_tokens=before,
                by="model" if summary else "harness",
                kept_handles=tuple(context.session.state.handles),
                messages=short,
            )
        )

    async def _summarise(self, messages: tuple[Message, ...], limits: ModelLimits) -> str | None:
        self._check_budget()
        self._context.spending.turns += 1
        ask = say(render_prompt(load_prompt("compact"), {}), "harness")
        request = self._request((*messages, ask), limits)
        try:
            reply = await self._asker.ask(request, is_shown=False)
        except ModelFault as fault:
            self._context.emit(Noticed(level="warning", text=f"The history was summed up plainly: {fault.message}"))
            return None
        self._context.spending.add(reply.usage)
        return reply.message.text.strip() or None

    def finish(self, stop: RunStop, seconds: float) -> RunEnded:
        """Tell the result, and what had arrived of an interrupted reply; never raises for a full disk."""
        context = self._context
        partial = self._asker.partial_message
        if partial is not None:
            self._final_text = partial.text
            context.emit_last(ModelSaid(message=partial))
        ended = context.emit_last(self._result(stop, seconds))
        context.is_over = True
        assert isinstance(ended, RunEnded)
        return ended

    def _result(self, stop: RunStop, seconds: float) -> RunEnded:
        context = self._context
        state = context.session.state
        pending = (state.pending_plan.plan_id,) if state.pending_plan and not context.options.is_plan_only else ()
        waiting = (*state.waiting, *pending)
        if context.unproposed is not None:
            context.denied.append(context.unproposed)
        return RunEnded(
            outcome=self._final_outcome(stop, waiting) if stop.outcome == "done" else stop.outcome,
            session=context.session.session_id,
            text=self._final_text or _last_words(state.messages),
            error=stop.error or self._judge.schema_fault,
            hint=stop.hint,
            structured_output=self._judge.structured if self._judge.schema_fault is None else None,
            plan=state.pending_plan or state.approved_plan,
            turns=context.spending.turns,
            usage=context.spending.usage,
            usd_estimate=context.spending.usd,
            seconds=round(seconds, 3),
            handles=tuple(state.handles),
            denied=tuple(dict.fromkeys(context.denied)),
            waiting=waiting,
            failed_tools=tuple(f"{k}: {v}" for k, v in context.failed_tools.items()),
            figures=self._judge.figures,
            model=self._model.identity.name,
        )

    def _final_outcome(
        self, stop: RunStop, waiting: tuple[str, ...]
    ) -> Literal["done", "waiting", "denied", "tool_failed", "schema_not_met", "evidence_missing"]:
        context = self._context
        if waiting:
            return "waiting"
        if context.denied:
            return "denied"
        if context.failed_tools:
            return "tool_failed"
        if self._judge.schema_fault is not None:
            return "schema_not_met"
        if context.options.requires_evidence and self._judge.is_unbacked:
            return "evidence_missing"
        return "done"


def _last_words(messages: list[Message]) -> str:
    said = (m for m in reversed(messages) if isinstance(m, AssistantMessage))
    return next(("".join(p.text for p in m.parts if isinstance(p, Text)) for m in said), "")


def _nothing_to_do(has_messages: bool, earlier: str) -> RunStop:
    """A finished session that is resumed without a prompt ends as it ended before; never better."""
    if not has_messages:
        return RunStop("failed", "There is no prompt to work on.")
    outcome: Outcome = next((o for o in get_args(Outcome) if o == earlier), "done")
    settled = outcome == "waiting"
    return RunStop("done" if settled else outcome, None if settled else f"The session had ended: {outcome}.")
