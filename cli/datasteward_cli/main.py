"""Entry point of `steward`: the stdio pump goes off before anything heavy is imported, all else through click."""

import sys
from collections.abc import Sequence
from pathlib import Path

from datasteward.errors import ConfigError, DatastewardError

_PUMP_FLAGS = frozenset({"--workspace", "-w"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never shows a traceback for what a user can mend."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        pump_workspace = _plain_pump(argv)
        if pump_workspace is not None:
            from datasteward.workspace import find_workspace
            from datasteward_cli.pump import run_pump

            folder = Path(pump_workspace) if pump_workspace else None
            return run_pump(find_workspace(folder), "stdio")
        from datasteward_cli.app import run_app

        return run_app(argv)
    except KeyboardInterrupt:
        return 130
    except DatastewardError as error:
        print(f"steward: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1


def _plain_pump(argv: Sequence[str]) -> str | None:
    """The workspace folder ('' for the current one) when `argv` asks for the plain stdio pump, else None."""
    words = list(argv)
    folder = ""
    if len(words) >= 2 and words[0] in _PUMP_FLAGS:
        folder, words = words[1], words[2:]
    if not words or words[0] != "mcp":
        return None
    words = words[1:]
    if len(words) >= 2 and words[0] in _PUMP_FLAGS:
        folder, words = words[1], words[2:]
    return folder if not words else None


if __name__ == "__main__":
    sys.exit(main())
