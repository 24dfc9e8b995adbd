"""Walks DuckDB's syntax tree: every node must be of a known kind, every name must resolve, every function be allowed."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datasteward.engine import gate_functions as lists
from datasteward.engine.gate_arguments import (
    Arguments,
    arguments_of,
    bind_constants,
    constant_texts,
    path_of,
    split_arguments,
)
from datasteward.engine.gate_catalog import CatalogView, StoredMacro, StoredObject
from datasteward.engine.gate_facts import (
    CatalogName,
    FileUse,
    Findings,
    NamedSource,
    NameResolver,
    Refused,
    WriteTarget,
)
from datasteward.engine.gate_files import FileRules, looks_like_path
from datasteward.engine.gate_parser import Parser, Tree, query_of_view, tokens_of

MAX_OPENED = 64
"""How deep views and macros may open one another."""

READ_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
WRITE_NODES = {
    "INSERT_QUERY_NODE": "insert",
    "UPDATE_QUERY_NODE": "update",
    "DELETE_QUERY_NODE": "delete",
}
KNOWN_TYPES = lists.words(
    "VALUE_CONSTANT COLUMN_REF STAR LAMBDA CASE_EXPR SUBQUERY COLLATE OPERATOR_CAST TYPE VALUE_PARAMETER"
    " POSITIONAL_REFERENCE VALUE_DEFAULT EMPTY JOIN EXPRESSION_LIST COLUMN_DATA PIVOT ORDER_MODIFIER LIMIT_MODIFIER"
    " DISTINCT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING CONJUNCTION_AND CONJUNCTION_OR"
    " COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO"
    " COMPARE_GREATERTHANOREQUALTO COMPARE_IN COMPARE_NOT_IN COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM"
    " COMPARE_BETWEEN COMPARE_NOT_BETWEEN OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE"
    " OPERATOR_NULLIF OPERATOR_UNPACK OPERATOR_TRY ARRAY_EXTRACT ARRAY_SLICE ARRAY_CONSTRUCTOR STRUCT_EXTRACT"
    " GROUPING_FUNCTION ARROW TYPED_CONSTANT"
)
"""Nodes that do nothing by themselves; their children are walked."""


Scope = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Step:
    """A part of a tree still to be walked, with the CTEs in scope, a macro's arguments, and how deep it is opened."""

    part: Any
    scope: Scope
    arguments: Arguments
    depth: int
    home: str
    at: int | None = None
    """The position of the view or macro that brought it in, when it is not in the text itself."""


