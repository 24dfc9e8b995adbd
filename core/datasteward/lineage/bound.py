"""Statement lineage by DuckDB's binder on the shadow catalog."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from datasteward.lineage.edges import Edge, OutputColumn, StatementKind, StatementLineage
from datasteward.lineage.plan_expressions import PlanColumn, Sources
from datasteward.lineage.plan_types import BindError, PlanNode, type_text
from datasteward.lineage.plan_walk import READ_OPERATORS, Flow, PlanWalk, Write
from datasteward.lineage.plan_writes import ALL_OPERATORS
from datasteward.lineage.rewriting import (
    CopyStatement,
    FileTable,
    InsertStatement,
    Rewritten,
    is_query,
    read_conflict_columns,
    read_copy,
    read_insert,
    read_view_query,
    replace_files,
)
from datasteward.lineage.schemas import FILE_NAMESPACE, Catalog, Column, ColumnRef, DatasetKey, ShadowTable
from datasteward.lineage.shadow import Shadow, shadow_of
from datasteward.lineage.sql_tokens import quote_text, read_tokens

ANSWER = DatasetKey("query", "answer")
_ANSWER_TABLE = "__datasteward_answer"
Files = Mapping[str, tuple[Column, ...]]


def bind_statement(sql: str, catalog: Catalog, files: Files, *, expand_views: bool) -> StatementLineage:
    """The lineage of one statement; raises `BindError` or `UnknownPlan` when the binder cannot tell it."""
    shadow = shadow_of(catalog, expand_views=expand_views)
    copied = read_copy(sql) if sql[:4].casefold() == "copy" else None
    if copied:
        return _bind_copy(copied, shadow, files)
    rewritten = replace_files(sql, files)
    try:
        plan = _bind_one(rewritten, shadow)
    except BindError as error:
        if rewritten.missing and error.kind in ("permission", "io", "invalid input", "catalog"):
            names = ", ".join(rewritten.missing)
            raise BindError(f"the columns of {names} are not known", kind="files") from error
        inserted = read_insert(sql) if error.kind == "catalog" else None
        if inserted is None or catalog.find(inserted.path) is not None:
            raise
        return _bind_insert(inserted, shadow, files)
    return _read_plan(plan, rewritten.tables, shadow)


def _bind_one(rewritten: Rewritten, shadow: Shadow) -> PlanNode:
    tables = [t.table for t in rewritten.tables]
    sql = rewritten.sql
    if is_query(sql):
        try:
            return shadow.bind(_as_table(sql), tables)[0]
        except BindError:
            return shadow.bind(sql, tables)[0]
    try:
        return shadow.bind(sql, tables)[0]
    except BindError as error:
        constraint = _conflict_table(sql, shadow) if "CONFLICT" in str(error) or "UNIQUE" in str(error) else None
        if constraint is None:
            raise
        return shadow.bind(sql, [*tables, constraint])[0]


def _conflict_table(sql: str, shadow: Shadow) -> ShadowTable | None:
    """The target of an upsert with the constraint it relies on; without named columns, on its first column."""
    columns = read_conflict_columns(sql)
    if columns is None:
        return None
    tokens = read_tokens(sql)
    start = next((i + 1 for i, t in enumerate(tokens) if t.is_word("into")), None)
    if start is None:
        return None
    path = [tokens[start].value]
    while start + 2 < len(tokens) and tokens[start + 1].text == ".":
        start += 2
        path.append(tokens[start].value)
    dataset = shadow.catalog.find(path)
    if dataset is None or not dataset.columns:
        return None
    return ShadowTable(path=dataset.sql_path, columns=dataset.columns, unique=columns or (dataset.columns[0].name,))


def _bind_copy(copied: CopyStatement, shadow: Shadow, files: Files) -> StatementLineage:
    file = DatasetKey(FILE_NAMESPACE, copied.file)
    if copied.is_export:
        found = bind_query(copied.query, shadow, files)
        return replace(_renamed(found, file), kind="copy_to")
    if copied.file not in files:
        raise BindError(f"the columns of {copied.file} are not known", kind="files")
    rewritten = replace_files(f"{copied.query}read_csv({quote_text(copied.file)})", files)
    plan = shadow.bind(rewritten.sql, [t.table for t in rewritten.tables])[0]
    return replace(_read_plan(plan, rewritten.tables, shadow), kind="copy_from")


def bind_ahead(queries: Sequence[str], shadow: Shadow, files: Files) -> None:
    """Bind queries together that read no files, so that `bind_query` of each is quick as long as the catalog stays."""
    shadow.bind_ahead([_as_table(q) for q in queries if is_query(q) and not replace_files(q, files).tables])


def _as_table(query: str) -> str:
    return f"CREATE TEMP TABLE {_ANSWER_TABLE} AS {query}"


def bind_query(query: str, shadow: Shadow, files: Files) -> StatementLineage:
    """The lineage of one query on a shadow catalog; raises `BindError` or `UnknownPlan` when the binder cannot tell it."""
    rewritten = replace_files(query, files)
    plan = _bind_one(rewritten, shadow)
    return _read_plan(plan, rewritten.tables, shadow)


def _bind_insert(inserted: InsertStatement, shadow: Shadow, files: Files) -> StatementLineage:
    """An INSERT into a table that is not in the catalog: its columns are named by the list, else by the query."""
    found = bind_query(inserted.query, shadow, files)
    target = shadow.catalog.key_for(inserted.path)
    names = dict(zip((o.name for o in found.outputs), inserted.columns, strict=False))
    outputs = tuple(replace(o, name=names.get(o.name, o.name)) for o in found.outputs)
    edges = [replace(e, target=ColumnRef(target, names.get(e.target.column, e.target.column))) for e in found.edges]
    note = f"the columns of {target.name} are not known: " + ("named by the list" if names else "named by the query")
    return replace(found, kind="insert", target=target, outputs=outputs, edges=tuple(edges), notes=(*found.notes, note))


def _renamed(found: StatementLineage, target: DatasetKey) -> StatementLineage:
    edges = tuple(replace(e, target=ColumnRef(target, e.target.column)) for e in found.edges)
    return replace(found, target=target, edges=edges)


def _read_plan(plan: PlanNode, tables: Sequence[FileTable], shadow: Shadow) -> StatementLineage:
    by_path = {t.table.path: tuple(DatasetKey(FILE_NAMESPACE, name) for name in t.files) for t in tables}
    catalog = shadow.catalog

    def locate(path: tuple[str, ...]) -> tuple[DatasetKey, ...]:
        return by_path.get(path[-2:]) or (_key(catalog, path),)

    walk = PlanWalk(locate, ALL_OPERATORS)
    flow = walk.walk(plan)
    if not walk.writes or not _is_write(plan):
        return _query_lineage(plan, flow, walk, catalog)
    write = walk.writes[-1]
    if write.kind == "create_view":
        return _view_lineage(plan, write, shadow, tables)
    is_answer = write.kind == "create_table" and write.path[-1] == _ANSWER_TABLE
    target = ANSWER if is_answer else _target_key(catalog, write)
    return _write_lineage(walk, target, "select" if is_answer else write.kind, catalog)


def _write_lineage(walk: PlanWalk, target: DatasetKey, kind: StatementKind, catalog: Catalog) -> StatementLineage:
    main = walk.writes[-1]
    types = [type_text(t) for t in main.types] or _known_types(catalog, main)
    outputs = tuple(
        OutputColumn(name=c.name, type=t, expression=c.value.text or None)
        for c, t in zip(main.columns, types, strict=True)
    )
    edges: list[Edge] = []
    for write in walk.writes:
        onto = target if write is main else _target_key(catalog, write)
        columns = [(c.name, c.value) for c in write.columns]
        edges += make_edges(onto, columns, write.rows, walk.inputs)
    return StatementLineage(
        kind=kind,
        outputs=outputs,
        inputs=tuple(walk.inputs),
        target=target,
        edges=tuple(dict.fromkeys(edges)),
        confidence="bound",
        notes=tuple(dict.fromkeys(walk.notes)),
        changes=tuple(walk.changes),
    )


def _is_write(plan: PlanNode) -> bool:
    """True when the plan's root writes, with or without a RETURNING above it."""
    while plan["type"] == "LOGICAL_PROJECTION":
        plan = plan["children"][0]
    return plan["type"] not in READ_OPERATORS and not plan["type"].endswith("JOIN")


