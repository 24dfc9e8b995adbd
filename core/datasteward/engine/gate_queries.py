"""Judges the statements whose tree DuckDB gives, directly or through a rewriting that leaves every part of them in it."""

from dataclasses import dataclass

from datasteward.engine.copy_targets import (
    COPY_HEAD,
    copy_info,
    differ_by_target_alone,
    find_copy_target,
    parse_copy,
    put_target,
)
from datasteward.engine.gate_arguments import constant_texts
from datasteward.engine.gate_facts import FileOption, FileUse, Refused
from datasteward.engine.gate_functions import words
from datasteward.engine.gate_parser import Token, Tree, trim_statement
from datasteward.engine.gate_reader import TokenReader
from datasteward.engine.gate_tree import TreeWalk

_PIVOT_ENDS = words("using group order limit offset union except intersect qualify where")
_QUERY_STARTS = frozenset({"select", "from", "with", "values"})
_COPY_OPTIONS = words(
    "format header delim delimiter sep quote escape null nullstr dateformat timestampformat force_quote compression"
    " row_group_size row_group_size_bytes codec compression_level array prefix suffix parquet_version encoding"
)
_COPY_FROM_OPTIONS = _COPY_OPTIONS | words(
    "auto_detect skip columns ignore_errors force_not_null decimal_separator null_padding allow_quoted_nulls"
    " strict_mode thousands sample_size all_varchar new_line max_line_size comment filename union_by_name"
    " hive_partitioning"
)
_FORMATS = frozenset({"csv", "parquet", "json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    """Bytes put in place of the stretch from `start` to `end`."""

    start: int
    end: int
    text: bytes


def judge_query(text: str, walk: TreeWalk, *, offset: int = 0) -> Tree:
    """The tree of one query, judged; a dynamic PIVOT is judged with its value lists put in."""
    try:
        tree = walk.parser.tree(text)
    except Refused as refused:
        if not _has_pivot(text):
            raise shift(refused, offset) from None
        tree = walk.parser.tree(put_lists_in(text, walk))
    try:
        walk.walk(tree)
    except Refused as refused:
        raise shift(refused, offset) from None
    return tree


def judge_expression(text: str, walk: TreeWalk, *, offset: int = 0) -> None:
    """Judge one expression as if it were selected."""
    judge_query(f"SELECT (\n{text}\n)", walk, offset=offset - 9)


def put_lists_in(text: str, walk: TreeWalk) -> str:
    """`text` with an IN list after each PIVOT column that has none, so that DuckDB gives its tree.

    Every table and function of the original stays in the text, so judging the outcome judges the original; a query
    inside IN (…) is judged by itself before a constant takes its place.
    """
    reader = TokenReader(text)
    edits: list[_Edit] = []
    for index, token in enumerate(reader.tokens):
        if token.word in {"pivot", "pivot_wider"}:
            edits.extend(_pivot_edits(reader, index + 1, walk))
    data = reader.data
    for edit in sorted(set(edits), key=lambda e: e.start, reverse=True):
        data = data[: edit.start] + edit.text + data[edit.end :]
    return data.decode()


def _pivot_edits(reader: TokenReader, start: int, walk: TreeWalk) -> list[_Edit]:
    """Where lists go for the PIVOT whose source begins at token `start`."""
    last_on, end, depth = None, len(reader.tokens), 0
    for index in range(start, len(reader.tokens)):
        token = reader.tokens[index]
        depth += (token.text in {"(", "[", "{"}) - (token.text in {")", "]", "}"})
        if depth < 0 or (depth == 0 and (token.word in _PIVOT_ENDS or token.text == ";")):
            end = index
            break
        if depth == 0 and token.word == "on":
            last_on = index
    if last_on is None:
        return []
    items = _split_items(reader.tokens[last_on + 1 : end])
    return [edit for item in items if item for edit in _item_edits(item, reader, walk)]


def _split_items(tokens: list[Token]) -> list[list[Token]]:
    items: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in {"(", "[", "{"}) - (token.text in {")", "]", "}"})
        if depth == 0 and token.text == ",":
            items.append([])
        else:
            items[-1].append(token)
    return items


def _item_edits(item: list[Token], reader: TokenReader, walk: TreeWalk) -> list[_Edit]:
    """What gives one PIVOT column a list of constants; nothing when it has one already."""
    depth = 0
    for index, token in enumerate(item):
        if depth == 0 and token.word == "in":
            inside = item[index + 2 : -1]
            if not inside or inside[0].word not in _QUERY_STARTS:
                return []
            judge_query(reader.source(inside), walk, offset=inside[0].start)
            return [_Edit(start=token.start, end=item[-1].end, text=b" IN ('x')")]
        depth += (token.text in {"(", "[", "{"}) - (token.text in {")", "]", "}"})
    start, end = item[0].start, item[-1].end
    return [_Edit(start=start, end=start, text=b"("), _Edit(start=end, end=end, text=b") IN ('x')")]


def judge_change(text: str, walk: TreeWalk) -> Tree:
    """The tree of an INSERT, UPDATE, DELETE or TRUNCATE, judged; read by putting it into a CTE."""
    head = "WITH __change AS ("
    walk.writes_met = 0
    try:
        tree = walk.parser.tree(f"{head}{trim_statement(text)}\n) SELECT 1")
        walk.walk(tree)
    except Refused as refused:
        raise shift(refused, -len(head)) from None
    if walk.writes_met > 1:
        raise Refused(
            "The statement holds another one that changes data, inside WITH, so its effect could not be told apart.",
            hint="Write them one after another, separated by a semicolon; they are one change all the same.",
        )
    node: Tree = tree["cte_map"]["map"][0]["value"]["query_node"]
    return node


def judge_copy_to(text: str, walk: TreeWalk) -> None:
    """Judge a COPY … TO and note the file it writes."""
    try:
        tree = parse_copy(walk.parser.tree, text)
        info = copy_info(tree)
        if info.get("is_from") or info.get("file_path_expression") is not None or not info.get("file_path"):
            raise Refused("COPY … TO takes one file path as constant text here.")
        if info.get("select_statement"):
            walk.walk(info["select_statement"])
        else:
            path = (info.get("qualified_name") or {}).get("path", [])
            walk.walk({"type": "BASE_TABLE", "qualified_name": {"path": path}})
        options = _copy_options(info)
        target = walk.files.check_write(str(info["file_path"]))
    except Refused as refused:
        raise shift(refused, -len(COPY_HEAD)) from None
    place = find_copy_target(text)
    other = f"other_{target.name}"
    if not differ_by_target_alone(tree, parse_copy(walk.parser.tree, put_target(text, place, other)), other):
        raise Refused("The file that this COPY writes could not be found in its text.", position=0)
    walk.found.files[
        FileUse(
            text=str(info["file_path"]),
            paths=(target,),
            function="copy",
            access="write",
            options=options,
            start=place.start,
            end=place.end,
        )
    ] = None


def _copy_options(info: Tree) -> tuple[FileOption, ...]:
    kind = str(info.get("format", "")).casefold()
    if kind and kind not in _FORMATS:
        raise Refused(f"COPY cannot write the format '{kind}' here.", hint="CSV, Parquet and JSON can be written.")
    options = [FileOption(name="format", value=kind)] if kind else []
    for name, value in _option_items(info):
        if name not in _COPY_OPTIONS:
            raise Refused(
                f"The COPY option '{name}' is not allowed.", hint="One plain file is written; leave the option out."
            )
        options.append(FileOption(name=name, value=value))
    return tuple(options)


def _option_items(info: Tree) -> list[tuple[str, str | None]]:
    items: list[tuple[str, str | None]] = []
    for entry in [*(info.get("parsed_options") or []), *(info.get("options") or [])]:
        value = entry.get("value")
        texts = constant_texts(value, {})
        literal = value.get("literal") if isinstance(value, dict) else None
        text = texts[0] if texts else str(literal["text"]) if literal and "text" in literal else None
        items.append((str(entry.get("key", "")).casefold(), text))
    return items


def judge_copy_from(reader: TokenReader, walk: TreeWalk) -> None:
    """Judge a COPY table FROM 'file' statement."""
    reader.expect("copy")
    path = reader.path()
    if reader.now.text == "(":
        reader.group()
    reader.expect("from")
    token = reader.now
    if token.type != "string_const" or not token.text.startswith("'"):
        raise Refused("COPY … FROM takes one file path as constant text here.", position=token.start)
    reader.index += 1
    text = token.text[1:-1].replace("''", "'")
    reader.take("with")
    options = _plain_options(reader) if not reader.is_done else ()
    if not reader.is_done:
        raise reader.unknown()
    walk.add_target(path, "insert")
    try:
        paths = walk.files.check_read(text)
    except Refused as refused:
        raise Refused(refused.message, code=refused.code, hint=refused.hint, position=token.start) from None
    walk.found.files[FileUse(text=text, paths=paths, function="copy", options=options)] = None


def _plain_options(reader: TokenReader) -> tuple[FileOption, ...]:
    options: list[FileOption] = []
    for item in _split_items(reader.group()):
        name = item[0].name.casefold() if item else ""
        if name not in _COPY_FROM_OPTIONS:
            raise Refused(f"The COPY option '{name}' is not allowed.", hint="Leave it out.", position=reader.now.start)
        if any(t.word in {"select", "from"} for t in item):
            raise Refused("COPY options are constants.", position=item[0].start)
        value = " ".join(t.text for t in item[1:]) or None
        if name == "format" and (value or "").strip("'").casefold() not in _FORMATS:
            raise Refused(f"COPY cannot read the format {value} here.", hint="CSV, Parquet and JSON can be read.")
        options.append(FileOption(name=name, value=value))
    return tuple(options)


def judge_merge(reader: TokenReader, walk: TreeWalk) -> None:
    """Judge a MERGE INTO: its source, conditions and actions are put into statements whose trees DuckDB gives."""
    prefix = reader.source(reader.until(("merge",)))
    reader.expect("merge", "into")
    target = reader.path()
    reader.until(("using",))
    reader.expect("using")
    walk.add_target(target, "merge")
    source = reader.source(reader.until(("when",)))
    judge_query(f"{prefix} SELECT 1 FROM (SELECT 1) AS __target JOIN {source}", walk)
    while reader.take("when"):
        _judge_merge_clause(reader, walk, prefix, target)
    if reader.take("returning"):
        walk.found.has_returning = True
        judge_query(f"{prefix} SELECT {reader.source(reader.rest())}", walk)
    if not reader.is_done:
        raise reader.unknown()


def _judge_merge_clause(reader: TokenReader, walk: TreeWalk, prefix: str, target: tuple[str, ...]) -> None:
    reader.take("not")
    reader.expect("matched")
    if reader.take("by"):
        reader.take_any(("source", "target"))
    if reader.take("and"):
        judge_query(f"{prefix} SELECT ({reader.source(reader.until(('then',)))}\n)", walk)
    reader.expect("then")
    action = reader.until(("when", "returning"))
    said = [t.word or t.text for t in action]
    text = reader.source(action[1:])
    table = ".".join('"' + part.replace('"', '""') + '"' for part in target)
    match said:
        case ["delete"] | ["do", "nothing"] | ["error"]:
            pass
        case ["update" | "insert"] | ["update", "set", "*"] | ["insert", "*"]:
            pass
        case ["update" | "insert", *_] if set(said[1:]) <= {"by", "name", "position", "set", "*"}:
            pass
        case ["update", "set", *_]:
            judge_change(f"{prefix} UPDATE {table} {text}", walk)
        case ["insert", *_]:
            judge_change(f"{prefix} INSERT INTO {table} {text}", walk)
        case ["error", *_]:
            judge_query(f"{prefix} SELECT ({text}\n)", walk)
        case _:
            raise reader.unknown()


def shift(refused: Refused, offset: int) -> Refused:
    """The refusal with its position moved from an inner text to the outer one."""
    position = None if refused.position is None else max(0, refused.position + offset)
    return Refused(refused.message, code=refused.code, hint=refused.hint, position=position)


def _has_pivot(text: str) -> bool:
    return any(t.word in {"pivot", "pivot_wider"} for t in TokenReader(text).tokens)
