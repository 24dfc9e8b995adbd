"""Bringing staged files to the places that were approved: the very folders, entered without following links."""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasteward.changes.digest import file_sha256
from datasteward.changes.model import FileEffect
from datasteward.errors import ToolError

_BY_DESCRIPTOR = os.name == "posix"
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_KEPT = "Nothing was changed, and the approval is kept: mend that, then ask for the change's state again."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """A folder that stays the one it was when it was entered, whatever happens to its path."""

    path: Path
    descriptor: int | None

    def at(self, name: str) -> str:
        """The entry's name for calls that are given `descriptor`."""
        return name if self.descriptor is not None else str(self.path / name)

    def facts(self, name: str) -> os.stat_result | None:
        """The entry itself, a link not followed; None when there is none."""
        try:
            return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, name: str, flags: int) -> int:
        """A descriptor of the entry; nobody else may read what it makes until its mode is set."""
        return os.open(self.at(name), flags | getattr(os, "O_NOFOLLOW", 0), 0o600, dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove the entry if it is there."""
        if self.facts(name) is not None:
            os.unlink(self.at(name), dir_fd=self.descriptor)

    def sync(self) -> None:
        """Make its entries durable."""
        if self.descriptor is not None:
            os.fsync(self.descriptor)


def check_publishable(effects: Iterable[FileEffect], roots: Iterable[Path]) -> None:
    """Raise `ToolError` when a file could not be brought to its place below `roots`, before anything is committed."""
    folders = [root.resolve() for root in roots]
    for effect in effects:
        target = Path(effect.path)
        if not any(target.is_relative_to(folder) for folder in folders):
            raise ToolError(
                f"{target} lies outside the data folders now.",
                code="conflict",
                hint="Nothing was changed. Put its folder back among them and propose the change again.",
            )
        try:
            _check_place(target, is_removed=effect.action == "removed")
        except ToolError as error:
            raise ToolError(error.message, code=error.code, hint=error.hint or _KEPT) from error
        except OSError as error:
            raise ToolError(
                f"{target} cannot be written: {error.strerror or error}.", code="unavailable", hint=_KEPT
            ) from error


def _check_place(target: Path, *, is_removed: bool) -> None:
    is_there = os.path.lexists(target.parent)
    if is_removed and not is_there:
        return
    with _enter(target.parent if is_there else target.parent.parent) as folder:
        if is_there:
            _refuse_other_kind(folder, target)
        if not os.access(folder.path, os.W_OK | os.X_OK):
            raise ToolError(f"{folder.path} is not writable.", code="unavailable")


def publish(effect: FileEffect) -> None:
    """Bring one staged file to its place, or remove one that an undo takes away; doing it twice does no harm.

    Raises `OSError`, or `ToolError` when the place is no longer the one that was approved.
    """
    target, staged = Path(effect.path), Path(effect.staged)
    if effect.action == "removed":
        if target.parent.exists():
            with _enter(target.parent) as folder:
                _refuse_other_kind(folder, target)
                folder.remove(target.name)
                folder.sync()
        return
    if not staged.exists():
        if target.is_file() and file_sha256(target) == effect.sha256:
            return
        raise ToolError(f"{staged.name} is gone, so {target} was not written.", code="not_found")
    with _enter(target.parent, make=True) as folder:
        _refuse_other_kind(folder, target)
        draft = f".{target.name}.steward"
        folder.remove(draft)
        _copy_in(staged, folder, draft)
        os.replace(folder.at(draft), folder.at(target.name), src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)
        folder.sync()
    staged.unlink(missing_ok=True)


def _copy_in(staged: Path, folder: _Folder, name: str) -> None:
    """Bring the staged bytes into the folder, durable, by a second name for them where that can be had."""
    try:
        os.link(staged, folder.at(name), dst_dir_fd=folder.descriptor)
    except OSError:
        _copy(staged, folder, name)
        return
    descriptor = folder.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(staged: Path, folder: _Folder, name: str) -> None:
    facts = staged.stat()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with staged.open("rb") as source, os.fdopen(folder.open(name, flags), "wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        if _BY_DESCRIPTOR:
            os.fchmod(copy.fileno(), stat.S_IMODE(facts.st_mode))
            os.utime(copy.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        os.fsync(copy.fileno())


@contextmanager
def _enter(path: Path, *, make: bool = False) -> Iterator[_Folder]:
    """The folder at exactly this path, no part of which may be a link; with `make` its last part is made if missing.

    Raises `ToolError` when the path is not what it was when it was approved.
    """
    if not _BY_DESCRIPTOR:
        if make:
            path.mkdir(exist_ok=True)
        if path.resolve() != path:
            raise _leads_elsewhere(path, path)
        yield _Folder(path=path, descriptor=None)
        return
    here = os.open(path.anchor, _STEP)
    try:
        for part in (path, *path.parents)[-2::-1]:
            is_last = part == path
            if is_last and make:
                _make_folder(part.name, here)
            following = _step_into(part, here, is_last=is_last)
            os.close(here)
            here = following
        yield _Folder(path=path, descriptor=here)
    finally:
        os.close(here)


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return


def _step_into(part: Path, parent: int, *, is_last: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW if is_last else _STEP
    try:
        return os.open(part.name, flags, dir_fd=parent)
    except FileNotFoundError as error:
        raise ToolError(f"The folder {part} is gone.", code="unavailable") from error
    except OSError as error:
        facts = os.stat(part.name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode):
            raise _leads_elsewhere(part, part.resolve()) from error
        if not stat.S_ISDIR(facts.st_mode):
            raise ToolError(f"{part} is no longer a folder.", code="unavailable") from error
        raise


def _leads_elsewhere(part: Path, where: Path) -> ToolError:
    return ToolError(
        f"{part} is a link to {where} now, and was a folder when the change was proposed.",
        code="unavailable",
        hint="Nothing is written through it. Put the folder back and ask again, or propose the change anew.",
    )


def _refuse_other_kind(folder: _Folder, target: Path) -> None:
    facts = folder.facts(target.name)
    if facts is not None and not (stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a plain file"
        raise ToolError(f"{target} is {kind} now.", code="unavailable")
