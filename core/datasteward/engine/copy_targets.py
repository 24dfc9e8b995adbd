"""Where the path of a COPY … TO stands in its text, and the proof that putting another there changes nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datasteward.engine.gate_facts import Refused
from datasteward.engine.gate_parser import Tree, trim_statement
from datasteward.engine.gate_reader import TokenReader

COPY_HEAD = "WITH __copy AS ("
"""Goes before a COPY so that DuckDB gives its tree."""
_PLACES = frozenset({"query_location", "query_location_length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTarget:
    """The string that spells the path, quotes included: character offsets in the statement's text."""

    start: int
    end: int


def find_copy_target(sql: str) -> CopyTarget:
    """The string after the TO of a COPY, to be proven by `differ_by_target_alone`; raises `Refused` for anything else."""
    reader = TokenReader(sql)
    reader.until(("to",))
    reader.expect("to")
    token = reader.now
    if token.type != "string_const":
        raise Refused(
            "COPY … TO takes one file path as a string in quotes here.",
            hint="Write it plainly: COPY (SELECT …) TO 'folder/file.parquet' (FORMAT parquet).",
            position=token.start,
        )
    before = reader.data[: token.start].decode()
    return CopyTarget(start=len(before), end=len(before) + len(token.text))


def put_target(sql: str, target: CopyTarget, path: str) -> str:
    """The COPY with another path in its target's place."""
    quoted = path.replace("'", "''")
    return f"{sql[: target.start]}'{quoted}'{sql[target.end :]}"


def parse_copy(parse: Callable[[str], Tree], sql: str) -> Tree:
    """The syntax tree of a COPY; `parse` gives that of one SELECT."""
    copied: Tree = parse(f"{COPY_HEAD}{trim_statement(sql)}\n) SELECT 1")
    return copied


def copy_info(tree: Tree) -> Tree:
    """What a COPY in a tree of `parse_copy` copies, from where to where; raises `Refused` when it is something else."""
    try:
        info: Tree = tree["cte_map"]["map"][0]["value"]["query_node"]["info"]
    except (KeyError, IndexError, TypeError) as error:
        raise Refused("This form of COPY is not known here, so it is refused.", position=0) from error
    return info


def differ_by_target_alone(tree: Tree, other: Tree, path: str) -> bool:
    """Whether `other` writes to `path` and is else what `tree` is."""
    one, two = _without_places(tree), _without_places(other)
    had, has = copy_info(one), copy_info(two)
    had.pop("file_path", None)
    return bool(has.pop("file_path", None) == path and one == two)


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_places(value) for key, value in node.items() if key not in _PLACES}
    if isinstance(node, list):
        return [_without_places(value) for value in node]
    return node
