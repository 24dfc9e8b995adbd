"""Where the value of a bound expression comes from, and its text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from datasteward.lineage.edges import DIRECT, Subtype
from datasteward.lineage.plan_types import PlanNode, UnknownPlan, path_of
from datasteward.lineage.schemas import ColumnRef

Use = tuple[ColumnRef, Subtype]
"""A source column and the part it has."""
Sources = Mapping[Use, bool]
"""Every use with whether the value is masked on all ways."""
NOTHING: Sources = MappingProxyType({})
MAX_TEXT_CHARACTERS = 240

MASKING_FUNCTIONS = frozenset(
    {"hash", "md5", "md5_number", "md5_number_lower", "md5_number_upper", "sha1", "sha256", "count", "count_star"}
    | {"approx_count_distinct", "entropy", "histogram"}
)
_RANK = {subtype: rank for rank, subtype in enumerate(DIRECT)}
_WIDENING = (
    *("BOOLEAN", "UTINYINT", "TINYINT", "USMALLINT", "SMALLINT", "UINTEGER", "INTEGER"),
    *("UBIGINT", "BIGINT", "UHUGEINT", "HUGEINT", "DECIMAL", "FLOAT", "DOUBLE"),
)
_PLAIN_WINDOWS = frozenset(
    {"WINDOW_LAG", "WINDOW_LEAD", "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE", "WINDOW_FILL"}
)


@dataclass(frozen=True, slots=True)
class PlanColumn:
    """A column between two operators: its sources, the text of its computation, whether it is a bare constant.

    `fields` are those of a struct that was packed on the way, so that taking one out again leads to its own source.
    `type_id` is checked against what a reference expects, so that a column miscounted somewhere is not taken for another.
    """

    sources: Sources = field(default_factory=lambda: NOTHING)
    text: str = ""
    is_default: bool = False
    fields: "Mapping[str, PlanColumn] | None" = None
    type_id: str = ""


Lookup = Callable[[PlanNode], PlanColumn]
"""Finds the input column that a reference means."""


def merge_sources(parts: Iterable[Sources]) -> Sources:
    """The union; a use is masked only if it is masked in every part that has it."""
    merged: dict[Use, bool] = {}
    for part in parts:
        for use, masked in part.items():
            merged[use] = masked and merged.get(use, True)
    return merged


def raise_to(sources: Sources, subtype: Subtype, *, masking: bool = False) -> Sources:
    """The sources after a step of `subtype`: direct ones become at least that, indirect ones stay what they are."""
    if subtype == "identity" and not masking:
        return sources
    if subtype not in _RANK:
        return _steer(sources, subtype)
    raised: dict[Use, bool] = {}
    for (column, had), masked in sources.items():
        use: Use = (column, had if had not in _RANK or _RANK[had] >= _RANK[subtype] else subtype)
        raised[use] = (masked or (masking and had in _RANK)) and raised.get(use, True)
    return raised


def _steer(sources: Sources, subtype: Subtype) -> Sources:
    return {(column, subtype): False for column, _ in sources}


def read_expression(node: PlanNode, look_up: Lookup) -> PlanColumn:
    """The sources and the text of `node`; raises `UnknownPlan` for a class of expression that is not known."""
    match node["expression_class"]:
        case "BOUND_REF" | "BOUND_COLUMN_REF":
            return look_up(node)
        case "BOUND_CONSTANT":
            return PlanColumn(NOTHING, _constant_text(node), is_default=node.get("query_location", 0) >= 2**63)
        case "BOUND_PARAMETER":
            return PlanColumn(NOTHING, f"${node.get('identifier', '')}")
        case "BOUND_DEFAULT":
            return PlanColumn(NOTHING, "DEFAULT", is_default=True)
        case "BOUND_LAMBDA" | "BOUND_LAMBDA_REF":
            return PlanColumn(NOTHING, "λ")
        case "BOUND_FUNCTION":
            return _function(node, look_up)
        case "BOUND_CAST":
            return _cast(node, node["child"], look_up)
        case "BOUND_AGGREGATE":
            return _aggregate(node, look_up)
        case "BOUND_WINDOW":
            return _window(node, look_up)
        case "BOUND_CASE":
            return _case(node, look_up)
        case "BOUND_OPERATOR" | "BOUND_CONJUNCTION":
            parts = [read_expression(child, look_up) for child in node["children"]]
            return _combine(parts, _operator_text(node["type"], [p.text for p in parts]))
        case "BOUND_COMPARISON":
            parts = [read_expression(node[side], look_up) for side in ("left", "right")]
            return _combine(parts, _operator_text(node["type"], [p.text for p in parts]))
        case "BOUND_BETWEEN":
            parts = [read_expression(node[side], look_up) for side in ("input", "lower", "upper")]
            return _combine(parts, f"{parts[0].text} BETWEEN {parts[1].text} AND {parts[2].text}")
        case "BOUND_UNNEST":
            inner = read_expression(node["child"], look_up)
            return _combine([inner], f"unnest({inner.text})")
        case other:
            raise UnknownPlan(f"expression {other}")


def shorten(text: str) -> str:
    """The text, cut with an ellipsis where it is too long to be of use."""
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[: MAX_TEXT_CHARACTERS - 1] + "…"


def _combine(parts: Sequence[PlanColumn], text: str, subtype: Subtype = "transformation") -> PlanColumn:
    return PlanColumn(raise_to(merge_sources(p.sources for p in parts), subtype), shorten(text))


def _function(node: PlanNode, look_up: Lookup) -> PlanColumn:
    name = path_of(node["qname"])[-1]
    if name == "__cast":
        return _cast(node, node["children"][0], look_up)
    parts = [read_expression(c, look_up) for c in node["children"] if c["expression_class"] != "BOUND_LAMBDA"]
    if name == "struct_extract" and parts and parts[0].fields:
        taken = parts[0].fields.get(str(node["children"][1].get("value", {}).get("value", "")).casefold())
        if taken is not None:
            return taken
    texts = [p.text for p in parts]
    text = _infix(name, texts) if node.get("is_operator") else _call_text(node, name, texts)
    sources = merge_sources(p.sources for p in parts)
    fields = None
    if name in ("struct_pack", "row") and node.get("named_arguments"):
        fields = {label.casefold(): part for label, part in zip(node["named_arguments"], parts, strict=False)}
    masked = raise_to(sources, "transformation", masking=name in MASKING_FUNCTIONS)
    return PlanColumn(masked, shorten(text), fields=fields)


def _cast(node: PlanNode, child: PlanNode, look_up: Lookup) -> PlanColumn:
    inner = read_expression(child, look_up)
    before, after = type_id_of(child), type_id_of(node)
    if before == after or _widens(before, after) or before == "NULL":
        return inner
    return PlanColumn(raise_to(inner.sources, "transformation"), inner.text, inner.is_default)


def type_id_of(node: PlanNode) -> str:
    """The name of an expression's type without its parameters; empty when not told."""
    kind = node.get("return_type") or node.get("value", {}).get("type") or {}
    return str(kind.get("id", ""))


