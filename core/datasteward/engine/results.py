"""Stored results by handle: `r17` is a row in the state database and a Parquet file in `.steward/results`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasteward.engine.jobs import ResultColumn, StatementOutcome, StoredDraft
from datasteward.errors import ToolError
from datasteward.settings import ResultSettings
from datasteward.state import StateDatabase

State = Literal["storing", "stored", "failed", "removed"]
_MIGRATIONS = (
    """
    CREATE TABLE results (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL,
        sql TEXT NOT NULL,
        columns TEXT NOT NULL,
        row_count INTEGER,
        size_bytes INTEGER NOT NULL DEFAULT 0,
        content_hash TEXT,
        cut_reason TEXT,
        sources TEXT NOT NULL DEFAULT '[]',
        caller TEXT NOT NULL,
        created_at REAL NOT NULL,
        seconds REAL,
        is_pinned INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX results_by_state ON results (state, is_pinned, created_at);
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What is known of a result; `row_count` is None while it is being stored, `created_at` is seconds since 1970."""

    handle: str
    state: State
    sql: str
    columns: tuple[ResultColumn, ...]
    row_count: int | None
    size_bytes: int
    content_hash: str | None
    cut_reason: str | None
    caller: str
    created_at: float
    seconds: float | None
    is_pinned: bool


class ResultStore:
    """The workspace's results; every method is blocking and short, call it off the event loop."""

    def __init__(self, state: StateDatabase, folder: Path, settings: ResultSettings) -> None:
        self._state = state
        self._folder = folder
        self._settings = settings
        state.migrate("results", _MIGRATIONS)

    def adopt(self, outcome: StatementOutcome, caller: str) -> str:
        """Give a stored draft its handle and return it; raises `ToolError` when the draft is gone."""
        assert outcome.draft is not None
        handle = self.reserve(outcome.sql, outcome.head.columns, caller)
        self.complete(handle, outcome)
        return handle

    def reserve(self, sql: str, columns: Sequence[ResultColumn], caller: str) -> str:
        """A handle for a result that is still being stored."""
        with self._state.connection() as connection:
            row = connection.execute(
                "INSERT INTO results (state, sql, columns, caller, created_at) VALUES ('storing', ?, ?, ?, ?) RETURNING id",
                (sql, json.dumps([[c.name, c.type] for c in columns]), caller, time.time()),
            ).fetchone()
        return f"r{row[0]}"

    def complete(self, handle: str, outcome: StatementOutcome) -> None:
        """Move the draft to its handle's file and record its facts, in that order."""
        draft = outcome.draft
        assert draft is not None
        self._move(draft, handle)
        sources = json.dumps([[s.kind, s.name] for s in outcome.sources])
        with self._state.connection() as connection:
            connection.execute(
                "UPDATE results SET state = 'stored', columns = ?, row_count = ?, size_bytes = ?, content_hash = ?, cut_reason = ?,"
                " seconds = ?, sources = ? WHERE id = ?",
                (
                    json.dumps([[c.name, c.type] for c in outcome.head.columns]),
                    draft.row_count,
                    draft.size_bytes,
                    draft.content_hash,
                    draft.cut_reason,
                    outcome.seconds,
                    sources,
                    _number(handle),
                ),
            )

    def fail(self, handle: str, reason: str) -> None:
        """Record that a result was not stored, and why."""
        with self._state.connection() as connection:
            connection.execute(
                "UPDATE results SET state = 'failed', cut_reason = ? WHERE id = ?", (reason, _number(handle))
            )

    def get(self, handle: str) -> StoredResult:
        """The result of that handle; raises `ToolError` (not_found) when there is none or its rows are gone."""
        with self._state.connection(write=False) as connection:
            row = connection.execute(f"SELECT {_FIELDS} FROM results WHERE id = ?", (_number(handle),)).fetchone()
            last = connection.execute("SELECT max(id) FROM results").fetchone()[0]
        if row is None:
            newest = f"The newest is r{last}." if last else "No query has been run yet."
            raise ToolError(f"There is no result {handle}.", code="not_found", hint=newest)
        result = _result(row)
        if result.state == "removed":
            raise ToolError(
                f"The rows of {handle} were removed to keep within the quota.",
                code="not_found",
                hint=f"Run its query again: {result.sql[:500]}",
            )
        if result.state == "failed":
            raise ToolError(
                f"{handle} was not stored: {result.cut_reason}.", code="not_found", hint="Run its query again."
            )
        return result

    def latest(self, limit: int = 50, words: str = "") -> list[StoredResult]:
        """The newest stored results whose SQL holds every word, newest first."""
        conditions = "".join(" AND sql LIKE ? ESCAPE '\\'" for _ in words.split())
        escaped = [f"%{w.translate(_LIKE_ESCAPES)}%" for w in words.split()]
        with self._state.connection(write=False) as connection:
            rows = connection.execute(
                f"SELECT {_FIELDS} FROM results WHERE state IN ('stored', 'storing'){conditions}"
                " ORDER BY id DESC LIMIT ?",
                (*escaped, limit),
            ).fetchall()
        return [_result(row) for row in rows]

    def pin(self, handle: str, *, is_pinned: bool) -> None:
        """Keep a result whatever its age, or let it age again."""
        self.get(handle)
        with self._state.connection() as connection:
            connection.execute("UPDATE results SET is_pinned = ? WHERE id = ?", (int(is_pinned), _number(handle)))

    def pinned(self) -> frozenset[str]:
        """The handles of the pinned results."""
        with self._state.connection(write=False) as connection:
            rows = connection.execute("SELECT id FROM results WHERE is_pinned = 1 AND state = 'stored'").fetchall()
        return frozenset(f"r{row[0]}" for row in rows)

    def prune(self, *, now: float | None = None) -> list[str]:
        """Remove results past their age, then the oldest over the quota, never a pinned one; returns their handles."""
        moment = time.time() if now is None else now
        oldest = moment - self._settings.keep_days * 86400
        with self._state.connection() as connection:
            rows = connection.execute(
                "SELECT id, size_bytes, created_at, is_pinned FROM results WHERE state = 'stored' ORDER BY id DESC"
            ).fetchall()
            kept, doomed = 0, []
            for number, size, created, pinned in rows:
                kept += size
                if not pinned and (created < oldest or kept > self._settings.quota):
                    doomed.append(number)
                    kept -= size
            for number in doomed:
                connection.execute("UPDATE results SET state = 'removed' WHERE id = ?", (number,))
        handles = [f"r{number}" for number in doomed]
        for handle in handles:
            (self._folder / f"{handle}.parquet").unlink(missing_ok=True)
        return handles

    def recover(self) -> None:
        """After a crash: drafts are swept, and results that were being stored are marked as failed."""
        for draft in self._folder.glob("draft-*"):
            draft.unlink(missing_ok=True)
        with self._state.connection() as connection:
            rows = connection.execute("SELECT id FROM results WHERE state = 'storing'").fetchall()
            for (number,) in rows:
                connection.execute(
                    "UPDATE results SET state = 'failed', cut_reason = 'the owner process ended meanwhile' WHERE id = ?",
                    (number,),
                )
                (self._folder / f"r{number}.parquet").unlink(missing_ok=True)

    def discard(self, drafts: Sequence[StoredDraft]) -> None:
        """Remove drafts that nobody will adopt."""
        for draft in drafts:
            (self._folder / draft.file_name).unlink(missing_ok=True)

    def _move(self, draft: StoredDraft, handle: str) -> None:
        source = self._folder / draft.file_name
        try:
            source.replace(self._folder / f"{handle}.parquet")
        except FileNotFoundError as error:
            raise ToolError(f"The rows of {handle} are gone.", code="runtime", hint="Run the query again.") from error


_FIELDS = (
    "id, state, sql, columns, row_count, size_bytes, content_hash, cut_reason, caller, created_at, seconds, is_pinned"
)
_LIKE_ESCAPES = str.maketrans({"%": "\\%", "_": "\\_", "\\": "\\\\"})


def _number(handle: str) -> int:
    text = handle.strip().lower()
    if not text.startswith("r") or not text[1:].isdigit():
        raise ToolError(f"'{handle}' is not a result handle.", code="invalid_arguments", hint="Handles look like r17.")
    return min(int(text[1:]), 2**62)


def _result(row: tuple[object, ...]) -> StoredResult:
    number, state, sql, columns, rows, size, digest, cut, caller, created, seconds, pinned = row
    return StoredResult(
        handle=f"r{number}",
        state=state,  # type: ignore[arg-type]  # the column holds nothing else
        sql=str(sql),
        columns=tuple(ResultColumn(name=n, type=t) for n, t in json.loads(str(columns))),
        row_count=rows if isinstance(rows, int) else None,
        size_bytes=int(str(size)),
        content_hash=digest if isinstance(digest, str) else None,
        cut_reason=cut if isinstance(cut, str) else None,
        caller=str(caller),
        created_at=float(str(created)),
        seconds=seconds if isinstance(seconds, float) else None,
        is_pinned=bool(pinned),
    )
