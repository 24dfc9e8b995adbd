"""What a tool is: one function with one input and one output model, called the same way by every front end."""

import difflib
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from datasteward.callers import Caller, FrontEnd, Progress
from datasteward.errors import ToolError


async def _drop_progress(_: Progress) -> None:
    return None


class ToolInput(BaseModel):
    """Base of every tool's arguments: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ToolOutput(BaseModel):
    """Base of every tool's answer; the text carries the same facts as the structured form."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def to_text(self) -> str:
        """The compact text that a model or a person reads."""
        raise TypeError(f"{type(self).__name__} has no text form")

    def to_structured(self) -> dict[str, Any]:
        """The JSON form that programs read, without unset values."""
        return self.model_dump(mode="json", exclude_none=True)


__all__ = ["Caller", "FrontEnd", "Progress", "Tool", "ToolContext", "ToolInput", "ToolOutput", "Toolset", "tool"]

InputT = TypeVar("InputT", bound=ToolInput)
OutputT = TypeVar("OutputT", bound=ToolOutput)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """All a tool may use: the workspace's services, who asks, and a way to tell progress."""

    services: Any
    """`datasteward.services.Services`; typed there so that this module stays importable by everyone."""
    caller: Caller
    call_id: str
    report: Callable[[Progress], Awaitable[None]] = _drop_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[InputT, OutputT]):
    """One tool: its models, its function, and the four hints clients show."""

    name: str
    title: str
    input_model: type[InputT]
    output_model: type[OutputT]
    run: Callable[[InputT, ToolContext], Awaitable[OutputT]]
    is_read_only: bool = True
    is_destructive: bool = False
    is_idempotent: bool = True
    is_open_world: bool = False

    @property
    def description(self) -> str:
        """The function's docstring, which is what the model reads."""
        return inspect.cleandoc(self.run.__doc__ or "")

    def input_schema(self) -> dict[str, Any]:
        """The arguments as lean JSON Schema: no titles, additional properties refused."""
        return lean_schema(self.input_model.model_json_schema())

    def output_schema(self) -> dict[str, Any]:
        """The structured answer as lean JSON Schema."""
        return lean_schema(self.output_model.model_json_schema(mode="serialization"))


def tool(
    *,
    title: str,
    is_read_only: bool = True,
    is_destructive: bool = False,
    is_idempotent: bool = True,
    is_open_world: bool = False,
) -> Callable[[Callable[[InputT, ToolContext], Awaitable[OutputT]]], Tool[InputT, OutputT]]:
    """Make a `Tool` of an async function `(arguments: Input, context: ToolContext) -> Output`, named after it."""

    def wrap(function: Callable[[InputT, ToolContext], Awaitable[OutputT]]) -> Tool[InputT, OutputT]:
        hints = typing.get_type_hints(function)
        first = next(iter(inspect.signature(function).parameters))
        return Tool(
            name=getattr(function, "__name__", "tool"),
            title=title,
            input_model=hints[first],
            output_model=hints["return"],
            run=function,
            is_read_only=is_read_only,
            is_destructive=is_destructive,
            is_idempotent=is_idempotent,
            is_open_world=is_open_world,
        )

    return wrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolset:
    """The tools of a workspace, by name; the one way a call goes in."""

    tools: Mapping[str, Tool[Any, Any]] = field(default_factory=lambda: types.MappingProxyType({}))
    _empty: ClassVar[None] = None

    @classmethod
    def of(cls, tools: Iterable[Tool[Any, Any]]) -> "Toolset":
        """A toolset of these tools, in their order."""
        return cls(tools=types.MappingProxyType({t.name: t for t in tools}))

    def get(self, name: str) -> Tool[Any, Any]:
        """The tool of that name; raises `ToolError` (unknown_tool) with the nearest names."""
        if name in self.tools:
            return self.tools[name]
        near = difflib.get_close_matches(name, self.tools, n=2, cutoff=0.5)
        raise ToolError(
            f"There is no tool '{name}'.",
            code="unknown_tool",
            hint=f"Did you mean {' or '.join(near)}?" if near else f"Tools: {', '.join(self.tools)}.",
        )

    async def call(self, name: str, arguments: Mapping[str, Any] | None, context: ToolContext) -> ToolOutput:
        """Validate `arguments`, run the tool and return its output; raises `ToolError` for what the caller can mend."""
        chosen = self.get(name)
        parsed = parse_arguments(chosen.input_model, arguments or {}, name)
        output = await chosen.run(parsed, context)
        if not isinstance(output, ToolOutput):
            raise TypeError(f"{name} returned {type(output).__name__}")
        return output


def parse_arguments(model: type[InputT], arguments: Mapping[str, Any], tool_name: str) -> InputT:
    """`arguments` as `model`; raises `ToolError` (invalid_arguments) naming each fault and the nearest known name."""
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        faults = [_describe_fault(fault, model) for fault in error.errors(include_url=False, include_input=False)]
        known = ", ".join(_argument_names(model))
        raise ToolError(
            f"{tool_name}: {'; '.join(faults)}", code="invalid_arguments", hint=f"Arguments: {known}."
        ) from error


def _argument_names(model: type[BaseModel]) -> list[str]:
    return [f.alias or name for name, f in model.model_fields.items()]


def _describe_fault(fault: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _argument_names(model), n=1, cutoff=0.5)
        return f"unknown argument '{where}'" + (f", did you mean '{near[0]}'?" if near else "")
    if fault["type"] == "missing":
        return f"argument '{where}' is required"
    message = str(fault["msg"])
    return f"argument '{where}': {message[:1].lower()}{message[1:]}" if where else message


def lean_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without titles and with `$ref`s resolved in place, as old clients and small contexts need it."""
    definitions = schema.get("$defs", {})
    lean = _lean(schema, definitions, ())
    assert isinstance(lean, dict)
    return lean


_LEFT_TO_VALIDATION = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "maxLength", "minLength", "maxItems", "format", "default"}
)
"""What calls are checked against, or filled in with, but need not be read beforehand; errors name the bounds."""


def _lean(node: Any, definitions: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_lean(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        if name in path:
            return {"type": "object"}
        merged = {**definitions[name], **{k: v for k, v in node.items() if k != "$ref"}}
        return _lean(merged, definitions, (*path, name))
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "$defs" or (key == "title" and isinstance(value, str)):
            continue
        if key == "properties" and isinstance(value, dict):
            out[key] = {name: _lean(item, definitions, path) for name, item in value.items()}
        elif key == "anyOf" and isinstance(value, list) and {"type": "null"} in value:
            others = [v for v in value if v != {"type": "null"}]
            out.update(
                _lean(others[0] if len(others) == 1 else {"type": [v["type"] for v in others]}, definitions, path)
            )
        elif key in _LEFT_TO_VALIDATION or (key == "type" and "enum" in node):
            continue
        else:
            out[key] = _lean(value, definitions, path)
    return out