def _widens(before: str, after: str) -> bool:
    return before in _WIDENING and after in _WIDENING and _WIDENING.index(before) <= _WIDENING.index(after)


def _aggregate(node: PlanNode, look_up: Lookup) -> PlanColumn:
    name = path_of(node["qname"])[-1]
    parts = [read_expression(child, look_up) for child in node["children"]]
    masking = name in MASKING_FUNCTIONS
    sources = [raise_to(merge_sources(p.sources for p in parts), "aggregation", masking=masking)]
    inner = ", ".join(p.text for p in parts)
    text = "count(*)" if name == "count_star" else f"{name}({_distinct(node)}{inner})"
    if node.get("filter"):
        condition = read_expression(node["filter"], look_up)
        sources.append(raise_to(condition.sources, "filter"))
        text += f" FILTER ({condition.text})"
    for order in _orders(node.get("order_bys")):
        sources.append(raise_to(read_expression(order, look_up).sources, "sort"))
    return PlanColumn(merge_sources(sources), shorten(text))


def _window(node: PlanNode, look_up: Lookup) -> PlanColumn:
    kind = str(node["type"])
    name = path_of(node["qname"])[-1] if node.get("qname") else kind.removeprefix("WINDOW_").lower()
    value = [read_expression(c, look_up) for c in _present(node, "children", "offset_expr", "default_expr")]
    reach: Subtype = "transformation" if kind in _PLAIN_WINDOWS else "aggregation"
    masking = name in MASKING_FUNCTIONS
    sources = [raise_to(merge_sources(p.sources for p in value), reach, masking=masking)]
    frame = [*node.get("partitions", ()), *(o["expression"] for o in node.get("orders", ()))]
    frame += _present(node, "start_expr", "end_expr")
    sources += [raise_to(read_expression(e, look_up).sources, "window") for e in frame]
    for condition in _present(node, "filter_expr", "filter"):
        sources.append(raise_to(read_expression(condition, look_up).sources, "filter"))
    for order in node.get("arg_orders", ()):
        sources.append(raise_to(read_expression(order["expression"], look_up).sources, "sort"))
    inner = ", ".join(p.text for p in value)
    return PlanColumn(merge_sources(sources), shorten(f"{name}({inner}) OVER (…)"))


