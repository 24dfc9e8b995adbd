"""What a model is to the loop: a stream of pieces that ends in one reply, or a fault with a kind."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from datasteward_agent.conversation import AssistantMessage, Message
from datasteward_agent.limits import Price, Usage
from datasteward_agent.toolset import ToolDefinition

FaultKind = Literal[
    "cut",
    "stalled",
    "unfinished",
    "empty",
    "overloaded",
    "rate_limited",
    "server",
    "connection",
    "timeout",
    "bad_tool_arguments",
    "bad_request",
    "auth",
    "context_full",
    "not_found",
    "unusable",
]
RETRYABLE: frozenset[FaultKind] = frozenset(
    {
        "cut",
        "stalled",
        "unfinished",
        "empty",
        "overloaded",
        "rate_limited",
        "server",
        "connection",
        "timeout",
        "bad_tool_arguments",
    }
)


class ModelFault(Exception):
    """A request that gave no whole reply: what kind, whether trying again may help, and how long the server asks."""

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        status: int | None = None,
        is_final: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.status = status
        self.is_retryable = kind in RETRYABLE and not is_final


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """More words of the reply."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta:
    """More of the summarised reasoning."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInputDelta:
    """More of a call's arguments, as raw JSON text."""

    call_id: str
    name: str
    partial_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """The whole reply; `message.stop` is always set."""

    message: AssistantMessage
    usage: Usage
    refusal: str | None = None
    request_id: str | None = None


ModelPiece = TextDelta | ThinkingDelta | ToolInputDelta | ModelReply
Effort = Literal["low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What a model takes and gives, in tokens, and which request fields it knows."""

    context_tokens: int
    output_tokens: int
    has_adaptive_thinking: bool = False
    has_effort: bool = False
    has_structured_output: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request; the same prefix (tools, system, earlier messages) is sent byte for byte so that caches hold."""

    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...]
    max_output_tokens: int
    effort: Effort | None = None
    output_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """The name that is shown and stored, and the price if it is known."""

    name: str
    provider: str
    price: Price | None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that must never be written anywhere."""


class Model(Protocol):
    """A model that can be asked. One request at a time for each iteration of `stream`."""

    @property
    def identity(self) -> ModelIdentity:
        """Name, provider, price."""

    async def limits(self) -> ModelLimits:
        """The model's limits, from the server where it offers them; never raises for want of an answer."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelPiece, None]:
        """Pieces in order, the last a `ModelReply`; raises `ModelFault`. Closing the iterator ends the request."""

    async def close(self) -> None:
        """Let go of connections."""
