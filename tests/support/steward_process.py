"""`steward` in this process, where most can be tested quickly, and as a process of its own, where signals count."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended, and what it printed."""

    code: int
    out: str
    words: str

    @property
    def result(self) -> Any:
        """The last line of stdout as JSON."""
        return json.loads(self.out.splitlines()[-1])


def start_steward(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None, feed: bool = False
) -> "subprocess.Popen[str]":
    """`steward --no-owner ARGUMENTS` in `folder`, with no key in its environment unless given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "STEWARD_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "datasteward_cli.main", "--no-owner", *arguments],
        cwd=folder,
        env={**clean, **(environment or {})},
        stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_steward(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None, text: str | None = None
) -> Finished:
    """`steward --no-owner ARGUMENTS` in this process, with its output caught."""
    from datasteward_cli import app

    out, words, keyboard = io.StringIO(), io.StringIO(), sys.stdin
    kept = dict(os.environ)
    try:
        for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "STEWARD_"))]:
            del os.environ[name]
        os.environ.update(environment or {})
        sys.stdin = io.StringIO(text or "")
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(words):
            code = app.run_app(["--no-owner", *arguments])
    finally:
        sys.stdin = keyboard
        os.environ.clear()
        os.environ.update(kept)
    return Finished(code=int(code), out=out.getvalue(), words=words.getvalue())
