"""Which asset reads which: order, cycles, and selection by name, tag and neighbourhood."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from datasteward.errors import ToolError
from datasteward.pipelines.loading import Asset
from datasteward.pipelines.problems import PipelineFault, Problem, suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Assets in an order in which each comes after what it reads; `inputs` gives the assets each one reads, by key."""

    assets: tuple[Asset, ...]
    inputs: Mapping[str, tuple[str, ...]]

    def upstream(self, key: str) -> frozenset[str]:
        """Every asset that `key` depends on, near or far."""
        return _reach([key], self.inputs)

    def downstream(self, key: str) -> frozenset[str]:
        """Every asset that depends on `key`, near or far."""
        return _reach([key], self.readers)

    @property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """The assets that read each asset."""
        found: dict[str, list[str]] = {a.key: [] for a in self.assets}
        for asset in self.assets:
            for key in self.inputs[asset.key]:
                found[key].append(asset.key)
        return {key: tuple(readers) for key, readers in found.items()}

    def without_ephemerals(self) -> "Graph":
        """The graph of what is stored, in which who reads an ephemeral asset reads what that one reads."""
        kept = [a for a in self.assets if a.options.materialize != "ephemeral"]
        hidden = {a.key for a in self.assets} - {a.key for a in kept}

        def flat(key: str) -> list[str]:
            return [k for read in self.inputs[key] for k in (flat(read) if read in hidden else [read])]

        return Graph(assets=tuple(kept), inputs={a.key: tuple(dict.fromkeys(flat(a.key))) for a in kept})

    @property
    def waves(self) -> tuple[tuple[Asset, ...], ...]:
        """The assets in groups, each reading only what groups before it hold."""
        depths: dict[str, int] = {}
        for asset in self.assets:
            depths[asset.key] = 1 + max((depths[k] for k in self.inputs[asset.key]), default=-1)
        count = max(depths.values(), default=-1) + 1
        return tuple(tuple(a for a in self.assets if depths[a.key] == n) for n in range(count))


def make_graph(assets: Sequence[Asset], inputs: Mapping[str, Iterable[str]]) -> Graph:
    """The graph of `assets`; raises `PipelineFault` naming the files of a cycle."""
    by_key = {a.key: a for a in assets}
    known = {key: tuple(dict.fromkeys(k for k in inputs.get(key, ()) if k in by_key)) for key in by_key}
    waiting = {key: set(keys) for key, keys in known.items()}
    readers: dict[str, list[str]] = {key: [] for key in by_key}
    for key, keys in known.items():
        for read in keys:
            readers[read].append(key)
    ready = [key for key in by_key if not waiting[key]]
    ordered: list[str] = []
    while ready:
        key = ready.pop(0)
        ordered.append(key)
        for reader in readers[key]:
            waiting[reader].discard(key)
            if not waiting[reader]:
                ready.append(reader)
    if len(ordered) < len(by_key):
        cycle = _find_cycle({k: known[k] for k in by_key if k not in ordered})
        names = " reads ".join(by_key[k].name for k in cycle)
        raise PipelineFault([Problem(path=by_key[cycle[0]].path, message=f"is part of a cycle: {names}")])
    return Graph(assets=tuple(by_key[k] for k in ordered), inputs=known)


def select_assets(graph: Graph, selectors: Sequence[str]) -> frozenset[str]:
    """The keys that `selectors` mean; none selects everything.

    A selector is a name or glob, `tag:word`, with `+` before for all upstream and `+` after for all downstream; a
    leading `-` takes away. Raises `ToolError` (not_found) for one that matches nothing.
    """
    wanted = [s for s in selectors if not s.startswith("-")]
    chosen = frozenset[str]().union(*(_match(graph, s) for s in wanted)) if wanted else {a.key for a in graph.assets}
    for selector in selectors:
        if selector.startswith("-"):
            chosen = chosen - _match(graph, selector[1:])
    return frozenset(chosen)


def _match(graph: Graph, selector: str) -> frozenset[str]:
    word = selector.strip("+").casefold()
    if word.startswith("tag:"):
        tag = word.removeprefix("tag:")
        found = {a.key for a in graph.assets if tag in {t.casefold() for t in a.options.tags}}
    else:
        found = {
            a.key
            for a in graph.assets
            if any(fnmatch.fnmatchcase(n, word) for n in (a.name.casefold(), a.key, a.path.casefold()))
        }
    if not found:
        names = [a.name for a in graph.assets]
        raise ToolError(
            f"'{selector}' selects nothing{suggest(word, names)}",
            code="not_found",
            hint="Write a name, a glob such as marts.*, tag:daily, +name for all it needs, name+ for all that needs it.",
        )
    reached = set(found)
    for key in found:
        if selector.startswith("+"):
            reached |= graph.upstream(key)
        if selector.endswith("+"):
            reached |= graph.downstream(key)
    return frozenset(reached)


def _reach(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [k for key in start for k in edges[key]]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += edges[key]
    return frozenset(seen)


def _find_cycle(edges: Mapping[str, Sequence[str]]) -> list[str]:
    path: list[str] = []
    key = next(iter(edges))
    while key not in path:
        path.append(key)
        key = next(k for k in edges[key] if k in edges)
    return [*path[path.index(key) :], key]
