"""The operators that write or change datasets: INSERT, UPDATE, DELETE, MERGE, CREATE, DROP, ALTER."""

from collections.abc import Mapping, Sequence

from datasteward.lineage.edges import SchemaChange, StatementKind
from datasteward.lineage.plan_expressions import NOTHING, PlanColumn, Sources, merge_sources, raise_to
from datasteward.lineage.plan_types import PlanNode, UnknownPlan, path_of
from datasteward.lineage.plan_walk import READ_OPERATORS, Flow, Operator, PlanWalk, Write, WrittenColumn
from datasteward.lineage.schemas import ColumnRef


def table_columns(info: PlanNode) -> list[str]:
    """The names of a table's stored columns, in order."""
    return [c["name"] for c in info["columns"]["columns"] if c.get("category", "STANDARD") == "STANDARD"]


def _target(node: PlanNode) -> tuple[tuple[str, ...], list[str]]:
    info = node["table_info"]
    return path_of(info["qualified_name"]), table_columns(info)


def _insert(walk: PlanWalk, node: PlanNode) -> Flow:
    path, names = _target(node)
    below = walk.walk(node["children"][0])
    written = [
        WrittenColumn(name=name, value=value)
        for name, value in zip(names, below.columns, strict=False)
        if not (value.is_default and not value.sources)
    ]
    walk.writes.append(Write(kind="insert", path=path, columns=tuple(written), rows=below.rows))
    return Flow(below.columns[: len(names)], below.rows)


def _update(walk: PlanWalk, node: PlanNode) -> Flow:
    path, names = _target(node)
    below = walk.walk(node["children"][0])
    values = [walk.read(e, below.columns) for e in node["expressions"]]
    written = _changed(walk, path, names, node["columns"], values)
    walk.writes.append(Write(kind="update", path=path, columns=written, rows=below.rows))
    return Flow(_after(walk, path, names, written), below.rows)


def _delete(walk: PlanWalk, node: PlanNode) -> Flow:
    path, names = _target(node)
    below = walk.walk(node["children"][0])
    walk.writes.append(Write(kind="delete", path=path, columns=(), rows=below.rows))
    return Flow(_after(walk, path, names, ()), below.rows)


def _merge(walk: PlanWalk, node: PlanNode) -> Flow:
    path, names = _target(node)
    below = walk.walk(node["children"][0])
    values: dict[str, list[PlanColumn]] = {}
    rows: list[Sources] = [below.rows]
    for group in node["actions"]:
        for action in group["value"]:
            if action.get("condition"):
                rows.append(raise_to(walk.read(action["condition"], below.columns).sources, "filter"))
            for written in _action_columns(walk, path, names, action, below.columns):
                values.setdefault(written.name, []).append(written.value)
    columns = tuple(
        WrittenColumn(name=n, value=PlanColumn(merge_sources(v.sources for v in found), found[0].text))
        for n, found in values.items()
    )
    walk.writes.append(Write(kind="merge", path=path, columns=columns, rows=merge_sources(rows)))
    extra = PlanColumn(NOTHING, "merge_action")
    return Flow((*_after(walk, path, names, columns), extra), below.rows)


def _action_columns(
    walk: PlanWalk, path: tuple[str, ...], names: Sequence[str], action: PlanNode, inputs: Sequence[PlanColumn]
) -> tuple[WrittenColumn, ...]:
    values = [walk.read(e, inputs) for e in action.get("expressions") or ()]
    match action["action_type"]:
        case "MERGE_INSERT":
            pairs = zip(names, values or inputs, strict=False)
            return tuple(WrittenColumn(name=n, value=v) for n, v in pairs if not (v.is_default and not v.sources))
        case "MERGE_UPDATE":
            return _changed(walk, path, names, action["columns"], values)
        case "MERGE_DELETE" | "MERGE_DO_NOTHING" | "MERGE_ERROR":
            return ()
        case other:
            raise UnknownPlan(f"merge action {other}")


def _changed(
    walk: PlanWalk, path: tuple[str, ...], names: Sequence[str], indexes: Sequence[int], values: Sequence[PlanColumn]
) -> tuple[WrittenColumn, ...]:
    """The set columns; a column handed on as it was (DuckDB rewrites whole rows at times) is not written."""
    written = []
    for index, value in zip(indexes, values, strict=False):
        name = names[index]
        itself = {(ColumnRef(dataset, name), "identity") for dataset in walk.locate(path)}
        if value.sources.keys() != itself:
            written.append(WrittenColumn(name=name, value=value))
    return tuple(written)


