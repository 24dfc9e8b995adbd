"""Builds one reply out of a Messages API event stream, strictly: a call's arguments must be whole JSON."""

import json
from collections.abc import Iterator
from typing import Any

from datasteward_agent.conversation import (
    AssistantMessage,
    AssistantPart,
    RedactedThinking,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from datasteward_agent.limits import Usage
from datasteward_agent.models.port import (
    ModelFault,
    ModelPiece,
    ModelReply,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
)

_STOPS: frozenset[StopReason] = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    }
)


class _Block:
    """One content block while it grows."""

    def __init__(self, start: Any) -> None:
        self.type: str = start.type
        self.pieces: list[str] = []
        self.signature = ""
        self.data: str = getattr(start, "data", "")
        self.call_id: str = getattr(start, "id", "") or ""
        self.name: str = getattr(start, "name", "") or ""
        self.given: Any = getattr(start, "input", None)
        self.is_closed = False
        first = getattr(start, "text", None) if self.type == "text" else getattr(start, "thinking", None)
        if isinstance(first, str) and first:
            self.pieces.append(first)

    def part(self, *, is_cut: bool) -> AssistantPart | None:
        """The finished part; None for one that is empty, of a kind we do not use, or a call that was cut."""
        text = "".join(self.pieces)
        if self.type == "text":
            return Text(text=text) if text else None
        if self.type == "thinking":
            return Thinking(text=text, signature=self.signature)
        if self.type == "redacted_thinking":
            return RedactedThinking(data=self.data)
        if self.type == "tool_use":
            return self._call(text, is_cut=is_cut)
        return None

    def _call(self, text: str, *, is_cut: bool) -> ToolCall | None:
        try:
            arguments = json.loads(text) if text.strip() else (self.given or {})
            if not isinstance(arguments, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if is_cut:
                return None
            raise ModelFault(
                "bad_tool_arguments", f"The model's arguments for {self.name} are not whole JSON: {error}."
            ) from error
        return (
            None
            if is_cut and not self.is_closed
            else ToolCall(call_id=self.call_id, name=self.name, arguments=arguments)
        )


class ReplyBuilder:
    """Takes the stream's events one by one; `finish` gives the reply or says what is missing."""

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._blocks: dict[int, _Block] = {}
        self._stop: str | None = None
        self._refusal: str | None = None
        self._started = False
        self._input = self._output = self._cache_read = self._cache_write = 0

    def take(self, event: Any) -> Iterator[ModelPiece]:
        """The pieces that `event` brings; events of unknown kinds bring none."""
        match event.type:
            case "message_start":
                self._started = True
                self._count(getattr(event.message, "usage", None))
            case "content_block_start":
                block = self._blocks[event.index] = _Block(event.content_block)
                if block.type == "text" and block.pieces:
                    yield TextDelta(text=block.pieces[0])
                elif block.type == "tool_use":
                    yield ToolInputDelta(call_id=block.call_id, name=block.name, partial_json="")
            case "content_block_delta":
                yield from self._grow(event)
            case "content_block_stop":
                if event.index in self._blocks:
                    self._blocks[event.index].is_closed = True
            case "message_delta":
                self._stop = event.delta.stop_reason or self._stop
                details = getattr(event.delta, "stop_details", None)
                if details is not None:
                    self._refusal = getattr(details, "category", None) or getattr(details, "explanation", None)
                self._count(getattr(event, "usage", None))

    def _grow(self, event: Any) -> Iterator[ModelPiece]:
        block = self._blocks.get(event.index)
        if block is None:
            raise ModelFault("unfinished", "The stream continued a block that it never began.")
        match event.delta.type:
            case "text_delta":
                block.pieces.append(event.delta.text)
                yield TextDelta(text=event.delta.text)
            case "thinking_delta":
                block.pieces.append(event.delta.thinking)
                yield ThinkingDelta(text=event.delta.thinking)
            case "signature_delta":
                block.signature = event.delta.signature
            case "input_json_delta":
                block.pieces.append(event.delta.partial_json)
                if block.type == "tool_use":
                    yield ToolInputDelta(call_id=block.call_id, name=block.name, partial_json=event.delta.partial_json)

    def _count(self, usage: Any) -> None:
        if usage is None:
            return
        self._input = _known(usage, "input_tokens", self._input)
        self._output = _known(usage, "output_tokens", self._output)
        self._cache_read = _known(usage, "cache_read_input_tokens", self._cache_read)
        self._cache_write = _known(usage, "cache_creation_input_tokens", self._cache_write)

    def finish(self, request_id: str | None) -> ModelReply:
        """The reply; raises `ModelFault` for a stream that ended early, was empty or stopped for no known reason."""
        if not self._started:
            raise ModelFault("empty", "The server answered with an empty stream.")
        stop = self._stop
        if stop is None:
            raise ModelFault("unfinished", "The stream ended before the reply did.")
        known = next((s for s in _STOPS if s == stop), None)
        if known is None:
            raise ModelFault("unusable", f"The server stopped for a reason this version does not know: {stop[:60]}.")
        is_cut = known not in ("tool_use", "end_turn", "pause_turn", "stop_sequence")
        parts = tuple(p for i in sorted(self._blocks) if (p := self._blocks[i].part(is_cut=is_cut)) is not None)
        has_calls = any(isinstance(p, ToolCall) for p in parts)
        if known == "end_turn" and has_calls:
            known = "tool_use"
        if known == "tool_use" and not has_calls:
            raise ModelFault("unfinished", "The reply stopped for a tool but asked for none.")
        if known in ("end_turn", "stop_sequence") and not any(isinstance(p, Text) and p.text.strip() for p in parts):
            raise ModelFault("empty", "The model's reply held no words and no call.")
        message = AssistantMessage(parts=parts, model=self._model_name, stop=known)
        return ModelReply(message=message, usage=self._usage(), refusal=self._refusal, request_id=request_id)

    def _usage(self) -> Usage:
        return Usage(
            input_tokens=self._input,
            output_tokens=self._output,
            cache_read_tokens=self._cache_read,
            cache_write_tokens=self._cache_write,
        )


def _known(usage: Any, name: str, otherwise: int) -> int:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) else otherwise
