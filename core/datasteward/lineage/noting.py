"""Lineage of what is made of results and datasets without SQL: answers, pictures of charts, profiles."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from datasteward.lineage.edges import Edge, OutputColumn, StatementLineage, Subtype
from datasteward.lineage.recording import RESULT_NAMESPACE, WorkspaceLineage
from datasteward.lineage.schemas import FILE_NAMESPACE, ColumnRef, Dataset, DatasetKey
from datasteward.lineage.store import LineageStore, RunStamp

ANSWER_NAMESPACE = "answer"
_AGGREGATIONS = frozenset({"sum", "mean", "median", "min", "max", "rows", "distinct", "share", "spread"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFigure:
    """A figure of an answer with the result columns its cells are in, as (handle, column), and its formula if any."""

    text: str
    sources: tuple[tuple[str, str], ...]
    formula: str | None = None


def name_answer(text: str) -> str:
    """The name of the dataset that stands for an answer: the same text gives the same name."""
    return f"answer-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def note_answer(lineage: WorkspaceLineage, text: str, figures: Sequence[AnswerFigure]) -> str:
    """Keep where an answer's figures come from, each as a column named as it is written; returns the answer's name.

    Figures without `sources` are left out.
    """
    name = name_answer(text)
    target = DatasetKey(ANSWER_NAMESPACE, name)
    backed = [f for f in figures if f.sources]
    edges = dict.fromkeys(
        Edge(
            source=ColumnRef(DatasetKey(RESULT_NAMESPACE, handle), column),
            target=ColumnRef(target, figure.text),
            subtype=_subtype(figure.formula),
            expression=figure.formula,
        )
        for figure in backed
        for handle, column in figure.sources
    )
    found = StatementLineage(
        kind="select",
        outputs=tuple(OutputColumn(name=n, type="") for n in dict.fromkeys(f.text for f in backed)),
        inputs=tuple(dict.fromkeys(e.source.dataset for e in edges)),
        target=target,
        edges=tuple(edges),
        confidence="bound",
    )
    stamp = RunStamp(run_id=name, at=lineage.now(), job="answer")
    lineage.keep_run(found, stamp, target_kind="answer", own_history=True)
    return name


def note_chart(lineage: WorkspaceLineage, *, handle: str, columns: Sequence[str], picture: str) -> None:
    """Keep that a picture (a path as the workspace shows it) was drawn from columns of a result."""
    target = DatasetKey(FILE_NAMESPACE, picture)
    result = DatasetKey(RESULT_NAMESPACE, handle)
    names = tuple(dict.fromkeys(columns))
    found = StatementLineage(
        kind="copy_to",
        outputs=tuple(OutputColumn(name=n, type="") for n in names),
        inputs=(result,),
        target=target,
        edges=tuple(
            Edge(source=ColumnRef(result, n), target=ColumnRef(target, n), subtype="transformation") for n in names
        ),
        confidence="bound",
    )
    stamp = RunStamp(run_id=f"chart {picture}", at=lineage.now(), job="chart")
    lineage.keep_run(found, stamp, target_kind="export", own_history=True)


def note_profile(lineage: WorkspaceLineage, dataset: Dataset, *, seconds: float | None = None) -> None:
    """Keep that a dataset was read by a profile, with its schema; nothing is made of it, so no edge is."""
    with lineage.reading() as connection:
        store = LineageStore(connection)
        known = [key for key in store.find_datasets(dataset.name) if key.namespace == dataset.namespace]
        record = store.dataset(known[0]) if known else None
    if record is not None:
        dataset = replace(dataset, name=record.key.name, kind=record.kind)
    found = StatementLineage(
        kind="other", outputs=(), inputs=(dataset.key,), target=dataset.key, edges=(), confidence="bound"
    )
    at = lineage.now()
    stamp = RunStamp(run_id=f"profile {dataset.name} {at:.3f}", at=at, job="profile", seconds=seconds)
    lineage.keep_run(found, stamp, schemas=(dataset,))


def _subtype(formula: str | None) -> Subtype:
    if formula is None:
        return "identity"
    return "aggregation" if formula in _AGGREGATIONS else "transformation"
