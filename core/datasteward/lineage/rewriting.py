"""Preparing a statement for the binder: file scans become shadow tables, COPY and CREATE VIEW become queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from datasteward.lineage.schemas import Column, ShadowTable
from datasteward.lineage.sql_tokens import Token, closing_index, quote_name, read_tokens

READERS = frozenset(
    {"read_parquet", "parquet_scan", "read_csv", "read_csv_auto", "sniff_csv", "read_json", "read_json_auto"}
    | {"read_json_objects", "read_json_objects_auto", "read_ndjson", "read_ndjson_auto", "read_ndjson_objects"}
    | {"read_text", "read_blob", "read_xlsx", "st_read", "delta_scan", "iceberg_scan", "read_avro", "arrow_scan"}
)
QUERY_WORDS = ("select", "with", "from", "values", "table", "pivot", "unpivot", "describe", "show", "summarize")
_CLAUSES = frozenset(
    {"select", "from", "join", "where", "group", "order", "having", "on", "using", "set", "values", "limit"}
    | {"qualify", "window", "union", "except", "intersect", "returning", "when", "then"}
)
_FROM_CALLS = ("extract", "substring", "trim", "overlay", "position", "date_part")
_FILE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".json", ".ndjson", ".jsonl", ".xlsx", ".gz", ".zst", ".arrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileScan:
    """A place in the text where files are read: `names` as written, empty when they are not literal."""

    start: int
    end: int
    names: tuple[str, ...]
    alias: str
    has_filename_column: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTable:
    """The shadow table that stands for a file scan, and the files behind it."""

    table: ShadowTable
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """The text with known file scans replaced; `missing` are the files whose columns nobody gave."""

    sql: str
    tables: tuple[FileTable, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStatement:
    """COPY taken apart: the query that gives the rows, and the file or table they go to."""

    is_export: bool
    query: str
    file: str
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertStatement:
    """INSERT taken apart: the target's SQL name, its column list (empty when none is given), and the query."""

    path: tuple[str, ...]
    columns: tuple[str, ...]
    query: str


def find_files(sql: str) -> tuple[str, ...]:
    """The files and globs that `sql` reads, as written, in order of appearance and each once."""
    tokens = read_tokens(sql)
    copied = read_copy(sql, tokens)
    names = [copied.file] if copied and not copied.is_export else []
    return tuple(dict.fromkeys([*names, *(n for scan in _file_scans(tokens) for n in scan.names)]))


def replace_files(sql: str, files: Mapping[str, tuple[Column, ...]]) -> Rewritten:
    """`sql` with each scan of a file in `files` replaced by a table of the same alias in a schema of its own."""
    pieces: list[str] = []
    tables: list[FileTable] = []
    missing: list[str] = []
    done = 0
    for scan in _file_scans(read_tokens(sql)):
        columns = _columns_of(scan, files)
        if columns is None:
            missing += [name for name in scan.names if name not in files] or ["a computed path"]
            continue
        path = (f"__file_{len(tables)}", scan.alias)
        tables.append(FileTable(table=ShadowTable(path=path, columns=columns), files=scan.names))
        pieces += [sql[done : scan.start], f"{quote_name(path[0])}.{quote_name(path[1])}"]
        done = scan.end
    pieces.append(sql[done:])
    return Rewritten(sql="".join(pieces), tables=tuple(tables), missing=tuple(dict.fromkeys(missing)))