def _after(
    walk: PlanWalk, path: tuple[str, ...], names: Sequence[str], written: Sequence[WrittenColumn]
) -> tuple[PlanColumn, ...]:
    """The target's columns as RETURNING sees them."""
    new = {w.name: w.value for w in written}
    datasets = walk.locate(path)
    columns = []
    for name in names:
        own: Sources = {(ColumnRef(d, name), "identity"): False for d in datasets}
        columns.append(new.get(name) or PlanColumn(own, f"{path[-1]}.{name}"))
    return tuple(columns)


def _create_table(walk: PlanWalk, node: PlanNode) -> Flow:
    info = node["info"]
    below = walk.walk(node["children"][0]) if node["children"] else Flow(())
    columns = info["columns"]["columns"]
    values = below.columns if node["children"] else tuple(PlanColumn() for _ in columns)
    written = tuple(
        WrittenColumn(name=c["name"], value=value) for c, value in zip(columns, values, strict=False)
    )  # fmt: skip
    walk.writes.append(
        Write(
            kind="create_table",
            path=path_of(info["qualified_name"]),
            columns=written,
            rows=below.rows,
            types=tuple(c["type"] for c in columns),
        )
    )
    return Flow(())


def _create_view(walk: PlanWalk, node: PlanNode) -> Flow:
    info = node["info"]
    names = [*info.get("aliases", ())]
    names += info.get("names", ())[len(names) :]
    written = tuple(WrittenColumn(name=n, value=PlanColumn()) for n in names)
    walk.writes.append(
        Write(
            kind="create_view",
            path=path_of(info["qualified_name"]),
            columns=written,
            rows=NOTHING,
            types=tuple(info.get("types", ())),
        )
    )
    return Flow(())


def _drop(walk: PlanWalk, node: PlanNode) -> Flow:
    info = node["info"]
    path = path_of(info["qualified_name"])
    if info.get("type") in ("TABLE_ENTRY", "VIEW_ENTRY"):
        walk.changes += [SchemaChange(kind="drop", dataset=d) for d in walk.locate(path)]
    walk.writes.append(Write(kind="drop", path=path, columns=(), rows=NOTHING))
    return Flow(())


def _alter(walk: PlanWalk, node: PlanNode) -> Flow:
    info = node["info"]
    path = path_of(info["qualified_name"])
    for dataset in walk.locate(path):
        match info.get("alter_table_type") or info.get("alter_view_type"):
            case "RENAME_COLUMN":
                old, new = info["old_name"], info["new_name"]
                walk.changes.append(SchemaChange(kind="rename_column", dataset=dataset, column=old, new_name=new))
            case "RENAME_TABLE" | "RENAME_VIEW":
                new = info.get("new_table_name") or info.get("new_view_name")
                walk.changes.append(SchemaChange(kind="rename", dataset=dataset, new_name=new))
            case "REMOVE_COLUMN":
                walk.changes.append(SchemaChange(kind="drop_column", dataset=dataset, column=info["removed_column"]))
            case "ADD_COLUMN":
                name = info["new_column"]["name"]
                walk.changes.append(SchemaChange(kind="add_column", dataset=dataset, column=name))
            case "ALTER_COLUMN_TYPE":
                walk.changes.append(SchemaChange(kind="change_type", dataset=dataset, column=info["column_name"]))
            case _:
                pass
    walk.writes.append(Write(kind="alter", path=path, columns=(), rows=NOTHING))
    return Flow(())


def _record(kind: StatementKind) -> Operator:
    def record(walk: PlanWalk, node: PlanNode) -> Flow:
        info = node.get("info") or {}
        path = path_of(info["qualified_name"]) if "qualified_name" in info else ()
        walk.writes.append(Write(kind=kind, path=path, columns=(), rows=NOTHING))
        return Flow(())

    return record


_WITHOUT_DATA = (
    *("CREATE_INDEX", "CREATE_SCHEMA", "CREATE_SEQUENCE", "CREATE_TYPE", "CREATE_SECRET", "SET", "RESET"),
    *("TRANSACTION", "ATTACH", "DETACH", "PRAGMA", "VACUUM", "LOAD"),
)
ALL_OPERATORS: Mapping[str, Operator] = {
    **READ_OPERATORS,
    "LOGICAL_INSERT": _insert,
    "LOGICAL_UPDATE": _update,
    "LOGICAL_DELETE": _delete,
    "LOGICAL_MERGE_INTO": _merge,
    "LOGICAL_CREATE_TABLE": _create_table,
    "LOGICAL_CREATE_VIEW": _create_view,
    "LOGICAL_DROP": _drop,
    "LOGICAL_ALTER": _alter,
    "LOGICAL_CREATE_MACRO": _record("create_macro"),
    **{f"LOGICAL_{name}": _record("other") for name in _WITHOUT_DATA},
}
