"""Ephemeral assets put into the queries that read them, and the window's bounds into incremental ones."""

import itertools
from collections.abc import Mapping, Sequence

from datasteward.lineage.sql_tokens import quote_name, quote_text, read_tokens
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.problems import PipelineFault, Problem, place_of
from datasteward.pipelines.state_model import Window
from datasteward.pipelines.syntax import Query

START, END = "start", "end"


def has_window_marks(sql: str) -> bool:
    """Whether `@start` or `@end` stand in the query."""
    return bool(_marks(sql))


def fill_window(sql: str, window: Window) -> str:
    """The query with `@start` and `@end` as timestamps."""
    pieces, done = [], 0
    values = {START: window.start, END: window.end}
    for start, end, word in _marks(sql):
        moment = values[word].isoformat(sep=" ")
        pieces += [sql[done:start], f"TIMESTAMP {quote_text(moment)}"]
        done = end
    return "".join(pieces) + sql[done:]


def _marks(sql: str) -> list[tuple[int, int, str]]:
    if "@" not in sql:
        return []
    tokens = read_tokens(sql)
    return [
        (before.start, after.end, after.text.casefold())
        for before, after in itertools.pairwise(tokens)
        if before.text == "@" and before.end == after.start and after.is_word(START, END)
    ]


def inline_ephemerals(asset: Asset, query: Query, fragments: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The query with each ephemeral asset it reads as a common table expression.

    `fragments` gives, by the key of an ephemeral asset, the expressions to put in front (name and query), its own last.
    Raises `PipelineFault` when a name is already taken in the query.
    """
    used = [t for t in query.tables if t.key in fragments]
    if not used:
        return query.sql
    taken = {t.parts[-1].casefold() for t in query.tables if t.key not in fragments}
    pieces, done = [], 0
    needed: dict[str, str] = {}
    for use in sorted(used, key=lambda t: t.start):
        chain = fragments[use.key]
        name = chain[-1][0]
        if name.casefold() in taken:
            line, column = place_of(query.sql, use.start)
            message = f"'{name}' is both an ephemeral asset and another name in this query; rename one"
            raise PipelineFault([Problem(path=asset.path, line=line, column=column, message=message)])
        needed.update(chain)
        end = _end_of_name(query.sql, use.start, len(use.parts))
        pieces += [query.sql[done : use.start], quote_name(name)]
        done = end
    return _put_in_front("".join(pieces) + query.sql[done:], list(needed.items()))


def _end_of_name(sql: str, start: int, parts: int) -> int:
    tokens = read_tokens(sql[start:])
    return start + tokens[2 * parts - 2].end


def _put_in_front(sql: str, fragments: Sequence[tuple[str, str]]) -> str:
    made = ", ".join(f"{quote_name(name)} AS ({query}\n)" for name, query in fragments)
    tokens = read_tokens(sql)
    if tokens and tokens[0].is_word("with"):
        skip = 2 if len(tokens) > 1 and tokens[1].is_word("recursive") else 1
        word = "WITH RECURSIVE" if skip == 2 else "WITH"
        return f"{sql[: tokens[0].start]}{word} {made}, {sql[tokens[skip].start :]}"
    start = tokens[0].start if tokens else 0
    return f"{sql[:start]}WITH {made} {sql[start:]}"
