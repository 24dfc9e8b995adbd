"""Judges CREATE, ALTER, DROP and COMMENT: what they define is walked like a query written in place."""

from collections.abc import Sequence

from datasteward.engine.gate_facts import ObjectKind, Refused, WriteTarget
from datasteward.engine.gate_functions import words
from datasteward.engine.gate_parser import Token
from datasteward.engine.gate_queries import judge_expression, judge_query
from datasteward.engine.gate_reader import TokenReader
from datasteward.engine.gate_tree import TreeWalk

_DROPPABLE: dict[str, ObjectKind] = {
    "table": "table",
    "view": "view",
    "macro": "macro",
    "function": "macro",
    "schema": "schema",
    "sequence": "sequence",
    "type": "type",
    "index": "index",
}
_TYPE_WORDS = words(
    "bigint bit bitstring blob bool boolean bytea char character date datetime dec decimal double enum float float4 float8"
    " geometry hugeint int int1 int2 int4 int8 int16 int32 int64 int128 integer interval json list long map nchar numeric"
    " nvarchar precision real short signed smallint string struct text time timestamp timestamptz timetz tinyint"
    " ubigint uhugeint uint8 uint16 uint32 uint64 uinteger union usmallint utinyint uuid varbinary varchar variant varying"
    " bpchar"
)
_NOT_CALLS = words(
    "check default as key unique primary in and or not null using generated always virtual stored when then else case"
    " is like between on constraint references cast try_cast with set add column by distinct collate index any all"
    " coalesce"
)
_QUERY_WORDS = frozenset({"select", "from", "values", "pivot", "unpivot", "describe", "summarize", "show"})


def judge_create(reader: TokenReader, walk: TreeWalk) -> str:
    """The kind of the CREATE statement that `reader` is at; raises `Refused` for what may not be created."""
    reader.expect("create")
    is_replacing = reader.take("or", "replace")
    start = reader.now
    if reader.take_any(("temp", "temporary", "local", "global")):
        raise Refused(
            "Temporary objects are not kept here, so CREATE TEMP is refused.",
            hint="Use WITH … AS (…), or the handle of an earlier result.",
            position=start.start,
        )
    reader.take_any(("persistent", "unlogged"))
    reader.take("recursive")
    reader.take("unique")
    kind = reader.take_any(tuple(_DROPPABLE))
    if kind is None:
        raise Refused(
            f"CREATE {reader.now.text.upper()} is not allowed.",
            hint="Tables, views, macros, schemas, sequences, types and indexes can be created.",
            position=reader.now.start,
        )
    skips = reader.take("if", "not", "exists")
    if kind == "index":
        return _create_index(reader, walk)
    path = reader.path()
    schema, name = (path[-1], path[-1]) if kind == "schema" else walk.split_target(path)
    action = "replace" if is_replacing else "create"
    walk.found.writes[WriteTarget(kind=_DROPPABLE[kind], schema=schema, name=name, action=action)] = None
    if not (is_replacing or skips or kind in {"macro", "function", "sequence", "type", "schema"}):
        _refuse_existing(walk, schema, name)
    return _CREATORS[kind](reader, walk)


def _refuse_existing(walk: TreeWalk, schema: str, name: str) -> None:
    stored = walk.catalog.find(schema, name)
    if stored is not None:
        raise Refused(
            f"There is already a {stored.kind} {_label(schema, name)}.",
            code="conflict",
            hint="CREATE OR REPLACE replaces it; another name keeps both.",
        )


def _create_table(reader: TokenReader, walk: TreeWalk) -> str:
    if reader.now.text == "(":
        sweep(reader.group(), walk)
    if reader.is_done:
        return "create_table"
    reader.expect("as")
    body = reader.rest()
    ending = [t.word for t in body[-3:]]
    if ending[-2:] == ["with", "data"]:
        body = body[:-2]
    elif ending == ["with", "no", "data"]:
        body = body[:-3]
    judge_query(reader.source(body), walk, offset=body[0].start if body else 0)
    return "create_table_as"


