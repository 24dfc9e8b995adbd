"""Asks the model once, trying again for faults that pass, visibly and within bounds."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from datasteward_agent.conversation import AssistantMessage, Text
from datasteward_agent.events import Event, RetryWaited, TextArrived, ThinkingArrived, ToolInputArrived
from datasteward_agent.models.port import (
    Model,
    ModelFault,
    ModelReply,
    ModelRequest,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
)

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently: waits double from the first, spread by up to a quarter, and a server's wish counts.

    A server that asks for more than `longest_wait_seconds` is not waited for: the run fails and says so.
    """

    attempts: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0

    def wait_seconds(self, attempt: int, wished_seconds: float | None, spread: float) -> float:
        """Seconds before attempt `attempt + 1`; `spread` is between 0 and 1."""
        if wished_seconds is not None:
            return wished_seconds
        wait = self.first_wait_seconds * 2.0 ** (attempt - 1) * (1 + 0.25 * spread)
        return min(wait, self.longest_wait_seconds)


class Asker:
    """Sends requests, forwards their pieces as events, and remembers what has arrived of the current one."""

    def __init__(
        self,
        model: Model,
        policy: RetryPolicy,
        emit: Emit,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._model = model
        self._policy = policy
        self._emit = emit
        self._sleep = sleep
        self._arrived: list[str] = []

    @property
    def partial_message(self) -> AssistantMessage | None:
        """The words of a reply that has not ended, None when there are none."""
        text = "".join(self._arrived)
        if not text.strip():
            return None
        return AssistantMessage(parts=(Text(text=text),), model=self._model.identity.name, is_partial=True)

    async def ask(self, request: ModelRequest, *, is_shown: bool = True) -> ModelReply:
        """The whole reply; raises the last `ModelFault` when no attempt gave one."""
        attempt = 0
        while True:
            attempt += 1
            self._arrived.clear()
            try:
                reply = await self._attempt(request, is_shown=is_shown)
            except ModelFault as fault:
                await self._wait_or_raise(fault, attempt)
            else:
                self._arrived.clear()
                return reply

    async def _attempt(self, request: ModelRequest, *, is_shown: bool) -> ModelReply:
        async with aclosing(self._model.stream(request)) as pieces:
            async for piece in pieces:
                match piece:
                    case ModelReply():
                        return piece
                    case TextDelta() if is_shown:
                        self._arrived.append(piece.text)
                        self._emit(TextArrived(delta=piece.text))
                    case ThinkingDelta() if is_shown:
                        self._emit(ThinkingArrived(delta=piece.text))
                    case ToolInputDelta() if is_shown:
                        self._emit(ToolInputArrived(call_id=piece.call_id, name=piece.name, delta=piece.partial_json))
                    case _:
                        pass
        raise ModelFault("unfinished", "The model's stream ended without a reply.")

    async def _wait_or_raise(self, fault: ModelFault, attempt: int) -> None:
        if not fault.is_retryable or attempt >= self._policy.attempts:
            raise fault
        wait = self._policy.wait_seconds(attempt, fault.retry_after_seconds, random.random())  # noqa: S311 - spreads load
        if wait > self._policy.longest_wait_seconds:
            raise ModelFault(
                fault.kind,
                f"{fault.message} The server asks to wait {wait:,.0f} s, longer than this run waits.",
                status=fault.status,
                is_final=True,
            )
        self._emit(
            RetryWaited(
                why=fault.kind,
                message=fault.message,
                attempt=attempt + 1,
                of=self._policy.attempts,
                wait_seconds=round(wait, 3),
                discarded_characters=sum(map(len, self._arrived)),
            )
        )
        self._arrived.clear()
        await self._sleep(wait)