def read_copy(sql: str, tokens: Sequence[Token] | None = None) -> CopyStatement | None:
    """The parts of a COPY of a query or table to a file, or of a file into a table; None for anything else."""
    tokens = tokens if tokens is not None else read_tokens(sql)
    if len(tokens) < 4 or not tokens[0].is_word("copy"):
        return None
    if tokens[1].text == "(":
        end = closing_index(tokens, 1)
        if end is None or end + 2 >= len(tokens) or not tokens[end + 1].is_word("to"):
            return None
        query = sql[tokens[1].end : tokens[end].start]
        return CopyStatement(is_export=True, query=query, file=tokens[end + 2].value)
    index, columns = 2, ""
    while index < len(tokens) and tokens[index].text == ".":
        index += 2
    table = sql[tokens[1].start : tokens[index - 1].end]
    if index < len(tokens) and tokens[index].text == "(":
        end = closing_index(tokens, index) or index
        columns = sql[tokens[index].end : tokens[end].start]
        index = end + 1
    if index + 1 >= len(tokens) or not tokens[index].is_word("to", "from"):
        return None
    file = tokens[index + 1].value
    if tokens[index].is_word("to"):
        return CopyStatement(is_export=True, query=f"SELECT {columns or '*'} FROM {table}", file=file)
    target = f"{table}({columns})" if columns else table
    return CopyStatement(is_export=False, query=f"INSERT INTO {target} FROM ", file=file, table=table)


def read_view_query(sql: str) -> str | None:
    """The query of a CREATE VIEW statement, or None."""
    tokens = read_tokens(sql)
    if not tokens or not tokens[0].is_word("create"):
        return None
    for index, token in enumerate(tokens):
        if token.is_word("as"):
            is_view = any(t.is_word("view") for t in tokens[:index])
            return sql[token.end :] if is_view else None
    return None


def read_insert(sql: str) -> InsertStatement | None:
    """The target, column list and query of a plain INSERT; None for anything else."""
    tokens = read_tokens(sql)
    index = next((i + 1 for i, t in enumerate(tokens[:4]) if t.is_word("into")), len(tokens))
    if index >= len(tokens) or not tokens[0].is_word("insert"):
        return None
    path = [tokens[index].value]
    while index + 2 < len(tokens) and tokens[index + 1].text == ".":
        index += 2
        path.append(tokens[index].value)
    index += 1
    columns: tuple[str, ...] = ()
    end = closing_index(tokens, index) if index < len(tokens) and tokens[index].text == "(" else None
    if end is not None and not is_query(sql[tokens[index].end :]):
        columns = tuple(t.value for t in tokens[index + 1 : end] if t.kind in ("word", "quoted"))
        index = end + 1
    if index + 1 < len(tokens) and tokens[index].is_word("by") and tokens[index + 1].is_word("name", "position"):
        index += 2
    if index >= len(tokens) or not is_query(sql[tokens[index].start :]):
        return None
    return InsertStatement(
        path=tuple(path), columns=columns, query=sql[tokens[index].start : _end_of_query(tokens, index, sql)]
    )


def read_conflict_columns(sql: str) -> tuple[str, ...] | None:
    """The columns named after ON CONFLICT; empty when none are named, None when there is no such clause."""
    tokens = read_tokens(sql)
    for index, token in enumerate(tokens[:-1]):
        if token.is_word("on") and tokens[index + 1].is_word("conflict"):
            return _conflict_columns(tokens, index + 2)
        if token.is_word("or") and tokens[index + 1].is_word("replace", "ignore") and tokens[0].is_word("insert"):
            return ()
    return None


def is_query(sql: str) -> bool:
    """True when the first word is one that begins a query."""
    for token in read_tokens(sql[:4000]):
        if token.text != "(":
            return token.is_word(*QUERY_WORDS)
    return False


def _end_of_query(tokens: Sequence[Token], index: int, sql: str) -> int:
    depth = 0
    for position in range(index, len(tokens)):
        token = tokens[position]
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "symbol" else 0
        is_conflict = token.is_word("on") and position + 1 < len(tokens) and tokens[position + 1].is_word("conflict")
        if depth == 0 and (is_conflict or token.is_word("returning")):
            return token.start
    return len(sql)


def _conflict_columns(tokens: Sequence[Token], index: int) -> tuple[str, ...]:
    if index >= len(tokens) or tokens[index].text != "(":
        return ()
    end = closing_index(tokens, index) or index
    return tuple(t.value for t in tokens[index + 1 : end] if t.kind in ("word", "quoted"))


