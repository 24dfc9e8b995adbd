"""Databases that a pipeline names under `connections:`, found below the workspace's data folders and only read."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from datasteward.engine.gate_facts import NamedSource, NameResolver, Refused
from datasteward.engine.jobs import WorkerSettings
from datasteward.engine.lockdown import AttachedFile
from datasteward.pipelines.connections import DatabaseConnection
from datasteward.pipelines.loading import PIPELINE_FILE, PipelineFiles
from datasteward.pipelines.options import PipelineOptions
from datasteward.pipelines.problems import PipelineFault, Problem
from datasteward.pipelines.yaml_reading import read_yaml

_RESERVED = frozenset({"main", "memory", "temp", "system", "results", "quarantine", "information_schema", "pg_catalog"})
_MAGIC = {"duckdb": (8, b"DUCK"), "sqlite": (0, b"SQLite format 3\x00")}


def databases_of(files: PipelineFiles) -> dict[str, DatabaseConnection]:
    """The database connections of pipeline.yaml by name; raises `PipelineFault` when the file cannot be read."""
    text = files.texts.get(PIPELINE_FILE)
    if text is None:
        return {}
    connections = read_yaml(text, PipelineOptions, PIPELINE_FILE).connections
    return {n.casefold(): c for n, c in connections.items() if isinstance(c, DatabaseConnection)}


def find_attachments(files: PipelineFiles, settings: WorkerSettings) -> tuple[AttachedFile, ...]:
    """The DuckDB files to attach before files are closed; raises `PipelineFault` for one that cannot be used."""
    return tuple(
        AttachedFile(name=name, path=locate(name, connection, settings))
        for name, connection in databases_of(files).items()
        if connection.type == "duckdb"
    )


def locate(name: str, connection: DatabaseConnection, settings: WorkerSettings) -> Path:
    """The file of a connection; raises `PipelineFault` unless it is there, below a data folder, and of its type."""
    path = (settings.workspace_root / connection.path).resolve()
    own = {settings.database.resolve(), settings.database.with_name(settings.database.name + ".wal").resolve()}
    problem = None
    if name in _RESERVED or name == settings.database.stem.casefold():
        problem = "has a name that is taken; call it something else"
    elif not any(path.is_relative_to(root.resolve()) for root in settings.roots):
        problem = f"is outside the data folders: {connection.path}"
    elif path in own or path.is_relative_to(settings.state_folder.resolve()):
        problem = f"is the workspace's own file {connection.path}; its tables can be read by name"
    elif not path.is_file():
        problem = f"has no file at {connection.path}"
    else:
        kind = _kind_of(path)
        if kind != connection.type:
            problem = f"is not a {connection.type} file{f', but {kind}' if kind else ''}: {connection.path}"
    if problem is not None:
        raise PipelineFault([Problem(path=PIPELINE_FILE, message=f"the connection '{name}' {problem}")])
    return path


def _kind_of(path: Path) -> str | None:
    with path.open("rb") as stream:
        head = stream.read(16)
    return next((kind for kind, (at, mark) in _MAGIC.items() if head[at : at + len(mark)] == mark), None)


class ConnectedNames:
    """Answers for `connection.table` and leaves every other name to the resolver given."""

    def __init__(
        self, inner: NameResolver, connections: Mapping[str, DatabaseConnection], settings: WorkerSettings
    ) -> None:
        self._inner = inner
        self._connections = connections
        self._paths = {n: locate(n, c, settings) for n, c in connections.items()}

    def find(self, parts: tuple[str, ...]) -> DatabaseConnection | None:
        """The connection that a name begins with."""
        return self._connections.get(parts[0].casefold()) if len(parts) > 1 else None

    def resolve(self, parts: tuple[str, ...]) -> NamedSource | None:
        """What the name stands for, or None; a table of a connection is a part of its file."""
        connection = self.find(parts)
        if connection is None or len(parts) != 2:
            return None if connection else self._inner.resolve(parts)
        path = self._paths[parts[0].casefold()]
        return NamedSource(parts=parts, kind="file", shown=f"{connection.path} ({parts[1]})", path=path)

    def names(self) -> Iterable[str]:
        """Names for hints."""
        return self._inner.names()

    def explain_missing(self, parts: tuple[str, ...]) -> Refused | None:
        """What the inner resolver says."""
        return self._inner.explain_missing(parts)
