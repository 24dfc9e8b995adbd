"""The arguments of function calls in DuckDB's syntax tree: which are constants, which are options."""

from collections.abc import Mapping
from typing import Any

from datasteward.engine.gate_catalog import StoredMacro
from datasteward.engine.gate_facts import FileOption
from datasteward.engine.gate_parser import Tree

Arguments = Mapping[str, Tree]
"""A macro's parameters, in lower case, with the constants that its call gives them."""


def constant_texts(node: Any, arguments: Arguments) -> list[str] | None:
    """The constant string, or strings of a constant list, that `node` is; None for anything else."""
    if not isinstance(node, dict):
        return None
    if node.get("type") == "COLUMN_REF":
        names = node.get("column_names") or []
        bound = arguments.get(str(names[0]).casefold()) if len(names) == 1 else None
        return None if bound is None else constant_texts(bound, {})
    if node.get("type") == "VALUE_CONSTANT":
        literal = node.get("literal") or {}
        return [str(literal.get("text", ""))] if literal.get("kind") == "STRING" else None
    if node.get("type") == "FUNCTION" and path_of(node) == ("list_value",):
        texts: list[str] = []
        for argument in arguments_of(node):
            inner = constant_texts(argument.get("expression"), arguments)
            if inner is None:
                return None
            texts.extend(inner)
        return texts or None
    return None


def split_arguments(arguments: list[Tree], bound: Arguments) -> tuple[list[Any], list[FileOption]]:
    """The positional arguments, and the named ones as options; `a = 1` counts as named, as DuckDB takes it."""
    positional: list[Any] = []
    options: list[FileOption] = []
    for argument in arguments:
        expression = argument.get("expression") or {}
        name, value = argument.get("name"), expression
        left = expression.get("left") or {}
        if name is None and expression.get("type") == "COMPARE_EQUAL" and left.get("type") == "COLUMN_REF":
            name, value = left["column_names"][-1], expression.get("right") or {}
        if name is None:
            positional.append(expression)
        else:
            literal = value.get("literal") or {}
            text = literal.get("text") if value.get("type") == "VALUE_CONSTANT" else None
            options.append(FileOption(name=str(name).casefold(), value=None if text is None else str(text)))
    return positional, options


def bind_constants(macro: StoredMacro, arguments: list[Tree], outer: Arguments) -> dict[str, Tree]:
    """Which of the macro's parameters are constants of the call; the others are walked where they stand."""
    bound: dict[str, Tree] = {}
    position = 0
    for argument in arguments:
        expression = argument.get("expression") or {}
        name = argument.get("name")
        if name is None:
            if position >= len(macro.parameters):
                break
            name = macro.parameters[position]
            position += 1
        texts = constant_texts(expression, outer)
        if texts is not None:
            values = [{"type": "VALUE_CONSTANT", "literal": {"kind": "STRING", "text": t}} for t in texts]
            if expression.get("type") == "FUNCTION":
                wrapped = [{"expression": v} for v in values]
                bound[str(name).casefold()] = {
                    "type": "FUNCTION",
                    "qualified_name": {"path": ["list_value"]},
                    "arguments": wrapped,
                }
            else:
                bound[str(name).casefold()] = values[0]
    return bound


def arguments_of(node: Tree) -> list[Tree]:
    """The arguments of a function node, each with `expression` and perhaps `name`."""
    return [a for a in node.get("arguments", []) if isinstance(a, dict)]


def path_of(node: Tree) -> tuple[str, ...]:
    """The qualified name of a table or function node."""
    return tuple(str(p) for p in (node.get("qualified_name") or {}).get("path", []) if p != "")
