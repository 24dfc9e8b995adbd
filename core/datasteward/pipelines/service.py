"""The owner's side of pipelines: plan, propose a run, and tell how runs stand."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datasteward.errors import ToolError
from datasteward.pipelines.loading import PipelineFiles, read_folder
from datasteward.pipelines.plan_model import Plan, PlanRequest
from datasteward.pipelines.run_book import RunBook, RunRecord
from datasteward.pipelines.running_checks import find_move
from datasteward.pipelines.state_model import AssetState
from datasteward.pipelines.statement import RunStatement, find_folder
from datasteward.pipelines.testing_model import TestOutcome

if TYPE_CHECKING:
    from datasteward.changes.service import ChangeReport
    from datasteward.engine.engine import Report
    from datasteward.services import Services

PLAN_SECONDS = 300.0
"""Planning reads file heads and compares the rows of tables that no asset makes."""
_in_background: "set[asyncio.Task[ChangeReport]]" = set()
"""Runs whose caller no longer waits; the event loop alone would forget them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What came of asking for a run: the change's report, or the record of a run that is still going on."""

    report: "ChangeReport | None"
    record: RunRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStep:
    """One step of an earlier run."""

    asset: str
    status: str
    state: AssetState


class PipelineService:
    """Pipelines of one workspace."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._root = services.workspace.root
        self.book = RunBook(services.workspace.state_folder)

    async def plan(
        self,
        pipeline: str | None,
        *,
        select: Sequence[str] = (),
        full_refresh: bool = False,
        start: datetime | None = None,
        end: datetime | None = None,
        report: "Report | None" = None,
    ) -> Plan:
        """The plan of now, kept under its hash; raises `ToolError` with every fault of the files."""
        request = PlanRequest(
            select=tuple(select),
            full_refresh=full_refresh,
            start=_plain(start),
            end=_plain(end),
            as_of=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        )
        return await self._plan(find_folder(self._root, pipeline), request, report)

    async def _plan(self, folder: str, request: PlanRequest, report: "Report | None" = None) -> Plan:
        files = await asyncio.to_thread(read_folder, self._root / folder)
        arguments = {**_files_json(files), "request": request.model_dump(mode="json")}
        answer = await self._services.engine.run(
            "plan_pipeline", arguments, timeout_seconds=PLAN_SECONDS, report=report
        )
        plan = Plan.model_validate(answer).model_copy(update={"folder": folder})
        await asyncio.to_thread(self.book.keep_plan, plan)
        return plan

    async def run(
        self, plan_hash: str, *, requested_by: str, purpose: str = "", wait_seconds: float = 30.0
    ) -> RunStart:
        """Propose to run a plan; where the policy allows it at once, wait up to `wait_seconds` for its end.

        A run that takes longer goes on by itself. Raises `ToolError` (conflict) when files, inputs or state moved since
        the plan was made.
        """
        plan = await asyncio.to_thread(self.book.find_plan, plan_hash)
        now = await self._plan(plan.folder, plan.request)
        moved = find_move(plan, now, {}, "")
        if moved is not None:
            raise ToolError(
                f"The plan {plan.hash[:12]} no longer holds: {moved}.",
                code="conflict",
                hint="Plan again, look at it, and run the new plan.",
            )
        text = RunStatement(folder=plan.folder, request=plan.request).to_text()
        task = asyncio.get_running_loop().create_task(
            self._services.changes.propose(text, requested_by=requested_by, purpose=purpose)
        )
        _in_background.add(task)
        task.add_done_callback(_forget)
        await asyncio.wait([task], timeout=max(0.0, wait_seconds))
        if task.done():
            return RunStart(report=task.result(), record=None)
        runs = await asyncio.to_thread(self.book.runs, 20)
        return RunStart(report=None, record=next((r for r in runs if r.plan_hash == plan.hash), None))

    async def read_run(self, run: str) -> RunRecord | None:
        """How a run stands, or None when it has not begun."""
        return await asyncio.to_thread(self.book.read_run, run)

    async def runs(self, limit: int = 10) -> tuple[RunRecord, ...]:
        """The newest runs first."""
        return await asyncio.to_thread(self.book.runs, limit)

    async def stop(self, run: str) -> None:
        """Ask a run to stop; what it published stays. Raises `ToolError` (not_found) when it is not running."""
        await asyncio.to_thread(self.book.ask_to_stop, run)

    async def history(self, asset: str | None = None, *, limit: int = 20) -> tuple[PastStep, ...]:
        """Steps of earlier runs, newest first, kept in the database itself."""
        key = None if asset is None else (asset if "." in asset else f"main.{asset}").casefold()
        rows = await self._services.engine.run("pipeline_history", {"asset": key, "limit": limit})
        return tuple(
            PastStep(asset=str(k).removeprefix("main."), status=str(s), state=AssetState.model_validate(b))
            for k, s, b in rows
        )

    async def quarantine_reasons(self, table: str) -> tuple[tuple[str, int], ...]:
        """Why rows are in a quarantine table, and how many for each reason; values are never told."""
        name = table.removeprefix("quarantine.")
        rows = await self._services.engine.run("count_quarantine", {"table": name})
        return tuple((str(reason), int(count)) for reason, count in rows)

    async def test(self, pipeline: str | None, select: Sequence[str] = ()) -> tuple[TestOutcome, ...]:
        """The outcomes of the assets' unit tests."""
        folder = find_folder(self._root, pipeline)
        files = await asyncio.to_thread(read_folder, self._root / folder)
        rows = await self._services.engine.run("test_pipeline", {**_files_json(files), "select": list(select)})
        return tuple(TestOutcome.model_validate(r) for r in rows)

    async def readers_of(self, pipeline: str | None, dataset: str) -> dict[str, list[str]]:
        """Which assets of a pipeline read which column of `dataset`, by the column's name in lower case."""
        folder = find_folder(self._root, pipeline)
        files = await asyncio.to_thread(read_folder, self._root / folder)
        answer: dict[str, list[str]] = await self._services.engine.run(
            "find_readers", {**_files_json(files), "dataset": dataset}
        )
        return answer

    async def check_contract(self, path: str, text: str, name: str | None, dataset: str | None) -> dict[str, Any]:
        """`dataset`, the number of `checks`, and the `breaches` as texts."""
        arguments = {"path": path, "text": text, "name": name, "dataset": dataset}
        answer: dict[str, Any] = await self._services.engine.run("check_contract", arguments)
        return answer


def _files_json(files: PipelineFiles) -> dict[str, Any]:
    return {"folder": files.folder, "texts": dict(files.texts)}


def _plain(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment is not None and moment.tzinfo else moment


def _forget(task: "asyncio.Task[ChangeReport]") -> None:
    _in_background.discard(task)
    if not task.cancelled():
        task.exception()
