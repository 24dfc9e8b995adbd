"""Lineage of a workspace: recorded as things run, asked by every front end."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasteward.engine.engine import Engine, QueryRequest, QueryResult
from datasteward.engine.files import DataFiles
from datasteward.errors import DatastewardError, ToolError
from datasteward.lineage.edges import Edge, StatementLineage
from datasteward.lineage.schemas import FILE_NAMESPACE, Catalog, Column, ColumnRef, Dataset, DatasetKey, DatasetKind
from datasteward.lineage.store import LineageStore, RunStamp, hash_statement
from datasteward.lineage.tables import COMPONENT, SCRIPTS
from datasteward.state import StateDatabase

RESULT_NAMESPACE = "result"
TABLE_NAMESPACE = "duckdb"
KEEP_SECONDS = 400 * 86400.0
PRUNE_EVERY = 500
QUIET_SECONDS = 2.0
QUIET_POLL_SECONDS = 0.02
logger = logging.getLogger(__name__)


class WorkspaceLineage:
    """The lineage kept in a workspace's state database."""

    def __init__(self, state: StateDatabase, *, now: Callable[[], float] = time.time) -> None:
        self.state = state
        self._now = now
        self._recorded = 0
        state.migrate(COMPONENT, SCRIPTS)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A read snapshot for the questions in `datasteward.lineage.graph`."""
        return self.state.connection(write=False)

    def record(
        self,
        sql: str,
        catalog: Catalog,
        *,
        run_id: str,
        job: str = "",
        files: Mapping[str, tuple[Column, ...]] | None = None,
        target: Dataset | None = None,
    ) -> StatementLineage:
        """Resolve one statement and keep its lineage; `target` names what holds a query's answer.

        Raises `ToolError` when the statement is not readable; then nothing is kept.
        """
        from datasteward.lineage.resolve import resolve, retarget

        found = resolve(sql, catalog, files=files)
        if target is not None:
            found = retarget(found, target.key)
        self.keep(found, catalog, sql=sql, run_id=run_id, job=job, files=files, target_kind=_kind(found, target))
        return found

    def keep(
        self,
        found: StatementLineage,
        catalog: Catalog,
        *,
        sql: str,
        run_id: str,
        job: str = "",
        files: Mapping[str, tuple[Column, ...]] | None = None,
        target_kind: DatasetKind = "table",
        seconds: float | None = None,
    ) -> None:
        """Keep lineage that was resolved before, with the schemas of its inputs."""
        stamp = RunStamp(run_id=run_id, at=self._now(), job=job, sql=sql, seconds=seconds)
        known = {d.key: d for d in catalog.datasets}
        read = [known[key] for key in found.inputs if key in known]
        read += [_file(name, columns) for name, columns in (files or {}).items() if _file(name, ()).key in found.inputs]
        self.keep_run(found, stamp, schemas=read, target_kind=target_kind)

    def keep_run(
        self,
        found: StatementLineage,
        stamp: RunStamp,
        *,
        schemas: Sequence[Dataset] = (),
        target_kind: DatasetKind = "table",
        own_history: bool = False,
    ) -> None:
        """Keep lineage with all that is known of its run.

        With `own_history` the edges are this run's own, as those of a query's result are, and not the same as those
        of an equal statement that ran before.
        """
        hashed = hash_statement(f"{stamp.run_id}: {stamp.sql}" if own_history else stamp.sql)
        with self.writing() as store:
            store.record(found, stamp, statement_hash=hashed, target_kind=target_kind, schemas=schemas)
            self._recorded += 1
            if self._recorded % PRUNE_EVERY == 0:
                store.prune(before=stamp.at - KEEP_SECONDS)

    @contextmanager
    def writing(self) -> Iterator[LineageStore]:
        """The store inside one transaction."""
        with self.state.connection() as connection:
            yield LineageStore(connection)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now()


class QueryCapture:
    """Writes the lineage of every finished query behind it, in order, without holding the caller up.

    Run `run` as a task; `drain` waits until what was taken so far is written.
    """

    def __init__(self, engine: Engine, files: DataFiles, lineage: WorkspaceLineage, root: Path) -> None:
        self._engine = engine
        self._files = files
        self._lineage = lineage
        self._root = root
        self._waiting: asyncio.Queue[QueryResult] = asyncio.Queue()
        engine.on_query(self._take)

    async def run(self) -> None:
        """Write until cancelled; a query whose lineage cannot be told is logged and left out."""
        while True:
            result = await self._waiting.get()
            try:
                await self._write(result)
            except DatastewardError as error:
                logger.warning("no lineage for %s: %s", result.handle, error.message)
            except Exception:
                logger.exception("lineage of %s failed", result.handle)
            finally:
                self._waiting.task_done()

    async def drain(self) -> None:
        """Return when nothing is waiting to be written."""
        await self._waiting.join()

    def _take(self, request: QueryRequest, result: QueryResult) -> None:
        if result.handle is not None and result.sources:
            self._waiting.put_nowait(result)

    async def _write(self, result: QueryResult) -> None:
        from datasteward.lineage.operation import LINEAGE

        await wait_for_quiet(self._engine)
        listed = await asyncio.to_thread(self._files.listing)
        shown = {f.shown_path: f.name for f in listed}
        named = [shown.get(name, name) for kind, name in result.sources if kind in {"file", "result"}]
        paths = {name: path for path, name in shown.items() if name in named}
        reply = await self._engine.run(
            "resolve_lineage", {"sql": result.sql, "handle": result.handle, "named": named, "paths": paths}
        )
        found = LINEAGE.validate_python(reply["lineage"])
        catalog = read_catalog(reply["catalog"], file_paths=paths)
        described = {item["name"]: columns_of(item) for item in reply["catalog"]["sources"]}
        files = {show_from(name, self._root): described[name] for name in reply["files"]}
        await asyncio.to_thread(self._record, result, found, catalog, files)

    def _record(
        self, result: QueryResult, found: StatementLineage, catalog: Catalog, files: Mapping[str, tuple[Column, ...]]
    ) -> None:
        known = {d.key: d for d in catalog.datasets}
        read = [known[key] for key in found.inputs if key in known]
        read += [file for name, columns in files.items() if (file := _file(name, columns)).key in found.inputs]
        stamp = RunStamp(
            run_id=str(result.handle), at=self._lineage.now(), job="query", sql=result.sql, seconds=result.seconds
        )
        self._lineage.keep_run(found, stamp, schemas=read, target_kind="result", own_history=True)


async def wait_for_quiet(engine: Engine) -> None:
    """Let callers go first, for at most two seconds."""
    for _ in range(round(QUIET_SECONDS / QUIET_POLL_SECONDS)):
        if not engine.running_calls:
            return
        await asyncio.sleep(QUIET_POLL_SECONDS)


def read_catalog(reply: Mapping[str, Any], *, file_paths: Mapping[str, str] | None = None) -> Catalog:
    """The catalog in the engine's answer to `list_catalog`.

    `file_paths` gives the shown path of a file by its friendly name; other described sources that look like `r17` are
    results, the rest files.
    """
    paths = file_paths or {}
    datasets = [
        Dataset(
            namespace=TABLE_NAMESPACE,
            name=item["name"] if item["schema"] == "main" else f"{item['schema']}.{item['name']}",
            kind=item["kind"],
            columns=columns_of(item),
            path=(item["schema"], item["name"]) if item["schema"] != "main" else (item["name"],),
        )
        for item in reply["tables"]
    ]
    for item in reply["sources"]:
        name = item["name"]
        if name in paths:
            datasets.append(replace(_file(paths[name], columns_of(item)), path=(name,)))
        elif name[:1] == "r" and name[1:].isdigit():
            key = {"namespace": RESULT_NAMESPACE, "name": name}
            datasets.append(Dataset(**key, kind="result", columns=columns_of(item), path=(name,)))
    return Catalog(datasets, namespace=TABLE_NAMESPACE, database=reply.get("database"))


def name_files_from(found: StatementLineage, root: Path) -> StatementLineage:
    """The lineage with files below `root` named relative to it, as the rest of the workspace names them."""

    def rename(key: DatasetKey) -> DatasetKey:
        return DatasetKey(FILE_NAMESPACE, show_from(key.name, root)) if key.namespace == FILE_NAMESPACE else key

    def rename_ref(ref: ColumnRef) -> ColumnRef:
        return ColumnRef(rename(ref.dataset), ref.column)

    edges: Iterable[Edge] = (replace(e, source=rename_ref(e.source), target=rename_ref(e.target)) for e in found.edges)
    inputs = tuple(dict.fromkeys(rename(key) for key in found.inputs))
    return replace(found, edges=tuple(edges), inputs=inputs, target=rename(found.target))


def explain_unknown(connection: sqlite3.Connection, name: str) -> ToolError:
    """The error for a dataset of which no lineage is kept, with the nearest names."""
    import difflib

    known = [key.name for key in LineageStore(connection).list_datasets()]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Lineage is kept of what ran; run it, or import SQL files."
    return ToolError(f"No lineage is kept of '{name}'.", code="not_found", hint=hint)


def _kind(found: StatementLineage, target: Dataset | None) -> DatasetKind:
    if target is not None:
        return target.kind
    match found.kind:
        case "create_view":
            return "view"
        case "copy_to":
            return "export"
        case _:
            return "table"


def _file(name: str, columns: Sequence[Column]) -> Dataset:
    return Dataset(namespace=FILE_NAMESPACE, name=name, kind="file", columns=tuple(columns), path=(name,))


def columns_of(item: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of a dataset described by the engine."""
    return tuple(Column(name=c[0], type=c[1]) for c in item["columns"])


def show_from(name: str, root: Path) -> str:
    """A file's name relative to `root` where it lies below it; a URL as it is."""
    if "://" in name:
        return name
    try:
        return (root / name).relative_to(root).as_posix()
    except ValueError:
        return name
