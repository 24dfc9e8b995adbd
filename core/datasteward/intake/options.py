"""What a workspace's settings say of its files: how single ones are written, and how many bad rows may be set aside."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from datasteward.intake.model import BadRowLimit, Overrides

_PLAIN = Overrides()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How files are written whose path below the workspace (or, outside it, whose whole path) fits `pattern`."""

    pattern: str
    overrides: Overrides


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeOptions:
    """The limit for all files, and options for some; of several that fit, the first counts."""

    limit: BadRowLimit = field(default_factory=BadRowLimit)
    files: tuple[FileOptions, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "IntakeOptions":
        """The options of which `dataclasses.asdict` gave `data`."""
        files = (FileOptions(pattern=f["pattern"], overrides=Overrides(**f["overrides"])) for f in data["files"])
        return cls(limit=BadRowLimit(**data["limit"]), files=tuple(files))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workspace:
    root: Path
    options: IntakeOptions


_by_folder: dict[Path, _Workspace] = {}


def register_options(workspace_root: Path, folders: tuple[Path, ...], options: IntakeOptions) -> None:
    """From now on files below `folders` are read by `options` in this process."""
    for folder in (workspace_root, *folders):
        _by_folder[folder] = _Workspace(root=workspace_root, options=options)


def limit_for(path: Path) -> BadRowLimit:
    """How many bad rows the file's workspace lets through."""
    found = _find(path)
    return found.options.limit if found else BadRowLimit()


def with_options(path: Path, asked: Overrides) -> Overrides:
    """`asked`, with what the file's workspace says of it where nothing was asked."""
    found = _find(path)
    if found is None or not found.options.files:
        return asked
    shown = path.relative_to(found.root) if path.is_relative_to(found.root) else path
    given = next((f.overrides for f in found.options.files if fnmatchcase(shown.as_posix(), f.pattern)), _PLAIN)
    names = [f.name for f in fields(Overrides) if getattr(asked, f.name) == getattr(_PLAIN, f.name)]
    return replace(asked, **{name: getattr(given, name) for name in names})


def _find(path: Path) -> _Workspace | None:
    return next((_by_folder[p] for p in path.parents if p in _by_folder), None)
