"""What an MCP client has said over stdio, as far as a second owner process must know it to go on."""

import json
import re
from typing import Any, Literal

Id = str | int
INTERNAL_ERROR = -32603
_REPLY = re.compile(rb'\{"jsonrpc":"2\.0","id":(-?\d+|"(?:[^"\\]|\\.)*"),"(?:result|error)"')
ENDED = (
    "The owner process ended during this call; the next call starts a new one. Nothing half-done is kept. "
    "A change proposed or applied just now is told by steward changes list."
)


class WireMemory:
    """The client's greeting and the requests without a reply yet; knows which replies the client must not see."""

    def __init__(self) -> None:
        self._greeting: dict[Literal["initialize", "initialized"], bytes] = {}
        self._open: dict[Id, str] = {}
        self._hidden: Id | None = None

    def note_sent(self, line: bytes) -> None:
        """Take in one line from the client."""
        message = _read(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            self._greeting = {"initialize": line}
        elif method == "notifications/initialized":
            self._greeting["initialized"] = line
        if isinstance(method, str) and isinstance(number, str | int):
            self._open[number] = method

    def withdraw(self, line: bytes) -> bool:
        """Take a line back that did not reach the owner; False when it has been answered already."""
        message = _read(line)
        number = message.get("id")
        if "method" not in message or not isinstance(number, str | int):
            return True
        return self._open.pop(number, None) is not None

    def is_for_client(self, line: bytes) -> bool:
        """Take in one line from the owner; False for the reply to a greeting that this process repeated."""
        number = _answered(line)
        if number is None:
            return True
        if number == self._hidden:
            self._hidden = None
            return False
        self._open.pop(number, None)
        return True

    def replies_of_the_lost(self) -> list[bytes]:
        """An answer for every open request, to be told when the owner has ended; they count as answered then."""
        lost, self._open, self._hidden = self._open, {}, None
        return [_lost_reply(number, method) for number, method in lost.items()]

    def greeting(self) -> list[bytes]:
        """The lines that introduce the client to another owner; empty before the handshake and in its absence."""
        if "initialized" not in self._greeting:
            return []
        self._hidden = _read(self._greeting["initialize"]).get("id")
        return [self._greeting["initialize"], self._greeting["initialized"]]


def _lost_reply(number: Id, method: str) -> bytes:
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": number}
    if method == "tools/call":
        reply["result"] = {"content": [{"type": "text", "text": ENDED}], "isError": True}
    else:
        reply["error"] = {"code": INTERNAL_ERROR, "message": ENDED}
    return json.dumps(reply, separators=(",", ":")).encode() + b"\n"


def _answered(line: bytes) -> Id | None:
    """The request that a line of the owner answers, read off its beginning where the owner writes it as it does."""
    if (start := _REPLY.match(line)) is not None:
        return _id(json.loads(start[1]))
    message = _read(line)
    return None if "method" in message else _id(message.get("id"))


def _id(value: object) -> Id | None:
    return value if isinstance(value, str | int) else None


def _read(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
