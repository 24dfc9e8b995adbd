"""The walk over a bound plan: which columns each operator gives on, and what is written where."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from datasteward.lineage.edges import SchemaChange, StatementKind, Subtype
from datasteward.lineage.plan_expressions import (
    NOTHING,
    PlanColumn,
    Sources,
    merge_sources,
    raise_to,
    read_expression,
    type_id_of,
)
from datasteward.lineage.plan_types import NO_INDEX, PlanNode, UnknownPlan, path_of
from datasteward.lineage.schemas import ColumnRef, DatasetKey

Locate = Callable[[tuple[str, ...]], tuple[DatasetKey, ...]]
"""The datasets that stand behind a table of the shadow catalog."""
MAX_RECURSION_ROUNDS = 50

_PASS_THROUGH = frozenset({"LOGICAL_SAMPLE"})
_JOINS = frozenset(
    {"LOGICAL_COMPARISON_JOIN", "LOGICAL_ANY_JOIN", "LOGICAL_ASOF_JOIN", "LOGICAL_DELIM_JOIN", "LOGICAL_JOIN"}
    | {"LOGICAL_CROSS_PRODUCT", "LOGICAL_POSITIONAL_JOIN"}
)


@dataclass(frozen=True, slots=True)
class Flow:
    """What an operator gives on: its columns, and what decided the rows."""

    columns: tuple[PlanColumn, ...]
    rows: Sources = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenColumn:
    """A column of the target and what it is set from."""

    name: str
    value: PlanColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What one operator writes: kind, the target's SQL name, its columns, and what decides the rows."""

    kind: StatementKind
    path: tuple[str, ...]
    columns: tuple[WrittenColumn, ...]
    rows: Sources
    types: tuple[PlanNode, ...] = ()


