"""Which files SQL may name: constant paths of plain files below the data roots, nothing hidden, linked or private."""

import difflib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

import duckdb

from datasteward.engine.gate_facts import Refused

MAX_MATCHES = 10_000
WRITABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".json", ".ndjson", ".jsonl", ".txt"})
_COMPRESSIONS = frozenset({".gz", ".zst"})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_GLOB = re.compile(r"[*?\[]")
_SYSTEM_FOLDERS = tuple(Path(p) for p in ("/proc", "/dev", "/sys"))
_DATABASE_TAILS = ("", ".wal", ".tmp")


class FileRules:
    """The roots below which files may be read, and what is denied in them (with everything inside)."""

    def __init__(self, *, roots: Iterable[Path], workspace_root: Path, denied: Iterable[Path] = ()) -> None:
        self._workspace_root = workspace_root
        self._roots = tuple(root.resolve() for root in roots)
        self._denied = tuple({d for path in denied for d in (path, path.resolve())})
        self._globber: duckdb.DuckDBPyConnection | None = None

    def check_read(self, text: str) -> tuple[Path, ...]:
        """The files that the path or pattern `text` stands for; raises `Refused` when any may not be read."""
        path = self._absolute(text)
        if not has_glob(text):
            return (self._check_file(path, text),)
        literal = (self._check_file(path, text),) if path.exists() else ()
        self._check_glob_base(path, text)
        matches = self._expand(path)
        if len(matches) > MAX_MATCHES:
            raise Refused(f"'{text}' matches over {MAX_MATCHES:,} files.", hint="Narrow the pattern.", code="too_large")
        if not matches and not literal:
            raise Refused(f"No file matches '{text}'.", code="not_found", hint="search_catalog lists the data files.")
        return literal + tuple(self._check_file(match, str(match)) for match in matches)

    def is_pattern(self, text: str) -> bool:
        """Whether `text` stands for what it matches, there being no file of exactly that name."""
        return has_glob(text) and not self._absolute(text).exists()

    def check_write(self, text: str) -> Path:
        """The file that COPY TO may write at `text`; raises `Refused` when that is not a data file below a root."""
        path = self._absolute(text)
        if has_glob(text):
            raise Refused(f"'{text}' is a pattern; a file to write needs one plain name.")
        suffixes = [s.lower() for s in path.suffixes]
        if suffixes and suffixes[-1] in _COMPRESSIONS:
            suffixes.pop()
        if not suffixes or suffixes[-1] not in WRITABLE_SUFFIXES:
            accepted = ", ".join(sorted(WRITABLE_SUFFIXES))
            raise Refused(f"'{text}' does not end like a data file.", hint=f"Files to write end in {accepted}.")
        self._check_place(path, text)
        if path.exists():
            return self._check_file(path, text)
        if not path.parent.is_dir():
            raise Refused(
                f"The folder of '{text}' does not exist.", code="not_found", hint="Choose an existing folder."
            )
        folder = path.parent.resolve(strict=True)
        if folder != path.parent:
            self._check_place(folder / path.name, text)
        return folder / path.name

    def _absolute(self, text: str) -> Path:
        if not text or "\x00" in text or text.startswith("~") or text.startswith("\\\\"):
            raise Refused(f"'{text}' is not a path that can be read.", hint="Write a path below the data folder.")
        if _SCHEME.match(text) and not (os.name == "nt" and re.match(r"[A-Za-z]:[\\/]", text)):
            raise Refused(
                f"'{text}' is an address, and SQL here reads local files only.",
                hint="Give a plain path below the data folder; copy remote data there first.",
            )
        path = Path(text)
        if ".." in path.parts:
            raise Refused(f"'{text}' climbs out of its folder with '..'.", hint="Write the path without '..'.")
        return path if path.is_absolute() else self._workspace_root / path

    def _check_file(self, path: Path, text: str) -> Path:
        self._check_place(path, text)
        try:
            found = path.resolve(strict=True)
        except FileNotFoundError:
            raise self._missing(path, text) from None
        except (OSError, RuntimeError) as error:
            raise Refused(f"'{text}' cannot be looked at: {type(error).__name__}.") from error
        if found != path:
            self._check_place(found, text)
        facts = found.stat()
        if stat.S_ISDIR(facts.st_mode):
            hint = f"Name the files in it, such as '{text.rstrip('/')}/**/*.parquet'."
            raise Refused(f"'{text}' is a folder.", code="not_found", hint=hint)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused(f"'{text}' is not a plain file.")
        if facts.st_nlink > 1:
            raise Refused(
                f"'{text}' has a second name elsewhere (a hard link), so what it shows cannot be vouched for.",
                hint="Make a real copy of the file in the data folder.",
            )
        return found

    def _check_place(self, path: Path, text: str) -> None:
        """Where the path lies, links not followed: below a root, not hidden, not denied."""
        normal = Path(os.path.normpath(path))
        resolved = _resolve_parent(normal)
        root = next((r for r in self._roots if resolved.is_relative_to(r)), None)
        if root is None or any(resolved.is_relative_to(folder) for folder in _SYSTEM_FOLDERS):
            shown = ", ".join(str(r) for r in self._roots) or "none"
            raise Refused(f"'{text}' lies outside the data folders.", hint=f"Data folders: {shown}.")
        if any(part.startswith(".") for part in resolved.relative_to(root).parts):
            raise Refused(
                f"'{text}' is hidden (a name that begins with a dot).", hint="Only visible files can be read."
            )
        if any(normal.is_relative_to(d) or resolved.is_relative_to(d) for d in self._denied) or self._is_database(
            resolved
        ):
            raise Refused(
                f"'{text}' belongs to the workspace itself and cannot be used as a file.",
                hint="Query its tables by name.",
            )

    def _is_database(self, path: Path) -> bool:
        """Whether it is a denied file under another name: same device and inode."""
        try:
            facts = path.stat()
        except OSError:
            return False
        return any(_same_file(facts, denied) for denied in self._denied)

    def _check_glob_base(self, path: Path, text: str) -> None:
        """The fixed part before the first wildcard must lie in a root already."""
        fixed: list[str] = []
        for part in path.parts:
            if has_glob(part):
                break
            fixed.append(part)
        base = Path(*fixed)
        self._check_place(base, text)
        if base.exists() and base.resolve() != base:
            self._check_place(base.resolve(), text)

    def _expand(self, path: Path) -> list[Path]:
        """The matches as DuckDB itself finds them, one more than allowed at most."""
        if self._globber is None:
            self._globber = _open_globber(self._roots)
        sql = "SELECT file FROM system.main.glob($1) LIMIT $2"
        try:
            rows = self._globber.execute(sql, [str(path), MAX_MATCHES + 1]).fetchall()
        except duckdb.Error as error:
            raise Refused(f"The pattern '{path}' cannot be expanded: {str(error)[:200]}") from error
        return [Path(row[0]) for row in rows]

    def _missing(self, path: Path, text: str) -> Refused:
        near: list[str] = []
        if path.parent.is_dir():
            siblings = [e.name for e in os.scandir(path.parent) if not e.name.startswith(".")]
            near = difflib.get_close_matches(path.name, siblings, n=3, cutoff=0.5)
        hint = f"Nearest in that folder: {', '.join(near)}." if near else "search_catalog lists the data files."
        return Refused(f"There is no file '{text}'.", code="not_found", hint=hint)


