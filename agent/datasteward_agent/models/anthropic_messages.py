"""Models behind the Messages API: Anthropic, Bedrock, Vertex and servers that speak the same protocol.

The only module that imports the SDK, and only when a client is first needed, because the import takes about a second.
"""

import logging
import warnings
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasteward.errors import ConfigError
from datasteward_agent.limits import FREE, find_price
from datasteward_agent.models.port import (
    FaultKind,
    ModelFault,
    ModelIdentity,
    ModelLimits,
    ModelPiece,
    ModelRequest,
)
from datasteward_agent.models.profiles import Profile, guess_limits, is_known_model
from datasteward_agent.models.stream_reading import ReplyBuilder
from datasteward_agent.models.wire import build_request

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic, AsyncAnthropicBedrock, AsyncAnthropicVertex

    Client = AsyncAnthropic | AsyncAnthropicBedrock | AsyncAnthropicVertex

CONNECT_SECONDS = 15.0
LIMITS_SECONDS = 5.0
_BY_TYPE: dict[str, FaultKind] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limited",
    "api_error": "server",
    "timeout_error": "timeout",
    "authentication_error": "auth",
    "permission_error": "auth",
    "billing_error": "auth",
    "not_found_error": "not_found",
    "request_too_large": "context_full",
    "invalid_request_error": "bad_request",
}
_BY_STATUS: dict[int, FaultKind] = {
    400: "bad_request",
    401: "auth",
    402: "auth",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "context_full",
    429: "rate_limited",
    529: "overloaded",
}
_TOO_LONG = ("prompt is too long", "context window", "maximum context", "exceeds the available context")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is and how to get in; `key` is never shown."""

    model_name: str
    profile: Profile
    base_url: str | None = None
    key: str | None = None
    stall_seconds: float | None = None


class MessagesModel:
    """A model behind one endpoint; retries are the loop's, so the SDK makes one attempt a request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: Client | None = None
        self._limits: ModelLimits | None = None
        profile = endpoint.profile
        self._identity = ModelIdentity(
            name=endpoint.model_name,
            provider=profile.provider,
            price=FREE if profile.provider == "compatible" else find_price(endpoint.model_name),
            secrets=(endpoint.key,) if endpoint.key else (),
        )

    @property
    def identity(self) -> ModelIdentity:
        """Name, provider and price."""
        return self._identity

    def prepare(self) -> None:
        """Import the SDK, which takes about a second; may run on a thread while other things are opened."""
        import anthropic.resources.messages  # noqa: F401
        import httpx2  # noqa: F401

    async def limits(self) -> ModelLimits:
        """From the server where it lists models, else from the built-in table; asked once."""
        if self._limits is None:
            listed = self._endpoint.profile.lists_models and not is_known_model(self._endpoint.model_name)
            self._limits = (await self._ask_limits() if listed else None) or guess_limits(self._endpoint.model_name)
        return self._limits

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelPiece, None]:
        """Pieces of one attempt, the reply last; raises `ModelFault`."""
        limits = await self.limits()
        body = build_request(self._endpoint.model_name, request, self._endpoint.profile, limits)
        builder = ReplyBuilder(self._endpoint.model_name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                opening = self._open_client().messages.stream(**body)
            async with opening as events:
                async for event in events:
                    for piece in builder.take(event):
                        yield piece
                request_id = events.request_id
        except ModelFault:
            raise
        except Exception as error:
            fault = self._explain(error)
            if fault is None:
                raise
            raise fault from None
        yield builder.finish(request_id)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _open_client(self) -> "Client":
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _make_client(self) -> "Client":
        import anthropic

        _hush_client_logs()
        profile, endpoint = self._endpoint.profile, self._endpoint
        timeout = self._timeout()
        try:
            if profile.provider == "bedrock":
                return anthropic.AsyncAnthropicBedrock(base_url=endpoint.base_url, max_retries=0, timeout=timeout)
            if profile.provider == "vertex":
                return anthropic.AsyncAnthropicVertex(base_url=endpoint.base_url, max_retries=0, timeout=timeout)
            return anthropic.AsyncAnthropic(
                api_key=endpoint.key or "none",
                base_url=endpoint.base_url or "https://api.anthropic.com",
                max_retries=0,
                timeout=timeout,
                # A redirect would carry the key's header to another host.
                http_client=anthropic.DefaultAsyncHttpxClient(timeout=timeout, follow_redirects=False),
            )
        except (ImportError, ValueError, RuntimeError, anthropic.AnthropicError) as error:
            raise ConfigError(
                f"The client for {profile.provider} cannot be made: {self._scrub(str(error))[:300]}",
                hint=f"pip install 'anthropic[{profile.provider}]' and set the provider's own region and credentials.",
            ) from None

    def _timeout(self) -> "httpx2.Timeout":
        import httpx2

        stall = self._endpoint.stall_seconds or self._endpoint.profile.stall_seconds
        return httpx2.Timeout(stall, connect=min(CONNECT_SECONDS, stall))

    async def _ask_limits(self) -> ModelLimits | None:
        import anthropic
        import httpx2

        client = self._open_client()
        if not isinstance(client, anthropic.AsyncAnthropic):
            return None
        try:
            info = await client.models.retrieve(self._endpoint.model_name, timeout=LIMITS_SECONDS)
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError):
            return None
        return _read_limits(info, guess_limits(self._endpoint.model_name))

    def _scrub(self, text: str) -> str:
        for secret in self._identity.secrets:
            text = text.replace(secret, "***")
        return text

    def _explain(self, error: Exception) -> ModelFault | None:
        """The fault an exception of the SDK or its transport stands for; None for a defect of ours."""
        import anthropic
        import httpx2

        message = self._scrub(str(getattr(error, "api_message", None) or error))[:500]
        if isinstance(error, anthropic.APIStatusError):
            return _explain_status(error, message)
        if isinstance(error, anthropic.APITimeoutError):
            return ModelFault("timeout", "The server did not begin to answer in time.")
        if isinstance(error, anthropic.APIConnectionError):
            return ModelFault("connection", f"The server cannot be reached: {_cause(error, message)}")
        if isinstance(error, httpx2.TimeoutException):
            return ModelFault("stalled", "The stream stood still for too long.")
        if isinstance(error, httpx2.TransportError):
            return ModelFault("cut", f"The connection broke in mid-reply: {message or type(error).__name__}")
        if isinstance(error, anthropic.AnthropicError):
            return ModelFault("auth" if "credential" in message.lower() else "unusable", message)
        if isinstance(error, httpx2.HTTPError | httpx2.StreamError):
            return ModelFault("unusable", f"The server's answer cannot be read: {message or type(error).__name__}")
        if isinstance(error, ValueError) and "JSON" in message:
            return ModelFault("bad_tool_arguments", "The model's arguments for a tool are not JSON.")
        if isinstance(error, ValueError):
            return ModelFault("unfinished", "The stream holds a line that is not JSON.")
        return None