@dataclass(slots=True, kw_only=True)
class TreeWalk:
    """Judges the trees of one statement and gathers what they touch."""

    catalog: CatalogView
    resolver: NameResolver
    files: FileRules
    parser: Parser
    stability: Mapping[str, str]
    bodies: dict[str, Tree]
    """Parsed bodies of views and macros, kept between statements."""
    found: Findings = field(default_factory=Findings)
    writes_met: int = 0
    """Parts so far that insert, update or delete."""
    _steps: list[_Step] = field(default_factory=list)
    _opened: set[str] = field(default_factory=set)

    def walk(self, tree: Any) -> None:
        """Judge `tree`; raises `Refused` at the first part that may not be."""
        self._push(tree, _Step(tree, frozenset(), {}, 0, "main"))
        while self._steps:
            self._visit(self._steps.pop())

    def _push(self, part: Any, like: _Step, *, scope: Scope | None = None) -> None:
        if isinstance(part, dict | list):
            kept = like.scope if scope is None else scope
            self._steps.append(_Step(part, kept, like.arguments, like.depth, like.home, like.at))

    def _visit(self, step: _Step) -> None:
        part = step.part
        if isinstance(part, list):
            for child in reversed(part):
                self._push(child, step)
            return
        kind = part.get("type")
        if isinstance(part.get("sample"), dict):
            self.found.volatile.add(lists.SAMPLE)
        if not isinstance(kind, str):
            self._push_children(part, step)
        elif kind in READ_NODES or kind in WRITE_NODES or kind == "COPY_QUERY_NODE":
            self._visit_query(part, kind, step)
        elif kind == "BASE_TABLE":
            self._visit_table(part, step)
        elif kind == "TABLE_FUNCTION":
            self._visit_table_function(part, step)
        elif kind == "FUNCTION" or part.get("class") == "WINDOW":
            self._visit_function(part, step)
        elif kind == "SHOW_REF":
            self._visit_show(part, step)
        elif kind in KNOWN_TYPES or part.get("class") == "TYPE":
            if kind == "VALUE_PARAMETER":
                self.found.parameters.add(str(part.get("identifier", "")))
            elif kind == "COLUMN_REF":
                self._note_time_word(part)
            self._push_children(part, step)
        elif kind in _FIXED_WORDS and "class" not in part:
            self._push_children(part, step)
        else:
            raise Refused(
                f"The SQL uses a form that is not known here ({kind}), so it is refused.",
                hint="Write it with plain SELECT, JOIN and functions.",
                position=_place(part, step),
            )

    def _note_time_word(self, node: Tree) -> None:
        """A name that may be a column or a time function; taken for the function, which does no harm."""
        names = [str(n).casefold() for n in node.get("column_names") or ()]
        if len(names) == 1 and names[0] in lists.TIME_WORDS:
            self.found.volatile.add(names[0])

    def _push_children(self, part: Tree, step: _Step, *, skip: frozenset[str] = frozenset()) -> None:
        for key, value in reversed(part.items()):
            if key not in skip:
                self._push(value, step)

    # queries

    def _visit_query(self, node: Tree, kind: str, step: _Step) -> None:
        if kind == "COPY_QUERY_NODE":
            raise Refused(
                "COPY … TO inside a query writes a file, so it is refused.",
                hint="Propose the COPY as a statement of its own with propose_change.",
            )
        scope = step.scope
        for entry in (node.get("cte_map") or {}).get("map", []):
            self._push({k: v for k, v in entry.items() if k != "key"}, step, scope=scope)
            scope |= {str(entry.get("key", "")).casefold()}
        inner = _Step(node, scope, step.arguments, step.depth, step.home, step.at)
        if kind == "RECURSIVE_CTE_NODE":
            name = str(node.get("cte_name", "")).casefold()
            self._push(node.get("right"), inner, scope=scope | {name, _RECURRING + name})
            self._push_children(node, inner, skip=frozenset({"cte_map", "right"}))
        elif kind == "CTE_NODE":
            name = str(node.get("ctename", node.get("cte_name", ""))).casefold()
            self._push(node.get("query"), inner)
            self._push(node.get("child"), inner, scope=scope | {name})
        elif kind in WRITE_NODES:
            self._visit_write(node, kind, inner)
        else:
            self._push_children(node, inner, skip=frozenset({"cte_map"}))

    def _visit_write(self, node: Tree, kind: str, step: _Step) -> None:
        action = WRITE_NODES[kind]
        self.writes_met += 1
        table = node.get("table")
        target = node if kind == "INSERT_QUERY_NODE" else table if isinstance(table, dict) else {}
        self.add_target(path_of(target), action)
        self.found.ask(Refused(f"The query hides {_article(action)}, which changes data.", position=step.at))
        condition = node.get("condition") or (node.get("set_info") or {}).get("condition")
        self.found.has_where |= condition is not None
        self.found.has_returning |= bool(node.get("returning_list"))
        self._push_children(node, step, skip=frozenset({"cte_map", "table", "table_ref"}))

    def add_target(self, path: tuple[str, ...], action: str) -> None:
        """Note the table that is written; raises `Refused` unless it is one of the attached database's."""
        file = ".".join(path)
        is_in_schema = len(path) > 1 and self.catalog.has_schema(path[0])
        if looks_like_path(file) and not is_in_schema and self._find_stored(path, "main") is None:
            raise _fixed_file(file)
        schema, name = self.split_target(path)
        stored = self.catalog.find(schema, name)
        if stored is None:
            raise self._explain_target(path)
        if stored.kind != "table":
            raise Refused(f"{name} is a {stored.kind}; rows can be changed in tables only.", code="binder")
        self.found.writes[WriteTarget(kind="table", schema=stored.schema, name=stored.name, action=action)] = None

    def _explain_target(self, path: tuple[str, ...]) -> Refused:
        source = self.resolver.resolve(path)
        if source is None:
            return self._not_found(path, None)
        if source.kind == "file":
            return _fixed_file(source.shown)
        name = ".".join(path)
        return Refused(
            f"{name} is a stored result; rows can be changed in tables only.",
            code="binder",
            hint=f"CREATE TABLE … AS FROM {name} makes a table of it.",
        )

    def split_target(self, path: tuple[str, ...]) -> tuple[str, str]:
        """Schema and name of an object of the attached database; raises `Refused` for any other catalog."""
        database = (self.catalog.database_name or "").casefold()
        match path:
            case (name,):
                return ("main", name)
            case (first, name) if self.catalog.has_schema(first):
                return (first, name)
            case (first, name) if database and first.casefold() == database:
                return ("main", name)
            case (first, schema, name) if database and first.casefold() == database:
                return (schema, name)
        shown = ".".join(path)
        if database and len(path) == 2:
            raise Refused(
                f"There is no schema '{path[0]}' in the workspace's database ({self.catalog.database_name}).",
                code="not_found",
                hint=f"Propose CREATE SCHEMA {path[0]} first; no database but this one is changed.",
            )
        known = f"the workspace's database ({self.catalog.database_name})" if database else "no database yet"
        raise Refused(f"{shown} is not in {known}.", hint="Only tables of the workspace's database can be changed.")

    # tables

    def _visit_table(self, node: Tree, step: _Step) -> None:
        path, place = path_of(node), _place(node, step)
        if node.get("at_clause"):
            raise Refused("AT (…) asks for an earlier state, which is not kept here.", position=place)
        self._push_children(node, step, skip=frozenset({"qualified_name", "column_name_alias"}))
        if _is_in_scope(path, step.scope):
            return
        self._use_table(path, step, place)

    def _use_table(self, path: tuple[str, ...], step: _Step, place: int | None) -> None:
        """Judge whatever the name may stand for; in a view of another schema, that schema's and main's alike."""
        stored = self._find_stored(path, step.home)
        if stored is None:
            if not self._use_system_view(path, step, place):
                self._use_source(path, place)
            return
        self._use_stored(stored, step, place)
        other = self._find_stored(path, "main")
        if other is not None and other is not stored:
            self._use_stored(other, step, place)

    def _find_stored(self, path: tuple[str, ...], home: str) -> StoredObject | None:
        database = (self.catalog.database_name or "").casefold()
        if not database:
            return None
        match path:
            case (name,):
                return self.catalog.find(home, name) or self.catalog.find("main", name)
            case (first, name):
                found = self.catalog.find(first, name)
                return found or (self.catalog.find("main", name) if first.casefold() == database else None)
            case (first, schema, name) if first.casefold() == database:
                return self.catalog.find(schema, name)
        return None

    def _use_stored(self, stored: StoredObject, step: _Step, place: int | None) -> None:
        self.found.reads[CatalogName(parts=(stored.schema, stored.name), kind=stored.kind)] = None
        if stored.kind != "view":
            return
        key = f"view {stored.schema}.{stored.name}".casefold()
        if key in self._opened:
            return
        self._opened.add(key)
        self._open(
            self._body(key, query_of_view(stored.sql)), {}, step, place, stored.schema, f"The view {stored.name}"
        )

    def _use_system_view(self, path: tuple[str, ...], step: _Step, place: int | None) -> bool:
        parts = tuple(p.casefold() for p in path)
        if len(parts) == 3 and parts[0] == "system":
            parts = parts[1:]
        if len(parts) > 2:
            return False
        homes = [".".join(parts)] if len(parts) == 2 else [f"{s}.{parts[0]}" for s in ("main", "pg_catalog")]
        for name in homes:
            if name in lists.SYSTEM_VIEWS:
                self.found.reads[CatalogName(parts=tuple(name.split(".")), kind="system")] = None
                self._judge_implied(name, step, place)
                return True
            if name in lists.REFUSED_SYSTEM_VIEWS:
                raise Refused(
                    f"{name.split('.')[-1]} tells of paths, settings or sessions, so it is refused.",
                    hint="SHOW ALL TABLES and information_schema describe the data.",
                    position=place,
                )
        return False

    def _use_source(self, path: tuple[str, ...], place: int | None) -> None:
        source = self.resolver.resolve(path)
        if source is not None:
            self.found.named_sources[source] = None
            return
        if len(path) > 2 or not looks_like_path(path[0]):
            raise self._not_found(path, place)
        text = path[0]
        try:
            paths = self.files.check_read(text)
        except Refused as refused:
            explained = self.resolver.explain_missing(path) if refused.code == "not_found" else None
            raise _moved(explained or refused, place) from None
        matches = paths if self.files.is_pattern(text) else ()
        named = NamedSource(parts=path, kind="file", shown=text, path=paths[0], matches=matches)
        self.found.named_sources[named] = None

    def _not_found(self, path: tuple[str, ...], place: int | None) -> Refused:
        if (explained := self.resolver.explain_missing(path)) is not None:
            return _moved(explained, place)
        known = [n.parts[-1] for n in self.catalog.names() if n.kind != "macro"] + list(self.resolver.names())
        folded = {k.casefold(): k for k in known}
        near = [folded[n] for n in difflib.get_close_matches(path[-1].casefold(), list(folded), n=3, cutoff=0.6)]
        hint = f"Nearest names: {', '.join(near)}." if near else "search_catalog lists tables, files and results."
        return Refused(
            f"There is no table, file or result '{'.'.join(path)}'.", code="not_found", hint=hint, position=place
        )

    def _visit_show(self, node: Tree, step: _Step) -> None:
        show = node.get("show_type", "DESCRIBE")
        name = str(node.get("table_name", "")).strip('"').casefold()
        if show == "SHOW_SPECIAL" and name not in lists.SHOWN_SPECIALS:
            raise Refused(f"SHOW {name} is not allowed here.", hint="SHOW TABLES, SHOW ALL TABLES and DESCRIBE are.")
        if show not in {"SHOW_SPECIAL", "SHOW_FROM", "SHOW", "DESCRIBE", "SUMMARY"}:
            raise Refused(f"This form of SHOW or DESCRIBE ({show}) is not known here, so it is refused.")
        if show not in {"SHOW_SPECIAL", "SHOW_FROM"} and not node.get("query"):
            self._use_table(path_of(node), step, _place(node, step))
        if show == "SHOW_FROM":
            for macro_name in set(self.catalog.macro_names()) & self.stability.keys():
                self.judge_planted(macro_name)
        self._push_children(node, step, skip=frozenset({"qualified_name"}))

    # functions

    def _visit_function(self, node: Tree, step: _Step) -> None:
        path, place = path_of(node), _place(node, step)
        name = path[-1] if path else str(node.get("function_name", ""))
        self._judge_scalar(name, path, node, step, place)
        self._push_children(node, step, skip=frozenset({"qualified_name"}))

    def _judge_scalar(self, name: str, path: tuple[str, ...], node: Tree, step: _Step, place: int | None) -> None:
        folded = name.casefold()
        self.found.functions.add(folded)
        macros = [] if _is_system(path) else [m for m in self.catalog.macros(name) if not m.is_table]
        for macro in macros:
            self._open_macro(macro, arguments_of(node), step, place)
        if not macros or folded in self.stability:
            self.judge_builtin(folded, place, path)
            self._judge_implied(folded, step, place)

    def _judge_implied(self, name: str, step: _Step, place: int | None) -> None:
        """Judge the stored macros and tables that take the place of what a built-in macro or view calls."""
        for inner in self.parser.implied(name):
            for macro in self.catalog.macros(inner):
                self._open_macro(macro, [], step, place)
            stored = self._find_stored((inner,), "main")
            if stored is not None and stored.kind == "view":
                self._use_stored(stored, step, place)

    def judge_call(self, path: tuple[str, ...], place: int | None) -> None:
        """Judge a call of the scalar function at `path` whose arguments are not known as a tree."""
        self._judge_scalar(path[-1], path, {}, _Step(None, frozenset(), {}, 0, "main", place), place)
        self.walk([])

    def judge_planted(self, name: str) -> None:
        """Judge the stored macros of that name, as where DuckDB itself calls it."""
        for macro in self.catalog.macros(name):
            self._open_macro(macro, [], _Step(None, frozenset(), {}, 0, "main"), None)
        self.walk([])

    def judge_builtin(self, folded: str, place: int | None, path: tuple[str, ...] = ()) -> None:
        """Raise `Refused` unless the built-in scalar function may be called; notes what is not stable.

        One with its schema is noted with it, because only the plain name can be given another meaning.
        """
        if folded in lists.SEQUENCE_WRITERS:
            self.found.ask(Refused(f"{folded}() moves a sequence, which is a change.", position=place))
        elif folded not in lists.SCALAR_FUNCTIONS and folded not in lists.OPERATORS:
            raise self._function_refused(folded, place)
        if self.stability.get(folded, "CONSISTENT") != "CONSISTENT":
            self.found.volatile.add(".".join(path).casefold() if len(path) > 1 else folded)

    def _function_refused(self, folded: str, place: int | None) -> Refused:
        if folded in self.stability:
            return Refused(
                f"The function {folded}() is not allowed in SQL here: it reaches beyond the data.",
                hint="search_catalog lists what can be queried.",
                position=place,
            )
        near = difflib.get_close_matches(folded, [*lists.SCALAR_FUNCTIONS, *self.catalog.macro_names()], n=3)
        hint = f"Nearest names: {', '.join(near)}." if near else "Extensions are not loaded; use built-in functions."
        return Refused(f"There is no function {folded}() here.", code="not_found", hint=hint, position=place)

    def _visit_table_function(self, node: Tree, step: _Step) -> None:
        function = node.get("function")
        if not isinstance(function, dict) or function.get("type") != "FUNCTION":
            raise Refused("This form of a table function is not known here, so it is refused.")
        path, place = path_of(function), _place(node, step)
        name = (path[-1] if path else "").casefold()
        self.found.functions.add(name)
        macros = [] if _is_system(path) else [m for m in self.catalog.macros(name) if m.is_table]
        for macro in macros:
            self._open_macro(macro, arguments_of(function), step, place)
        if not macros or name in self.stability:
            self._judge_table_function(name, function, step, place)
            self._judge_implied(name, step, place)
        rest = frozenset({"function"})
        self._push_children(node, step, skip=rest)
        self._push_children(function, step, skip=frozenset({"qualified_name"}))

    def _judge_table_function(self, name: str, function: Tree, step: _Step, place: int | None) -> None:
        if name in lists.FILE_FUNCTIONS:
            self._use_files(name, arguments_of(function), step, place)
        elif name in lists.TABLE_NAME_FUNCTIONS:
            self._use_table_by_name(name, arguments_of(function), step, place)
        elif name not in lists.TABLE_FUNCTIONS:
            if name in self.stability:
                raise Refused(
                    f"The table function {name}() is not allowed in SQL here.",
                    hint="Name tables directly; read files with read_csv, read_parquet or read_json.",
                    position=place,
                )
            raise self._function_refused(name, place)

    def _use_table_by_name(self, name: str, arguments: list[Tree], step: _Step, place: int | None) -> None:
        texts = constant_texts(arguments[0].get("expression"), step.arguments) if len(arguments) == 1 else None
        if texts is None or len(texts) != 1:
            raise Refused(f"{name}() takes one table name as constant text.", hint="DESCRIBE orders.", position=place)
        path = tuple(t.name for t in tokens_of(texts[0]) if t.text != ".")
        self._use_table(path, step, place)

    def _use_files(self, name: str, arguments: list[Tree], step: _Step, place: int | None) -> None:
        positional, options = split_arguments(arguments, step.arguments)
        texts = constant_texts(positional[0], step.arguments) if positional else None
        if texts is None or (len(positional) > 1 and name != "parquet_bloom_probe"):
            raise Refused(
                f"{name}() takes file paths as constant text here: 'data/x.csv' or a list of such.",
                hint="Write the path into the statement itself, in single quotes.",
                position=place,
            )
        allowed = lists.FILE_OPTIONS[lists.FILE_FUNCTIONS[name]]
        for option in options:
            if option.name not in allowed:
                near = difflib.get_close_matches(option.name, allowed, n=3)
                hint = f"Nearest: {', '.join(near)}." if near else "Leave it out."
                raise Refused(f"The option '{option.name}' of {name}() is not allowed.", hint=hint, position=place)
        try:
            found = {text: self.files.check_read(text) for text in texts}
        except Refused as refused:
            raise _moved(refused, place) from None
        together = tuple(path for paths in found.values() for path in paths)
        for text, paths in found.items():
            use = FileUse(text=text, paths=paths, function=name, options=tuple(options), call_paths=together)
            self.found.files[use] = None

    # views and macros

    def _open_macro(self, macro: StoredMacro, arguments: list[Tree], step: _Step, place: int | None) -> None:
        bound = bind_constants(macro, arguments, step.arguments)
        key = f"macro {macro.schema}.{macro.name} {macro.parameters} {bound}"
        if key in self._opened:
            return
        self._opened.add(key)
        self.found.reads[CatalogName(parts=(macro.schema, macro.name), kind="macro")] = None
        sql = macro.definition if macro.is_table else f"SELECT ({macro.definition}\n)"
        body = self._body(f"macro {macro.is_table} {macro.definition}", sql)
        self._open(body, bound, step, place, macro.schema, f"The macro {macro.name}")

    def _open(self, body: Tree, arguments: Arguments, step: _Step, place: int | None, home: str, label: str) -> None:
        if step.depth >= MAX_OPENED:
            raise Refused(f"{label} opens others more than {MAX_OPENED} deep.", position=place)
        self._steps.append(_Step(body, frozenset(), arguments, step.depth + 1, home, place if place else step.at or 0))

    def _body(self, key: str, sql: str) -> Tree:
        full = f"{key}\0{sql}"
        if full not in self.bodies:
            try:
                self.bodies[full] = self.parser.tree(sql)
            except Refused as refused:
                raise Refused(f"A stored definition cannot be judged: {refused.message}") from refused
        return self.bodies[full]