def _create_view(reader: TokenReader, walk: TreeWalk) -> str:
    if reader.now.text == "(":
        reader.group()
    reader.expect("as")
    body = reader.rest()
    judge_query(reader.source(body), walk, offset=body[0].start if body else 0)
    return "create_view"


def _create_macro(reader: TokenReader, walk: TreeWalk) -> str:
    while True:
        sweep([t for t in reader.group() if t.text not in {":=", "=>"}], walk)
        reader.expect("as")
        is_table = reader.take("table")
        body = _macro_body(reader)
        judge = judge_query if is_table else judge_expression
        judge(reader.source(body), walk, offset=body[0].start if body else 0)
        if reader.is_done:
            return "create_macro"


def _macro_body(reader: TokenReader) -> list[Token]:
    """The body up to the next form of the macro, `, (…) AS`, or to the end; the comma is read."""
    start, depth = reader.index, 0
    while not reader.is_done:
        text = reader.now.text
        depth += (text in {"(", "[", "{"}) - (text in {")", "]", "}"})
        if depth == 0 and text == "," and _form_follows(reader):
            body = reader.tokens[start : reader.index]
            reader.index += 1
            return body
        reader.index += 1
    return reader.tokens[start:]


def _form_follows(reader: TokenReader) -> bool:
    at = reader.index
    reader.index += 1
    try:
        reader.group()
        return reader.now.word == "as"
    except Refused:
        return False
    finally:
        reader.index = at


def _create_plain(reader: TokenReader, walk: TreeWalk) -> str:
    sweep(reader.rest(), walk)
    return "create_schema"


def _create_sequence(reader: TokenReader, walk: TreeWalk) -> str:
    sweep(reader.rest(), walk)
    return "create_sequence"


def _create_type(reader: TokenReader, walk: TreeWalk) -> str:
    reader.expect("as")
    body = reader.rest()
    if len(body) > 2 and body[0].word == "enum" and body[2].word in {"select", "from", "with", "values"}:
        judge_query(reader.source(body[2:-1]), walk, offset=body[2].start)
    else:
        sweep(body, walk)
    return "create_type"


def _create_index(reader: TokenReader, walk: TreeWalk) -> str:
    name = reader.path()[-1] if reader.now.word != "on" else ""
    reader.expect("on")
    schema, table = walk.split_target(reader.path())
    if walk.catalog.find(schema, table) is None:
        walk.add_target((schema, table), "index")
    walk.found.writes[WriteTarget(kind="index", schema=schema, name=name, action="create")] = None
    walk.found.writes[WriteTarget(kind="table", schema=schema, name=table, action="index")] = None
    sweep(reader.rest(), walk)
    return "create_index"


_CREATORS = {
    "table": _create_table,
    "view": _create_view,
    "macro": _create_macro,
    "function": _create_macro,
    "schema": _create_plain,
    "sequence": _create_sequence,
    "type": _create_type,
}


def judge_drop(reader: TokenReader, walk: TreeWalk) -> str:
    """The kind of a DROP statement; raises `Refused` for anything but objects of the workspace's database."""
    reader.expect("drop")
    kind = reader.take_any(tuple(_DROPPABLE))
    if kind is None:
        raise Refused(
            f"DROP {reader.now.text.upper()} is not allowed.",
            hint="Tables, views, macros, schemas, sequences, types and indexes can be dropped.",
            position=reader.now.start,
        )
    if kind in {"macro", "function"}:
        reader.take("table")
    may_be_missing = reader.take("if", "exists")
    while True:
        path = reader.path()
        schema, name = (path[-1], path[-1]) if kind == "schema" else walk.split_target(path)
        if kind in {"table", "view"} and not may_be_missing and walk.catalog.find(schema, name) is None:
            raise Refused(f"There is no {kind} {_label(schema, name)} to drop.", code="not_found")
        walk.found.writes[WriteTarget(kind=_DROPPABLE[kind], schema=schema, name=name, action="drop")] = None
        if reader.now.text != ",":
            break
        reader.index += 1
    reader.take_any(("cascade", "restrict"))
    if not reader.is_done:
        raise reader.unknown()
    return f"drop_{_DROPPABLE[kind]}"


