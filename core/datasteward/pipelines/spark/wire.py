"""The little of the protobuf wire format that a few Spark Connect messages need.

A message is bytes made of its fields; https://protobuf.dev/programming-guides/encoding/ is the source of the rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _BYTES = 0, 2
_LONGEST_VARINT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as it was received: a number for integers and booleans, bytes for everything else."""

    number: int
    value: int | bytes


def integer(number: int, value: int) -> bytes:
    """A field with an unsigned integer, boolean or enum."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def text(number: int, value: str) -> bytes:
    """A field with a text."""
    return message(number, value.encode())


def message(number: int, *parts: bytes) -> bytes:
    """A field with a message made of `parts`, each of them fields."""
    body = b"".join(parts)
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def pair(number: int, key: str, value: str) -> bytes:
    """One entry of a map from text to text."""
    return message(number, text(1, key), text(2, value))


def read_fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in their order; raises `ValueError` when it is cut short or not a message."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = _read_varint(data, at)
            case 2:
                length, at = _read_varint(data, at)
                value, at = _read_bytes(data, at, length)
            case 1:
                value, at = _read_bytes(data, at, 8)
            case 5:
                value, at = _read_bytes(data, at, 4)
            case kind:
                raise ValueError(f"a field of wire type {kind}, which no longer exists")
        yield Field(number=tag >> 3, value=value)


def _varint(value: int) -> bytes:
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, at + position + 1
    raise ValueError("a number is cut short")


def _read_bytes(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise ValueError("a message is cut short")
    return data[at : at + length], at + length
