"""The append-only, hash-chained record of who asked what, what ran and what was decided; it holds no data values.

One JSON object a line in `.steward/journal/journal.jsonl`. Each entry carries the hash of the one before it, so an
edited, removed or reordered line breaks the chain; `head.json` beside it remembers the last entry, so a cut tail shows
too. An append is durable (fsync) before it returns unless the caller asks for it to be synced with the next ones.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasteward.errors import ToolError
from datasteward.file_lock import lock_descriptor, unlock_descriptor

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
GENESIS = "0" * 64
_BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal: number from 1, time in UTC (ISO 8601), event name, fields, and the chain's hashes."""

    number: int
    at: str
    event: str
    fields: Mapping[str, JsonValue]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What verifying found: entries read, whether the chain holds, and if not, where and why."""

    entries: int
    is_intact: bool
    broken_at: int | None
    reason: str | None
    head: str


class Journal:
    """Appends and reads one workspace's journal; several processes may append at once."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = folder / "journal.jsonl"
        self.head_path = folder / "head.json"
        self._clock = clock
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._known: tuple[int, int, str] | None = None
        self._unsynced = False

    def append(self, event: str, fields: Mapping[str, JsonValue], *, durable: bool = True) -> Entry:
        """Write one entry and return it; with `durable` it is on disk when this returns.

        Raises `ToolError` (disk_full, runtime) when it cannot be written: the caller must then not go on.
        """
        with self._lock:
            try:
                descriptor = self._open()
                lock_descriptor(descriptor)
                try:
                    entry = self._write(descriptor, event, fields)
                    self._unsynced = True
                finally:
                    unlock_descriptor(descriptor)
                if durable:
                    self._sync()
            except OSError as error:
                raise _explain(error) from error
            return entry

    def sync(self) -> None:
        """Make every entry written so far durable; cheap when nothing is waiting."""
        with self._lock:
            if self._unsynced:
                try:
                    self._sync()
                except OSError as error:
                    raise _explain(error) from error

    def read(self) -> Iterator[Entry]:
        """Every entry in order; lines that do not parse raise `ToolError` naming the line."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield _parse(line, number)

    def read_latest(self, most_bytes: int = 1 << 20) -> list[Entry]:
        """The last entries in order, as many as fit into `most_bytes`; lines that do not parse raise `ToolError`."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            begin = max(0, stream.seek(0, os.SEEK_END) - most_bytes)
            stream.seek(begin)
            data = stream.read()
        whole = data[data.find(b"\n") + 1 if begin else 0 : data.rfind(b"\n") + 1]
        return [_parse(line.decode(), number) for number, line in enumerate(whole.split(b"\n")[:-1], 1)]

    def verify(self) -> ChainReport:
        """Walk the whole chain and compare its end with the remembered head."""
        previous, count = GENESIS, 0
        try:
            for entry in self.read():
                count += 1
                if entry.previous != previous or entry.number != count:
                    return _broken(count, "it does not follow the entry before it", previous)
                if _digest(entry.number, entry.at, entry.event, entry.fields, entry.previous) != entry.hash:
                    return _broken(count, "its content does not match its hash", previous)
                previous = entry.hash
        except ToolError as error:
            return _broken(count + 1, error.message, previous)
        remembered = self._remembered()
        if remembered is not None and remembered[0] > count:
            return _broken(
                count, f"entries after {count} are missing: the last one remembered is {remembered[0]}", previous
            )
        return ChainReport(entries=count, is_intact=True, broken_at=None, reason=None, head=previous)

    def close(self) -> None:
        """Sync what is waiting and let go of the file."""
        self.sync()
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o600)
        return self._descriptor

    def _write(self, descriptor: int, event: str, fields: Mapping[str, JsonValue]) -> Entry:
        size = os.fstat(descriptor).st_size
        if self._known is not None and self._known[0] == size:
            _, number, previous = self._known
        else:
            number, previous = _tail(descriptor, size)
            if size and _read_at(descriptor, 1, size - 1) != b"\n":
                size = _cut_torn_line(descriptor, size)
        number += 1
        at = self._clock().isoformat(timespec="milliseconds")
        digest = _digest(number, at, event, fields, previous)
        record = {"n": number, "at": at, "event": event, **fields, "prev": previous, "hash": digest}
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        written = os.write(descriptor, line)
        if written != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(28, "short write")
        self._known = (size + len(line), number, digest)
        return Entry(number=number, at=at, event=event, fields=dict(fields), previous=previous, hash=digest)

    def _sync(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)
        self._unsynced = False
        if self._known is not None:
            _, number, digest = self._known
            draft = self.head_path.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(json.dumps({"n": number, "hash": digest}))
            draft.replace(self.head_path)

    def _remembered(self) -> tuple[int, str] | None:
        try:
            head = json.loads(self.head_path.read_text())
            return int(head["n"]), str(head["hash"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _digest(number: int, at: str, event: str, fields: Mapping[str, JsonValue], previous: str) -> str:
    body = json.dumps([number, at, event, dict(fields)], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def _parse(line: str, number: int) -> Entry:
    try:
        record = json.loads(line)
        fields = {k: v for k, v in record.items() if k not in {"n", "at", "event", "prev", "hash"}}
        return Entry(
            number=int(record["n"]),
            at=str(record["at"]),
            event=str(record["event"]),
            fields=fields,
            previous=str(record["prev"]),
            hash=str(record["hash"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"line {number} of the journal cannot be read", code="runtime") from error


def _tail(descriptor: int, size: int) -> tuple[int, str]:
    """The number and hash of the last whole line; (0, GENESIS) for an empty file."""
    position, data = size, b""
    while position > 0:
        step = min(65536, position)
        position -= step
        data = _read_at(descriptor, step, position) + data
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if len(lines) > 1 or (position == 0 and lines):
            entry = _parse(lines[-1].decode("utf-8", "replace"), 0)
            return entry.number, entry.hash
    return 0, GENESIS


def _cut_torn_line(descriptor: int, size: int) -> int:
    """Remove the unfinished line that a crash in mid-write left, and return the new size."""
    position, data = size, b""
    while position > 0:
        step = min(65536, position)
        position -= step
        data = _read_at(descriptor, step, position) + data
        if b"\n" in data:
            break
    end = position + data.rfind(b"\n") + 1
    os.ftruncate(descriptor, end)
    return end


def _read_at(descriptor: int, count: int, position: int) -> bytes:
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, count)


def _broken(at: int, reason: str, head: str) -> ChainReport:
    return ChainReport(entries=at, is_intact=False, broken_at=at, reason=reason, head=head)


def _explain(error: OSError) -> ToolError:
    if error.errno in {27, 28, 122}:
        return ToolError(
            "No space left to write the journal; the call was not carried out.",
            code="disk_full",
            hint="Free some space and call again.",
        )
    return ToolError(
        f"The journal cannot be written: {error.strerror}.", code="runtime", hint="Check .steward/journal."
    )
