"""Lineage of applied changes: written after they committed, once each, whoever applied them."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from datasteward.changes.contract_writing import WRITE_CONTRACT
from datasteward.changes.model import Proposal, StatementWork
from datasteward.changes.service import ChangeService
from datasteward.changes.store import ChangeRow, ChangeStore
from datasteward.engine.engine import Engine
from datasteward.engine.files import DataFiles
from datasteward.errors import DatastewardError
from datasteward.lineage.change_operation import RESOLVED, ResolvedStatement
from datasteward.lineage.edges import Edge, StatementKind, StatementLineage
from datasteward.lineage.pipeline_steps import expand_run, words_of
from datasteward.lineage.recording import TABLE_NAMESPACE, WorkspaceLineage, show_from, wait_for_quiet
from datasteward.lineage.schemas import FILE_NAMESPACE, ColumnRef, DatasetKey, DatasetKind
from datasteward.lineage.store import LineageStore, RunStamp, hash_statement

LOOK_EVERY_SECONDS = 20.0
"""How often changes are looked for that another process applied."""
MAX_LOOKED_AT = 100_000
MAX_ATTEMPTS = 3
ELSEWHERE = "pipeline_run"
"""How the kinds of pipeline runs begin, whose statements are those of their steps."""
logger = logging.getLogger(__name__)

_KINDS: dict[str, StatementKind] = {
    "insert": "insert",
    "update": "update",
    "delete": "delete",
    "merge": "merge",
    "create_table_as": "create_table",
    "create_view": "create_view",
    "copy_to": "copy_to",
    "copy_from": "copy_from",
}


class ChangeCapture:
    """Writes the lineage of changes that were applied and of undone ones, and keeps that a change failed.

    A change is written once, in the transaction that marks it as written; so several owners do no harm, and what was
    applied while none ran is written by the next. Run `run` as a task; `catch_up` does one round.
    """

    def __init__(
        self, engine: Engine, files: DataFiles, lineage: WorkspaceLineage, changes: ChangeService, root: Path
    ) -> None:
        self._engine = engine
        self._files = files
        self._lineage = lineage
        self._store: ChangeStore = changes.store
        self._root = root
        self._store_folder = changes.state_folder
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._attempts: dict[int, int] = {}
        changes.on_settled(lambda _: self._wake.set())

    async def run(self) -> None:
        """Write until cancelled: at once, whenever a change was settled here, and now and then."""
        while True:
            self._wake.clear()
            try:
                await self.catch_up()
            except DatastewardError as error:
                logger.warning("no lineage of changes for now: %s", error.message)
            except Exception:
                logger.exception("lineage of changes failed")
            try:
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    @property
    def is_behind(self) -> bool:
        """Whether a change that was applied, here or by another process, is not written yet."""
        if self._wake.is_set() or self._one_at_a_time.locked():
            return True
        with self._lineage.reading() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM changes AS c LEFT JOIN lineage_change AS w ON w.number = c.number"
                " WHERE c.status = 'applied' AND w.number IS NULL)"
            ).fetchone()
        return bool(row and row[0])

    async def catch_up(self) -> tuple[str, ...]:
        """Write what is applied and not written yet, in the order of applying; the changes' handles."""
        async with self._one_at_a_time:
            written = []
            for row in await asyncio.to_thread(self._find_unwritten):
                if await self._write(row):
                    written.append(row.summary.handle)
            return tuple(written)

    def _find_unwritten(self) -> list[ChangeRow]:
        with self._lineage.reading() as connection:
            known = {int(r[0]) for r in connection.execute("SELECT number FROM lineage_change")}
        found = self._store.summaries(("applied", "failed"), limit=MAX_LOOKED_AT)
        rows = [self._store.get(s.number) for s in found if s.number not in known]
        return sorted(rows, key=lambda r: (r.applied_at or r.summary.created_at, r.summary.number))

    async def _write(self, row: ChangeRow) -> bool:
        number = row.summary.number
        if row.summary.status == "failed":
            return await asyncio.to_thread(self._keep_failure, row)
        if row.summary.undo_of is not None:
            return await asyncio.to_thread(self._keep_undo, row)
        try:
            statements = await asyncio.to_thread(self._statements, row)
            resolved = await self._resolve(row.proposal, statements)
        except DatastewardError as error:
            self._attempts[number] = self._attempts.get(number, 0) + 1
            logger.warning("lineage of %s, attempt %s: %s", row.summary.handle, self._attempts[number], error.message)
            if self._attempts[number] < MAX_ATTEMPTS:
                return False
            statements, resolved = _own_statements(row.proposal), ()
        return await asyncio.to_thread(self._keep, row, statements, resolved)

    def _statements(self, row: ChangeRow) -> list[StatementWork]:
        """The change's own statements, and for a pipeline run those of the steps it published."""
        statements = _own_statements(row.proposal)
        for work in row.proposal.statements:
            if work.kind.startswith(ELSEWHERE):
                statements += expand_run(work.sql, row.summary.handle, self._root, self._store_folder)
        return statements

    async def _resolve(self, proposal: Proposal, statements: list[StatementWork]) -> tuple[ResolvedStatement, ...]:
        if not statements:
            return ()
        await wait_for_quiet(self._engine)
        listed = await asyncio.to_thread(self._files.listing)
        shown = {f.name.casefold(): f.shown_path for f in listed}
        named = [s.name for s in proposal.sources]
        if any(s.kind.startswith(ELSEWHERE) for s in proposal.statements):
            words = words_of(statements)
            named += [f.name for f in listed if f.name.casefold() in words]
        arguments = {
            "statements": [s.sql for s in statements],
            "named": named,
            "paths": {name: shown[name.casefold()] for name in named if name.casefold() in shown},
            "known": await asyncio.to_thread(self._recall, statements),
        }
        return RESOLVED.validate_python(await self._engine.run("resolve_change", arguments))

    def _recall(self, statements: Sequence[StatementWork]) -> dict[str, list[list[str]]]:
        """The last known columns of the tables the statements read and write."""
        labels = dict.fromkeys(t.label for s in statements for t in (*s.reads, *s.writes))
        with self._lineage.reading() as connection:
            store = LineageStore(connection)
            records = [store.dataset(DatasetKey(TABLE_NAMESPACE, label)) for label in labels]
        return {r.key.name: [[c.name, c.type] for c in r.columns] for r in records if r is not None and r.columns}

    def _keep(self, row: ChangeRow, statements: Sequence[StatementWork], resolved: Sequence[ResolvedStatement]) -> bool:
        with self._lineage.writing() as store:
            if not _claim(store, row):
                return False
            for position, work in enumerate(statements):
                found = resolved[position] if position < len(resolved) else ResolvedStatement(lineage=None)
                lineage = found.lineage or describe_by_tables(work, self._root)
                stamp = _stamp(row, "change", sql=work.sql)
                hashed = hash_statement(f"{stamp.run_id}.{position}: {work.sql}")
                kind = _target_kind(lineage)
                store.record(lineage, stamp, statement_hash=hashed, target_kind=kind, schemas=found.schemas)
            self._mark_gone(store, row, _stamp(row, "change"))
        return True

    def _keep_undo(self, row: ChangeRow) -> bool:
        assert row.summary.undo_of is not None
        undone = self._store.get(row.summary.undo_of)
        with self._lineage.writing() as store:
            if not _claim(store, row):
                return False
            stamp = _stamp(row, "undo")
            if undone.applied_at is not None:
                store.take_back(_no_lineage(), stamp, undone_at=undone.applied_at)
            self._mark_gone(store, row, stamp)
        return True

    def _keep_failure(self, row: ChangeRow) -> bool:
        events = self._store.events(row.summary.number)
        code = next((str(e.fields.get("code")) for e in reversed(events) if e.event == "change.failed"), "failed")
        with self._lineage.writing() as store:
            if not _claim(store, row):
                return False
            for work in _own_statements(row.proposal):
                stamp = _stamp(row, "change", sql=work.sql, error=f"not applied: {code}")
                store.record_failure(describe_by_tables(work, self._root), stamp)
        return True

    def _mark_gone(self, store: LineageStore, row: ChangeRow, stamp: RunStamp) -> None:
        """What the preview says is dropped or removed, also where no statement names it (a schema, an undo)."""
        preview = row.proposal.preview
        for change in preview.schema_changes:
            if change.action == "dropped" and change.kind in ("table", "view"):
                store.mark_gone(DatasetKey(TABLE_NAMESPACE, change.name.removeprefix("main.")), stamp)
        for file in preview.files:
            if file.action == "removed":
                store.mark_gone(DatasetKey(FILE_NAMESPACE, show_from(file.path, self._root)), stamp)


