"""DuckDB's own parser on a pristine, locked instance: statements, tokens and syntax trees."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb

from datasteward.engine.gate_facts import Refused

Tree = dict[str, Any]
"""A node of DuckDB's syntax tree as its JSON form gives it."""

_MAX_TREES = 200
_SERIALIZE = "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true, skip_default := true)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token; `start` and `end` are byte offsets. Strings and comments keep their quotes."""

    text: str
    start: int
    end: int
    type: str

    @property
    def word(self) -> str:
        """The token in lower case; empty for strings and quoted names, which are never keywords."""
        return "" if self.type == "string_const" or self.text[:1] in "\"'" else self.text.lower()

    @property
    def name(self) -> str:
        """The identifier this token spells, quotes taken off."""
        return self.text[1:-1].replace('""', '"') if self.text[:1] == '"' else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStatement:
    """One statement as the parser cut it: source, byte offset, type, and parameter names."""

    text: str
    start: int
    type: str
    parameters: tuple[str, ...]


class Parser:
    """A private in-memory instance with nothing in it, no file access and no way to change that."""

    def __init__(self) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": False,
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "threads": 1,
        }
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("PRAGMA disable_optimizer")
        self._connection.execute("SET python_enable_replacements = false")
        self._connection.execute("SET lock_configuration = true")
        self._serialize = self._connection.extract_statements(_SERIALIZE)[0]
        self._lock = threading.Lock()
        self._definitions: dict[str, list[str]] | None = None
        self._implied: dict[str, frozenset[str]] = {}
        self._functions: dict[str, str] = {}
        self._trees: dict[str, Tree] = {}

    def split(self, sql: str) -> list[SplitStatement]:
        """The statements of `sql` in order; raises `Refused` with the parser's words when it cannot be parsed."""
        try:
            with self._lock:
                found = [
                    (s.query, s.type.name, tuple(sorted(s.named_parameters)))
                    for s in self._connection.extract_statements(sql)
                ]
        except duckdb.ParserException as error:
            raise Refused(_first_lines(str(error)), code="syntax", position=_caret(str(error), sql)) from error
        except Exception as error:
            raise Refused(
                f"The statement is of a kind that is not known here ({type(error).__name__}), so it is refused.",
                hint="Use SELECT and its relatives to read; propose_change takes changes of data and tables.",
            ) from error
        return _locate(sql, found)

    def tree(self, sql: str) -> Tree:
        """The query node of `sql`, one SELECT statement, not to be changed; raises `Refused` for anything else."""
        tree = self._trees.get(sql)
        if tree is None:
            tree = self._parse(sql)
            if len(self._trees) >= _MAX_TREES:
                self._trees.clear()
            self._trees[sql] = tree
        return tree

    def _parse(self, sql: str) -> Tree:
        try:
            with self._lock:
                row = self._connection.execute(self._serialize, [sql]).fetchone()
            body: Tree = json.loads(row[0]) if row is not None else {"error": True}
        except RecursionError as error:
            raise Refused("The statement is nested too deeply.", hint="Split it with CREATE or CTEs.") from error
        except Exception as error:
            raise Refused(_first_lines(str(error)), code="syntax") from error
        if body.get("error") or len(body.get("statements", ())) != 1:
            raise _tree_refused(body)
        node: Tree = body["statements"][0]["node"]
        return node

    def implied(self, name: str) -> frozenset[str]:
        """Every function and table, in lower case, that the built-in macro or view `name` calls by bare name.

        DuckDB looks those up in the user's database first, so a stored macro can take their place.
        """
        if self._definitions is None:
            self._definitions = self._read_definitions()
        if name not in self._implied:
            self._implied[name] = frozenset()
            found: set[str] = set()
            for sql in self._definitions.get(name, ()):
                _collect_names(self.tree(sql), found)
            for inner in sorted(found):
                found |= self.implied(inner)
            self._implied[name] = frozenset(found)
        return self._implied[name]

    def _read_definitions(self) -> dict[str, list[str]]:
        definitions: dict[str, list[str]] = {}
        with self._lock:
            macros = self._connection.execute(
                "SELECT function_name, function_type, macro_definition FROM system.main.duckdb_functions()"
                " WHERE internal AND macro_definition IS NOT NULL"
            ).fetchall()
            views = self._connection.execute(
                "SELECT schema_name, view_name, sql FROM system.main.duckdb_views() WHERE internal"
            ).fetchall()
        for name, kind, definition in macros:
            sql = definition if kind == "table_macro" else f"SELECT ({definition}\n)"
            definitions.setdefault(name.lower(), []).append(sql)
        for schema, name, sql in views:
            definitions.setdefault(f"{schema}.{name}".lower(), []).append(query_of_view(sql))
        return definitions

    def functions(self) -> dict[str, str]:
        """Every built-in function's name in lower case with its worst stability (VOLATILE before the others)."""
        if not self._functions:
            self._functions = self._read_functions()
        return self._functions

    def _read_functions(self) -> dict[str, str]:
        with self._lock:
            rows = self._connection.execute(
                "SELECT function_name, stability FROM system.main.duckdb_functions() WHERE internal"
            ).fetchall()
        order = {"VOLATILE": 2, "CONSISTENT_WITHIN_QUERY": 1}
        worst: dict[str, str] = {}
        for name, stability in rows:
            key, value = name.lower(), stability or "CONSISTENT"
            if order.get(value, 0) >= order.get(worst.get(key, ""), -1):
                worst[key] = value
        return worst


