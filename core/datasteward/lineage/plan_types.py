"""DuckDB's bound plan as JSON: the few shapes the walk relies on, and types as text.

The format is not a promised interface of DuckDB; golden tests pin it, and whatever is not understood raises
`UnknownPlan`, upon which the caller falls back.
"""

from collections.abc import Mapping
from typing import Any

from datasteward.lineage.sql_tokens import quote_name, quote_text

PlanNode = Mapping[str, Any]
"""An operator, expression or info object of the plan, as DuckDB wrote it."""
NO_INDEX = 2**64 - 1


class UnknownPlan(Exception):
    """The plan holds something this program does not understand; the text says what."""


class BindError(Exception):
    """DuckDB could not bind the statement; `kind` is DuckDB's own error type, `position` a character offset."""

    def __init__(self, message: str, *, kind: str, position: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.position = position


def type_text(node: PlanNode) -> str:
    """A logical type as SQL writes it, such as `DECIMAL(10,2)` or `STRUCT(a INTEGER)[]`."""
    name = str(node.get("id", ""))
    info = node.get("type_info")
    if not info:
        return name
    if info.get("alias"):
        return str(info["alias"])
    match name:
        case "DECIMAL":
            return f"DECIMAL({info['width']},{info['scale']})"
        case "LIST":
            return f"{type_text(info['child_type'])}[]"
        case "ARRAY":
            return f"{type_text(info['child_type'])}[{info['size']}]"
        case "MAP":
            pair = info["child_type"]["type_info"]["child_types"]
            return f"MAP({type_text(pair[0]['second'])}, {type_text(pair[1]['second'])})"
        case "STRUCT" | "UNION":
            fields = [f for f in info["child_types"] if f["first"] or name == "STRUCT"]
            inner = ", ".join(f"{_field_name(f['first'])}{type_text(f['second'])}" for f in fields)
            return f"{name}({inner})"
        case "ENUM":
            return f"ENUM({', '.join(quote_text(v) for v in info.get('values', []))})"
        case _:
            return name


def path_of(node: PlanNode) -> tuple[str, ...]:
    """The qualified name of a catalog entry, function or table."""
    return tuple(str(part) for part in node["path"])


def _field_name(name: str) -> str:
    if not name:
        return ""
    return f"{name} " if name.isidentifier() else f"{quote_name(name)} "
