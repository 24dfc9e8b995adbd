"""Linux's Landlock: the process gives up, for good, every file and TCP address it was not granted.

The numbers and layouts are those of the kernel's `linux/landlock.h`; no privilege is needed. Rights bind the calling
thread and the threads it starts later, so call `restrict` before DuckDB starts its own.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_READ = _READ_FILE | _READ_DIR
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_BIND_AND_CONNECT_TCP = 0b11
_SCOPE_SOCKETS_AND_SIGNALS = 0b11

ENGINE_NEEDS = tuple(Path(p) for p in ("/proc/self/cgroup", "/sys/fs/cgroup", "/sys/devices/system/cpu"))
"""What DuckDB 2.0 reads when it starts; without them it ends the process."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


@dataclass(frozen=True, slots=True, kw_only=True)
class LandlockReport:
    """What the kernel agreed to; `version` is its Landlock ABI, None where there is none, with the reason."""

    is_active: bool
    version: int | None
    restricts_files: bool = False
    restricts_tcp: bool = False
    restricts_signals: bool = False
    reason: str | None = None


def landlock_version() -> int | None:
    """The Landlock ABI of this kernel, or None when it has none (or this is not Linux)."""
    if sys.platform != "linux":
        return None
    version = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return int(version) if version > 0 else None


def restrict(read: Iterable[Path], write: Iterable[Path]) -> LandlockReport:
    """Give up everything but reading below `read` and writing below `write`, as far as the kernel can; no way back.

    Paths that do not exist are passed over. The report tells what holds; where nothing does, nothing has changed.
    """
    version = landlock_version()
    if version is None:
        return LandlockReport(is_active=False, version=None, reason="the system has no Landlock")
    handled = _handled_rights(version)
    rules = _Ruleset(
        files=handled,
        net=_BIND_AND_CONNECT_TCP if version >= 4 else 0,
        scoped=_SCOPE_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _libc().syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return LandlockReport(is_active=False, version=version, reason=os.strerror(ctypes.get_errno()))
    try:
        for path in (*read, *ENGINE_NEEDS):
            _grant(ruleset, path, _READ & handled)
        for path in write:
            _grant(ruleset, path, (_WRITE | _TRUNCATE) & handled)
        reason = _enter(ruleset)
    finally:
        os.close(ruleset)
    if reason is not None:
        return LandlockReport(is_active=False, version=version, reason=reason)
    return LandlockReport(
        is_active=True,
        version=version,
        restricts_files=True,
        restricts_tcp=version >= 4,
        restricts_signals=version >= 6,
    )


def _handled_rights(version: int) -> int:
    """Every right that this ABI knows; nothing may be executed, for a library is read and mapped, never run."""
    rights = _WRITE_FILE | _READ | _MAKE_AND_REMOVE
    if version >= 2:
        rights |= _REFER
    if version >= 3:
        rights |= _TRUNCATE
    if version >= 5:
        rights |= _IOCTL_DEVICE
    return rights | _EXECUTE


def _grant(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if path.is_dir() else rights & _FILE_RIGHTS
        rule = _PathRule(access=allowed, folder=descriptor)
        if _libc().syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)) != 0:
            raise OSError(ctypes.get_errno(), f"Landlock refused the rule for {path}")
    finally:
        os.close(descriptor)


def _enter(ruleset: int) -> str | None:
    libc = _libc()
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return os.strerror(ctypes.get_errno())
    if libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) != 0:
        return os.strerror(ctypes.get_errno())
    return None


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
