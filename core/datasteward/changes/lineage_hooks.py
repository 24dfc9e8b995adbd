"""What lineage knows about a change before it is made: the datasets and columns that depend on what it touches."""

import asyncio
from collections.abc import Sequence

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import Preview, StatementWork
from datasteward.lineage.recording import WorkspaceLineage

DEPTH = 10
MAX_NAMED = 200


class LineageHooks:
    """Hooks that answer from the recorded lineage; checks and classification are not known here."""

    def __init__(self, lineage: WorkspaceLineage) -> None:
        self._lineage = lineage

    async def downstream_of(self, statements: Sequence[StatementWork], preview: Preview) -> tuple[str, ...]:
        """`dataset.column` of everything recorded as made from a table that changes, nearest first."""
        labels = dict.fromkeys(table.label for statement in statements for table in statement.writes)
        return await asyncio.to_thread(self._downstream, tuple(labels))

    async def checks_for(self, statements: Sequence[StatementWork]) -> tuple[CheckQuery, ...]:
        """No checks are kept in lineage."""
        return ()

    async def touches_pii(self, statements: Sequence[StatementWork], preview: Preview) -> bool | None:
        """Not known."""
        return None

    def _downstream(self, labels: Sequence[str]) -> tuple[str, ...]:
        from datasteward.lineage.graph import find_starts, trace

        found: dict[str, None] = {}
        with self._lineage.reading() as connection:
            for label in labels:
                graph = trace(connection, find_starts(connection, label), "downstream", depth=DEPTH)
                for node in graph.nodes:
                    if node.depth > 0:
                        column = f".{node.ref.column}" if node.ref.column else ""
                        found[f"{node.ref.dataset.name}{column}"] = None
        return tuple(found)[:MAX_NAMED]