def describe_by_tables(work: StatementWork, root: Path) -> StatementLineage:
    """What the gate saw a statement read and write, where its columns cannot be told."""
    inputs = [DatasetKey(TABLE_NAMESPACE, t.label) for t in work.reads]
    inputs += [DatasetKey(FILE_NAMESPACE, show_from(path, root)) for path in work.read_files]
    outputs = [DatasetKey(TABLE_NAMESPACE, t.label) for t in work.writes]
    if work.target_file:
        outputs.append(DatasetKey(FILE_NAMESPACE, show_from(work.target_file, root)))
    edges = [
        Edge(source=ColumnRef(source), target=ColumnRef(target), subtype="reads")
        for target in outputs
        for source in inputs
        if source != target
    ]
    nothing = _no_lineage()
    return StatementLineage(
        kind=_KINDS.get(work.kind, "other"),
        outputs=(),
        inputs=tuple(dict.fromkeys(inputs)),
        target=outputs[0] if outputs else nothing.target,
        edges=tuple(edges),
        confidence="table",
        notes=("columns not told: the statement could not be bound when its lineage was written",),
    )


def _no_lineage() -> StatementLineage:
    target = DatasetKey(TABLE_NAMESPACE, "")
    return StatementLineage(kind="other", outputs=(), inputs=(), target=target, edges=(), confidence="bound")


def _own_statements(proposal: Proposal) -> list[StatementWork]:
    return [s for s in proposal.statements if not s.kind.startswith((ELSEWHERE, WRITE_CONTRACT))]


def _claim(store: LineageStore, row: ChangeRow) -> bool:
    """True for the one who writes this change's lineage."""
    cursor = store.connection.execute(
        "INSERT OR IGNORE INTO lineage_change VALUES (?, ?)",
        (row.summary.number, row.applied_at or row.summary.created_at),
    )
    return cursor.rowcount == 1


def _stamp(row: ChangeRow, job: str, *, sql: str = "", error: str | None = None) -> RunStamp:
    return RunStamp(
        run_id=row.summary.handle,
        at=row.applied_at or row.summary.created_at,
        job=job,
        sql=sql,
        seconds=row.applied.seconds if row.applied else None,
        error=error,
    )


def _target_kind(lineage: StatementLineage) -> DatasetKind:
    match lineage.kind:
        case "create_view":
            return "view"
        case "copy_to":
            return "export"
        case _:
            return "table"