def _file_scans(tokens: Sequence[Token]) -> list[FileScan]:
    scans: list[FileScan] = []
    clauses: list[str] = [""]
    openers: list[str] = [""]
    skip_to = -1
    for index, token in enumerate(tokens):
        if index < skip_to:
            continue
        if token.kind == "symbol":
            _track_brackets(tokens, index, clauses, openers)
        elif token.kind == "string":
            if _is_table_place(tokens, index, clauses[-1], openers[-1]):
                alias = _stem(token.value)
                scans.append(FileScan(start=token.start, end=token.end, names=(token.value,), alias=alias))
        elif _is_reader_call(tokens, index):
            end = closing_index(tokens, index + 1)
            if end is not None:
                scans.append(_reader_scan(tokens, index, end))
                skip_to = end + 1
        elif token.is_word("using") and index + 1 < len(tokens) and tokens[index + 1].text == "(":
            continue
        elif token.kind == "word" and token.text.casefold() in _CLAUSES:
            clauses[-1] = token.text.casefold()
    return scans


def _track_brackets(tokens: Sequence[Token], index: int, clauses: list[str], openers: list[str]) -> None:
    if tokens[index].text in "([{":
        clauses.append("")
        openers.append(tokens[index - 1].text.casefold() if index else "")
    elif tokens[index].text in ")]}" and len(clauses) > 1:
        clauses.pop()
        openers.pop()


def _is_table_place(tokens: Sequence[Token], index: int, clause: str, opener: str) -> bool:
    if index == 0 or opener in _FROM_CALLS or not looks_like_file(tokens[index].value):
        return False
    before = tokens[index - 1]
    if before.is_word("from", "join"):
        return not (index > 1 and tokens[index - 2].is_word("distinct"))
    if before.is_word("using", "pivot", "unpivot", "summarize", "describe", "table"):
        return True
    return before.text == "," and clause in ("from", "join")


def looks_like_file(text: str) -> bool:
    """True for a text that is more likely a path or glob than a table's name."""
    return "/" in text or "*" in text or text.casefold().endswith(_FILE_SUFFIXES)


def _is_reader_call(tokens: Sequence[Token], index: int) -> bool:
    is_name = tokens[index].kind in ("word", "quoted") and tokens[index].value.casefold() in READERS
    return is_name and index + 1 < len(tokens) and tokens[index + 1].text == "("


def _reader_scan(tokens: Sequence[Token], index: int, end: int) -> FileScan:
    argument = []
    depth = 0
    for token in tokens[index + 2 : end]:
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "symbol" else 0
        if token.text == "," and depth == 0:
            break
        argument.append(token)
    literal = all(t.kind == "string" or t.text in "[],()" for t in argument)
    names = tuple(t.value for t in argument if t.kind == "string") if literal else ()
    start = index
    while start >= 2 and tokens[start - 1].text == "." and tokens[start - 2].kind in ("word", "quoted"):
        start -= 2
    return FileScan(
        start=tokens[start].start,
        end=tokens[end].end,
        names=names,
        alias=tokens[index].value,
        has_filename_column=any(t.is_word("filename") for t in tokens[index:end]),
    )


def _columns_of(scan: FileScan, files: Mapping[str, tuple[Column, ...]]) -> tuple[Column, ...] | None:
    if not scan.names or any(name not in files for name in scan.names):
        return None
    merged = {c.name.casefold(): c for name in reversed(scan.names) for c in files[name]}
    ordered = {c.name.casefold(): merged[c.name.casefold()] for name in scan.names for c in files[name]}
    if scan.has_filename_column:
        ordered.setdefault("filename", Column(name="filename", type="VARCHAR"))
    return tuple(ordered.values()) or None


def _stem(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name.split(".", 1)[0] or path
