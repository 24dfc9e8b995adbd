"""Digests: SHA-256 over canonical JSON (RFC 8785), so that equal content has one digest whoever writes it."""

import hashlib
from pathlib import Path

import rfc8785
from pydantic import BaseModel

_CHUNK_BYTES = 1 << 20


def canonical_json(model: BaseModel) -> bytes:
    """The model as RFC 8785 canonical JSON; integers beyond 53 bits are refused by that rule, so they are text here.

    Values that are defaults are left out, so that a later version with one more field still finds the same digest.
    """
    return rfc8785.dumps(_plain_model(model.model_dump(mode="json", exclude_defaults=True)))


def _plain_model(body: dict[str, object]) -> "rfc8785._impl._Value":
    """The model's values; a parameter that is 1.0 is told apart from 1, which RFC 8785 writes alike."""
    parameters = body.get("parameters")
    if isinstance(parameters, list):
        body = {**body, "parameters": [_mark_float(p) for p in parameters]}
    return _plain(body)


def _mark_float(parameter: object) -> object:
    if isinstance(parameter, dict) and isinstance(value := parameter.get("value"), float) and value.is_integer():
        return {**parameter, "value": {"float": repr(value)}}
    return parameter


def digest_of(model: BaseModel) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal characters."""
    return hashlib.sha256(canonical_json(model)).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def show_digest(digest: str) -> str:
    """The first 8 groups of 4, as a person compares them."""
    return " ".join(digest[i : i + 4] for i in range(0, 32, 4))


_SAFE_INTEGER = 2**53 - 1


def _plain(value: object) -> "rfc8785._impl._Value":
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        return {"integer": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical form")
