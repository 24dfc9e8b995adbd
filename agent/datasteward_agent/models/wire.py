"""The Messages API's form of a request, as plain dictionaries made for one provider's profile."""

from collections.abc import Mapping
from typing import Any, assert_never

from datasteward_agent.conversation import (
    AssistantPart,
    Message,
    RedactedThinking,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
    UserPart,
)
from datasteward_agent.models.port import ModelLimits, ModelRequest
from datasteward_agent.models.profiles import Profile

_MARK = {"type": "ephemeral"}


def build_request(model_name: str, request: ModelRequest, profile: Profile, limits: ModelLimits) -> dict[str, Any]:
    """Keyword arguments for `messages.stream`; nothing the profile or the model does not know is among them."""
    messages = _join_neighbours([_message(m, profile) for m in request.messages])
    body: dict[str, Any] = {
        "model": model_name,
        "max_tokens": min(request.max_output_tokens, limits.output_tokens),
        "messages": messages,
    }
    if request.system:
        body["system"] = _system(request.system, profile)
    if request.tools:
        body["tools"] = [
            {"name": t.name, "description": t.description, "input_schema": dict(t.input_schema)} for t in request.tools
        ]
    if profile.cache == "automatic":
        body["cache_control"] = _MARK
    elif profile.cache == "explicit" and messages:
        _mark_last_block(messages[-1])
    if profile.sends_thinking and limits.has_adaptive_thinking:
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    output_config = _output_config(request, profile, limits)
    if output_config:
        body["output_config"] = output_config
    return body


def sends_schema(profile: Profile, limits: ModelLimits) -> bool:
    """Whether the server itself holds the answer to a schema."""
    return profile.sends_output_schema and limits.has_structured_output


def _output_config(request: ModelRequest, profile: Profile, limits: ModelLimits) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.effort and profile.sends_effort and limits.has_effort:
        config["effort"] = request.effort
    if request.output_schema is not None and sends_schema(profile, limits):
        config["format"] = {"type": "json_schema", "schema": dict(request.output_schema)}
    return config


def _system(text: str, profile: Profile) -> Any:
    if profile.cache == "explicit":
        return [{"type": "text", "text": text, "cache_control": _MARK}]
    return text


def _mark_last_block(message: Mapping[str, Any]) -> None:
    blocks = [b for b in message["content"] if b["type"] not in ("thinking", "redacted_thinking")]
    if blocks:
        blocks[-1]["cache_control"] = _MARK


def _message(message: Message, profile: Profile) -> dict[str, Any]:
    if isinstance(message, UserMessage):
        return {"role": "user", "content": [_user_block(p) for p in message.parts]}
    parts = message.parts if profile.sends_thinking else tuple(p for p in message.parts if _is_plain(p))
    blocks = [_assistant_block(p) for p in parts]
    kept = [b for b in blocks if not (b["type"] == "text" and not b["text"].strip())]
    return {"role": "assistant", "content": kept or [{"type": "text", "text": "(no words)"}]}


def _join_neighbours(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with roles in turn: some servers' chat templates refuse two of one role in a row."""
    joined: list[dict[str, Any]] = []
    for message in messages:
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1]["content"].extend(message["content"])
        else:
            joined.append(message)
    return joined


def _is_plain(part: AssistantPart) -> bool:
    return isinstance(part, Text | ToolCall)


def _user_block(part: UserPart) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text or "(empty)"}
        case ToolResult():
            return {
                "type": "tool_result",
                "tool_use_id": part.call_id,
                "content": part.text or "(empty)",
                **({"is_error": True} if part.is_error else {}),
            }
        case _:
            assert_never(part)


def _assistant_block(part: AssistantPart) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Thinking():
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": part.data}
        case ToolCall():
            return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": dict(part.arguments)}
        case _:
            assert_never(part)
