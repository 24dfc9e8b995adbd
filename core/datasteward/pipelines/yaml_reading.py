"""YAML read into a model, each fault told with the line and column of the key or value that caused it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from datasteward.pipelines.problems import PipelineFault, Problem, suggest

_BOOL = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """As YAML 1.2 has it: only `true` and `false` are booleans, so that `on`, `no` and `off` stay words."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML reads it from the class
        first: [(tag, rule) for tag, rule in rules if tag != _BOOL]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))

ModelT = TypeVar("ModelT", bound=BaseModel)
Path = tuple[str | int, ...]


@dataclass(slots=True)
class _Places:
    """Where each key and value of a document stands; lines and columns count from 0."""

    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    doubled: list[tuple[str, tuple[int, int]]] = field(default_factory=list)

    def nearest(self, path: Path, *, key: bool) -> tuple[int, int]:
        """The place of the deepest part of `path` that the document has."""
        for length in range(len(path), -1, -1):
            found = (self.keys if key else self.values).get(path[:length]) or self.values.get(path[:length])
            if found is not None:
                return found
        return (0, 0)


def read_yaml(text: str, model: type[ModelT], path: str, *, first_line: int = 1, first_column: int = 1) -> ModelT:
    """The document as `model`; an empty one is the model's defaults. Raises `PipelineFault` with every fault.

    `first_line` and `first_column` say where the text begins in its file.
    """

    def problem(message: str, place: tuple[int, int]) -> Problem:
        line, column = place
        return Problem(
            path=path,
            message=message,
            line=first_line + line,
            column=column + (first_column if line == 0 else 1),
        )

    try:
        if has_aliases(text):
            raise ValueError("anchors and aliases (& and *) are not taken")
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(w for w in (error.context, error.problem) if w)
        raise PipelineFault(
            [problem(f"not valid YAML: {words}", (mark.line, mark.column) if mark else (0, 0))]
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise PipelineFault([problem(f"not valid YAML: {error}", (0, 0))]) from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise PipelineFault([problem("expected keys and values such as 'materialize: table'", (0, 0))])
    places = _Places()
    if node is not None:
        _collect(node, (), places)
    faults = [problem(f"'{name}' is given twice", place) for name, place in places.doubled]
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        faults += [problem(*_describe(dict(fault), model, places)) for fault in error.errors(include_url=False)]
        raise PipelineFault(faults) from error
    if faults:
        raise PipelineFault(faults)
    return found


def has_aliases(text: str) -> bool:
    """Whether a document repeats parts of itself, by which a small file can grow without bound."""
    return "*" in text and any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=yaml.SafeLoader))


def _collect(node: yaml.Node, path: Path, places: _Places) -> None:
    places.values[path] = (node.start_mark.line, node.start_mark.column)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            inner = (*path, name)
            where = (key.start_mark.line, key.start_mark.column)
            if inner in places.keys:
                places.doubled.append((name, where))
            places.keys[inner] = where
            _collect(value, inner, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*path, index), places)


def _describe(fault: Mapping[str, Any], model: type[BaseModel], places: _Places) -> tuple[str, tuple[int, int]]:
    location: Path = tuple(fault["loc"])
    if fault["type"] == "extra_forbidden":
        name = str(location[-1])
        known = list(_fields_at(model, location[:-1]))
        return f"unknown key '{name}'{suggest(name, known)}", places.nearest(location, key=True)
    label = ".".join(str(part) for part in location)
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"'{label}' is missing", places.nearest(location[:-1], key=False)
    if fault["type"] == "literal_error" and isinstance(fault.get("input"), str):
        expected = [w.strip(" '") for w in str(fault["ctx"]["expected"]).replace(" or ", ", ").split(",")]
        message = f"'{fault['input']}' is not one of {', '.join(expected)}{suggest_near(fault['input'], expected)}"
    text = f"{label}: {message}" if label else message
    return text, places.nearest(location, key=False)


def suggest_near(name: str, known: Sequence[str]) -> str:
    """The nearest of `known` as a question, or nothing when none is near."""
    found = suggest(name, known)
    return found if found.startswith(", did") else ""


def _fields_at(model: type[BaseModel], location: Path) -> Iterator[str]:
    here: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and here is not None and part in here.model_fields:
            here = next(_models_in(here.model_fields[part].annotation), None)
    if here is not None:
        yield from here.model_fields


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