def _case(node: PlanNode, look_up: Lookup) -> PlanColumn:
    checks = node["case_checks"]
    otherwise = read_expression(node["else_expr"], look_up)
    if len(checks) == 1 and _is_raise(checks[0]["then_expr"]):
        return otherwise
    sources = [raise_to(otherwise.sources, "transformation")]
    texts = []
    for check in checks:
        condition = read_expression(check["when_expr"], look_up)
        chosen = read_expression(check["then_expr"], look_up)
        sources += [raise_to(condition.sources, "conditional"), raise_to(chosen.sources, "transformation")]
        texts.append(f"WHEN {condition.text} THEN {chosen.text}")
    return PlanColumn(merge_sources(sources), shorten(f"CASE {' '.join(texts)} ELSE {otherwise.text} END"))


def _is_raise(node: PlanNode) -> bool:
    """True for the branch by which DuckDB guards a scalar subquery against a second row."""
    while node["expression_class"] == "BOUND_FUNCTION" and path_of(node["qname"])[-1] == "__cast":
        node = node["children"][0]
    return node["expression_class"] == "BOUND_FUNCTION" and path_of(node["qname"])[-1] == "error"


def _present(node: PlanNode, *keys: str) -> list[PlanNode]:
    found: list[PlanNode] = []
    for key in keys:
        value = node.get(key)
        if isinstance(value, list):
            found += value
        elif value:
            found.append(value)
    return found


def _orders(order_bys: PlanNode | None) -> list[PlanNode]:
    return [o["expression"] for o in order_bys.get("orders", ())] if order_bys else []


def _distinct(node: PlanNode) -> str:
    return "DISTINCT " if node.get("aggregate_type") == "DISTINCT" else ""


def _constant_text(node: PlanNode) -> str:
    value = node.get("value", {})
    if value.get("is_null"):
        return "NULL"
    inner = value.get("value")
    if isinstance(inner, str):
        return "'" + inner.replace("'", "''") + "'"
    return str(inner) if isinstance(inner, int | float) else "…"


def _infix(name: str, texts: Sequence[str]) -> str:
    if len(texts) == 2:
        return f"({texts[0]} {name} {texts[1]})"
    return f"{name}{texts[0]}" if len(texts) == 1 else f"{name}({', '.join(texts)})"


def _call_text(node: PlanNode, name: str, texts: Sequence[str]) -> str:
    if name in ("struct_extract", "struct_extract_at") and len(texts) == 2:
        return f"{texts[0]}.{texts[1].strip(chr(39))}"
    return f"{name}({', '.join(texts)})"


_OPERATORS = {
    "OPERATOR_NOT": "NOT {0}",
    "OPERATOR_IS_NULL": "{0} IS NULL",
    "OPERATOR_IS_NOT_NULL": "{0} IS NOT NULL",
    "OPERATOR_TRY": "TRY({0})",
}
_JOINERS = {"CONJUNCTION_AND": " AND ", "CONJUNCTION_OR": " OR ", "COMPARE_EQUAL": " = ", "COMPARE_NOTEQUAL": " <> "}
_JOINERS |= {"COMPARE_LESSTHAN": " < ", "COMPARE_GREATERTHAN": " > ", "COMPARE_LESSTHANOREQUALTO": " <= "}
_JOINERS |= {"COMPARE_GREATERTHANOREQUALTO": " >= "}


def _operator_text(kind: str, texts: Sequence[str]) -> str:
    if kind in _OPERATORS and len(texts) == 1:
        return _OPERATORS[kind].format(texts[0])
    if kind in _JOINERS:
        return f"({_JOINERS[kind].join(texts)})"
    if kind in ("COMPARE_IN", "COMPARE_NOT_IN"):
        word = "IN" if kind == "COMPARE_IN" else "NOT IN"
        return f"{texts[0]} {word} ({', '.join(texts[1:])})"
    return f"{kind.removeprefix('OPERATOR_').lower()}({', '.join(texts)})"