def _label(schema: str, name: str) -> str:
    return name if schema == "main" else f"{schema}.{name}"


def judge_alter(reader: TokenReader, walk: TreeWalk) -> str:
    """The kind of an ALTER statement on a table, view, sequence, macro or schema."""
    reader.expect("alter")
    kind = reader.take_any(("table", "view", "sequence"))
    if kind is None:
        raise Refused(f"ALTER {reader.now.text.upper()} is not allowed.", position=reader.now.start)
    may_be_missing = reader.take("if", "exists")
    schema, name = walk.split_target(reader.path())
    if kind != "sequence" and not may_be_missing and walk.catalog.find(schema, name) is None:
        raise Refused(f"There is no {kind} {_label(schema, name)} to alter.", code="not_found")
    walk.found.writes[WriteTarget(kind=_DROPPABLE[kind], schema=schema, name=name, action="alter")] = None
    rest = reader.rest()
    if len(rest) == 3 and [t.word for t in rest[:2]] == ["rename", "to"]:
        new = WriteTarget(kind=_DROPPABLE[kind], schema=schema, name=rest[2].name, action="rename")
        walk.found.writes[new] = None
    sweep(rest, walk)
    return f"alter_{kind}"


def judge_comment(reader: TokenReader, walk: TreeWalk) -> str:
    """The kind of a COMMENT statement."""
    reader.expect("comment", "on")
    kind = reader.take_any((*_DROPPABLE, "column"))
    if kind is None:
        raise Refused("COMMENT ON takes a table, view, column or macro here.", position=reader.now.start)
    reader.take("table") if kind in {"macro", "function"} else None
    path = reader.path()
    schema, name = walk.split_target(path[:-1] if kind == "column" else path)
    written: ObjectKind = "table" if kind == "column" else _DROPPABLE[kind]
    walk.found.writes[WriteTarget(kind=written, schema=schema, name=name, action="comment")] = None
    reader.expect("is")
    if len(value := reader.rest()) != 1 or (value[0].type != "string_const" and value[0].word != "null"):
        raise Refused("A comment is constant text or NULL.")
    return "comment"


def sweep(tokens: Sequence[Token], walk: TreeWalk) -> None:
    """Judge a stretch of definition without its tree: no query in it, and whatever could be a call must be allowed."""
    for index, token in enumerate(tokens):
        word = token.word
        before = tokens[index - 1].word if index else ""
        if word in _QUERY_WORDS and before != "distinct":
            raise Refused(
                f"{word.upper()} inside a definition cannot be judged, so it is refused.",
                hint="Use expressions without subqueries and without FROM here.",
                position=token.start,
            )
        if token.type in {"operator"} and walk.catalog.macros(token.text):
            walk.judge_call((token.text,), token.start)
        if token.type not in {"identifier", "keyword"}:
            continue
        follows = tokens[index + 1].text if index + 1 < len(tokens) else ""
        is_qualified = index > 0 and tokens[index - 1].text == "."
        if follows == "(" and before not in {"references", "constraint"}:
            is_syntax = not is_qualified and (word in _NOT_CALLS or word in _TYPE_WORDS)
            if not is_syntax and not _is_referenced_table(tokens, index):
                walk.judge_call(_path_to(tokens, index), token.start)
        elif walk.stability.get(word, "CONSISTENT") != "CONSISTENT":
            walk.found.volatile.add(word)


def _path_to(tokens: Sequence[Token], index: int) -> tuple[str, ...]:
    """The name at `index` with the names and dots before it."""
    at = index
    while at >= 2 and tokens[at - 1].text == ".":
        at -= 2
    return tuple(t.name for t in tokens[at : index + 1 : 2])


def _is_referenced_table(tokens: Sequence[Token], index: int) -> bool:
    """Whether the name is the end of REFERENCES schema.table."""
    at = index
    while at >= 2 and tokens[at - 1].text == ".":
        at -= 2
    return at > 0 and tokens[at - 1].word == "references"
