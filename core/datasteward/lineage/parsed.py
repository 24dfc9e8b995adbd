"""Statement lineage by sqlglot: the fallback, and the only way for dialects other than DuckDB's.

Columns are told only where the parser can follow them; constructs that it is known to get wrong without saying so
(COLUMNS, UNPIVOT, UNION BY NAME, lateral joins) are left at table level.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.scope import Scope, traverse_scope

from datasteward.lineage.edges import Edge, OutputColumn, StatementKind, StatementLineage, Subtype
from datasteward.lineage.rewriting import looks_like_file
from datasteward.lineage.schemas import FILE_NAMESPACE, Catalog, ColumnRef, DatasetKey
from datasteward.lineage.sql_tokens import read_tokens

logging.getLogger("sqlglot").setLevel(logging.ERROR)
"""Its warnings go to stderr unasked; what they tell is in the lineage's notes."""
ANSWER = DatasetKey("query", "answer")
MAX_COLUMNS = 100
_FAULTS = (
    *(SqlglotError, RecursionError, ValueError, KeyError, IndexError),
    *(AttributeError, TypeError, AssertionError),
)
"""What sqlglot raises on statements it cannot follow; it asserts where a star cannot be expanded."""
_KINDS: dict[type[exp.Expr], StatementKind] = {
    exp.Insert: "insert",
    exp.Update: "update",
    exp.Delete: "delete",
    exp.Merge: "merge",
    exp.Copy: "copy_to",
    exp.Drop: "drop",
    exp.Alter: "alter",
}


class ParseFailure(Exception):
    """sqlglot cannot tell the columns; `is_readable` when it could at least parse the statement."""

    def __init__(self, message: str, *, is_readable: bool) -> None:
        super().__init__(message)
        self.is_readable = is_readable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    kind: StatementKind
    target: DatasetKey
    query: exp.Expr | None
    names: tuple[str, ...] = ()


def parse_statement(sql: str, catalog: Catalog, dialect: str) -> StatementLineage:
    """The lineage with confidence `parsed`; raises `ParseFailure`."""
    tree = _parse(sql, dialect)
    parts = _take_apart(tree, catalog, dialect)
    if parts.query is None:
        raise ParseFailure(f"no column lineage for {type(tree).__name__}", is_readable=True)
    doubt = _doubt(parts.query)
    if doubt:
        raise ParseFailure(doubt, is_readable=True)
    nodes = _column_nodes(parts.query, catalog, dialect)
    names = [*parts.names, *list(nodes)[len(parts.names) :]] if parts.names else list(nodes)
    edges: list[Edge] = []
    outputs: list[OutputColumn] = []
    for name, node in zip(names, nodes.values(), strict=False):
        onto = ColumnRef(parts.target, name)
        text = node.expression.unalias().sql(dialect)[:240] if isinstance(node.expression, exp.Expr) else None
        outputs.append(OutputColumn(name=name, type="", expression=text))
        edges += [Edge(source=s, target=onto, subtype=t, expression=text) for s, t in _leaves(node, catalog)]
    edges += _row_edges(parts, catalog)
    inputs = tuple(_tables(parts.query, catalog))
    used = {e.source.dataset for e in edges}
    edges += [_reads(i, parts.target) for i in inputs if i not in used]
    return StatementLineage(
        kind=parts.kind,
        outputs=tuple(outputs),
        inputs=inputs,
        target=parts.target,
        edges=tuple(dict.fromkeys(edges)),
        confidence="parsed",
    )


def parse_tables(sql: str, catalog: Catalog, dialect: str) -> StatementLineage:
    """The lineage with confidence `table`: which datasets are read and written, nothing finer."""
    try:
        tree = _parse(sql, dialect)
    except ParseFailure:
        return _tables_of_tokens(sql, catalog)
    parts = _take_apart(tree, catalog, dialect)
    inputs = tuple(t for t in _tables(tree, catalog) if t != parts.target)
    return StatementLineage(
        kind=parts.kind,
        outputs=(),
        inputs=inputs,
        target=parts.target,
        edges=tuple(_reads(i, parts.target) for i in inputs),
        confidence="table",
    )


