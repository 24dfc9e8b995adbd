"""Everything that writes lineage behind what runs in an owner, as one part of its services."""

import asyncio
import logging
from pathlib import Path

from datasteward.changes.service import ChangeService
from datasteward.engine.engine import Engine
from datasteward.engine.files import DataFiles
from datasteward.errors import DatastewardError
from datasteward.lineage.change_capture import ChangeCapture
from datasteward.lineage.recording import QueryCapture, WorkspaceLineage

SETTLE_SECONDS = 5.0
logger = logging.getLogger(__name__)


class LineageCapture:
    """Captures queries and changes; run `run` as a task."""

    def __init__(
        self, engine: Engine, files: DataFiles, lineage: WorkspaceLineage, changes: ChangeService, root: Path
    ) -> None:
        self.queries = QueryCapture(engine, files, lineage, root)
        self.changes = ChangeCapture(engine, files, lineage, changes, root)

    async def run(self) -> None:
        """Write until cancelled."""
        await asyncio.gather(self.queries.run(), self.changes.run())

    async def settle(self, timeout_seconds: float = SETTLE_SECONDS) -> bool:
        """Wait until what ran so far is written, so that a question right after a query sees it; False at the bound."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.queries.drain()
                await self.changes.catch_up()
        except (TimeoutError, DatastewardError) as error:
            logger.info("lineage is asked before all of it is written: %r", error)
            return False
        return True
