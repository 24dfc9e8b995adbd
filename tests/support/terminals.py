"""`steward` at a real terminal: a process whose stdin, stdout and stderr are one pseudo-terminal."""

import errno
import os
import pty
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_CODE = "import sys; from datasteward_cli.app import run_app; sys.exit(run_app(sys.argv[1:]))"


@dataclass(slots=True)
class Terminal:
    """One running command and what it has shown so far."""

    process: int
    descriptor: int
    shown: str = ""

    def read_until(self, mark: str, *, seconds: float = 60) -> str:
        """What is shown up to a mark; fails when the mark does not come in time."""
        start, end = len(self.shown), time.monotonic() + seconds
        while mark not in self.shown[start:]:
            assert self._read(end), self.shown
        return self.shown[start:]

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.descriptor, text.encode())

    def finish(self, *, seconds: float = 60) -> int:
        """The exit code, once the command has ended."""
        end = time.monotonic() + seconds
        while self._read(end):
            pass
        _, status = os.waitpid(self.process, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, self.shown
        try:
            found = os.read(self.descriptor, 4096)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            found = b""
        self.shown += found.decode("utf-8", "replace")
        return bool(found)


def open_terminal(folder: Path, *arguments: str) -> Terminal:
    """`steward --no-owner ARGUMENTS` in `folder` at a terminal, with no key in its environment."""
    process, descriptor = pty.fork()
    if process == 0:
        os.chdir(folder)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "STEWARD_"))}
        os.execve(sys.executable, [sys.executable, "-c", _CODE, "--no-owner", *arguments], clean)
    return Terminal(process, descriptor)
