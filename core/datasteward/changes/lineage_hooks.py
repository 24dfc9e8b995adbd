"""What lineage knows about a change before it is made: the datasets and columns that depend on what it touches."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import ColumnLabel, Preview, StatementWork
from datasteward.errors import DatastewardError
from datasteward.lineage.noting import ANSWER_NAMESPACE
from datasteward.lineage.recording import RESULT_NAMESPACE, TABLE_NAMESPACE, WorkspaceLineage
from datasteward.lineage.schemas import ColumnRef, DatasetKey

if TYPE_CHECKING:
    from datasteward.changes.contract_checks import ContractChecks
    from datasteward.lineage.change_capture import ChangeCapture
    from datasteward.lineage.graph import Dependents

DEPTH = 10
SETTLE_SECONDS = 3.0
MAX_NAMED = 200
_SNAPSHOTS = frozenset({RESULT_NAMESPACE, ANSWER_NAMESPACE})
"""What was made once and stays as it is, though more may have been made from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touched:
    """A dataset that changes, and the columns that do; none when all of it does."""

    label: str
    columns: tuple[str, ...] = ()


def _touched(preview: Preview) -> Iterator[_Touched]:
    for effect in preview.tables:
        label = effect.renamed_from or effect.table.label
        names = dict.fromkeys([*(c.column for c in effect.columns), *(r.before for r in effect.renamed_columns)])
        is_whole = effect.inserted or effect.deleted or effect.renamed_from or effect.is_estimated
        if is_whole or effect.action not in {"rows", "altered"}:
            yield _Touched(label=label)
        elif names:
            yield _Touched(label=label, columns=tuple(names))
    for change in preview.schema_changes:
        if change.kind == "view" and change.action != "created" and not change.only_notes:
            yield _Touched(label=change.name)


class LineageHooks:
    """Hooks that answer from the recorded lineage and the workspace's contracts.

    `dependents` name what relies on columns besides datasets.
    """

    def __init__(
        self,
        lineage: WorkspaceLineage,
        dependents: Sequence["Dependents"] = (),
        contracts: "ContractChecks | None" = None,
    ) -> None:
        self._lineage = lineage
        self._dependents = tuple(dependents)
        self._contracts = contracts
        self._capture: ChangeCapture | None = None

    def follow(self, capture: "ChangeCapture") -> None:
        """Let `capture` write what was applied before lineage is asked."""
        self._capture = capture

    async def downstream_of(self, statements: Sequence[StatementWork], preview: Preview) -> tuple[str, ...]:
        """Who relies on what changes, then `dataset.column` of all that is recorded as made from it, nearest first.

        Of a table whose rows stay, only the columns count whose values or names change.
        """
        touched = tuple(_touched(preview))
        if touched and self._capture is not None and self._capture.is_behind:
            with suppress(TimeoutError, DatastewardError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self._capture.catch_up()
        return await asyncio.to_thread(self._downstream, touched)

    async def checks_for(self, statements: Sequence[StatementWork]) -> tuple[CheckQuery, ...]:
        """The checks that contracts make on the tables that change."""
        return await self._contracts.find(statements) if self._contracts is not None else ()

    async def labels(self) -> tuple[ColumnLabel, ...]:
        """What the workspace's contracts say of columns."""
        return await self._contracts.find_labels() if self._contracts is not None else ()

    def _downstream(self, touched: Sequence["_Touched"]) -> tuple[str, ...]:
        from datasteward.lineage.graph import find_starts, trace

        found: dict[str, None] = {}
        met: dict[ColumnRef, None] = {}
        with self._lineage.reading() as connection:
            for part in touched:
                starts = find_starts(connection, part.label, part.columns) or (
                    ColumnRef(DatasetKey(TABLE_NAMESPACE, part.label)),
                )
                graph = trace(connection, starts, "downstream", depth=DEPTH, include_indirect=bool(part.columns))
                met.update(dict.fromkeys([*graph.starts, *(n.ref for n in graph.nodes)]))
                for node in graph.nodes:
                    if node.depth > 0 and node.ref.dataset.namespace not in _SNAPSHOTS:
                        column = f".{node.ref.column}" if node.ref.column else ""
                        found[f"{node.ref.dataset.name}{column}"] = None
        relying = [d.describe() for source in self._dependents for d in source.find(list(met))]
        return tuple(dict.fromkeys([*relying, *found]))[:MAX_NAMED]
