"""A local server that speaks the Messages API over real HTTP and SSE, with every fault a stream can have.

Plain asyncio, no framework, in a thread of its own, so that tests, subprocesses and other clients can all talk to it.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MAX_STALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answers to one request.

    `content` are finished blocks (see `text`, `thinking`, `tool`). The faults count stream events that are sent before
    they strike. `raw_tool_json` replaces the arguments of the last tool block as they go over the wire.
    """

    content: tuple[dict[str, Any], ...] = ()
    stop: str | None = None
    refusal: str | None = None
    status: int = 200
    error: str = "api_error"
    message: str = "scripted"
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int | None = None
    end_after: int | None = None
    error_after: int | None = None
    stall_after: int | None = None
    garbage_after: int | None = None
    first_byte_seconds: float = 0.0
    gap_seconds: float = 0.0
    is_empty: bool = False
    raw_tool_json: str | None = None
    input_tokens: int = 100
    output_tokens: int = 10
    cache_read_tokens: int = 0


def text(words: str) -> dict[str, Any]:
    """A block of words."""
    return {"type": "text", "text": words}


def thinking(words: str, signature: str = "sig") -> dict[str, Any]:
    """A block of reasoning."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool(name: str, call_id: str = "toolu_1", **arguments: Any) -> dict[str, Any]:
    """A call."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def say(words: str, **options: Any) -> Reply:
    """A reply of words alone."""
    return Reply(content=(text(words),), **options)


def call(*calls: dict[str, Any], **options: Any) -> Reply:
    """A reply that asks for tools."""
    return Reply(content=calls, **options)


@dataclass(slots=True)
class Request:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes


Script = Sequence[Reply] | Callable[[Any, int], Reply]


@dataclass(slots=True)
class MessagesServer:
    """A running server: its address, what it received, and the models it lists."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    disconnects: int = 0

    @property
    def bodies(self) -> list[Any]:
        """The bodies of the message requests."""
        return [r.body for r in self.requests if r.path.startswith("/v1/messages")]


@contextmanager
def serve(script: Script, *, models: dict[str, dict[str, Any]] | None = None) -> Iterator[MessagesServer]:
    """A server on a free loopback port for the length of the block; after the last reply it answers with 500."""
    server = MessagesServer(models=models or {})
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        handler = _Handler(server, script, stop)
        listener = await asyncio.start_server(handler.serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        listener.close()
        for task in handler.tasks:
            task.cancel()
        await asyncio.gather(*handler.tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


class _Handler:
    def __init__(self, server: MessagesServer, script: Script, stop: asyncio.Event) -> None:
        self.server = server
        self.script = script
        self.stop = stop
        self.count = 0
        self.tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while (request := await _read_request(reader)) is not None:
                self.server.requests.append(request)
                if not await self._answer(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.server.disconnects += 1
        except asyncio.CancelledError:
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.method == "GET" and request.path.startswith("/v1/models/"):
            info = self.server.models.get(request.path.split("?")[0].rsplit("/", 1)[-1])
            return await _send_json(writer, 200 if info else 404, info or _error("not_found_error", "no such model"))
        if request.path.startswith("/v1/messages/count_tokens"):
            return await _send_json(writer, 200, {"input_tokens": len(request.raw) // 4})
        reply = self._next(request.body)
        await asyncio.sleep(reply.first_byte_seconds)
        if reply.status != 200:
            return await _send_json(writer, reply.status, _error(reply.error, reply.message), reply.headers)
        if not request.body.get("stream"):
            return await _send_json(writer, 200, _whole_message(reply, request.body, self.count))
        return await self._stream(reply, request, writer)

    def _next(self, body: Any) -> Reply:
        number = self.count
        self.count += 1
        if callable(self.script):
            return self.script(body, number)
        if number < len(self.script):
            return self.script[number]
        return Reply(status=500, message="the script is over", headers=(("x-should-retry", "false"),))

    async def _stream(self, reply: Reply, request: Request, writer: asyncio.StreamWriter) -> bool:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
        writer.write(f"{head}request-id: req_{self.count}\r\n\r\n".encode())
        await writer.drain()
        events = [] if reply.is_empty else list(_events(reply, request.body, self.count))
        for number, event in enumerate([*events, None]):
            if reply.cut_after == number:
                writer.transport.abort()
                return False
            if reply.stall_after == number:
                await asyncio.wait_for(self._until_gone(writer), MAX_STALL_SECONDS)
                return False
            if reply.error_after == number:
                _chunk(writer, "error", _error(reply.error, reply.message))
                break
            if reply.garbage_after == number:
                _raw_chunk(writer, b"event: message_delta\ndata: {not json\n\n")
                break
            if reply.end_after == number or event is None:
                break
            _chunk(writer, event["type"], event)
            await writer.drain()
            if reply.gap_seconds:
                await asyncio.sleep(reply.gap_seconds)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _until_gone(self, writer: asyncio.StreamWriter) -> None:
        while not writer.transport.is_closing() and not self.stop.is_set():
            await asyncio.sleep(0.01)
            _raw_chunk(writer, b"")


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json.loads(raw) if raw else None, raw)


async def _send_json(
    writer: asyncio.StreamWriter, status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()
) -> bool:
    data = json.dumps(body).encode()
    extra = "".join(f"{k}: {v}\r\n" for k, v in headers)
    head = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n{extra}\r\n"
    writer.write(head.encode() + data)
    await writer.drain()
    return True


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _chunk(writer: asyncio.StreamWriter, name: str, body: Any) -> None:
    _raw_chunk(writer, f"event: {name}\ndata: {json.dumps(body)}\n\n".encode())


def _raw_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _stop_reason(reply: Reply) -> str:
    return reply.stop or ("tool_use" if any(b["type"] == "tool_use" for b in reply.content) else "end_turn")


def _whole_message(reply: Reply, body: Any, number: int) -> dict[str, Any]:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": list(reply.content),
        "stop_reason": _stop_reason(reply),
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cache_read_input_tokens": reply.cache_read_tokens,
        },
    }


def _events(reply: Reply, body: Any, number: int) -> Iterator[dict[str, Any]]:
    start = {**_whole_message(reply, body, number), "content": [], "stop_reason": None}
    start["usage"] = {**start["usage"], "output_tokens": 1}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(reply.content):
        yield {"type": "content_block_start", "index": index, "content_block": _opened(block)}
        for delta in _deltas(block, reply.raw_tool_json if index == len(reply.content) - 1 else None):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    details = {"type": "refusal", "category": reply.refusal, "explanation": None} if reply.refusal else None
    delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None, "stop_details": details}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": reply.output_tokens}}
    yield {"type": "message_stop"}


def _opened(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use":
            return {**block, "input": {}}
        case _:
            return block


def _deltas(block: dict[str, Any], raw_json: str | None) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "text":
            for piece in _split(block["text"]):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in _split(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            for piece in _split(json.dumps(block["input"]) if raw_json is None else raw_json):
                yield {"type": "input_json_delta", "partial_json": piece}


def _split(words: str) -> Iterator[str]:
    size = max(1, len(words) // 4)
    for start in range(0, len(words), size):
        yield words[start : start + size]
