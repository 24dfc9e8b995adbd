"""The private folders where files of proposals wait, as the owner sees them; what is in them is the writer's to say."""

import shutil
from pathlib import Path


def drop_staged(state_folder: Path, name: str) -> None:
    """Remove what a change that is closed has staged, if it staged anything."""
    if name:
        shutil.rmtree(state_folder / "staging" / name, ignore_errors=True)
