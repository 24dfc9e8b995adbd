"""Everything a tool may use of one workspace, opened together and closed together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from datasteward.changes.contract_checks import ContractChecks, judge_by_worker
from datasteward.changes.contract_writing import ContractInspector
from datasteward.changes.host import SubprocessWriter
from datasteward.changes.inspection import EngineInspector
from datasteward.changes.jobs import WriterPlace
from datasteward.changes.lineage_hooks import LineageHooks
from datasteward.changes.service import ChangeService
from datasteward.engine.engine import Engine
from datasteward.engine.files import DataFiles
from datasteward.engine.results import ResultStore
from datasteward.journal import Journal
from datasteward.lineage.capture import LineageCapture
from datasteward.lineage.dependents import workspace_dependents
from datasteward.lineage.graph import Dependents
from datasteward.lineage.recording import WorkspaceLineage
from datasteward.pipelines.change_ports import PipelineInspector, PipelineWriter
from datasteward.settings import Settings, load_settings
from datasteward.state import StateDatabase
from datasteward.workspace import Workspace

JOURNAL_SYNC_SECONDS = 0.25
"""Reads are journaled at once and made durable together, this often; anything that changes data syncs by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The workspace's parts; valid inside `open_services`."""

    workspace: Workspace
    settings: Settings
    state: StateDatabase
    journal: Journal
    results: ResultStore
    files: DataFiles
    engine: Engine
    changes: ChangeService
    lineage: WorkspaceLineage

    def refresh_policy(self) -> None:
        """Let the policy of `steward.toml` as it is now decide; raises `ConfigError` when the file is wrong.

        Other settings hold as they were when the owner started.
        """
        self.changes.policy = load_settings(self.workspace).policy

    capture: LineageCapture
    dependents: tuple[Dependents, ...]


@asynccontextmanager
async def open_services(workspace: Workspace, settings: Settings) -> AsyncIterator[Services]:
    """The services of a workspace for the length of the block; raises `ConfigError` when it cannot be opened."""
    workspace.make_state_folder()
    database = settings.database_path(workspace)
    async with AsyncExitStack() as stack:
        state = StateDatabase(workspace.state_path)
        stack.callback(state.close)
        journal = Journal(workspace.journal_folder)
        stack.callback(journal.close)
        results = ResultStore(state, workspace.results_folder, settings.results)
        files = DataFiles(settings.data_roots(workspace), workspace.root, denied=(workspace.state_folder, database))
        engine = await stack.enter_async_context(Engine(workspace, settings, results))
        lineage = WorkspaceLineage(state)
        dependents = workspace_dependents(results, workspace.root)
        writer = SubprocessWriter(engine.exclusive_database, keeps_ready=True)
        stack.push_async_callback(writer.close)
        hooks = LineageHooks(lineage, dependents, ContractChecks(judge_by_worker(engine), workspace.root))
        changes = ChangeService(
            state=state,
            journal=journal,
            writer=PipelineWriter(writer, engine.worker_settings, engine.exclusive_database),
            inspector=ContractInspector(
                PipelineInspector(EngineInspector(engine, writer.prepare), workspace.root), workspace.root
            ),
            place=writer_place(workspace, settings),
            policy=settings.policy,
            hooks=hooks,
        )
        capture = LineageCapture(engine, files, lineage, changes, workspace.root)
        hooks.follow(capture.changes)
        loop = asyncio.get_running_loop()
        for work in (_keep_house(journal, results), capture.run(), _settle(changes)):
            task = loop.create_task(work)
            stack.callback(task.cancel)
        yield Services(
            workspace=workspace,
            settings=settings,
            state=state,
            journal=journal,
            results=results,
            files=files,
            engine=engine,
            changes=changes,
            lineage=lineage,
            capture=capture,
            dependents=dependents,
        )


def writer_place(workspace: Workspace, settings: Settings) -> WriterPlace:
    """Where the writer works in this workspace."""
    database = settings.database_path(workspace)
    return WriterPlace(
        workspace_root=str(workspace.root),
        database=str(database),
        catalog=database.stem,
        roots=tuple(str(r) for r in settings.data_roots(workspace)),
        state_folder=str(workspace.state_folder),
        memory_bytes=settings.limits.memory,
        threads=settings.limits.threads,
    )


async def _settle(changes: ChangeService) -> None:
    """Finish what a crash left of changes that were being applied."""
    await changes.recover()


async def _keep_house(journal: Journal, results: ResultStore) -> None:
    """Sync the journal in short steps and prune results now and then."""
    steps = 0
    while True:
        if steps % 1200 == 0:
            await asyncio.to_thread(results.prune)
        await asyncio.sleep(JOURNAL_SYNC_SECONDS)
        await asyncio.to_thread(journal.sync)
        steps += 1
