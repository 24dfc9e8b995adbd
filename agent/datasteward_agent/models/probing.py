"""Asks a model one cheap thing, so that a doctor can tell what works before a real run finds out."""

import time
from contextlib import aclosing
from dataclasses import dataclass

from datasteward_agent.conversation import say
from datasteward_agent.models.port import FaultKind, Model, ModelFault, ModelReply, ModelRequest
from datasteward_agent.toolset import ToolDefinition

_PROBE_TOKENS = 256
_TOOL = ToolDefinition(
    name="report_ready",
    description="Call this once to show that you can call tools.",
    input_schema={"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]},
    read_only=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What was found: whether the model answers as a stream, whether it calls tools, and how long it took."""

    model: str
    provider: str
    answers: bool
    calls_tools: bool
    seconds: float
    context_tokens: int | None = None
    fault: FaultKind | None = None
    message: str = ""


async def probe_model(model: Model) -> ProbeReport:
    """One request with one tool, not retried; raises `ConfigError` when the client cannot be made."""
    identity, started = model.identity, time.perf_counter()
    request = ModelRequest(
        system="You are being tested. Call the tool report_ready.",
        messages=(say("Call report_ready with ready = true."),),
        tools=(_TOOL,),
        max_output_tokens=_PROBE_TOKENS,
    )
    reply: ModelReply | None = None
    fault: ModelFault | None = None
    limits = None
    try:
        limits = await model.limits()
        async with aclosing(model.stream(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelReply):
                    reply = piece
    except ModelFault as error:
        fault = error
    finally:
        await model.close()
    return ProbeReport(
        model=identity.name,
        provider=identity.provider,
        answers=reply is not None,
        calls_tools=reply is not None and bool(reply.message.calls),
        seconds=round(time.perf_counter() - started, 3),
        context_tokens=limits.context_tokens if limits else None,
        fault=fault.kind if fault else None,
        message=fault.message if fault else "",
    )
