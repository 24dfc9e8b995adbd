"""What must run and why: the analysed assets compared with what was last published."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from datasteward.pipelines.analysis import Analysis, Node
from datasteward.pipelines.connections import SparkConnection, find_spark
from datasteward.pipelines.fingerprints import digest
from datasteward.pipelines.graph import select_assets
from datasteward.pipelines.plan_model import Action, Plan, PlanColumn, PlanRequest, PlanStep, PlanWindow
from datasteward.pipelines.problems import PipelineFault, Problem
from datasteward.pipelines.state_model import AssetState, Window
from datasteward.pipelines.windows import floor_to, merge_windows, step_back, subtract_windows

ALL = None
"""Stands for 'rows may change' where a set of columns stands for 'only these values change'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """A table or view that the database holds now."""

    kind: str
    rows: int | None
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the planner compares with: states, tables and failures by asset key, and views outside by what they read."""

    states: Mapping[str, AssetState]
    tables: Mapping[str, StoredTable]
    failures: Mapping[str, str]
    outside: Mapping[str, tuple[str, ...]]


@dataclass(slots=True, kw_only=True)
class _Verdict:
    """Why a node runs; `columns` is the set of columns that change while the rows stay, or None."""

    reasons: list[str]
    columns: frozenset[str] | None
    rebuilds: bool
    """The definition changed, so that what is stored cannot be built upon."""
    has_new_data: bool

    def add(self, reason: str, *, rebuilds: bool = False, new_data: bool = False) -> None:
        """Note a reason for which rows may change."""
        self.reasons.append(reason)
        self.columns = ALL
        self.rebuilds = self.rebuilds or rebuilds
        self.has_new_data = self.has_new_data or new_data


def make_plan(analysis: Analysis, known: Known, request: PlanRequest) -> Plan:
    """The plan; raises `PipelineFault` for what cannot be run at all."""
    return _Planner(analysis, known, request).run()


class _Planner:
    def __init__(self, analysis: Analysis, known: Known, request: PlanRequest) -> None:
        self.analysis = analysis
        self.known = known
        self.request = request
        self.readers = analysis.graph.readers
        self.selected = select_assets(analysis.graph, request.select)
        self.changes: dict[str, frozenset[str] | None] = {}
        """By key of each asset that runs: the columns that change, or None for everything."""
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def run(self) -> Plan:
        steps = []
        for node in self.analysis.ordered:
            try:
                steps.append(self._step(node))
            except PipelineFault as fault:
                self.problems += fault.problems
        if self.problems:
            raise PipelineFault(self.problems)
        self._note_orphans()
        options = self.analysis.pipeline.options
        running = {s.key for s in steps if s.runs}
        outside = sorted(v for v, reads in self.known.outside.items() if running & set(reads))
        return Plan(
            pipeline=self.analysis.pipeline.name,
            folder="",
            request=self.request,
            parallel=options.parallel,
            timeout_seconds=options.timeout,
            publish=options.publish,
            steps=tuple(steps),
            notes=tuple(
                dict.fromkeys([*self.notes, *(n for x in self.analysis.ordered for o in x.outer for n in o.notes)])
            ),
            downstream=tuple(outside),
        )

    def _step(self, node: Node) -> PlanStep:
        key = node.asset.key
        state = self.known.states.get(key)
        self._refuse_drift(node, state)
        verdict = self._judge(node, state)
        is_selected = key in self.selected
        if self.request.full_refresh and is_selected:
            verdict.reasons.insert(0, "full refresh")
            verdict.columns, verdict.rebuilds = ALL, True
        action, windows, compares = self._choose(node, state, verdict)
        new_files = self._new_files(node, state) if action == "append" else ()
        if action == "append" and not new_files:
            action = "none"
        if action != "none" and not is_selected:
            if key not in self.selected and any(k in self.selected for k in self.analysis.graph.downstream(key)):
                self.notes.append(f"{node.asset.name} is out of date and not selected: {verdict.reasons[0]}")
            action, windows = "none", ()
        if action != "none":
            self.changes[key] = verdict.columns if action in {"build", "view"} else ALL
            if (failed := self.known.failures.get(key)) is not None:
                verdict.reasons.append(f"failed before: {failed.splitlines()[0][:120]}")
        return self._describe(node, state, verdict, action, windows, compares, new_files)

    def _judge(self, node: Node, state: AssetState | None) -> _Verdict:
        key = node.asset.key
        table = self.known.tables.get(key)
        verdict = _Verdict(reasons=[], columns=frozenset(), rebuilds=False, has_new_data=False)

        if state is None:
            verdict.add("new", rebuilds=True, new_data=True)
            return verdict
        if table is None or (table.kind == "view") != (node.asset.options.materialize == "view"):
            verdict.add("its table is gone" if table is None else f"a {table.kind} stands in its place", rebuilds=True)
        elif _names(table.columns) != _names(state.columns):
            verdict.add("its columns were changed outside the pipeline", rebuilds=True)
        old, new = state.fingerprint, node.print
        if old.settings != new.settings:
            verdict.add("settings changed", rebuilds=True)
        if old.rows != new.rows:
            verdict.add("its query selects other rows", rebuilds=True)
        self._judge_inputs(node, state, verdict)
        differing = _differing(old.columns, new.columns)
        if differing:
            verdict.reasons.append(f"columns changed: {', '.join(sorted(differing))}")
            verdict.rebuilds = True
            if verdict.columns is not None:
                verdict.columns = differing
        return verdict

    def _judge_inputs(self, node: Node, state: AssetState, verdict: _Verdict) -> None:
        for outer in node.outer:
            before = state.outer.get(outer.name)
            if before is None:
                verdict.add(f"{outer.name} is a new input", new_data=True)
            elif before != outer.version:
                verdict.add(f"{outer.name} changed", new_data=True)
        for key, used in node.reads.items():
            name = self.analysis.nodes[key].asset.name
            if key in self.changes:
                changed = self.changes[key]
                hit = None if changed is None or used is None else changed & used
                if hit is None or hit:
                    words = "" if hit is None else f" ({', '.join(sorted(hit))})"
                    verdict.add(f"{name} changes{words}", new_data=True)
                continue
            current, before_versions = self.known.states.get(key), state.reads.get(key)
            if current is None or before_versions is None:
                verdict.add(f"{name} is a new input", new_data=True)
            elif current.versions.rows != before_versions.rows:
                verdict.add(f"{name} was published again", new_data=True)
            else:
                columns = used if used is not None else current.versions.columns.keys()
                newer = [c for c in columns if current.versions.columns.get(c) != before_versions.columns.get(c)]
                if newer:
                    verdict.add(f"{name} has new values in {', '.join(sorted(newer))}", new_data=True)

    def _choose(
        self, node: Node, state: AssetState | None, verdict: _Verdict
    ) -> tuple[Action, tuple[Window, ...], bool]:
        kind = node.asset.options.materialize
        rebuilds = verdict.rebuilds or state is None
        if kind == "incremental":
            return self._choose_windows(node, state, verdict, rebuilds)
        if kind == "append":
            must_build = state is None or self.known.tables.get(node.asset.key) is None or self._is_refreshed(node)
            if not must_build and verdict.rebuilds:
                self.notes.append(
                    f"{node.asset.name}: the new definition holds for new files; a full refresh rebuilds all"
                )
            return ("build" if must_build else "append"), (), False
        if not verdict.reasons:
            return "none", (), False
        if kind == "view":
            return "view", (), False
        if kind == "merge":
            is_new = state is None or self.known.tables.get(node.asset.key) is None or self._is_refreshed(node)
            return ("build" if is_new else "merge"), (), False
        return "build", (), False

    def _is_refreshed(self, node: Node) -> bool:
        return self.request.full_refresh and node.asset.key in self.selected

    def _choose_windows(
        self, node: Node, state: AssetState | None, verdict: _Verdict, rebuilds: bool
    ) -> tuple[Action, tuple[Window, ...], bool]:
        options = node.asset.options
        start = options.start or self.analysis.pipeline.options.start
        if start is None:
            message = "is incremental and has no start; give 'start: 2026-01-01' in its header or in pipeline.yaml"
            raise PipelineFault([Problem(path=node.asset.path, message=message)])
        first = floor_to(start.replace(tzinfo=None), options.grain)
        last = floor_to(self.request.as_of, options.grain)
        whole = Window(start=first, end=max(first, last))
        if rebuilds:
            return ("build" if whole.start < whole.end else "none"), (whole,), False
        assert state is not None
        covered = [w.to_window() for w in state.windows]
        missing = subtract_windows(whole, covered)
        wanted = [*missing]
        if missing and options.lookback:
            wanted.append(
                Window(
                    start=max(first, step_back(missing[0].start, options.grain, options.lookback)), end=missing[0].start
                )
            )
        backfill = self._backfill(node, whole)
        if backfill is not None:
            verdict.reasons.append("backfill")
            return "fill", merge_windows([*wanted, backfill]), False
        if missing:
            verdict.reasons.append(f"{len(missing)} window{'s' if len(missing) > 1 else ''} to fill")
        if verdict.has_new_data and covered:
            if options.late == "refill":
                return "fill", merge_windows([*wanted, *covered]), True
            back = Window(start=max(first, step_back(last, options.grain, options.lookback)), end=last)
            wanted.append(back)
        windows = merge_windows(wanted)
        return ("fill" if windows else "none"), windows, False

    def _backfill(self, node: Node, whole: Window) -> Window | None:
        if node.asset.key not in self.selected or (self.request.start is None and self.request.end is None):
            return None
        grain = node.asset.options.grain
        start = floor_to(self.request.start, grain) if self.request.start else whole.start
        end = floor_to(self.request.end, grain) if self.request.end else whole.end
        start, end = max(start, whole.start), min(end, whole.end)
        return Window(start=start, end=end) if start < end else None

    def _new_files(self, node: Node, state: AssetState | None) -> tuple[str, ...]:
        seen = {f.path: f for f in state.files} if state else {}
        found = []
        for file in (f for outer in node.outer for f in outer.files):
            old = seen.get(file.path)
            if old is None:
                found.append(file.path)
            elif (old.size, old.modified_ns) != (file.size, file.modified_ns):
                message = f"{file.path} changed after it was appended; use merge, or run it with a full refresh"
                raise PipelineFault([Problem(path=node.asset.path, message=message)])
        return tuple(found)

    def _refuse_drift(self, node: Node, state: AssetState | None) -> None:
        if state is None or self._is_refreshed(node):
            return
        old, new = dict(state.columns), {c.name: c.type for c in node.columns}
        drift = node.asset.options.drift
        lost = [n for n in old if n not in new]
        retyped = [n for n in old if n in new and old[n] != new[n]]
        added = [n for n in new if n not in old]
        is_kept = node.asset.options.materialize in {"merge", "append"}
        words = [*(f"{n} is gone" for n in lost), *(f"{n} becomes {new[n]} (was {old[n]})" for n in retyped)]
        if drift == "freeze":
            words += [f"{n} is new" for n in added]
        elif drift != "discard" and not (is_kept and retyped):
            return
        if words:
            hint = "its schema is frozen" if drift == "freeze" else "its stored rows have the old schema"
            message = f"{hint}: {', '.join(words)}; change the query, 'drift', or run it with a full refresh"
            raise PipelineFault([Problem(path=node.asset.path, message=message)])

    def _note_orphans(self) -> None:
        mine = {a.key for a in self.analysis.pipeline.assets}
        gone = [k for k, s in self.known.states.items() if s.pipeline == self.analysis.pipeline.name and k not in mine]
        left = [k.removeprefix("main.") for k in gone if k in self.known.tables]
        if left:
            self.notes.append(f"no longer in the pipeline and left as they are: {', '.join(sorted(left))}")

    def _describe(
        self,
        node: Node,
        state: AssetState | None,
        verdict: _Verdict,
        action: Action,
        windows: tuple[Window, ...],
        compares: bool,
        new_files: tuple[str, ...],
    ) -> PlanStep:
        asset, table = node.asset, self.known.tables.get(node.asset.key)
        runs = action != "none"
        readers = [self.analysis.nodes[k].asset.name for k in self.readers[asset.key]]
        return PlanStep(
            key=asset.key,
            name=asset.name,
            path=asset.path,
            materialize=asset.options.materialize,
            language=asset.language,
            engine=spark.url if (spark := self._spark(node)) is not None else "",
            action=action,
            reasons=tuple(dict.fromkeys(verdict.reasons)) if runs else (),
            columns=_describe_columns(node, state),
            inputs=tuple([self.analysis.nodes[k].asset.name for k in node.inputs] + [o.name for o in node.outer]),
            windows=tuple(PlanWindow(start=w.start, end=w.end) for w in windows),
            compares_windows=compares,
            new_files=new_files,
            rows_before=table.rows if table else None,
            rows_estimate=self._estimate(node, state) if runs and action != "view" else None,
            input_bytes=sum(o.size_bytes for o in node.outer),
            checks=tuple(f"{c.name} ({c.on_fail})" for c in node.checks) if runs else (),
            destructive=self._destructive(node, state, table, action) if runs else (),
            downstream=tuple(readers) if runs else (),
            only_columns=None if verdict.columns is None or not runs else tuple(sorted(verdict.columns)),
            fingerprint=digest([node.print.rows, node.print.columns, node.print.settings]),
            input_versions=tuple(f"{o.name}={o.version}" for o in node.outer),
            state=state.sequence if state else 0,
        )

    def _spark(self, node: Node) -> SparkConnection | None:
        return find_spark(node.asset.engine, self.analysis.pipeline.options.connections)

    def _estimate(self, node: Node, state: AssetState | None) -> int | None:
        if state is not None and state.rows:
            return state.rows
        sizes = [o.rows for o in node.outer if o.rows is not None]
        sizes += [t.rows for k in node.inputs if (t := self.known.tables.get(k)) and t.rows is not None]
        return max(sizes, default=None)

    def _destructive(
        self, node: Node, state: AssetState | None, table: StoredTable | None, action: Action
    ) -> tuple[str, ...]:
        found = []
        spark = self._spark(node)
        if spark is not None and not spark.is_local:
            found.append(f"sends what it reads to {spark.url}, another machine")
        if node.asset.language == "python":
            found.append(f"runs the Python code of {node.asset.path}, which can do what you can")
        if table is not None and state is None:
            found.append(f"replaces the {table.kind} {node.asset.name}, which this pipeline did not make")
        if state is not None and state.pipeline != self.analysis.pipeline.name:
            found.append(f"replaces {node.asset.name}, which the pipeline {state.pipeline} made")
        lost = sorted(set(_names(state.columns)) - {c.name.casefold() for c in node.columns}) if state else []
        if lost and action in {"build", "view"}:
            found.append(f"column{'s' if len(lost) > 1 else ''} {', '.join(lost)} will be gone")
        if action == "build" and node.asset.options.materialize in {"merge", "append"} and table is not None:
            found.append("rows that the inputs no longer hold will be gone")
        return tuple(found)


def _names(columns: tuple[tuple[str, str], ...]) -> list[str]:
    return [name.casefold() for name, _ in columns]


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> frozenset[str]:
    return frozenset(k for k in {*old, *new} if old.get(k) != new.get(k))


def _describe_columns(node: Node, state: AssetState | None) -> tuple[PlanColumn, ...]:
    if state is None:
        return tuple(PlanColumn(name=c.name, type=c.type) for c in node.columns)
    old = {n.casefold(): t for n, t in state.columns}
    found = []
    for column in node.columns:
        folded = column.name.casefold()
        is_same = state.fingerprint.columns.get(folded) == node.print.columns.get(folded)
        change = (
            "new"
            if folded not in old
            else "retyped"
            if old[folded] != column.type
            else "same"
            if is_same
            else "changed"
        )
        found.append(PlanColumn(name=column.name, type=column.type, change=change))
    names = {c.name.casefold() for c in node.columns}
    found += [PlanColumn(name=n, type=t, change="removed") for n, t in state.columns if n.casefold() not in names]
    return tuple(found)


def moment_of(as_of: datetime) -> datetime:
    """The moment without a zone, in UTC, to the second."""
    plain = as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of
    return plain.replace(microsecond=0)
