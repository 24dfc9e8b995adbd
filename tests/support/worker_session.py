"""A worker's session on a folder, in the test's own process."""

from dataclasses import dataclass
from pathlib import Path

from datasteward.engine.cells import Cell
from datasteward.engine.jobs import QueryJob, WorkerSettings
from datasteward.engine.query import run_query
from datasteward.engine.session import Session
from datasteward.intake.options import IntakeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Column names, the first rows and the notes of one query."""

    columns: list[str]
    rows: list[tuple[Cell, ...]]
    notes: tuple[str, ...]


def open_session(root: Path, intake: IntakeOptions | None = None) -> Session:
    """A session whose data folder and workspace is `root`."""
    state = root / ".steward"
    for name in ("results", "cache", "tmp"):
        (state / name).mkdir(parents=True, exist_ok=True)
    return Session(
        WorkerSettings(
            workspace_root=root, roots=(root,), database=root / "w.duckdb", state_folder=state,
            results_folder=state / "results", cache_folder=state / "cache", temp_folder=state / "tmp",
            memory_bytes=1 << 29, temp_bytes=1 << 29, threads=2, sql_bytes=100_000,
            intake=intake or IntakeOptions(),
        )
    )  # fmt: skip


def ask(session: Session, sql: str) -> Answer:
    """What a query answers; raises `ToolError` as it would for a caller."""
    job = QueryJob(sql=sql, max_rows=100_000, max_bytes=1 << 30, head_characters=100_000, draft_prefix="draft-test")
    head = run_query(session, job, lambda *_: None)[0].head
    return Answer(columns=[c.name for c in head.columns], rows=list(head.rows), notes=head.notes)
