"""What an asset is made of, in three parts: which rows come out, how each column is computed, and its settings.

A comment, a format or an order of columns changes nothing. What cannot be told apart counts as a change of the rows.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from datasteward.lineage.edges import OutputColumn
from datasteward.pipelines.checks import Check
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.state_model import AssetPrint
from datasteward.pipelines.syntax import Node, Parser, Query, walk

_NOISE = frozenset({"query_location", "query_location_length"})
_NAMES = frozenset(
    {"column_names", "table_name", "schema_name", "function_name", "alias", "relation_name", "path", "key"}
)
_ROW_MAKERS = frozenset({"unnest", "generate_subscripts"})


def print_query(
    asset: Asset, query: Query, outputs: Sequence[OutputColumn], checks: Sequence[Check], parser: Parser
) -> AssetPrint:
    """The fingerprints of a bound SQL asset."""
    rows, columns = _split(query.tree, outputs, parser)
    return AssetPrint(rows=rows, columns=columns, settings=_print_settings(asset, checks))


def print_source(asset: Asset, checks: Sequence[Check]) -> AssetPrint:
    """The fingerprints of a Python asset: its text decides rows and columns alike."""
    body = _digest(asset.body)
    columns = {name.casefold(): _digest([body, kind]) for name, kind in (asset.options.columns or {}).items()}
    return AssetPrint(rows=body, columns=columns, settings=_print_settings(asset, checks))


def _print_settings(asset: Asset, checks: Sequence[Check]) -> str:
    options = asset.options
    kept = options.model_dump(
        mode="json", include={"materialize", "time", "grain", "unique", "drift", "engine", "columns", "inputs"}
    )
    rules = [[c.name, c.scope, c.sql, c.on_fail, str(c.limit)] for c in checks if c.on_fail != "warn"]
    return _digest([kept, rules, asset.language])


def _split(tree: Node, outputs: Sequence[OutputColumn], parser: Parser) -> tuple[str, dict[str, str]]:
    types = {o.name.casefold(): o.type for o in outputs}
    plain = _without_noise(tree)
    if plain.get("type") != "SELECT_NODE" or _decides_rows(plain, parser):
        whole = _digest(plain)
        return whole, {name: _digest([whole, kind]) for name, kind in types.items()}
    selected: list[dict[str, Any]] = plain.pop("select_list")
    aliases = {str(e.get("alias")).casefold(): e for e in selected if e.get("alias")}
    named = {name: e for e in selected if (name := _name_of(e)) is not None}
    stars = [e for e in selected if e.get("class") == "STAR"]
    mentioned = [aliases[n] for n in sorted(_column_names(plain) & aliases.keys())]
    aggregates = any(_is_aggregate(e, parser) for e in selected)
    rows = _digest([plain, mentioned, aggregates])
    columns = {}
    for name, kind in types.items():
        own = named.get(name)
        columns[name] = _digest([_with_aliases(own, aliases) if own is not None else stars, kind])
    if not stars and set(named) != set(types):
        whole = _digest([plain, selected])
        return whole, {name: _digest([whole, kind]) for name, kind in types.items()}
    return rows, columns


def _decides_rows(node: Mapping[str, Any], parser: Parser) -> bool:
    """Whether the select list as a whole has a part in which rows come out."""
    kinds = {m.get("type") for m in node["modifiers"]}
    if "DISTINCT_MODIFIER" in kinds or node.get("aggregate_handling") == "FORCE_AGGREGATES":
        return True
    constants = [*node["group_expressions"], *(o for m in node["modifiers"] for o in m.get("orders") or ())]
    if any(n.get("class") in {"CONSTANT", "STAR"} for n in walk(constants)):
        return True
    names = {str(n.get("function_name", "")).casefold() for n in walk(node["select_list"])}
    if names & _ROW_MAKERS or names & parser.volatile_functions:
        return True
    return any(n.get("class") == "STAR" and (n.get("columns") or n.get("expr")) for n in walk(node["select_list"]))


def _name_of(expression: Mapping[str, Any]) -> str | None:
    if expression.get("alias"):
        return str(expression["alias"]).casefold()
    if expression.get("class") == "COLUMN_REF":
        return str(expression["column_names"][-1]).casefold()
    return None


def _with_aliases(expression: Mapping[str, Any], aliases: Mapping[str, Any]) -> list[Any]:
    """The expression with those of the aliases that it may refer to."""
    found: dict[str, Any] = {}
    waiting = [expression]
    while waiting:
        for name in sorted(_column_names(waiting.pop()) & aliases.keys()):
            if name not in found and aliases[name] is not expression:
                found[name] = aliases[name]
                waiting.append(aliases[name])
    return [{**expression, "alias": ""}, found]


def _column_names(node: Any) -> frozenset[str]:
    return frozenset(
        str(n["column_names"][0]).casefold()
        for n in walk(node)
        if n.get("class") == "COLUMN_REF" and len(n.get("column_names") or ()) == 1
    )


def _is_aggregate(expression: Any, parser: Parser) -> bool:
    return any(
        n.get("class") == "FUNCTION" and str(n.get("function_name", "")).casefold() in parser.aggregate_functions
        for n in walk(expression)
    )


def _without_noise(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _folded(v) if k in _NAMES else _without_noise(v) for k, v in node.items() if k not in _NOISE}
    if isinstance(node, list):
        return [_without_noise(v) for v in node]
    return node


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return [_folded(v) for v in value] if isinstance(value, list) else _without_noise(value)


def digest(value: object) -> str:
    """A short SHA-256 of a JSON value."""
    return _digest(value)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