def _parse(sql: str, dialect: str) -> exp.Expr:
    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
    except _FAULTS as error:
        raise ParseFailure(str(error).split("\n", 1)[0], is_readable=False) from error
    if isinstance(tree, exp.Command):
        raise ParseFailure(f"{tree.name or 'the statement'} is not understood", is_readable=True)
    return tree


def _take_apart(tree: exp.Expr, catalog: Catalog, dialect: str) -> _Parts:
    if isinstance(tree, exp.Query):
        return _Parts(kind="select", target=ANSWER, query=tree)
    if isinstance(tree, exp.Pivot):
        return _Parts(kind="select", target=ANSWER, query=None)
    kind = _KINDS.get(type(tree), "other")
    if isinstance(tree, exp.Create):
        kind = "create_view" if str(tree.args.get("kind", "")).upper() == "VIEW" else "create_table"
    into = tree.this
    names: tuple[str, ...] = ()
    if isinstance(into, exp.Schema):
        names = tuple(c.name for c in into.expressions)
        into = into.this
    target = _key(into, catalog) if isinstance(into, exp.Table) and kind != "other" else ANSWER
    query = tree.args.get("expression")
    if kind == "copy_to":
        query = tree.this.this if isinstance(tree.this, exp.Subquery) else None
        files = tree.args.get("files") or []
        target = DatasetKey("file", files[0].name) if files else ANSWER
    if kind == "insert" and not names:
        known = catalog.find(_path(into)) if isinstance(into, exp.Table) else None
        names = tuple(c.name for c in known.columns) if known and not tree.args.get("by_name") else ()
    if not isinstance(query, exp.Query):
        return _Parts(kind=kind, target=target, query=None)
    if tree.args.get("with_"):
        query = query.copy()
        query.set("with_", tree.args["with_"].copy())
    return _Parts(kind=kind, target=target, query=query, names=names)


def _doubt(query: exp.Expr) -> str | None:
    """What this parser is known to get wrong silently, or None."""
    if query.find(exp.Columns) is not None:
        return "COLUMNS() needs the binder"
    if any(p.args.get("unpivot") for p in query.find_all(exp.Pivot)):
        return "UNPIVOT needs the binder"
    if any(s.args.get("by_name") for s in query.find_all(exp.SetOperation)):
        return "UNION BY NAME needs the binder"
    if query.find(exp.Lateral) is not None:
        return "a lateral join needs the binder"
    if isinstance(query, exp.Query) and len(query.selects) > MAX_COLUMNS:
        return f"more than {MAX_COLUMNS} columns"
    return None


def _column_nodes(query: exp.Expr, catalog: Catalog, dialect: str) -> Mapping[str, Node]:
    try:
        found = lineage(None, query, _schema(catalog), dialect=dialect)
    except _FAULTS as error:
        raise ParseFailure(str(error).split("\n", 1)[0], is_readable=True) from error
    if not isinstance(found, dict) or "*" in found:
        raise ParseFailure("a star over columns that are not known", is_readable=True)
    return found


def _leaves(node: Node, catalog: Catalog) -> Iterator[tuple[ColumnRef, Subtype]]:
    stack: list[tuple[Node, Subtype]] = [(node, "identity")]
    while stack:
        current, subtype = stack.pop()
        subtype = _deeper(subtype, current.expression)
        if not current.downstream and isinstance(current.source, exp.Table):
            column = current.name.rsplit(".", 1)[-1].strip('"')
            if column and column != "*":
                yield ColumnRef(_key(current.source, catalog), _cased(column, current.source, catalog)), subtype
        elif not current.downstream and _is_uncertain(current):
            raise ParseFailure(f"the source of {current.name} is not certain", is_readable=True)
        stack += [(below, subtype) for below in current.downstream]


def _is_uncertain(leaf: Node) -> bool:
    """True for a leaf that still names columns: the parser lost them on the way."""
    if isinstance(leaf.source, exp.Placeholder):
        return True
    return isinstance(leaf.expression, exp.Expr) and leaf.expression.find(exp.Column) is not None


def _deeper(subtype: Subtype, expression: object) -> Subtype:
    if not isinstance(expression, exp.Expr) or isinstance(expression, exp.Table | exp.Query):
        return subtype
    value = expression.unalias()
    if subtype == "aggregation" or value.find(exp.AggFunc) is not None:
        return "aggregation"
    return subtype if isinstance(value, exp.Column | exp.Table | exp.Star) else "transformation"


