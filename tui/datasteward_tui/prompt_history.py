"""What the person has typed before, in all sessions of the workspace; a private file beside the state."""

import json
import os
from pathlib import Path

KEPT_ENTRIES = 2000
LONGEST_ENTRY = 20_000


class PromptHistory:
    """Entries from oldest to newest, and a place in them while the person goes back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[str] | None = None
        self._place = 0
        self._draft = ""

    @property
    def entries(self) -> list[str]:
        """All entries; a file that cannot be read is as good as none."""
        if self._entries is None:
            self._entries = _read(self._path)
            self._place = len(self._entries)
        return self._entries

    def add(self, text: str) -> None:
        """Remember an entry, once if it is the same as the last."""
        entries = self.entries
        if text.strip() and len(text) <= LONGEST_ENTRY and (not entries or entries[-1] != text):
            entries.append(text)
            self._write(text)
        self._place = len(entries)

    def back(self, current: str) -> str | None:
        """The entry before, None at the beginning; `current` is kept for the way back."""
        if self._place >= len(self.entries):
            self._place, self._draft = len(self.entries), current
        if self._place == 0:
            return None
        self._place -= 1
        return self.entries[self._place]

    def forward(self) -> str | None:
        """The entry after, at last what was being typed; None when already there."""
        if self._place >= len(self.entries):
            return None
        self._place += 1
        return self.entries[self._place] if self._place < len(self.entries) else self._draft

    def _write(self, text: str) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(text) + "\n")
        except OSError:
            return


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[-KEPT_ENTRIES:]
    except (OSError, UnicodeDecodeError):
        return []
    found: list[str] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, str):
            found.append(entry)
    return found