_FIXED_WORDS = frozenset({"INSERT_BY_NAME"})
_RECURRING = "recurring\0"


def _is_in_scope(path: tuple[str, ...], scope: Scope) -> bool:
    match path:
        case (name,):
            return name.casefold() in scope
        case (first, name) if first.casefold() == "recurring":
            return _RECURRING + name.casefold() in scope
    return False


def _is_system(path: tuple[str, ...]) -> bool:
    return len(path) == 3 and path[0].casefold() == "system"


def _fixed_file(shown: str) -> Refused:
    return Refused(
        f"'{shown}' is a file; rows can be changed in tables only.",
        code="binder",
        hint=f"A file is written as a whole: COPY (SELECT …) TO '{shown}'. The SELECT may read the file itself, as in"
        f" SELECT * FROM '{shown}' UNION ALL BY NAME SELECT … to add rows. CREATE TABLE … AS FROM '{shown}' makes a"
        " table of it.",
    )


def _place(node: Tree, step: _Step) -> int | None:
    place = node.get("query_location")
    return step.at if step.at is not None else place if isinstance(place, int) else None


def _moved(refused: Refused, place: int | None) -> Refused:
    return Refused(refused.message, code=refused.code, hint=refused.hint, position=place)


def _article(action: str) -> str:
    return f"an {action.upper()}" if action[0] in "aeiou" else f"a {action.upper()}"