def _hush_client_logs() -> None:
    """At DEBUG the SDK and its transport log whole requests, data and all; that must never reach a log."""
    for name in ("anthropic", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)


def _cause(error: Exception, message: str) -> str:
    return str(error.__cause__)[:200] if error.__cause__ else message


def _explain_status(error: Any, message: str) -> ModelFault:
    kind = _BY_TYPE.get(error.type or "") or _BY_STATUS.get(error.status_code)
    if kind is None:
        kind = "server" if error.status_code >= 500 else "bad_request"
    if kind == "bad_request" and any(words in message.lower() for words in _TOO_LONG):
        kind = "context_full"
    headers = error.response.headers
    return ModelFault(
        kind,
        message,
        retry_after_seconds=_retry_after(headers),
        status=error.status_code,
        is_final=headers.get("x-should-retry") == "false",
    )


def _retry_after(headers: Any) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    return None


def _read_limits(info: Any, fallback: ModelLimits) -> ModelLimits:
    def supports(*path: str) -> bool | None:
        node: Any = info.capabilities
        for name in path:
            node = getattr(node, name, None)
        value = getattr(node, "supported", None)
        return value if isinstance(value, bool) else None

    def choose(value: bool | None, otherwise: bool) -> bool:
        return otherwise if value is None else value

    return ModelLimits(
        context_tokens=info.max_input_tokens or fallback.context_tokens,
        output_tokens=info.max_tokens or fallback.output_tokens,
        has_adaptive_thinking=choose(supports("thinking", "types", "adaptive"), fallback.has_adaptive_thinking),
        has_effort=choose(supports("effort"), fallback.has_effort),
        has_structured_output=choose(supports("structured_outputs"), fallback.has_structured_output),
    )
