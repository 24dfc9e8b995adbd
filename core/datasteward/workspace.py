"""A workspace: a folder with data, a database and a `.steward` folder that holds everything of ours.

This module imports the standard library only, because the stdio pump stands on it.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from datasteward.errors import ConfigError

SETTINGS_NAME = "steward.toml"
STATE_FOLDER_NAME = ".steward"
WORKSPACE_VARIABLE = "STEWARD_WORKSPACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The folder and where its parts live; `root` is absolute with links resolved."""

    root: Path

    @property
    def settings_path(self) -> Path:
        """`steward.toml`, whether or not it exists."""
        return self.root / SETTINGS_NAME

    @property
    def state_folder(self) -> Path:
        """`.steward`, which git ignores by a file inside it."""
        return self.root / STATE_FOLDER_NAME

    @property
    def state_path(self) -> Path:
        """The SQLite state database."""
        return self.state_folder / "state.sqlite"

    @property
    def results_folder(self) -> Path:
        """Stored results, one Parquet file a handle."""
        return self.state_folder / "results"

    @property
    def cache_folder(self) -> Path:
        """Parquet copies of files that DuckDB does not read itself; safe to delete."""
        return self.state_folder / "cache"

    @property
    def temp_folder(self) -> Path:
        """Where the engine spills; emptied when an owner starts."""
        return self.state_folder / "temp"

    @property
    def undo_folder(self) -> Path:
        """Before-images of applied changes."""
        return self.state_folder / "undo"

    @property
    def quarantine_folder(self) -> Path:
        """Rows that could not be read or that broke a check."""
        return self.state_folder / "quarantine"

    @property
    def journal_folder(self) -> Path:
        """The hash-chained journal."""
        return self.state_folder / "journal"

    @property
    def owner_lock_path(self) -> Path:
        """Held by the owner process for as long as it lives."""
        return self.state_folder / "owner.lock"

    @property
    def owner_file(self) -> Path:
        """JSON of the owner process (`process_id`, `socket`), there while it lives."""
        return self.state_folder / "owner.json"

    @property
    def owner_log_path(self) -> Path:
        """What the owner process writes to stderr."""
        return self.state_folder / "owner.log"

    @property
    def socket_folder(self) -> Path:
        """A private folder of this user for the owner's socket; short, because socket paths are limited to ~100 bytes."""
        base = os.environ.get("XDG_RUNTIME_DIR")
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        parent = Path(base) if base and Path(base).is_dir() else Path(tempfile.gettempdir())
        return parent / f"datasteward-{user}"

    @property
    def socket_path(self) -> Path:
        """The owner's socket (on Windows: the file that names its port and token)."""
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return self.socket_folder / f"{name}.sock"

    def make_state_folder(self) -> None:
        """Create `.steward` and its parts, private to the user; raises `ConfigError` when the folder is not writable."""
        try:
            for folder in (
                self.state_folder,
                self.results_folder,
                self.cache_folder,
                self.temp_folder,
                self.undo_folder,
                self.quarantine_folder,
                self.journal_folder,
            ):
                folder.mkdir(mode=0o700, exist_ok=True)
            ignore = self.state_folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise ConfigError(
                f"{self.state_folder} cannot be written: {error.strerror}.",
                hint="Choose a folder you may write to with --workspace, or mend its rights.",
            ) from error


def find_workspace(start: Path | None = None) -> Workspace:
    """The workspace of `start`: the nearest folder upwards with `steward.toml` or `.steward`, else `start` itself.

    Without `start`: the folder named by STEWARD_WORKSPACE, taken as it is, or else the search begins at the current
    folder. Raises `ConfigError` when the folder does not exist or is not a folder.
    """
    named = None if start else os.environ.get(WORKSPACE_VARIABLE)
    if named:
        return Workspace(root=_existing_folder(Path(named)))
    here = _existing_folder(start or Path.cwd())
    if start is not None:
        return Workspace(root=here)
    home = Path.home()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_NAME).is_file() or ((folder / STATE_FOLDER_NAME).is_dir() and folder != home):
            return Workspace(root=folder)
    return Workspace(root=here)


def _existing_folder(path: Path) -> Path:
    try:
        folder = path.expanduser().resolve(strict=True)
    except OSError as error:
        raise ConfigError(
            f"The workspace folder {path} cannot be opened: {error.strerror}.",
            hint="Give an existing folder with --workspace.",
        ) from error
    if not folder.is_dir():
        raise ConfigError(f"{path} is a file, not a folder.", hint="Give the folder that holds it with --workspace.")
    return folder
