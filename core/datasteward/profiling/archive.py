"""Profiles kept on disk, so that a later one can be compared with an earlier one."""

import hashlib
import os
from pathlib import Path

from datasteward.errors import ToolError
from datasteward.profiling.model import Profile
from datasteward.profiling.storing import from_json, to_json, without_sensitive_values

_KEPT_PER_DATASET = 20


class ProfileArchive:
    """The profiles of a workspace below one folder, at most twenty per dataset, without values of sensitive columns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, profile: Profile) -> Path:
        """Write a profile and return its path; the oldest beyond twenty are deleted."""
        folder = self._of(profile.name)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = profile.made_at.replace(":", "").replace("+0000", "Z")
        path = folder / f"{stamp}_{hashlib.sha256(to_json(profile).encode()).hexdigest()[:8]}.json"
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(to_json(without_sensitive_values(profile)), encoding="utf-8")
        draft.replace(path)
        for old in self._paths(profile.name)[:-_KEPT_PER_DATASET]:
            old.unlink(missing_ok=True)
        return path

    def latest(self, name: str) -> Profile | None:
        """The newest readable profile of a dataset, or None."""
        for path in reversed(self._paths(name)):
            try:
                return from_json(path.read_text(encoding="utf-8"))
            except (OSError, ToolError):
                continue
        return None

    def _paths(self, name: str) -> list[Path]:
        return sorted(self._of(name).glob("*.json"), key=lambda p: (p.stat().st_mtime_ns, p.name))

    def _of(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:16]
