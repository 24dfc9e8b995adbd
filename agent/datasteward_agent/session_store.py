"""Sessions on disk: one file of JSON lines each, and an index of them with full text search.

The file is the truth; the index in `state.sqlite` can be built again from it. A line is appended before the step it
tells of is acted on, so a killed run resumes where it was. Appending goes to the page cache and takes microseconds,
which the event loop may wait for; `sync` and everything of the index belongs on a thread.
"""

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasteward.errors import ToolError
from datasteward.file_lock import try_lock_descriptor, unlock_descriptor
from datasteward.state import StateDatabase
from datasteward_agent.events import Event, ModelSaid, QueryRan, RunEnded, ToolReturned, UserSaid, parse_event
from datasteward_agent.session_state import SessionState, build_state

FOLDER_NAME = "sessions"
_ID = re.compile(r"s-[0-9]{8}-[0-9]{6}-[0-9a-f]{6}\Z")
_SCRIPTS = (
    """
    CREATE TABLE agent_session (
        id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, title TEXT NOT NULL, model TEXT NOT NULL,
        parent TEXT, outcome TEXT NOT NULL, turns INTEGER NOT NULL, tokens INTEGER NOT NULL, waiting TEXT NOT NULL
    );
    CREATE VIRTUAL TABLE agent_session_text USING fts5(session UNINDEXED, n UNINDEXED, kind UNINDEXED, body);
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """One session as a list shows it; times are UTC, ISO 8601."""

    session_id: str
    created: str
    updated: str
    title: str
    model: str
    parent: str | None
    outcome: str
    turns: int
    tokens: int
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """Where a text was said: in which session, by whom (person, agent, sql, tool), with the words around it."""

    session_id: str
    title: str
    number: int
    kind: str
    snippet: str


def now_text(clock: Callable[[], datetime]) -> str:
    """The time in UTC with milliseconds."""
    return clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Session:
    """One open session: its state, and the only writer of its file."""

    def __init__(
        self,
        path: Path,
        state: SessionState,
        clock: Callable[[], datetime],
        *,
        descriptor: int = -1,
        lock_descriptor: int = -1,
    ) -> None:
        self.session_id = path.stem
        self.path = path
        self.state = state
        self.parent: str | None = None
        self._descriptor = descriptor
        self._lock_descriptor = lock_descriptor
        self._clock = clock
        self._secrets: tuple[str, ...] = ()

    def hide(self, values: tuple[str, ...]) -> None:
        """Never write any of `values`; `***` stands in their place."""
        self._secrets = tuple(json.dumps(v, ensure_ascii=False)[1:-1] for v in values if len(v) >= 8)

    def stamp(self, event: Event) -> Event:
        """The event with its number and time."""
        return event.model_copy(update={"n": self.state.last_number + 1, "at": now_text(self._clock)})

    def append(self, event: Event) -> None:
        """Write a stamped event and bring the state up to date; raises `ToolError` when it cannot be written."""
        line = scrub(event.model_dump_json(), self._secrets).encode("utf-8", "surrogatepass") + b"\n"
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise ToolError(
                f"The session log {self.path.name} cannot be written: {error.strerror}.",
                code="disk_full" if error.errno == 28 else "unavailable",
                hint="Free some space and resume the session.",
            ) from error
        self.state.take(event)

    def sync(self) -> None:
        """Make everything appended so far durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let another process open the session."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            unlock_descriptor(self._lock_descriptor)
            os.close(self._lock_descriptor)
            self._descriptor = self._lock_descriptor = -1


def scrub(text: str, hidden: tuple[str, ...]) -> str:
    """`text` without the hidden values."""
    for value in hidden:
        text = text.replace(value, "***")
    return text


class SessionStore:
    """The sessions of a workspace; without `state` there is no list by title and no search."""

    def __init__(
        self,
        folder: Path,
        state: StateDatabase,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folder = folder
        self._state = state
        self._clock = clock
        self._is_migrated = False

    def create(self) -> Session:
        """A new, empty session."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        session_id = f"s-{self._clock().astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        return self._open(session_id, is_new=True)

    def open(self, session_id: str) -> Session:
        """The session, for going on; raises `ToolError` (not_found, busy when another process has it open)."""
        self._path(session_id)
        return self._open(session_id, is_new=False)

    def read(self, session_id: str) -> list[Event]:
        """Its events in order; a last line that a crash cut is left out."""
        return list(_read_events(self._path(session_id)))

    def fork(self, session_id: str, upto: int | None = None) -> Session:
        """A new session with the events of another, up to number `upto` when given."""
        events = [e for e in self.read(session_id) if upto is None or e.n <= upto]
        session = self.create()
        session.parent = session_id
        for event in events:
            session.append(event)
        return session

    def latest(self) -> str | None:
        """The session that was written last."""
        files = [(p.stat().st_mtime_ns, p.stem) for p in self.folder.glob("s-*.jsonl") if _ID.match(p.stem)]
        return max(files)[1] if files else None

    def index(self, session: Session) -> None:
        """Bring the list and the search up to date with the session."""
        events = self.read(session.session_id)
        created = events[0].at if events else now_text(self._clock)
        with self._connect(write=True) as connection:
            _write_index(connection, session, created, events)

    def reindex(self) -> int:
        """Index the sessions whose files the index does not know; how many there were."""
        with self._connect() as connection:
            known = {row[0] for row in connection.execute("SELECT id FROM agent_session")}
        missing = [p.stem for p in self.folder.glob("s-*.jsonl") if _ID.match(p.stem) and p.stem not in known]
        for session_id in missing:
            events = self.read(session_id)
            quiet = Session(self._path(session_id), build_state(events), self._clock)
            with self._connect(write=True) as connection:
                _write_index(connection, quiet, events[0].at if events else "", events)
        return len(missing)

    def summaries(self, limit: int = 50) -> list[SessionSummary]:
        """The latest sessions first."""
        self.reindex()
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT id, created, updated, title, model, parent, outcome, turns, tokens, waiting"
                " FROM agent_session ORDER BY updated DESC, id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [_summary(row) for row in rows]

    def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Where all words of `query` were said, best first; the last word may be a beginning."""
        words = re.findall(r"\w+", query)
        if not words:
            return []
        self.reindex()
        phrase = " ".join(f'"{w}"' for w in words) + "*"
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT t.session, s.title, t.n, t.kind, snippet(agent_session_text, 3, '', '', '…', 16)"
                " FROM agent_session_text t JOIN agent_session s ON s.id = t.session"
                " WHERE agent_session_text MATCH ? ORDER BY bm25(agent_session_text), t.session DESC LIMIT ?",
                (phrase, limit),
            ).fetchall()
        return [SearchHit(session_id=r[0], title=r[1], number=int(r[2]), kind=r[3], snippet=r[4]) for r in rows]

    def find(self, text: str) -> str:
        """The id of the one session whose id ends with or equals `text`; raises `ToolError` (not_found)."""
        if _ID.match(text):
            self._path(text)
            return text
        found = sorted(p.stem for p in self.folder.glob("s-*.jsonl") if text and p.stem.endswith(text))
        if len(found) != 1:
            raise ToolError(
                f"{len(found)} sessions end with '{text}'." if found else f"There is no session '{text}'.",
                code="not_found",
                hint="steward sessions list shows them.",
            )
        return found[0]

    def _path(self, session_id: str) -> Path:
        path = self.folder / f"{session_id}.jsonl"
        if not _ID.match(session_id) or not path.is_file():
            raise ToolError(
                f"There is no session '{session_id}'.", code="not_found", hint="steward sessions list shows them."
            )
        return path

    def _open(self, session_id: str, *, is_new: bool) -> Session:
        path = self.folder / f"{session_id}.jsonl"
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | (os.O_CREAT | os.O_EXCL if is_new else 0)
        lock = self._lock(session_id)
        try:
            descriptor = os.open(path, flags, 0o600)
            try:
                _cut_torn_line(descriptor)
                state = build_state(list(_read_events(path)))
            except BaseException:
                os.close(descriptor)
                raise
        except BaseException:
            os.close(lock)
            raise
        return Session(path, state, self._clock, descriptor=descriptor, lock_descriptor=lock)

    def _lock(self, session_id: str) -> int:
        """A file of its own is locked, because a lock on the log would keep readers out on some systems."""
        descriptor = os.open(self.folder / f"{session_id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        if try_lock_descriptor(descriptor):
            return descriptor
        os.close(descriptor)
        raise ToolError(
            f"Session {session_id} is open in another process.",
            code="busy",
            hint="End that run, or go on in a copy of it with --fork.",
        )

    @contextmanager
    def _connect(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        if not self._is_migrated:
            self._state.migrate("agent", _SCRIPTS)
            self._is_migrated = True
        with self._state.connection(write=write) as connection:
            yield connection


def _cut_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    position, tail = size, b""
    while position > 0 and b"\n" not in tail:
        step = min(65536, position)
        position -= step
        os.lseek(descriptor, position, os.SEEK_SET)
        tail = os.read(descriptor, step) + tail
    end = position + tail.rfind(b"\n") + 1
    if end != size:
        os.ftruncate(descriptor, end)


def _read_events(path: Path) -> Iterator[Event]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield parse_event(line)
            except ValueError as error:
                raise ToolError(
                    f"Line {number} of session {path.stem} cannot be read: {error}.",
                    code="runtime",
                    hint="It was written by another version, or edited.",
                ) from error


def _write_index(connection: sqlite3.Connection, session: Session, created: str, events: list[Event]) -> None:
    state, session_id = session.state, session.session_id
    known = connection.execute("SELECT parent FROM agent_session WHERE id = ?", (session_id,)).fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO agent_session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session_id,
            created,
            events[-1].at if events else created,
            state.title,
            state.model,
            session.parent or (known[0] if known else None),
            state.outcome,
            state.turns,
            state.usage.total_tokens,
            " ".join(state.waiting),
        ),
    )
    connection.execute("DELETE FROM agent_session_text WHERE session = ?", (session_id,))
    texts = ((session_id, e.n, kind, body) for e in events for kind, body in _searchable(e))
    connection.executemany("INSERT INTO agent_session_text VALUES (?, ?, ?, ?)", texts)


def _searchable(event: Event) -> Iterator[tuple[str, str]]:
    match event:
        case UserSaid() if event.message.author == "person" and event.message.text:
            yield "person", event.message.text
        case ModelSaid() if event.message.text:
            yield "agent", event.message.text
        case QueryRan():
            yield "sql", event.sql
        case ToolReturned() if event.is_error:
            yield "error", event.text
        case RunEnded() if event.error:
            yield "error", event.error
        case _:
            return


def _summary(row: tuple[str, ...]) -> SessionSummary:
    return SessionSummary(
        session_id=row[0],
        created=row[1],
        updated=row[2],
        title=row[3],
        model=row[4],
        parent=row[5],
        outcome=row[6],
        turns=int(row[7]),
        tokens=int(row[8]),
        waiting=tuple(row[9].split()),
    )
