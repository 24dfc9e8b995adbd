"""What is wrong in a file that a person wrote, said by its own keys: where, what was received, and what is accepted."""

import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

RECEIVED_CHARACTERS = 80


def describe_faults(error: ValidationError, model: type[BaseModel], data: object) -> list[str]:
    """A sentence for each fault of `data`, which `model` refused."""
    return [describe_fault(dict(fault), model, data) for fault in error.errors(include_url=False)]


def describe_fault(fault: Mapping[str, Any], model: type[BaseModel], data: object) -> str:
    """`policy.rules number 1 ('nightly'): verdict is 'allw', did you mean 'allow'? It takes allow, ask or deny.`"""
    place = _find_place(fault["loc"], model, data)
    before = f"{place.item}: " if place.item else ""
    match fault["type"]:
        case "missing":
            return f"{before}{place.key} is missing."
        case "extra_forbidden":
            return near_name(f"{before}unknown key '{place.key}'", str(fault["loc"][-1]), place.known)
    received = repr(fault["input"])
    shown = received if len(received) <= RECEIVED_CHARACTERS else f"{received[: RECEIVED_CHARACTERS - 1]}…"
    said = f"{before}{place.key} is {shown}"
    if place.choices:
        near = difflib.get_close_matches(str(fault["input"]), place.choices, n=1, cutoff=0.5)
        takes = f"It takes {' or '.join([', '.join(place.choices[:-1]), place.choices[-1]])}."
        return f"{said}, did you mean '{near[0]}'? {takes}" if near else f"{said}. {takes}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{said}: {message}{'' if message.endswith(('.', '?')) else '.'}"


def near_name(message: str, name: str, known: Iterable[str]) -> str:
    """The message with the nearest known name, or with all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"{message}, did you mean '{near[0]}'?" if near else f"{message}; known: {', '.join(names)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a fault is: the item of a list it is in, its key, the keys known there, and the values of a closed set."""

    item: str
    key: str
    known: tuple[str, ...]
    choices: tuple[str, ...]


def _find_place(location: Sequence[str | int], model: type[BaseModel], data: object) -> _Place:
    item, keys, known = "", list[str](), tuple(model.model_fields)
    shape: Any = model
    for part in location:
        if isinstance(part, int):
            data = data[part] if isinstance(data, Sequence) and part < len(data) else None
            name = data.get("name") if isinstance(data, Mapping) else None
            before = f"{item}: " if item else ""
            item = f"{before}{'.'.join(keys)} number {part + 1}" + (f" ({name!r})" if isinstance(name, str) else "")
            keys = []
            shape = next((a for a in get_args(shape) if a is not Ellipsis), None)
            continue
        fields = shape.model_fields if isinstance(shape, type) and issubclass(shape, BaseModel) else {}
        known = tuple(fields)
        keys.append(part)
        shape = _unwrap(fields[part].annotation) if part in fields else None
        data = data.get(part) if isinstance(data, Mapping) else None
    if not keys:
        return _Place(item="", key=item, known=known, choices=())
    choices = tuple(str(a) for a in get_args(shape)) if get_origin(shape) is Literal else ()
    return _Place(item=item, key=".".join(keys), known=known, choices=choices)


def _unwrap(annotation: Any) -> Any:
    """`X` of `X | None`; anything else as it is."""
    if get_origin(annotation) in {Union, types.UnionType}:
        rest = [a for a in get_args(annotation) if a is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation
