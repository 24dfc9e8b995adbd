"""The change service for commands: the workspace's state, a writer process, and the gate in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from datasteward.changes.contract_checks import ContractChecks
from datasteward.changes.contract_writing import ContractInspector
from datasteward.changes.from_gate import inspect_report
from datasteward.changes.host import SubprocessWriter
from datasteward.changes.jobs import WriterPlace
from datasteward.changes.lineage_hooks import LineageHooks
from datasteward.changes.model import SourceView
from datasteward.changes.ports import Inspected
from datasteward.changes.service import ChangeService
from datasteward.engine.engine import make_worker_settings
from datasteward.engine.gate import AttachedCatalog, FileRules, Gate, NamedSource
from datasteward.engine.lockdown import open_reader
from datasteward.engine.results import ResultStore
from datasteward.engine.sources import Sources
from datasteward.journal import Journal
from datasteward.lineage.dependents import workspace_dependents
from datasteward.lineage.recording import WorkspaceLineage
from datasteward.pipelines.change_ports import PipelineInspector, PipelineWriter
from datasteward.settings import Settings
from datasteward.state import StateDatabase
from datasteward.workspace import Workspace
from datasteward_cli.app import Scope

if TYPE_CHECKING:
    import duckdb


@asynccontextmanager
async def open_changes(scope: Scope) -> AsyncIterator[ChangeService]:
    """The change service of the workspace for the length of the block."""
    workspace, settings = scope.workspace, scope.settings
    workspace.make_state_folder()
    state, journal = StateDatabase(workspace.state_path), Journal(workspace.journal_folder)
    results = ResultStore(state, workspace.results_folder, settings.results)
    local = LocalInspector(workspace, settings)
    try:
        yield ChangeService(
            state=state,
            journal=journal,
            writer=PipelineWriter(SubprocessWriter(), make_worker_settings(workspace, settings)),
            inspector=ContractInspector(PipelineInspector(local, workspace.root), workspace.root),
            place=writer_place(workspace, settings),
            policy=settings.policy,
            hooks=LineageHooks(
                WorkspaceLineage(state),
                workspace_dependents(results, workspace.root),
                ContractChecks(local.judge_reads, workspace.root),
            ),
        )
    finally:
        journal.close()
        state.close()


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


class LocalInspector:
    """The gate in this process, opened for one text and closed again."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._settings = make_worker_settings(workspace, settings)

    async def inspect(self, sql: str) -> Inspected:
        """The statements of a text that is meant to change something; raises `ToolError` with the gate's refusal."""
        return await asyncio.to_thread(self._inspect, sql)

    async def judge_reads(self, texts: Sequence[str]) -> Sequence[bool]:
        """For each of `texts` whether the gate lets it through as a read."""
        return await asyncio.to_thread(self._judge_reads, texts)

    def _inspect(self, sql: str) -> Inspected:
        with self._opened() as (gate, sources, connection):
            report = gate.check(sql, intent="write")

            def view_of(source: NamedSource) -> SourceView:
                view = sources.view(source, connection)
                return SourceView(schema_name=view.schema, name=view.name, query=view.select, told=view.told)

            found = inspect_report(report, view_of)
            return Inspected(statements=found.statements, sources=found.sources)

    def _judge_reads(self, texts: Sequence[str]) -> list[bool]:
        with self._opened() as (gate, _, _):
            return [gate.check(text, intent="read").refusal is None for text in texts]

    @contextmanager
    def _opened(self) -> "Iterator[tuple[Gate, Sources, duckdb.DuckDBPyConnection]]":
        settings = self._settings
        has_database = settings.database.is_file()
        sources = Sources(settings)
        connection = open_reader(
            settings.database if has_database else None,
            roots=settings.roots,
            results=(settings.results_folder, settings.cache_folder),
            memory_limit_bytes=settings.memory_bytes,
            threads=settings.threads,
            temp_folder=settings.temp_folder,
            temp_limit_bytes=settings.temp_bytes,
        )
        try:
            catalog = AttachedCatalog(connection, settings.database.stem if has_database else None)
            database = settings.database
            beside = [database.with_name(database.name + suffix) for suffix in ("", ".wal", ".tmp")]
            rules = FileRules(
                roots=settings.roots, workspace_root=settings.workspace_root, denied=(settings.state_folder, *beside)
            )
            yield Gate(catalog, sources, rules, max_bytes=settings.sql_bytes), sources, connection
        finally:
            connection.close()
