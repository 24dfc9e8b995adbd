"""MCP's stdio framing (one JSON-RPC message a line) over any pair of asyncio streams."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

logger = logging.getLogger(__name__)


async def serve_stream(
    server: Server[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: Any
) -> None:
    """Serve one connection until it closes; what it still had running is cancelled."""
    async with _message_streams(reader, writer) as (incoming, outgoing):
        await serve_dual_era_loop(
            server,
            incoming,
            outgoing,
            lifespan_state=state,
            init_options=server.create_initialization_options(),
        )


@asynccontextmanager
async def _message_streams(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[tuple[Any, Any]]:
    to_server, incoming = create_context_streams[SessionMessage | Exception](0)
    outgoing, from_server = create_context_streams[SessionMessage](0)
    refusals = outgoing.clone()

    async def take(line: bytes) -> None:
        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError:
            await refusals.send(SessionMessage(_refusal(line)))
        else:
            await to_server.send(SessionMessage(message))

    async def read() -> None:
        async with to_server, refusals:
            try:
                while line := await reader.readline():
                    if line.strip():
                        await take(line)
            except (ConnectionError, anyio.ClosedResourceError, anyio.BrokenResourceError):
                pass
            except ValueError:
                logger.warning("a message over the size limit ended a connection")

    async def write() -> None:
        try:
            async with from_server:
                async for item in from_server:
                    body = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                    writer.write(body.encode() + b"\n")
                    await writer.drain()
        except (ConnectionError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(write)
        yield incoming, outgoing
        group.cancel_scope.cancel()


def _refusal(line: bytes) -> types.JSONRPCError:
    """JSON-RPC 2.0 section 5.1: -32700 for what is no JSON, -32600 for JSON that is no message, with its id if it has one."""
    try:
        value = json.loads(line)
    except ValueError:
        error = types.ErrorData(code=types.PARSE_ERROR, message="This line is no JSON; one JSON-RPC message a line.")
        return types.JSONRPCError(jsonrpc="2.0", id=None, error=error)
    number = value.get("id") if isinstance(value, dict) else None
    error = types.ErrorData(
        code=types.INVALID_REQUEST,
        message="This is no JSON-RPC 2.0 message: jsonrpc, method and id or params are needed.",
    )
    is_id = isinstance(number, str | int) and not isinstance(number, bool)
    return types.JSONRPCError(jsonrpc="2.0", id=number if is_id else None, error=error)
