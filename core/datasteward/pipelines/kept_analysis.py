"""An analysis kept between plans: as long as files, names and columns are the same, nothing is parsed or bound again."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from datasteward.errors import ToolError
from datasteward.lineage.pipeline_assets import KEPT_PREFIX
from datasteward.lineage.schemas import Column
from datasteward.pipelines.analysis import Analysis, Node
from datasteward.pipelines.checks import Check
from datasteward.pipelines.graph import Graph
from datasteward.pipelines.loading import Pipeline, PipelineFiles
from datasteward.pipelines.state_model import AssetPrint
from datasteward.pipelines.surroundings import OuterInput, Surroundings

FORMAT = 2
"""Raised whenever the same files would be analysed to something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptNode:
    """A node without its asset, which the files give; `outer` are positions in the list of what was found."""

    path: str
    sql: str
    columns: tuple[Column, ...]
    inputs: tuple[str, ...]
    outer: tuple[int, ...]
    reads: Mapping[str, frozenset[str] | None]
    outer_reads: Mapping[str, frozenset[str] | None]
    checks: tuple[Check, ...]
    print: AssetPrint


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptAnalysis:
    """All that an analysis says, by asset key, and the digest of what it depends on."""

    folder: str
    digest: str
    order: tuple[str, ...]
    edges: Mapping[str, tuple[str, ...]]
    found: tuple[OuterInput, ...]
    nodes: Mapping[str, _KeptNode]


def recall_analysis(
    folder: Path, files: PipelineFiles, pipeline: Pipeline, surroundings: Surroundings
) -> Analysis | None:
    """The analysis kept of these files, with the inputs as they are now; None when anything it rests on is another."""
    path = _path_of(folder, files)
    try:
        kept = TypeAdapter(_KeptAnalysis).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    if kept.digest != _digest(files, surroundings):
        return None
    surroundings.expect(kept.found)
    now: list[OuterInput] = []
    for before in kept.found:
        try:
            found = surroundings.ask(before.asked)
        except ToolError:
            return None
        if found is None or (found.name, found.kind, found.columns) != (before.name, before.kind, before.columns):
            return None
        now.append(found)
    assets = {a.key: a for a in pipeline.assets}
    graph = Graph(assets=tuple(assets[k] for k in kept.order), inputs=kept.edges)
    nodes = {
        key: Node(
            asset=assets[key],
            sql=node.sql,
            columns=node.columns,
            inputs=node.inputs,
            outer=tuple(now[i] for i in node.outer),
            reads=node.reads,
            outer_reads=node.outer_reads,
            checks=node.checks,
            print=node.print,
        )
        for key, node in kept.nodes.items()
    }
    return Analysis(pipeline=pipeline, graph=graph, nodes=nodes)


def keep_analysis(folder: Path, files: PipelineFiles, analysis: Analysis, surroundings: Surroundings) -> None:
    """Keep an analysis in `folder`, in place of an earlier one of the same pipeline; a full disk is no fault."""
    found = surroundings.found
    places = {outer.asked: number for number, outer in enumerate(found)}
    kept = _KeptAnalysis(
        folder=files.folder,
        digest=_digest(files, surroundings),
        order=tuple(a.key for a in analysis.graph.assets),
        edges=analysis.graph.inputs,
        found=found,
        nodes={
            key: _KeptNode(
                path=node.asset.path,
                sql=node.sql,
                columns=node.columns,
                inputs=node.inputs,
                outer=tuple(places[o.asked] for o in node.outer),
                reads=node.reads,
                outer_reads=node.outer_reads,
                checks=node.checks,
                print=node.print,
            )
            for key, node in analysis.nodes.items()
        },
    )
    path = _path_of(folder, files)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(TypeAdapter(_KeptAnalysis).dump_json(kept))
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)


def _path_of(folder: Path, files: PipelineFiles) -> Path:
    return folder / f"{KEPT_PREFIX}{hashlib.sha256(files.folder.encode()).hexdigest()[:16]}.json"


def _digest(files: PipelineFiles, surroundings: Surroundings) -> str:
    facts = [FORMAT, files.folder, sorted(files.texts.items()), surroundings.digest()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()