def _query_lineage(plan: PlanNode, flow: Flow, walk: PlanWalk, catalog: Catalog) -> StatementLineage:
    """A query that could not be wrapped, such as one with a writing CTE: names come from the plan."""
    names = _plan_names(plan, len(flow.columns))
    outputs = [
        OutputColumn(name=n, type="", expression=c.text or None) for n, c in zip(names, flow.columns, strict=True)
    ]
    pairs = list(zip(names, flow.columns, strict=True))
    written = [
        edge
        for write in walk.writes
        for edge in make_edges(
            _target_key(catalog, write), [(c.name, c.value) for c in write.columns], write.rows, walk.inputs
        )
    ]
    return StatementLineage(
        kind="select",
        outputs=tuple(outputs),
        inputs=tuple(walk.inputs),
        target=ANSWER,
        edges=(*make_edges(ANSWER, pairs, flow.rows, walk.inputs), *written),
        confidence="bound",
        notes=tuple(dict.fromkeys(walk.notes)),
    )


def _plan_names(plan: PlanNode, width: int) -> list[str]:
    node = plan
    while node.get("children") and not node.get("expressions"):
        node = node["children"][-1]
    names = [str(e.get("alias", "")) for e in node.get("expressions") or ()] if node["type"].endswith("ION") else []
    names += [""] * (width - len(names))
    return [name or f"column{i}" for i, name in enumerate(names[:width])]


