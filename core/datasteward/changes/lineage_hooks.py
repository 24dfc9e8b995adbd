"""What lineage knows about a change before it is made: the datasets and columns that depend on what it touches."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import ColumnLabel, Preview, StatementWork
from datasteward.lineage.noting import ANSWER_NAMESPACE
from datasteward.lineage.recording import RESULT_NAMESPACE, TABLE_NAMESPACE, WorkspaceLineage
from datasteward.lineage.schemas import ColumnRef, DatasetKey

if TYPE_CHECKING:
    from datasteward.changes.contract_checks import ContractChecks
    from datasteward.lineage.graph import Dependents

DEPTH = 10
MAX_NAMED = 200
_SNAPSHOTS = frozenset({RESULT_NAMESPACE, ANSWER_NAMESPACE})
"""What was made once and stays as it is, though more may have been made from it."""


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

    async def downstream_of(self, statements: Sequence[StatementWork], preview: Preview) -> tuple[str, ...]:
        """Who relies on a table that changes, then `dataset.column` of all that is recorded as made from it, nearest first."""
        labels = dict.fromkeys(table.label for statement in statements for table in statement.writes)
        return await asyncio.to_thread(self._downstream, tuple(labels))

    async def checks_for(self, statements: Sequence[StatementWork]) -> tuple[CheckQuery, ...]:
        """The checks that contracts make on the tables that change."""
        return await self._contracts.find(statements) if self._contracts is not None else ()

    async def labels(self) -> tuple[ColumnLabel, ...]:
        """What the workspace's contracts say of columns."""
        return await self._contracts.find_labels() if self._contracts is not None else ()

    def _downstream(self, labels: Sequence[str]) -> tuple[str, ...]:
        from datasteward.lineage.graph import find_starts, trace

        found: dict[str, None] = {}
        met: dict[ColumnRef, None] = {}
        with self._lineage.reading() as connection:
            for label in labels:
                starts = find_starts(connection, label) or (ColumnRef(DatasetKey(TABLE_NAMESPACE, label)),)
                graph = trace(connection, starts, "downstream", depth=DEPTH)
                met.update(dict.fromkeys([*graph.starts, *(n.ref for n in graph.nodes)]))
                for node in graph.nodes:
                    if node.depth > 0 and node.ref.dataset.namespace not in _SNAPSHOTS:
                        column = f".{node.ref.column}" if node.ref.column else ""
                        found[f"{node.ref.dataset.name}{column}"] = None
        relying = [d.describe() for source in self._dependents for d in source.find(list(met))]
        return tuple(dict.fromkeys([*relying, *found]))[:MAX_NAMED]
