"""A SQL script taken apart into statements, with the line each begins on."""

from dataclasses import dataclass

from datasteward.lineage.sql_tokens import read_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptStatement:
    """One statement without its semicolon; `line` counts from 1."""

    sql: str
    line: int


def split_statements(sql: str) -> tuple[ScriptStatement, ...]:
    """The statements of a script; empty ones and comments between them are left out."""
    found: list[ScriptStatement] = []
    first: int | None = None
    last = 0
    for token in read_tokens(sql):
        if token.kind == "symbol" and token.text == ";":
            _add(found, sql, first, last)
            first = None
            continue
        first = token.start if first is None else first
        last = token.end
    _add(found, sql, first, last)
    return tuple(found)


def _add(found: list[ScriptStatement], sql: str, first: int | None, last: int) -> None:
    if first is not None:
        found.append(ScriptStatement(sql=sql[first:last], line=sql.count("\n", 0, first) + 1))
