"""Messages between the owner and its workers: a four-byte length and one JSON object, over a private pipe."""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

HEADER = struct.Struct(">I")
MAX_MESSAGE_BYTES = 64 * 2**20


def encode_message(message: Mapping[str, Any]) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return HEADER.pack(len(body)) + body


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message of a blocking stream, or None at its end; raises `ValueError` for a length that cannot be."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    if length > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes")
    body = stream.read(length)
    if len(body) < length:
        return None
    message = json.loads(body.decode("utf-8", "surrogatepass"))
    if not isinstance(message, dict):
        raise ValueError("a message that is not an object")
    return message
