"""The data files below the readable folders, with the friendly names under which SQL may call them."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Format = Literal["csv", "json", "parquet", "arrow", "excel", "sqlite"]

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".psv": "csv",
    ".tab": "csv",
    ".json": "json",
    ".ndjson": "json",
    ".jsonl": "json",
    ".geojson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrow",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
COMPRESSIONS = frozenset({".gz", ".zst", ".bz2", ".xz"})
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
MAX_FILES = 20_000
RELIST_SECONDS = 0.02
"""How old a listing must be for a name that is not in it to be looked for again."""
_PARTITION = re.compile(r"[A-Za-z_][\w ]*=[^/\\]*\Z")
_SQLITE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A data file, or a folder of hive partitions taken as one dataset; `path` is absolute, times in nanoseconds."""

    path: Path
    shown_path: str
    """Relative to the workspace where possible, with forward slashes."""
    name: str
    """The friendly name, unique among the listed files."""
    format: Format
    size_bytes: int
    modified_ns: int
    is_partitioned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    path: Path
    format: Format
    size_bytes: int
    modified_ns: int
    is_partitioned: bool = False


class DataFiles:
    """Lists the data files of a workspace; a listing is reused for `fresh_seconds`."""

    def __init__(
        self,
        roots: tuple[Path, ...],
        workspace_root: Path,
        *,
        denied: tuple[Path, ...] = (),
        fresh_seconds: float = 1.0,
    ) -> None:
        self._roots = roots
        self._workspace_root = workspace_root
        self._denied = frozenset(denied)
        self._fresh_seconds = fresh_seconds
        self._listed_at = float("-inf")
        self._files: tuple[DataFile, ...] = ()
        self.is_cut = False

    def listing(self) -> tuple[DataFile, ...]:
        """Every data file, by path; at most 20,000 (`is_cut` says when there are more)."""
        if time.monotonic() - self._listed_at > self._fresh_seconds:
            found = sorted(self._walk(), key=lambda f: str(f.path))
            self.is_cut = len(found) >= MAX_FILES
            self._files = self._name(found)
            self._listed_at = time.monotonic()
        return self._files

    def find(self, name: str) -> DataFile | None:
        """The file of that friendly name, upper and lower case alike, or None."""
        folded = name.casefold()
        found = next((f for f in self.listing() if f.name.casefold() == folded), None)
        if found is None and time.monotonic() - self._listed_at > RELIST_SECONDS:
            self._listed_at = float("-inf")
            found = next((f for f in self.listing() if f.name.casefold() == folded), None)
        return found

    def _walk(self) -> list[_Found]:
        found: list[_Found] = []
        seen: set[Path] = set()
        for root in self._roots:
            for item in self._scan(root):
                if item.path not in seen:
                    seen.add(item.path)
                    found.append(item)
                if len(found) >= MAX_FILES:
                    return found
        return found

    def _scan(self, folder: Path) -> Iterator[_Found]:
        try:
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError:
            return
        for entry in entries:
            if entry.name.startswith(".") or Path(entry.path) in self._denied:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED_FOLDERS:
                        yield from self._scan_folder(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and (kind := file_format(Path(entry.path))):
                    stat = entry.stat()
                    if stat.st_nlink == 1:
                        yield _Found(
                            path=Path(entry.path), format=kind, size_bytes=stat.st_size, modified_ns=stat.st_mtime_ns
                        )
            except OSError:
                continue

    def _scan_folder(self, folder: Path) -> Iterator[_Found]:
        partitioned = partition_format(folder)
        if partitioned is None:
            yield from self._scan(folder)
            return
        files = list(self._scan(folder))
        if files:
            yield _Found(
                path=folder,
                format=partitioned,
                size_bytes=sum(f.size_bytes for f in files),
                modified_ns=max(f.modified_ns for f in files),
                is_partitioned=True,
            )

    def _name(self, found: list[_Found]) -> tuple[DataFile, ...]:
        groups: dict[str, list[_Found]] = defaultdict(list)
        for item in found:
            groups[fold_name(item.path)].append(item)
        names: dict[Path, str] = {}
        for items in groups.values():
            for item in items:
                names[item.path] = _plain(data_stem(item.path)) if len(items) == 1 else self._long_name(item, items)
        return tuple(
            DataFile(
                path=f.path,
                shown_path=self.show(f.path),
                name=names[f.path],
                format=f.format,
                size_bytes=f.size_bytes,
                modified_ns=f.modified_ns,
                is_partitioned=f.is_partitioned,
            )
            for f in found
        )

    def _long_name(self, item: _Found, rivals: list[_Found]) -> str:
        """The path's parts joined; the format is added only when two files differ by nothing else."""
        whole = _plain(str(Path(self.show(item.path)).with_name(data_stem(item.path))))
        same = [r for r in rivals if _plain(str(Path(self.show(r.path)).with_name(data_stem(r.path)))) == whole]
        return whole if len(same) == 1 else _plain(self.show(item.path))

    def show(self, path: Path) -> str:
        """`path` relative to the workspace, or absolute when it lies elsewhere."""
        try:
            return path.relative_to(self._workspace_root).as_posix()
        except ValueError:
            return path.as_posix()


def file_format(path: Path) -> Format | None:
    """The format by the file's name, a compression suffix set aside; None for what is not data.

    `.db` counts as SQLite only when the file begins with its magic bytes.
    """
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
        if not suffixes or FORMATS.get(suffixes[-1]) not in {"csv", "json"}:
            return None
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind == "sqlite" and not _begins_with(path, _SQLITE_MAGIC):
        return None
    return kind


def partition_format(folder: Path) -> Format | None:
    """The format of a folder whose subfolders are `key=value` partitions; None when it is an ordinary folder."""
    try:
        children = [e for e in os.scandir(folder) if not e.name.startswith((".", "_")) and _may_hold_data(e)]
    except OSError:
        return None
    if not children or not all(e.is_dir(follow_symlinks=False) and _PARTITION.match(e.name) for e in children):
        return None
    for _, _, names in os.walk(children[0].path):
        for name in names:
            if kind := file_format(Path(name)):
                return kind if kind in {"csv", "json", "parquet"} else None
    return None


def _may_hold_data(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) or file_format(Path(entry.path)) is not None


def data_stem(path: Path) -> str:
    """The file's name without its format and compression suffixes."""
    name = path.name
    for suffix in reversed(path.suffixes):
        if suffix.lower() in COMPRESSIONS or suffix.lower() in FORMATS:
            name = name.removesuffix(suffix)
        else:
            break
    return name or path.name


def fold_name(file: Path | str) -> str:
    """What is alike for all files that could go by one friendly name, and for that name itself."""
    return _plain(data_stem(file) if isinstance(file, Path) else file).casefold()


def _plain(text: str) -> str:
    name = re.sub(r"[^\w]+", "_", text).strip("_") or "file"
    return f"_{name}" if name[0].isdigit() else name


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False
