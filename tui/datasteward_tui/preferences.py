"""What the person has chosen for the app itself, kept for the next time; a file that cannot be read is as good as none."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The name of the theme; empty for our own."""

    theme: str = ""


def read_preferences(path: Path | None) -> Preferences:
    """What is kept in the file; unknown keys are passed over."""
    if path is None:
        return Preferences()
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Preferences()
    theme = kept.get("theme") if isinstance(kept, dict) else None
    return Preferences(theme=theme if isinstance(theme, str) else "")


def keep_preferences(path: Path | None, preferences: Preferences) -> None:
    """Write the file whole; what cannot be written is not kept."""
    if path is None or preferences == read_preferences(path):
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(preferences)) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError:
        return
