"""What each statement of a text is, and what it reads and writes, judged by its own kind's rules."""

from dataclasses import dataclass

from datasteward.engine.gate_definitions import judge_alter, judge_comment, judge_create, judge_drop
from datasteward.engine.gate_facts import Effect, Refused
from datasteward.engine.gate_parser import SplitStatement, Tree
from datasteward.engine.gate_queries import (
    judge_change,
    judge_copy_from,
    judge_copy_to,
    judge_merge,
    judge_query,
    shift,
)
from datasteward.engine.gate_reader import TokenReader
from datasteward.engine.gate_tree import TreeWalk

_FORBIDDEN = {
    "attach": "attach",
    "detach": "detach",
    "use": "use",
    "set": "set",
    "reset": "set",
    "pragma": "pragma",
    "call": "call",
    "prepare": "prepare",
    "execute": "execute",
    "deallocate": "execute",
    "begin": "transaction",
    "start": "transaction",
    "commit": "transaction",
    "end": "transaction",
    "rollback": "transaction",
    "abort": "transaction",
    "vacuum": "vacuum",
    "analyze": "vacuum",
    "checkpoint": "checkpoint",
    "force": "checkpoint",
    "load": "load",
    "install": "install",
    "export": "export",
    "import": "import",
}
_ADMIN_HINTS = {
    "transaction": "Every call is a transaction of its own; leave it out.",
    "set": "Settings are fixed; write what you need into the query itself.",
    "use": "Name the schema in front of the table.",
    "prepare": "Send the query with its parameters.",
    "execute": "Send the query with its parameters.",
    "export": "COPY … TO a file, through propose_change, writes one table.",
    "import": "CREATE TABLE … AS FROM 'file', through propose_change, reads one file.",
    "attach": "Files below the data folder can be queried by path.",
    "install": "Only the built-in functions are here.",
    "load": "Only the built-in functions are here.",
    "pragma": "SHOW TABLES, DESCRIBE and information_schema describe the data.",
    "call": "SELECT from tables and functions instead.",
}
_EXPLAIN_OPTIONS = frozenset({"analyze", "format", "verbose"})
_KIND_OF_FIRST_WORD = {
    "values": "values",
    "table": "select",
    "show": "show",
    "describe": "describe",
    "desc": "describe",
    "summarize": "summarize",
    "pivot": "pivot",
    "pivot_wider": "pivot",
    "unpivot": "unpivot",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a statement is; `refused` is set when it may not run whatever is intended."""

    effect: Effect
    kind: str
    refused: Refused | None = None


def judge_statement(statement: SplitStatement, walk: TreeWalk) -> Verdict:
    """The kind and effect of one statement; what it touches is left in `walk.found`."""
    try:
        reader = TokenReader(statement.text)
    except Refused as refused:
        return Verdict(effect="forbidden", kind="unknown", refused=refused)
    word = reader.now.word
    if word in _FORBIDDEN:
        return _refuse_admin(statement, reader, walk, _FORBIDDEN[word])
    kind = _rough_kind(reader)
    try:
        if word == "explain":
            return _judge_explain(reader, walk)
        return _judge_known(statement, reader, walk, kind)
    except Refused as refused:
        return Verdict(effect="forbidden", kind=kind, refused=refused)


def _judge_known(statement: SplitStatement, reader: TokenReader, walk: TreeWalk, kind: str) -> Verdict:
    match (statement.type, reader.now.word):
        case ("CREATE" | "CREATE_FUNC" | "MULTI", "create"):
            return Verdict(effect="write", kind=judge_create(reader, walk))
        case ("ALTER" | "MULTI", "alter"):
            return Verdict(effect="write", kind=judge_alter(reader, walk))
        case ("ALTER", "comment"):
            return Verdict(effect="write", kind=judge_comment(reader, walk))
        case ("SELECT" | "MULTI", _):
            judge_query(statement.text, walk)
            return Verdict(effect="write" if walk.found.approval else "read", kind=kind)
        case ("INSERT" | "UPDATE" | "DELETE", _):
            return Verdict(effect="write", kind=_change_kind(judge_change(statement.text, walk), kind))
        case ("MERGE_INTO", _):
            judge_merge(reader, walk)
            return Verdict(effect="write", kind="merge")
        case ("DROP", "drop"):
            return Verdict(effect="write", kind=judge_drop(reader, walk))
        case ("COPY", "copy"):
            return _judge_copy(statement, reader, walk)
    raise Refused(
        f"Statements of this kind ({statement.type}) are not allowed here.",
        hint="SELECT reads; propose_change takes changes of data and tables.",
        position=0,
    )


def _judge_copy(statement: SplitStatement, reader: TokenReader, walk: TreeWalk) -> Verdict:
    depth = 0
    for token in reader.tokens:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word == "from" and reader.tokens[1].word != "from":
            judge_copy_from(reader, walk)
            return Verdict(effect="write", kind="copy_from")
        if depth == 0 and token.word == "to":
            judge_copy_to(statement.text, walk)
            return Verdict(effect="write", kind="copy_to")
    raise Refused("This form of COPY is not known here, so it is refused.", position=0)


def _judge_explain(reader: TokenReader, walk: TreeWalk) -> Verdict:
    reader.expect("explain")
    reader.take_any(("analyze",))
    reader.take_any(("verbose",))
    if reader.now.text == "(" and _are_options(reader):
        reader.group()
    start = reader.now.start
    text = reader.source(reader.rest())
    inner = walk.parser.split(text)
    if len(inner) != 1:
        raise Refused("EXPLAIN takes one statement.", position=start)
    verdict = judge_statement(inner[0], walk)
    if verdict.refused is not None:
        raise shift(verdict.refused, start)
    if verdict.effect == "read":
        return Verdict(effect="read", kind="explain")
    walk.found.ask(
        Refused(f"EXPLAIN of {verdict.kind} can carry it out, so it counts as the change itself.", position=0)
    )
    return Verdict(effect="write", kind="explain")


def _are_options(reader: TokenReader) -> bool:
    following = reader.tokens[reader.index + 1 : reader.index + 2]
    return bool(following) and following[0].word in _EXPLAIN_OPTIONS


def _refuse_admin(statement: SplitStatement, reader: TokenReader, walk: TreeWalk, kind: str) -> Verdict:
    """The verdict on what changes the engine rather than data; a few PRAGMAs that describe data are let through."""
    if kind == "pragma" and (query := _describing_query(reader)) is not None:
        try:
            judge_query(query, walk)
        except Refused as refused:
            return Verdict(effect="forbidden", kind="pragma", refused=shift(refused, -len(query)))
        return Verdict(effect="read", kind="pragma")
    word = reader.now.text.upper()
    reason = Refused(
        f"{word} acts on the engine or its session, not on data, so it is refused.",
        hint=_ADMIN_HINTS.get(kind, "SELECT reads; propose_change takes changes of data and tables."),
        position=0,
    )
    effect: Effect = "admin" if kind in {"set", "use", "transaction", "vacuum", "checkpoint", "pragma"} else "forbidden"
    return Verdict(effect=effect, kind=kind, refused=reason)


def _describing_query(reader: TokenReader) -> str | None:
    """The SELECT that says the same as a PRAGMA which only describes data, or None."""
    words = [t.word for t in reader.tokens[1:]]
    match words:
        case ["show_tables" | "show_tables_expanded"]:
            return "SHOW TABLES"
        case ["version"]:
            return "SELECT version()"
        case ["table_info" | "show", "(", "", ")"] if reader.tokens[3].text.startswith("'"):
            return f"SELECT * FROM pragma_table_info({reader.tokens[3].text})"
    return None


def _rough_kind(reader: TokenReader) -> str:
    word = reader.now.word
    if word in _KIND_OF_FIRST_WORD:
        return _KIND_OF_FIRST_WORD[word]
    if word in {"create", "comment", "merge", "insert", "update", "delete", "truncate", "copy", "explain"}:
        return word
    if word in {"drop", "alter"} and len(reader.tokens) > 1:
        return f"{word}_{reader.tokens[1].word}"
    return "select"


def _change_kind(node: Tree, kind: str) -> str:
    if kind == "truncate":
        return kind
    return {"INSERT_QUERY_NODE": "insert", "UPDATE_QUERY_NODE": "update"}.get(str(node.get("type")), "delete")
