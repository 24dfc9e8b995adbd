"""Who may commit: a claim in the state database, checked under a lock at the last moment before the commit."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasteward.file_lock import hold_file_lock, unlock_descriptor

COMMIT_LOCK_NAME = "commit.lock"
APPLY_LOCK_NAME = "apply.lock"


@contextmanager
def hold_commit_lock(state_folder: Path) -> Iterator[None]:
    """Hold the lock under which a claim is checked and a change commits."""
    state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold_file_lock(state_folder / COMMIT_LOCK_NAME):
        yield


def is_claimed(state_folder: Path, change: str, attempt: str) -> bool:
    """Whether the state database still grants this attempt the right to commit the change."""
    path = state_folder / "state.sqlite"
    if not path.is_file():
        return False
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)
    try:
        row = connection.execute(
            "SELECT 1 FROM changes WHERE number = ? AND attempt = ? AND status = 'applying'",
            (int(change.removeprefix("c")), attempt),
        ).fetchone()
    finally:
        connection.close()
    return row is not None


def try_hold_apply_lock(state_folder: Path) -> int | None:
    """The descriptor of the lock that one applying process holds, or None when another one has it."""
    state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state_folder / APPLY_LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock_without_waiting(descriptor)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def release_apply_lock(descriptor: int) -> None:
    """Give the lock of `try_hold_apply_lock` back."""
    try:
        unlock_descriptor(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock_without_waiting(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_without_waiting(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
