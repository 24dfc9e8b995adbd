"""A workspace with a pipeline folder for tests: files written, planned and run in this process or another."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from datasteward.engine.engine import make_worker_settings
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import open_cursor, open_reader
from datasteward.pipelines.loading import PipelineFiles, read_folder
from datasteward.pipelines.plan_model import Plan, PlanRequest
from datasteward.pipelines.preparing import prepare
from datasteward.settings import Settings
from datasteward.workspace import Workspace

AS_OF = datetime(2026, 1, 6, 12)


@dataclass
class PipelineWorkspace:
    """`root` with `data/`, `pipelines/shop/` and the database."""

    root: Path

    def __post_init__(self) -> None:
        self.workspace = Workspace(root=self.root)
        self.folder = self.root / "pipelines" / "shop"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.root / "data").mkdir(exist_ok=True)
        self.workspace.make_state_folder()

    @property
    def settings(self) -> WorkerSettings:
        """What a worker of this workspace may use."""
        return make_worker_settings(self.workspace, Settings())

    @property
    def database(self) -> Path:
        """The database file."""
        return self.root / "warehouse.duckdb"

    def write(self, files: Mapping[str, str]) -> None:
        """Write pipeline files (`data/…` goes to the data folder)."""
        for name, text in files.items():
            path = self.root / name if name.startswith("data/") else self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def files(self) -> PipelineFiles:
        """The pipeline's files."""
        return read_folder(self.folder)

    def request(self, select: Sequence[str] = (), **options: Any) -> PlanRequest:
        """A request as of a fixed moment."""
        return PlanRequest(select=tuple(select), **{"as_of": AS_OF, **options})

    def plan(self, select: Sequence[str] = (), **options: Any) -> Plan:
        """The plan, made on a locked reader."""
        settings = self.settings
        database = settings.database if settings.database.is_file() else None
        connection = open_reader(
            database,
            roots=settings.roots,
            results=(settings.results_folder, settings.cache_folder),
            memory_limit_bytes=settings.memory_bytes,
            threads=2,
            temp_folder=settings.temp_folder,
            temp_limit_bytes=settings.temp_bytes,
        )
        here = Path.cwd()
        os.chdir(self.root)
        try:
            name = database.stem if database else None
            cursor = open_cursor(connection, name)
            return prepare(self.files(), self.request(select, **options), cursor, name, settings).plan
        finally:
            os.chdir(here)
            connection.close()

    def execute(self, sql: str) -> None:
        """Change the database directly."""
        connection = duckdb.connect(str(self.database))
        connection.execute(sql)
        connection.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        connection = duckdb.connect(str(self.database), read_only=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


def actions(plan: Plan) -> dict[str, str]:
    """What each asset that runs does."""
    return {s.name: s.action for s in plan.running}