def _row_edges(parts: _Parts, catalog: Catalog) -> list[Edge]:
    """Row conditions on columns of base tables; those on columns of subqueries are not followed."""
    edges: list[Edge] = []
    clauses: tuple[tuple[type[exp.Expr], Subtype], ...] = (
        (exp.Where, "filter"),
        (exp.Having, "filter"),
        (exp.Join, "join"),
        (exp.Group, "group_by"),
        (exp.Order, "sort"),
    )
    try:
        scopes = traverse_scope(parts.query) if parts.query is not None else []
    except _FAULTS:
        return edges
    for scope in scopes:
        for column in scope.columns:
            for kind, subtype in clauses:
                found = column.find_ancestor(kind, exp.Select)
                source = _source_of(column, scope) if isinstance(found, kind) else None
                if source is not None:
                    name = _cased(column.name, source, catalog)
                    from_ref = ColumnRef(_key(source, catalog), name)
                    edges.append(Edge(source=from_ref, target=ColumnRef(parts.target), subtype=subtype))
    return edges


def _source_of(column: exp.Column, scope: Scope) -> exp.Table | None:
    if column.table:
        source = scope.sources.get(column.table)
        return source if isinstance(source, exp.Table) else None
    tables = [s for s in scope.sources.values() if isinstance(s, exp.Table)]
    return tables[0] if len(tables) == 1 and len(scope.sources) == 1 else None


def _tables(tree: exp.Expr, catalog: Catalog) -> Iterator[DatasetKey]:
    seen: set[DatasetKey] = set()
    names = {c.alias for c in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        is_function = isinstance(table.this, exp.Func)
        if is_function and table.this.find(exp.Literal) is None:
            continue
        if not (table.name or is_function) or (table.name in names and not table.db):
            continue
        key = _key(table, catalog)
        if key not in seen:
            seen.add(key)
            yield key


def _tables_of_tokens(sql: str, catalog: Catalog) -> StatementLineage:
    """Known datasets that the text names, when no parser reads it."""
    words = {t.value.casefold() for t in read_tokens(sql) if t.kind in ("word", "quoted", "string")}
    inputs = tuple(d.key for d in catalog.datasets if d.sql_path[-1].casefold() in words)
    return StatementLineage(
        kind="other",
        outputs=(),
        inputs=inputs,
        target=ANSWER,
        edges=tuple(_reads(i, ANSWER) for i in inputs),
        confidence="table",
        notes=("no parser reads the statement: every known dataset it names is taken as read",),
    )


def _reads(source: DatasetKey, target: DatasetKey) -> Edge:
    return Edge(source=ColumnRef(source), target=ColumnRef(target), subtype="reads")


def _path(table: exp.Table) -> tuple[str, ...]:
    return tuple(part for part in (table.catalog, table.db, table.name) if part)


def _key(table: exp.Table, catalog: Catalog) -> DatasetKey:
    if isinstance(table.this, exp.Func):
        literal = table.this.find(exp.Literal)
        return DatasetKey(FILE_NAMESPACE, literal.name if literal is not None else table.this.sql())
    if catalog.find(_path(table)) is None and looks_like_file(table.name):
        return DatasetKey(FILE_NAMESPACE, table.name)
    return catalog.key_for(_path(table) or (table.sql(),))


def _cased(column: str, table: exp.Table, catalog: Catalog) -> str:
    known = catalog.find(_path(table))
    names = {c.name.casefold(): c.name for c in known.columns} if known else {}
    return names.get(column.casefold(), column)


def _schema(catalog: Catalog) -> dict[str, object]:
    """The catalog in the nested form that sqlglot asks for; all names two parts deep or all one."""
    is_deep = any(len(d.sql_path) > 1 for d in catalog.datasets)
    schema: dict[str, object] = {}
    for dataset in catalog.datasets:
        if not dataset.columns:
            continue
        columns = {c.name: c.type or "VARCHAR" for c in dataset.columns}
        path = dataset.sql_path
        level = schema
        if is_deep:
            inner = schema.setdefault(path[0] if len(path) > 1 else "main", {})
            assert isinstance(inner, dict)
            level = inner
        level[path[-1]] = columns
    return schema
