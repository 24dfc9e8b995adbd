"""Locks on open files between processes, on every system we run on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def lock_descriptor(descriptor: int) -> None:
        """Wait for the exclusive lock of an open file."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

    def try_lock_descriptor(descriptor: int) -> bool:
        """Take the exclusive lock if it is free; False when another process has it."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock_descriptor(descriptor: int) -> None:
        """Give the exclusive lock back."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def lock_descriptor(descriptor: int) -> None:
        """Wait for the exclusive lock of an open file."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def try_lock_descriptor(descriptor: int) -> bool:
        """Take the exclusive lock if it is free; False when another process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock_descriptor(descriptor: int) -> None:
        """Give the exclusive lock back."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def hold_file_lock(path: Path) -> Iterator[None]:
    """Hold the exclusive lock of `path` (made when missing) for the length of the block."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        lock_descriptor(descriptor)
        try:
            yield
        finally:
            unlock_descriptor(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def try_file_lock(path: Path) -> Iterator[bool]:
    """Hold the exclusive lock of `path` for the length of the block if it is free; tells whether it was."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        taken = try_lock_descriptor(descriptor)
        try:
            yield taken
        finally:
            if taken:
                unlock_descriptor(descriptor)
    finally:
        os.close(descriptor)