@lru_cache(maxsize=32)
def tokens_of(sql: str, *, with_comments: bool = False) -> tuple[Token, ...]:
    """The tokens of `sql` as DuckDB cuts them; raises `Refused` when it cannot."""
    data = sql.encode()
    try:
        marks: Sequence[tuple[int, Any]] = duckdb.tokenize(sql)
    except Exception as error:
        raise Refused(_first_lines(str(error)), code="syntax") from error
    tokens: list[Token] = []
    for index, (start, kind) in enumerate(marks):
        stop = marks[index + 1][0] if index + 1 < len(marks) else len(data)
        text = data[start:stop].decode("utf-8", "replace").rstrip()
        if not text or (kind.name == "comment" and not with_comments):
            continue
        if kind.name == "operator" and len(text) > 1 and not text.strip("()[]{},;"):
            tokens.extend(
                Token(text=c, start=start + i, end=start + i + 1, type="operator") for i, c in enumerate(text)
            )
        else:
            tokens.append(Token(text=text, start=start, end=start + len(text.encode()), type=kind.name))
    return tuple(tokens)


def query_of_view(sql: str) -> str:
    """The query of a CREATE VIEW statement as DuckDB prints it; raises `Refused` when there is none."""
    depth = 0
    for token in tokens_of(sql):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word == "as":
            return sql.encode()[token.end :].decode().rstrip().rstrip(";")
    raise Refused("A stored view has no query that can be judged.")


def _collect_names(node: Any, found: set[str]) -> None:
    if isinstance(node, list):
        for child in node:
            _collect_names(child, found)
    elif isinstance(node, dict):
        for key in ("function_name", "table_name"):
            if isinstance(node.get(key), str):
                found.add(node[key].lower())
        for child in node.values():
            _collect_names(child, found)


def trim_statement(sql: str) -> str:
    """`sql` up to its last token that is neither a comment nor a semicolon."""
    end = max((t.end for t in tokens_of(sql) if t.text.strip(";")), default=0)
    return sql.encode()[:end].decode()


def _locate(sql: str, found: list[tuple[str, str, tuple[str, ...]]]) -> list[SplitStatement]:
    """Where each statement's text stands in `sql`; raises `Refused` when the parser's text is not the source."""
    statements, at = [], 0
    for text, kind, parameters in found:
        start = sql.find(text, at) if text else -1
        if start < 0:
            raise Refused("The statement could not be found again in the text given.", hint="Send it alone.")
        at = start + len(text)
        statements.append(SplitStatement(text=text, start=len(sql[:start].encode()), type=kind, parameters=parameters))
    return statements


def _tree_refused(body: Tree) -> Refused:
    message = str(body.get("error_message", "The text is not one statement."))
    position = int(body["position"]) if str(body.get("position", "")).isdigit() else None
    if body.get("error_type") == "parser":
        return Refused(_first_lines(message), code="syntax", position=position)
    return Refused(f"DuckDB gives no syntax tree for this form ({_first_lines(message)}), so it is refused.")


def _first_lines(message: str) -> str:
    head = message.partition("\n\nLINE ")[0].partition("\n\nStack Trace")[0]
    return head.strip()[:1000] or "The statement cannot be parsed."


def _caret(message: str, sql: str) -> int | None:
    """The byte offset the caret of a parser message points to, when the line is shown whole."""
    lines = message.split("\n")
    for index, line in enumerate(lines[:-1]):
        head, _, shown = line.partition(": ")
        if head.startswith("LINE ") and head[5:].isdigit() and not shown.startswith("..."):
            caret = lines[index + 1].find("^") - len(head) - 2
            before = sql.split("\n")[: int(head[5:]) - 1]
            if caret >= 0:
                return sum(len(part.encode()) + 1 for part in before) + caret
    return None
