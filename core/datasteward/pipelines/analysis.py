"""Every asset understood before anything runs: its inputs, order, types, lineage, checks and fingerprints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from datasteward.errors import ToolError
from datasteward.lineage.edges import StatementLineage
from datasteward.lineage.schemas import Column
from datasteward.lineage.sql_tokens import quote_name
from datasteward.pipelines.binding import AssetBinder
from datasteward.pipelines.checks import Check, compile_checks, join_checks, relationship_targets
from datasteward.pipelines.contracts import Contract, find_breaches, read_contract
from datasteward.pipelines.fingerprints import print_query, print_source
from datasteward.pipelines.graph import Graph, make_graph
from datasteward.pipelines.inlining import fill_window, has_window_marks, inline_ephemerals
from datasteward.pipelines.loading import Asset, Pipeline
from datasteward.pipelines.problems import PipelineFault, Problem, place_of, suggest
from datasteward.pipelines.state_model import AssetPrint, Window
from datasteward.pipelines.surroundings import OuterInput, Surroundings, call_of
from datasteward.pipelines.syntax import FileScan, Parser, Query, TableUse

SAMPLE_WINDOW = Window(start=datetime(2000, 1, 1), end=datetime(2000, 1, 2))
"""Stands for the window wherever a query is read but not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One asset with all that is known before it runs; `sql` still has its window marks."""

    asset: Asset
    sql: str
    columns: tuple[Column, ...]
    inputs: tuple[str, ...]
    outer: tuple[OuterInput, ...]
    reads: Mapping[str, frozenset[str] | None]
    """By the key of each asset it reads: the columns it uses, in lower case; None when all of them."""
    outer_reads: Mapping[str, frozenset[str] | None]
    """The same by the name of each input that no asset makes."""
    checks: tuple[Check, ...]
    print: AssetPrint


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The whole pipeline; nodes of ephemeral assets are left out, as they are part of those that read them."""

    pipeline: Pipeline
    graph: Graph
    nodes: Mapping[str, Node]

    @property
    def ordered(self) -> tuple[Node, ...]:
        """The nodes, each after what it reads."""
        return tuple(self.nodes[a.key] for a in self.graph.assets if a.key in self.nodes)

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas of the in-memory catalog in which views stand for what the assets read, such as sheets."""
        names = [o.asked.parts for n in self.nodes.values() for o in n.outer if o.kind in {"file", "result"}]
        return tuple(dict.fromkeys(parts[0] for parts in names if len(parts) == 2))


def analyse(pipeline: Pipeline, surroundings: Surroundings) -> Analysis:
    """The pipeline bound against what is there; raises `PipelineFault` with every fault, so that nothing half runs."""
    return _Analyst(pipeline, surroundings).run()


@dataclass(slots=True, kw_only=True)
class _Draft:
    asset: Asset
    query: Query | None
    keys: list[str]
    outer: list[OuterInput]
    outer_paths: list[tuple[tuple[str, ...], OuterInput]]
    files: dict[str, tuple[Column, ...]]


class _Analyst:
    def __init__(self, pipeline: Pipeline, surroundings: Surroundings) -> None:
        self.pipeline = pipeline
        self.surroundings = surroundings
        self.parser = Parser()
        self.binder = AssetBinder(surroundings.database_name)
        self.problems: list[Problem] = []
        self.by_key = {a.key: a for a in pipeline.assets}
        self.fragments: dict[str, list[tuple[str, str]]] = {}
        self.hidden: dict[str, _Draft] = {}
        self.nodes: dict[str, Node] = {}
        self.failed: set[str] = set()

    def run(self) -> Analysis:
        drafts: dict[str, _Draft] = {}
        self.parser.read_ahead(
            [fill_window(a.body, SAMPLE_WINDOW) for a in self.pipeline.assets if a.language == "sql"]
        )
        for asset in self.pipeline.assets:
            try:
                drafts[asset.key] = self._read(asset)
            except PipelineFault as fault:
                self.problems += fault.problems
                self.failed.add(asset.key)
        for draft in drafts.values():
            self._know_check_targets(draft.asset)
        edges = {key: [*d.keys, *self._check_edges(d.asset)] for key, d in drafts.items()}
        graph = self._order(edges)
        for wave in graph.waves if graph else ():
            self._bind_ahead([drafts[a.key] for a in wave if a.key in drafts])
            for asset in wave:
                if asset.key not in drafts or (graph and self.failed & set(graph.inputs[asset.key])):
                    self.failed.add(asset.key)
                    continue
                try:
                    self._understand(drafts[asset.key])
                except PipelineFault as fault:
                    self.problems += fault.problems
                    self.failed.add(asset.key)
        if self.problems or graph is None:
            raise PipelineFault(self.problems)
        return Analysis(pipeline=self.pipeline, graph=graph.without_ephemerals(), nodes=self.nodes)

    def _bind_ahead(self, drafts: list[_Draft]) -> None:
        """Bind what only reads tables that are known by now."""
        plain = [d for d in drafts if d.query is not None and not d.files and not self.hidden.keys() & set(d.keys)]
        for draft in plain:
            self._know_outer(draft)
        self.binder.bind_ahead([d.query.sql for d in plain if d.query is not None])

    def _know_outer(self, draft: _Draft) -> None:
        for parts, found in draft.outer_paths:
            if found.kind != "file" or parts[0] != found.name:
                self.binder.add(parts, found.name, found.columns)

    def _order(self, edges: Mapping[str, list[str]]) -> Graph | None:
        try:
            return make_graph(self.pipeline.assets, edges)
        except PipelineFault as fault:
            self.problems += fault.problems
            return None

    def _check_edges(self, asset: Asset) -> list[str]:
        names = [n if "." in n else f"main.{n}" for n in relationship_targets(asset)]
        return [n.casefold() for n in names if n.casefold() in self.by_key and n.casefold() != asset.key]

    def _know_check_targets(self, asset: Asset) -> None:
        for name in relationship_targets(asset):
            parts = tuple(name.split("."))
            if (name if "." in name else f"main.{name}").casefold() not in self.by_key:
                found = self.surroundings.find(parts)
                if found is not None:
                    self.binder.add(parts, found.name, found.columns)

    def _read(self, asset: Asset) -> _Draft:
        draft = _Draft(asset=asset, query=None, keys=[], outer=[], outer_paths=[], files={})
        if asset.language == "python":
            self._read_parameters(draft)
            return draft
        sql = fill_window(asset.body, SAMPLE_WINDOW)
        if asset.language == "spark":
            self._read_native(draft, sql)
            return draft
        draft.query = self.parser.parse(asset, sql)
        for use in draft.query.tables:
            self._add_input(draft, use, sql)
        for scan in draft.query.scans:
            try:
                found = self.surroundings.scan(call_of(sql, scan))
            except ToolError as error:
                raise PipelineFault([_problem_at(asset, sql, scan.start, error.message)]) from error
            draft.outer.append(found)
            draft.files.update(dict.fromkeys(scan.paths, found.columns))
        return draft

    def _read_parameters(self, draft: _Draft) -> None:
        for name in draft.asset.parameters:
            table = (draft.asset.options.inputs or {}).get(name, name.replace("__", "."))
            use = TableUse(parts=tuple(table.split(".")), start=0, end=0, has_alias=True)
            self._add_input(draft, use, "")

    def _read_native(self, draft: _Draft, sql: str) -> None:
        from datasteward.pipelines.spark.judging import read_native_tables

        for use in read_native_tables(draft.asset, sql):
            self._add_input(draft, use, "")
            target = self.by_key.get(use.key)
            if target is not None and target.options.materialize == "ephemeral":
                message = f"{target.name} is ephemeral, so Spark cannot be given its rows; make it a view"
                raise PipelineFault([Problem(path=draft.asset.path, message=message)])

    def _pass_spark(self, draft: _Draft, query: Query | None, sql: str, names: Sequence[str]) -> None:
        if draft.asset.engine != "duckdb" or draft.asset.language == "spark":
            from datasteward.pipelines.spark.judging import judge_spark_asset

            def columns_at(place: TableUse | FileScan, relation: str) -> Sequence[Column]:
                if isinstance(place, FileScan):
                    return draft.files[place.paths[0]]
                if place.key in self.nodes:
                    return self.nodes[place.key].columns
                return next(found.columns for parts, found in draft.outer_paths if parts == place.parts)

            judge_spark_asset(self.pipeline, draft.asset, query, sql, columns_at, names)

    def _add_input(self, draft: _Draft, use: TableUse, sql: str) -> None:
        asset = draft.asset
        if use.key == asset.key:
            message = f"{asset.name} reads itself; name a file by its path, or give the asset another name"
            raise PipelineFault([_problem_at(asset, sql, use.start, message)])
        if use.key in self.by_key:
            draft.keys.append(use.key)
            return
        try:
            found = self.surroundings.find(use.parts)
        except ToolError as error:
            message = " ".join(filter(None, (error.message, error.hint)))
            raise PipelineFault([_problem_at(asset, sql, use.start, message)]) from error
        if found is None:
            known = [*(a.name for a in self.pipeline.assets if a.key != asset.key), *self.surroundings.names()]
            message = f"there is no asset, table or file '{use.label}'{suggest(use.label, known)}"
            raise PipelineFault([_problem_at(asset, sql, use.start, message)])
        draft.outer.append(found)
        draft.outer_paths.append((use.parts, found))
        if found.kind == "file" and len(use.parts) == 1 and use.parts[0] == found.name:
            draft.files[use.parts[0]] = found.columns

    def _understand(self, draft: _Draft) -> None:
        asset = draft.asset
        checks, contract = self._checks(asset)
        if asset.language != "sql":
            self._pass_spark(draft, None, fill_window(asset.body, SAMPLE_WINDOW), ())
            columns = tuple(Column(name=n, type=t) for n, t in (asset.options.columns or {}).items())
            reads: dict[str, frozenset[str] | None] = dict.fromkeys(draft.keys)
            self._finish(_node(draft, asset.body, columns, reads, {}, checks, print_source(asset, checks)), contract)
            return
        assert draft.query is not None
        for key in draft.keys:
            if key in self.hidden:
                draft.outer += self.hidden[key].outer
                draft.outer_paths += self.hidden[key].outer_paths
                draft.files.update(self.hidden[key].files)
        body = inline_ephemerals(asset, draft.query, self.fragments)
        has_places = body == draft.query.sql
        query = draft.query if has_places else self.parser.parse(asset, body)
        self._pass_gate(asset, body, has_places)
        self._know_outer(draft)
        lineage = self.binder.bind(asset, body, draft.files, has_places=has_places)
        self._pass_spark(draft, query, body, [c.name for c in lineage.output_schema])
        if asset.options.materialize == "ephemeral":
            self._keep_fragment(asset, draft.query)
            self.hidden[asset.key] = draft
            return
        if asset.options.materialize == "view":
            _refuse_borrowed_names(asset, draft)
        keys = self._flat_keys(draft.keys)
        sql = self._with_marks(asset, draft.query, body)
        node = _node(
            replace(draft, keys=keys),
            sql,
            lineage.output_schema,
            _columns_read(lineage, {k: (self.by_key[k].name,) for k in keys}),
            _columns_read(lineage, {o.name: (o.name, *o.asked.paths) for o in draft.outer}),
            checks,
            print_query(asset, query, lineage.outputs, checks, self.parser),
        )
        self._finish(node, contract)

    def _with_marks(self, asset: Asset, query: Query, body: str) -> str:
        """The query to run: the marks of the window are filled when it is known."""
        if not has_window_marks(asset.body):
            return body
        marked = Query(
            sql=asset.body, tree=query.tree, tables=query.tables, scans=query.scans, functions=query.functions
        )
        if body != query.sql:
            message = "@start and @end cannot be used together with ephemeral inputs; make those inputs views"
            raise PipelineFault([Problem(path=asset.path, message=message)])
        if asset.options.materialize != "incremental":
            message = "@start and @end are for incremental assets"
            raise PipelineFault([Problem(path=asset.path, message=message)])
        return marked.sql

    def _flat_keys(self, keys: list[str]) -> list[str]:
        """The assets read, those behind ephemeral ones in their place."""
        found: list[str] = []
        for key in keys:
            found += self._flat_keys(self.hidden[key].keys) if key in self.hidden else [key]
        return list(dict.fromkeys(found))

    def _keep_fragment(self, asset: Asset, query: Query) -> None:
        chain: dict[str, str] = {}
        for use in query.tables:
            chain.update(self.fragments.get(use.key, ()))
        own = query.sql.strip().rstrip(";")
        for use in sorted((t for t in query.tables if t.key in self.fragments), key=lambda t: -t.start):
            start = query.sql.index(own) if own else 0
            name = self.fragments[use.key][-1][0]
            own = own[: use.start - start] + f'"{name}"' + own[use.end - start :]
        self.fragments[asset.key] = [*chain.items(), (asset.table, own)]

    def _pass_gate(self, asset: Asset, sql: str, has_places: bool) -> None:
        report = self.surroundings.check(sql)
        refusal = report.refusal
        if refusal is not None:
            position = refusal.position if has_places and refusal.position is not None else None
            message = refusal.message + (f" {refusal.hint}" if refusal.hint and refusal.code == "not_found" else "")
            raise PipelineFault([_problem_at(asset, sql, position, message)])

    def _checks(self, asset: Asset) -> tuple[tuple[Check, ...], Contract | None]:
        own = compile_checks(asset)
        if asset.options.contract is None:
            return own, None
        contract = read_contract(asset.options.contract, self.pipeline.documents, asked_by=asset.path)
        return join_checks(own, contract.checks), contract

    def _finish(self, node: Node, contract: Contract | None) -> None:
        asset = node.asset
        have = {c.name.casefold() for c in node.columns}
        wanted = [n for n in (asset.options.time, *asset.options.unique) if n]
        wanted += [c for check in node.checks if check.source == "header" for c in check.columns]
        if asset.options.fresh is not None:
            wanted.append(asset.options.fresh.column)
        problems = [
            Problem(
                path=asset.path, message=f"the header names a column '{n}'{suggest(n, [c.name for c in node.columns])}"
            )
            for n in dict.fromkeys(wanted)
            if n.casefold() not in have
        ]
        if contract is not None:
            breaches = find_breaches(contract, node.columns)
            problems += [Problem(path=asset.path, message=f"breaks its contract: {b.message}") for b in breaches]
        if problems:
            raise PipelineFault(problems)
        self.binder.add((asset.schema, asset.table), asset.name, node.columns)
        problems = [p for check in node.checks if (p := self._judge_check(asset, check)) is not None]
        if problems:
            raise PipelineFault(problems)
        self.nodes[asset.key] = node

    def _judge_check(self, asset: Asset, check: Check) -> Problem | None:
        """Why a check may not run: it is SQL like any other, held to the same gate and bound before anything runs."""
        sql = check.count_query(f"{quote_name(asset.schema)}.{quote_name(asset.table)}")
        report = self.surroundings.check(sql)
        if report.refusal is not None or len(report.statements) != 1:
            words = report.refusal.message if report.refusal else "it is more than one expression"
            return Problem(path=asset.path, message=f"the check '{check.name}': {words}")
        try:
            self.binder.bind(asset, sql, {}, has_places=False)
        except PipelineFault as fault:
            return Problem(path=asset.path, message=f"the check '{check.name}': {fault.problems[0].message}")
        return None


def _refuse_borrowed_names(asset: Asset, draft: _Draft) -> None:
    """A stored view outlives the names that stand for files and results only while a query runs."""
    for parts, found in draft.outer_paths:
        if found.kind in {"result", "connection"} or (found.kind == "file" and parts[0] != found.name):
            message = (
                f"a view cannot read '{found.name}' by its name '{'.'.join(parts)}', which the database does not know;"
                " make it a table, or read the file by its path"
            )
            raise PipelineFault([Problem(path=asset.path, message=message)])


def _node(
    draft: _Draft,
    sql: str,
    columns: tuple[Column, ...],
    reads: Mapping[str, frozenset[str] | None],
    outer_reads: Mapping[str, frozenset[str] | None],
    checks: tuple[Check, ...],
    made: AssetPrint,
) -> Node:
    return Node(
        asset=draft.asset,
        sql=sql,
        columns=columns,
        inputs=tuple(dict.fromkeys(draft.keys)),
        outer=tuple(dict.fromkeys(draft.outer)),
        reads=reads,
        outer_reads=outer_reads,
        checks=checks,
        print=made,
    )


def _columns_read(lineage: StatementLineage, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str] | None]:
    """The columns used of each dataset in `wanted`, which gives the names that the lineage may have for it."""
    if lineage.confidence != "bound":
        return dict.fromkeys(wanted)
    used: dict[str, set[str]] = {}
    for edge in lineage.edges:
        columns = used.setdefault(edge.source.dataset.name.casefold(), set())
        if edge.source.column:
            columns.add(edge.source.column.casefold())
    return {key: frozenset[str]().union(*(used.get(n.casefold(), ()) for n in names)) for key, names in wanted.items()}


def _problem_at(asset: Asset, sql: str, position: int | None, message: str) -> Problem:
    line, column = place_of(sql, position) if position is not None and sql else (0, 0)
    return Problem(path=asset.path, line=line, column=column, message=message)
