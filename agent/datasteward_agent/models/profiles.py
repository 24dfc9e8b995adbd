"""What each kind of server is sent, and what is known of models without asking."""

from dataclasses import dataclass
from typing import Literal

from datasteward_agent.models.port import ModelLimits

Provider = Literal["anthropic", "bedrock", "vertex", "compatible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The request fields a provider understands; anything not named here is not sent to it.

    `cache` says who places the cache marks: the server (automatic), the request (explicit), or nobody.
    """

    provider: Provider
    cache: Literal["automatic", "explicit", "none"]
    sends_thinking: bool
    sends_effort: bool
    sends_output_schema: bool
    lists_models: bool
    stall_seconds: float
    """The longest silence within a stream; local servers are silent while they read a long prompt."""
    needs_key: bool


PROFILES: dict[Provider, Profile] = {
    "anthropic": Profile(
        provider="anthropic",
        cache="automatic",
        sends_thinking=True,
        sends_effort=True,
        sends_output_schema=True,
        lists_models=True,
        stall_seconds=120.0,
        needs_key=True,
    ),
    "bedrock": Profile(
        provider="bedrock",
        cache="explicit",
        sends_thinking=True,
        sends_effort=True,
        sends_output_schema=False,
        lists_models=False,
        stall_seconds=180.0,
        needs_key=False,
    ),
    "vertex": Profile(
        provider="vertex",
        cache="explicit",
        sends_thinking=True,
        sends_effort=True,
        sends_output_schema=False,
        lists_models=False,
        stall_seconds=180.0,
        needs_key=False,
    ),
    "compatible": Profile(
        provider="compatible",
        cache="none",
        sends_thinking=False,
        sends_effort=False,
        sends_output_schema=False,
        lists_models=False,
        stall_seconds=600.0,
        needs_key=False,
    ),
}

_NEW = ModelLimits(
    context_tokens=1_000_000,
    output_tokens=128_000,
    has_adaptive_thinking=True,
    has_effort=True,
    has_structured_output=True,
)
_MIDDLE = ModelLimits(
    context_tokens=200_000,
    output_tokens=64_000,
    has_adaptive_thinking=True,
    has_effort=True,
    has_structured_output=True,
)
_OLD = ModelLimits(context_tokens=200_000, output_tokens=64_000, has_structured_output=True)
_UNKNOWN = ModelLimits(context_tokens=32_000, output_tokens=4_096)
_BY_NAME = {
    "claude-fable-5": _NEW,
    "claude-mythos-5": _NEW,
    "claude-opus-5": _NEW,
    "claude-sonnet-5": _NEW,
    "claude-haiku-5": _NEW,
    "claude-opus-4-8": _MIDDLE,
    "claude-opus-4-7": _MIDDLE,
    "claude-opus-4-6": _MIDDLE,
    "claude-sonnet-4-6": _MIDDLE,
    "claude-opus-4-5": _OLD,
    "claude-sonnet-4-5": _OLD,
    "claude-haiku-4-5": _OLD,
}


def guess_limits(model_name: str) -> ModelLimits:
    """Limits by the longest known name in `model_name`; cautious ones for a stranger."""
    known = sorted((n for n in _BY_NAME if n in model_name), key=len)
    return _BY_NAME[known[-1]] if known else _UNKNOWN


def is_known_model(model_name: str) -> bool:
    """Whether `guess_limits` knows more than caution."""
    return any(n in model_name for n in _BY_NAME)