def _view_lineage(plan: PlanNode, write: Write, shadow: Shadow, tables: Sequence[FileTable]) -> StatementLineage:
    query = read_view_query(str(plan["info"].get("sql", "")))
    if query is None:
        raise BindError("the view's query was not found", kind="view")
    inner = shadow.bind(f"CREATE TEMP TABLE {_ANSWER_TABLE} AS {query}", [t.table for t in tables])[0]
    found = _read_plan(inner, tables, shadow)
    target = _key(shadow.catalog, write.path)
    names = {o.name: w.name for o, w in zip(found.outputs, write.columns, strict=False)}
    outputs = tuple(replace(o, name=names.get(o.name, o.name)) for o in found.outputs)
    edges = [replace(e, target=ColumnRef(target, names.get(e.target.column, e.target.column))) for e in found.edges]
    return replace(found, kind="create_view", target=target, outputs=outputs, edges=tuple(edges))


def make_edges(
    target: DatasetKey,
    columns: Iterable[tuple[str, PlanColumn]],
    rows: Sources,
    inputs: Iterable[DatasetKey],
) -> tuple[Edge, ...]:
    """The edges onto `target`; an input of which no column is used gets one by table."""
    edges = []
    for name, value in columns:
        for (source, subtype), masked in value.sources.items():
            onto = ColumnRef(target, name)
            edges.append(
                Edge(source=source, target=onto, subtype=subtype, masking=masked, expression=value.text or None)
            )
    for (source, subtype), _ in rows.items():
        edges.append(Edge(source=source, target=ColumnRef(target), subtype=subtype))
    used = {e.source.dataset for e in edges}
    for dataset in inputs:
        if dataset not in used and dataset != target:
            edges.append(Edge(source=ColumnRef(dataset), target=ColumnRef(target), subtype="reads"))
    return tuple(edges)


def _target_key(catalog: Catalog, write: Write) -> DatasetKey:
    return _key(catalog, write.path) if write.path else ANSWER


def _key(catalog: Catalog, path: tuple[str, ...]) -> DatasetKey:
    if len(path) == 3 and path[0] == "temp":
        return DatasetKey("temp", path[-1])
    return catalog.key_for(path)


def _known_types(catalog: Catalog, write: Write) -> list[str]:
    dataset = catalog.find(write.path) if write.path else None
    types = {c.name: c.type for c in dataset.columns} if dataset else {}
    return [types.get(c.name, "") for c in write.columns]
