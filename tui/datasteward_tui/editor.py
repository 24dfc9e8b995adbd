"""Writing a text in the person's own editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path


def edit_text(text: str) -> str:
    """`text` as the editor of `$VISUAL` or `$EDITOR` (else `vi`) left it; raises `OSError` when it does not start."""
    descriptor, name = tempfile.mkstemp(suffix=".sql", prefix="datasteward-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        edit_file(path)
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
    finally:
        path.unlink(missing_ok=True)


def edit_file(path: Path) -> None:
    """Open a file in the person's editor and wait for it; raises `OSError` when it does not start."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    subprocess.run([*command, str(path)], check=False)
