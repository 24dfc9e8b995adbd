"""What is said between a person, the harness, a model and its tools; the form that the session log keeps."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]


class Shape(BaseModel):
    """Base of everything that is stored or sent: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Text(Shape):
    """Plain words."""

    type: Literal["text"] = "text"
    text: str


class Thinking(Shape):
    """A model's (summarised) reasoning; the signature lets the same model go on from it."""

    type: Literal["thinking"] = "thinking"
    text: str
    signature: str = ""


class RedactedThinking(Shape):
    """Reasoning that only its model can read."""

    type: Literal["redacted_thinking"] = "redacted_thinking"
    data: str


class ToolCall(Shape):
    """A model asks for a tool."""

    type: Literal["tool_call"] = "tool_call"
    call_id: str
    name: str
    arguments: dict[str, Any]


class ToolResult(Shape):
    """What a model is told came of a call."""

    type: Literal["tool_result"] = "tool_result"
    call_id: str
    text: str
    is_error: bool = False


UserPart = Annotated[Text | ToolResult, Field(discriminator="type")]
AssistantPart = Annotated[Text | Thinking | RedactedThinking | ToolCall, Field(discriminator="type")]
Author = Literal["person", "harness"]


class UserMessage(Shape):
    """A person's words, or the harness's, or tool results."""

    role: Literal["user"] = "user"
    parts: tuple[UserPart, ...]
    author: Author = "person"

    @property
    def text(self) -> str:
        """The words without the tool results."""
        return "\n".join(p.text for p in self.parts if isinstance(p, Text))


class AssistantMessage(Shape):
    """A model's reply; a partial one was interrupted and holds what had arrived."""

    role: Literal["assistant"] = "assistant"
    parts: tuple[AssistantPart, ...]
    model: str = ""
    stop: StopReason | None = None
    is_partial: bool = False

    @property
    def text(self) -> str:
        """The words without thinking and calls."""
        return "".join(p.text for p in self.parts if isinstance(p, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools asked for, in order."""
        return tuple(p for p in self.parts if isinstance(p, ToolCall))


Message = Annotated[UserMessage | AssistantMessage, Field(discriminator="role")]


def say(text: str, author: Author = "person") -> UserMessage:
    """A user message of one text."""
    return UserMessage(parts=(Text(text=text),), author=author)


def strip_thinking(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without thinking: it is bound to one model and one unedited conversation."""
    return tuple(_without_thinking(m) for m in messages)


def _without_thinking(message: Message) -> Message:
    if isinstance(message, UserMessage):
        return message
    kept = tuple(p for p in message.parts if isinstance(p, Text | ToolCall))
    return message.model_copy(update={"parts": kept or (Text(text="(no words)"),)})


INTERRUPTED = (
    "This call was interrupted before its result was recorded. Reads had no effect. If it proposed a change, ask for "
    "the state of that change before you propose it again."
)


def close_open_calls(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages with a result for every call: a log that ends in mid-turn gets results that say so.

    Empty assistant messages, which no server accepts, are left out.
    """
    out: list[Message] = []
    open_calls: tuple[ToolCall, ...] = ()
    for message in messages:
        if open_calls:
            answered = _answered(message)
            missing = tuple(c for c in open_calls if c.call_id not in answered)
            if missing and isinstance(message, UserMessage):
                message = message.model_copy(update={"parts": (*_interrupted(missing), *message.parts)})
            elif missing:
                out.append(UserMessage(parts=_interrupted(missing), author="harness"))
        if isinstance(message, AssistantMessage):
            open_calls = message.calls
            if message.parts:
                out.append(message)
        else:
            open_calls = ()
            out.append(message)
    if open_calls:
        out.append(UserMessage(parts=_interrupted(open_calls), author="harness"))
    return tuple(out)


def _answered(message: Message) -> frozenset[str]:
    if isinstance(message, AssistantMessage):
        return frozenset()
    return frozenset(p.call_id for p in message.parts if isinstance(p, ToolResult))


def _interrupted(calls: tuple[ToolCall, ...]) -> tuple[ToolResult, ...]:
    return tuple(ToolResult(call_id=c.call_id, text=INTERRUPTED, is_error=True) for c in calls)
