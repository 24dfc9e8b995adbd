"""A query's plan as a few lines of text with estimated rows and bytes."""

import json
import re
from typing import Any

from datasteward.changes.counts import count_of
from datasteward.engine.jobs import ResultHead

_WIDTHS = {"VARCHAR": 24, "BLOB": 64, "BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INTEGER": 4, "FLOAT": 4, "DATE": 4}
_DEFAULT_WIDTH = 8
_NUMBER = re.compile(r"[0-9][0-9,]*")
_MAX_DETAIL = 100


def describe_plan(head: ResultHead, budget: int) -> str:
    """Estimated rows and bytes of the answer, then the operators as an indented tree, cut to `budget` characters."""
    trees = [json.loads(str(row[0])) for row in head.rows]
    roots = [node for tree in trees for node in (tree if isinstance(tree, list) else [tree])]
    lines: list[str] = []
    for root in roots:
        _describe(root, 0, lines)
    width = sum(_WIDTHS.get(c.type.split("(")[0], _DEFAULT_WIDTH) for c in head.columns)
    rows = next((r for r in map(_estimate, _walk(roots)) if r is not None), None)
    top = "estimated rows: unknown" if rows is None else f"estimated rows: {rows:,}, bytes: {rows * width:,}"
    columns = ", ".join(f"{c.name} {c.type}" for c in head.columns)
    text = "\n".join([f"dry run, nothing was read. {top}", f"columns: {columns}", *lines])
    return text if len(text) <= budget else f"{text[:budget]}\n… (+{len(text) - budget} characters of plan)"


def _walk(nodes: list[Any]) -> list[Any]:
    return [n for node in nodes for n in (node, *_walk(node.get("children", [])))]


def _estimate(node: Any) -> int | None:
    text = str((node.get("extra_info") or {}).get("Estimated Cardinality", ""))
    match = _NUMBER.search(text)
    return int(match[0].replace(",", "")) if match else None


def _describe(node: Any, depth: int, lines: list[str]) -> None:
    extra = node.get("extra_info") or {}
    rows = _estimate(node)
    detail = "; ".join(
        f"{k}: {' '.join(v) if isinstance(v, list) else v}" for k, v in extra.items() if k != "Estimated Cardinality"
    )
    short = detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}…"
    estimate = "" if rows is None else f" ~{count_of(rows, 'row')}"
    lines.append(f"{'  ' * depth}{str(node.get('name', '?')).strip()}{estimate}{f' ({short})' if short else ''}")
    for child in node.get("children", []):
        _describe(child, depth + 1, lines)