def has_glob(text: str) -> bool:
    """Whether DuckDB would read `text` as a pattern."""
    return _GLOB.search(text) is not None


def looks_like_path(name: str) -> bool:
    """Whether a table name can only be meant as a file: a separator, a pattern, a scheme, or a data suffix."""
    return (
        "/" in name
        or "\\" in name
        or has_glob(name)
        or _SCHEME.match(name) is not None
        or name.startswith("~")
        or Path(name).suffix.lower() in _TABLE_SUFFIXES
    )


_TABLE_SUFFIXES = WRITABLE_SUFFIXES | {
    ".gz", ".zst", ".bz2", ".xz", ".psv", ".tab", ".geojson", ".pq", ".arrow", ".feather", ".ipc", ".xlsx", ".xlsm",
    ".xls", ".xlsb", ".ods", ".sqlite", ".sqlite3", ".db", ".duckdb", ".avro", ".orc", ".shp",
}  # fmt: skip


def _open_globber(roots: tuple[Path, ...]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.execute("SET allowed_directories = $1", [[f"{root}{os.sep}" for root in roots]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _resolve_parent(path: Path) -> Path:
    """The path with links in its folders followed, its own last part kept."""
    try:
        return path.parent.resolve() / path.name
    except (OSError, RuntimeError) as error:
        raise Refused(f"'{path}' cannot be looked at: {type(error).__name__}.") from error


def _same_file(facts: os.stat_result, other: Path) -> bool:
    try:
        there = other.stat()
    except OSError:
        return False
    return (facts.st_dev, facts.st_ino) == (there.st_dev, there.st_ino)