class PlanWalk:
    """One walk over one plan; `writes`, `inputs`, `changes` and `notes` are what it met."""

    def __init__(self, locate: Locate, operators: "Mapping[str, Operator] | None" = None) -> None:
        self.locate = locate
        self._operators = operators or READ_OPERATORS
        self.writes: list[Write] = []
        self.inputs: dict[DatasetKey, None] = {}
        self.changes: list[SchemaChange] = []
        self.notes: list[str] = []
        self._bindings: dict[int, Sequence[PlanColumn]] = {}
        self._ctes: dict[int, Flow] = {}

    def walk(self, node: PlanNode) -> Flow:
        """The flow out of `node`; raises `UnknownPlan` for an operator that is not known."""
        name = str(node["type"])
        if name in _PASS_THROUGH:
            return self.walk(node["children"][0])
        if name in _JOINS:
            return self._join(node)
        method = self._operators.get(name)
        if method is None:
            raise UnknownPlan(f"operator {name}")
        flow = method(self, node)
        index = node.get("table_index")
        if isinstance(index, int) and index < NO_INDEX:
            self._bindings[index] = flow.columns
        return flow

    def read(self, expression: PlanNode, columns: Sequence[PlanColumn]) -> PlanColumn:
        """The sources and text of an expression over `columns`."""

        def look_up(node: PlanNode) -> PlanColumn:
            if node["expression_class"] == "BOUND_REF":
                return _checked(_at(columns, node["index"]), node)
            binding = node["binding"]
            known = self._bindings.get(binding["table_index"])
            if known is None:
                raise UnknownPlan(f"binding {binding}")
            return _checked(_at(known, binding["column_index"]), node)

        found = read_expression(expression, look_up)
        return PlanColumn(found.sources, found.text, found.is_default, found.fields, type_id_of(expression))

    def _steer(self, expressions: Sequence[PlanNode], columns: Sequence[PlanColumn], subtype: Subtype) -> Sources:
        return merge_sources(raise_to(self.read(e, columns).sources, subtype) for e in expressions)

    def _get(self, node: PlanNode) -> Flow:
        function = path_of(node["qname"])[-1]
        data = node.get("function_data") or {}
        below = self.walk(node["children"][0]) if node["children"] else Flow(())
        if function in ("seq_scan", "index_scan") and "qualified_name" in data:
            columns = self._scan(node, path_of(data["qualified_name"]))
        else:
            fed = merge_sources(c.sources for c in below.columns[: len(node.get("input_table_types", ()))])
            made = PlanColumn(raise_to(fed, "transformation"), f"{function}(…)")
            columns = tuple(made for _ in node["column_indexes"] or node["names"])
        if node.get("projection_ids"):
            columns = tuple(_at(columns, i) for i in node["projection_ids"])
        return Flow((*columns, *(_at(below.columns, i) for i in node.get("projected_input", ()))), below.rows)

    def _scan(self, node: PlanNode, path: tuple[str, ...]) -> tuple[PlanColumn, ...]:
        datasets = self.locate(path)
        for dataset in datasets:
            self.inputs[dataset] = None
        names: list[str] = node["names"]
        types: list[PlanNode] = node.get("returned_types") or []
        made = []
        for item in node["column_indexes"]:
            if item["index"] >= len(names):
                made.append(PlanColumn(NOTHING, "rowid"))
                continue
            name = names[item["index"]]
            sources: Sources = {(ColumnRef(d, name), "identity"): False for d in datasets}
            type_id = str(types[item["index"]].get("id", "")) if item["index"] < len(types) else ""
            made.append(PlanColumn(sources, f"{path[-1]}.{name}", type_id=type_id))
        return tuple(made)

    def _constants(self, node: PlanNode) -> Flow:
        width = len(node.get("chunk_types") or node.get("expr_types") or ())
        return Flow(tuple(PlanColumn() for _ in range(width)))

    def _empty(self, node: PlanNode) -> Flow:
        self.notes.append("a branch whose conditions contradict each other gives no rows and no lineage")
        return Flow(tuple(PlanColumn() for _ in node["bindings"]))

    def _expression_get(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0]) if node["children"] else Flow(())
        rows = [[self.read(e, below.columns) for e in row] for row in node["expressions"]]
        columns = [PlanColumn(merge_sources(c.sources for c in column)) for column in zip(*rows, strict=True)]
        return Flow(tuple(columns), below.rows)

    def _projection(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        return Flow(tuple(self.read(e, below.columns) for e in node["expressions"]), below.rows)

    def _filter(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        rows = merge_sources([below.rows, self._steer(node["expressions"], below.columns, "filter")])
        return Flow(_project(below.columns, node.get("projection_map")), rows)

    def _order(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        keys = [order["expression"] for order in node["orders"]]
        rows = merge_sources([below.rows, self._steer(keys, below.columns, "sort")])
        return Flow(_project(below.columns, node.get("projections") or node.get("projection_map")), rows)

    def _limit(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        bounds = [node.get(key) or {} for key in ("limit_val", "offset_val")]
        keys = [bound["expression"] for bound in bounds if bound.get("expression")]
        return Flow(below.columns, merge_sources([below.rows, self._steer(keys, below.columns, "filter")]))

    def _distinct(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        rows = [below.rows, self._steer(node.get("distinct_targets") or (), below.columns, "group_by")]
        orders = (node.get("order_by") or {}).get("orders", ())
        rows.append(self._steer([o["expression"] for o in orders], below.columns, "sort"))
        return Flow(below.columns, merge_sources(rows))

    def _aggregate(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        groups = [self.read(e, below.columns) for e in node["groups"]]
        is_internal = node.get("groupings_index") == NO_INDEX
        values = [self.read(e, below.columns) for e in node["expressions"]]
        if is_internal:
            values = [
                self._without_first(e, v, below.columns) for e, v in zip(node["expressions"], values, strict=True)
            ]
        levels = [
            PlanColumn(raise_to(merge_sources(groups[i].sources for i in members), "transformation"), "grouping(…)")
            for members in node.get("grouping_functions") or ()
        ]
        self._bindings[node["group_index"]] = groups
        self._bindings[node["aggregate_index"]] = values
        rows = [below.rows]
        if not is_internal:
            rows += [raise_to(g.sources, "group_by") for g in groups]
        return Flow((*groups, *values, *levels), merge_sources(rows))

    def _without_first(self, node: PlanNode, value: PlanColumn, columns: Sequence[PlanColumn]) -> PlanColumn:
        """DuckDB takes a scalar subquery's one row with `first`; that is no aggregation of the user's."""
        if path_of(node["qname"])[-1] == "first" and len(node["children"]) == 1:
            return self.read(node["children"][0], columns)
        return value

    def _window(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        made = [self.read(e, below.columns) for e in node["expressions"]]
        self._bindings[node["window_index"]] = made
        return Flow((*below.columns, *made), below.rows)

    def _unnest(self, node: PlanNode) -> Flow:
        below = self.walk(node["children"][0])
        made = [self.read(e, below.columns) for e in node["expressions"]]
        self._bindings[node["unnest_index"]] = made
        return Flow((*below.columns, *made), below.rows)

    def _join(self, node: PlanNode) -> Flow:
        left, right = self.walk(node["children"][0]), self.walk(node["children"][1])
        sides = []
        for condition in node.get("conditions") or ():
            if condition.get("expression") or "left" not in condition:
                both = (*left.columns, *right.columns)
                sides.append(self.read(condition.get("expression") or condition, both).sources)
                continue
            sides += [self.read(condition["left"], left.columns).sources]
            sides += [self.read(condition["right"], right.columns).sources]
        for extra in _conditions_of_any_join(node):
            sides.append(self.read(extra, (*left.columns, *right.columns)).sources)
        matched = merge_sources(sides)
        join_type = node.get("join_type", "INNER")
        lefts = _project(left.columns, node.get("left_projection_map"))
        rights = _project(right.columns, node.get("right_projection_map"))
        if join_type == "MARK":
            mark = PlanColumn(raise_to(matched, "transformation"), "IN (subquery)")
            if node.get("mark_index", NO_INDEX) != NO_INDEX:
                self._bindings[node["mark_index"]] = (mark,)
            return Flow((*lefts, mark), merge_sources([left.rows, right.rows]))
        rows = merge_sources([left.rows, right.rows, raise_to(matched, "join")])
        match join_type:
            case "SEMI" | "ANTI":
                return Flow(lefts, rows)
            case "RIGHT_SEMI" | "RIGHT_ANTI":
                return Flow(rights, rows)
            case _:
                return Flow((*lefts, *rights), rows)

    def _set_operation(self, node: PlanNode) -> Flow:
        flows = [self.walk(child) for child in node["children"]]
        rows = [flow.rows for flow in flows]
        if node["type"] == "LOGICAL_EXCEPT":
            rows += [raise_to(c.sources, "filter") for flow in flows[1:] for c in flow.columns]
            return Flow(flows[0].columns, merge_sources(rows))
        columns = [_either(column) for column in zip(*(f.columns for f in flows), strict=True)]
        return Flow(tuple(columns), merge_sources(rows))

    def _materialized_cte(self, node: PlanNode) -> Flow:
        index = node.get("table_index", 0)
        self._ctes[index] = self.walk(node["children"][0])
        self._bindings[index] = self._ctes[index].columns
        return self.walk(node["children"][1])

    def _recursive_cte(self, node: PlanNode) -> Flow:
        start = self.walk(node["children"][0])
        flow = start
        for _ in range(MAX_RECURSION_ROUNDS):
            self._ctes[node.get("table_index", 0)] = flow
            step = self.walk(node["children"][1])
            paired = zip(flow.columns, step.columns, strict=True)
            grown = Flow(tuple(_either(pair) for pair in paired), merge_sources([flow.rows, step.rows]))
            if _same_sources(grown, flow):
                return grown
            flow = grown
        return flow

    def _cte_ref(self, node: PlanNode) -> Flow:
        known = self._ctes.get(node.get("cte_index", 0))
        if known is None:
            raise UnknownPlan("a reference to a CTE that was not met")
        width = len(node["chunk_types"])
        return known if len(known.columns) == width else Flow(known.columns[:width], known.rows)

    def _dummy(self, node: PlanNode) -> Flow:
        return Flow((PlanColumn(),))


def _at(columns: Sequence[PlanColumn], index: int) -> PlanColumn:
    if not 0 <= index < len(columns):
        raise UnknownPlan(f"column {index} of {len(columns)}")
    return columns[index]


def _checked(column: PlanColumn, node: PlanNode) -> PlanColumn:
    expected = type_id_of(node)
    if column.type_id and expected and column.type_id != expected:
        raise UnknownPlan(f"column {node.get('alias')} of type {column.type_id} where {expected} is read")
    return column


def _project(columns: tuple[PlanColumn, ...], kept: Sequence[int] | None) -> tuple[PlanColumn, ...]:
    return tuple(_at(columns, i) for i in kept) if kept else columns


def _conditions_of_any_join(node: PlanNode) -> list[PlanNode]:
    found = [node["condition"]] if node.get("condition") else []
    found += [e for e in node.get("expressions") or () if isinstance(e, dict)]
    if node.get("predicate"):
        found.append(node["predicate"])
    return found


def _either(columns: Sequence[PlanColumn]) -> PlanColumn:
    texts = list(dict.fromkeys(c.text for c in columns if c.text))
    return PlanColumn(merge_sources(c.sources for c in columns), " | ".join(texts)[:240], type_id=columns[0].type_id)


def _same_sources(one: Flow, other: Flow) -> bool:
    if one.rows.keys() != other.rows.keys():
        return False
    return all(a.sources.keys() == b.sources.keys() for a, b in zip(one.columns, other.columns, strict=True))


Operator = Callable[[PlanWalk, PlanNode], Flow]
READ_OPERATORS: Mapping[str, Operator] = {
    "LOGICAL_GET": PlanWalk._get,
    "LOGICAL_PROJECTION": PlanWalk._projection,
    "LOGICAL_FILTER": PlanWalk._filter,
    "LOGICAL_ORDER_BY": PlanWalk._order,
    "LOGICAL_TOP_N": PlanWalk._order,
    "LOGICAL_LIMIT": PlanWalk._limit,
    "LOGICAL_DISTINCT": PlanWalk._distinct,
    "LOGICAL_AGGREGATE_AND_GROUP_BY": PlanWalk._aggregate,
    "LOGICAL_WINDOW": PlanWalk._window,
    "LOGICAL_UNNEST": PlanWalk._unnest,
    "LOGICAL_UNION": PlanWalk._set_operation,
    "LOGICAL_EXCEPT": PlanWalk._set_operation,
    "LOGICAL_INTERSECT": PlanWalk._set_operation,
    "LOGICAL_MATERIALIZED_CTE": PlanWalk._materialized_cte,
    "LOGICAL_RECURSIVE_CTE": PlanWalk._recursive_cte,
    "LOGICAL_CTE_REF": PlanWalk._cte_ref,
    "LOGICAL_EXPRESSION_GET": PlanWalk._expression_get,
    "LOGICAL_CHUNK_GET": PlanWalk._constants,
    "LOGICAL_COLUMN_DATA_GET": PlanWalk._constants,
    "LOGICAL_EMPTY_RESULT": PlanWalk._empty,
    "LOGICAL_DUMMY_SCAN": PlanWalk._dummy,
}
