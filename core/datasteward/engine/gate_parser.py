"""DuckDB's own parser on a pristine, locked instance: statements, tokens and syntax trees."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from datasteward.engine.gate_facts import Refused

Tree = dict[str, Any]
"""A node of DuckDB's syntax tree as its JSON form gives it."""

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
        """The query node of `sql`, one SELECT statement; raises `Refused` for anything else."""
        try:
            with self._lock:
                row = self._connection.execute(self._serialize, [sql]).fetchone()
            body = json.loads(row[0]) if row is not None else {"error": True}
        except RecursionError as error:
            raise Refused("The statement is nested too deeply.", hint="Split it with CREATE or CTEs.") from error
        except Exception as error:
            raise Refused(_first_lines(str(error)), code="syntax") from error
        if body.get("error") or len(body.get("statements", ())) != 1:
            message = str(body.get("error_message", "not one statement"))
            code = "syntax" if body.get("error_type") == "parser" else "forbidden"
            position = int(body["position"]) if str(body.get("position", "")).isdigit() else None
            raise Refused(_first_lines(message), code="syntax" if code == "syntax" else "forbidden", position=position)
        node: Tree = body["statements"][0]["node"]
        return node

    def functions(self) -> dict[str, str]:
        """Every built-in function's name in lower case with its worst stability (VOLATILE before the others)."""
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


def tokens_of(sql: str, *, with_comments: bool = False) -> list[Token]:
    """The tokens of `sql` as DuckDB cuts them; raises `Refused` when it cannot."""
    data = sql.encode()
    try:
        marks: Sequence[tuple[int, Any]] = duckdb.tokenize(sql)
    except Exception as error:
        raise Refused(_first_lines(str(error)), code="syntax") from error
    tokens = []
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
    return tokens


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
