"""DuckDB's own syntax tree of an asset's query: the tables and files it names, without binding anything."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from datasteward.lineage.rewriting import READERS
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.problems import PipelineFault, Problem, place_of

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """A table as a query names it; `start` and `end` are character offsets."""

    parts: tuple[str, ...]
    start: int
    end: int
    has_alias: bool

    @property
    def key(self) -> str:
        """Schema and table in lower case, without a database."""
        schema, table = self.parts[-2:] if len(self.parts) > 1 else ("main", self.parts[0])
        return f"{schema}.{table}".casefold()

    @property
    def label(self) -> str:
        """The name as written."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileScan:
    """A file function in a query: its text, and the constant paths given to it."""

    function: str
    paths: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One parsed query."""

    sql: str
    tree: Node
    tables: tuple[TableUse, ...]
    scans: tuple[FileScan, ...]
    functions: frozenset[str]

    @property
    def has_recursion(self) -> bool:
        """Whether it holds a recursive common table expression."""
        return any(n.get("type") == "RECURSIVE_CTE_NODE" for n in walk(self.tree))


class Parser:
    """Parses without a catalog, with external access off."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("SET enable_external_access = false")
        self._ahead: dict[str, dict[str, Any]] = {}

    def read_ahead(self, queries: Sequence[str]) -> None:
        """Parse many queries at once, which costs a tenth of one by one; `parse` then takes what was read."""
        rows = self._connection.execute(
            "SELECT sql, json_serialize_sql(sql) FROM (SELECT unnest(?) AS sql)", [list(queries)]
        ).fetchall()
        self._ahead = {str(sql): json.loads(text) for sql, text in rows}

    def parse(self, asset: Asset, sql: str) -> Query:
        """The asset's query; raises `PipelineFault` when it is not exactly one query that can be read."""
        document = self.serialize(sql)
        if document.get("error"):
            raise PipelineFault([_syntax_problem(asset, sql, document)])
        statements = document["statements"]
        if len(statements) != 1:
            message = f"holds {len(statements)} statements; an asset is exactly one query"
            raise PipelineFault([Problem(path=asset.path, message=message)])
        return read_query(sql, statements[0]["node"])

    def serialize(self, sql: str) -> dict[str, Any]:
        """DuckDB's answer for a text: `statements`, or `error` with its message and position."""
        if sql in self._ahead:
            return self._ahead.pop(sql)
        row = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        document: dict[str, Any] = json.loads(row[0]) if row else {"error": True, "error_message": "no tree"}
        return document

    @property
    def volatile_functions(self) -> frozenset[str]:
        """Functions that give another value each time they are called."""
        return _functions(self._connection)[0]

    @property
    def aggregate_functions(self) -> frozenset[str]:
        """Functions that make one row of many."""
        return _functions(self._connection)[1]


_lists: list[tuple[frozenset[str], frozenset[str]]] = []
"""The two lists once read; they are the same for every connection of the process."""


def _functions(connection: duckdb.DuckDBPyConnection) -> tuple[frozenset[str], frozenset[str]]:
    if not _lists:
        rows = connection.execute(
            "SELECT DISTINCT function_name, stability = 'VOLATILE', function_type = 'aggregate'"
            " FROM system.main.duckdb_functions() WHERE internal"
        ).fetchall()
        volatile = frozenset(str(name).casefold() for name, is_volatile, _ in rows if is_volatile)
        _lists.append((volatile, frozenset(str(name).casefold() for name, _, is_aggregate in rows if is_aggregate)))
    return _lists[0]


def read_query(sql: str, tree: Node) -> Query:
    """The names in a tree, with common table expressions told from tables by their scope."""
    data = sql.encode()
    tables: dict[tuple[int, tuple[str, ...]], TableUse] = {}
    scans: list[FileScan] = []

    def characters(start: int, length: int) -> tuple[int, int]:
        return len(data[:start].decode(errors="ignore")), len(data[: start + length].decode(errors="ignore"))

    for node, known in _scoped(tree, frozenset()):
        if node.get("type") == "BASE_TABLE":
            parts = tuple(str(p) for p in node["qualified_name"]["path"])
            if len(parts) == 1 and parts[0].casefold() in known:
                continue
            start, end = characters(int(node["query_location"]), int(node["query_location_length"]))
            use = TableUse(parts=parts, start=start, end=end, has_alias=bool(node.get("alias")))
            tables.setdefault((start, parts), use)
        elif node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).casefold()
            if name in READERS:
                start, end = characters(int(node["query_location"]), int(node["query_location_length"]))
                paths = tuple(_constants(node["function"]["arguments"][:1]))
                scans.append(FileScan(function=name, paths=paths, start=start, end=end))
    functions = frozenset(
        str(n["function_name"]).casefold()
        for n in walk(tree)
        if n.get("class") == "FUNCTION" and n.get("function_name")
    )
    return Query(sql=sql, tree=tree, tables=tuple(tables.values()), scans=tuple(scans), functions=functions)


def walk(node: Any) -> Iterator[Node]:
    """Every object of a tree, outer ones first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def _scoped(node: Any, known: frozenset[str]) -> Iterator[tuple[Node, frozenset[str]]]:
    """Every object with the names of the common table expressions that are in scope there."""
    if isinstance(node, list):
        for value in node:
            yield from _scoped(value, known)
        return
    if not isinstance(node, dict):
        return
    yield node, known
    inner = known
    entries = node["cte_map"]["map"] if isinstance(node.get("cte_map"), dict) else []
    for entry in entries:
        name = str(entry["key"]).casefold()
        query = entry["value"].get("query_node") or entry["value"].get("query")
        is_recursive = isinstance(query, dict) and query.get("type") == "RECURSIVE_CTE_NODE"
        yield from _scoped(entry["value"], inner | {name} if is_recursive else inner)
        inner = inner | {name}
    for key, value in node.items():
        if key != "cte_map":
            yield from _scoped(value, inner)


def _constants(nodes: list[Any]) -> Iterator[str]:
    for node in walk(nodes):
        if node.get("type") == "VALUE_CONSTANT":
            literal = node.get("literal") or node.get("value") or {}
            text = literal.get("text") if "text" in literal else literal.get("value")
            if isinstance(text, str):
                yield text


def _syntax_problem(asset: Asset, sql: str, document: Mapping[str, Any]) -> Problem:
    message = str(document.get("error_message", "")).split("\n", 1)[0]
    if document.get("error_type") == "not implemented":
        return Problem(
            path=asset.path,
            message="is not a SELECT; an asset is one query, with PIVOT as the standard writes it (FROM t PIVOT (sum(y) FOR x IN (…)))",
        )
    position = document.get("position")
    line, column = place_of(sql, int(position)) if position is not None else (0, 0)
    return Problem(path=asset.path, line=line, column=column, message=message)
