"""What the writer's process gives up before it runs the statements of a preview: to write anywhere but in staging.

It holds whatever the statements say and however their text was read. Only a process that ends with its job may do it,
because there is no way back; where the kernel has no Landlock nothing is given up.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from datasteward.engine.landlock import restrict

logger = logging.getLogger(__name__)
_allowed: list[bool] = []


def allow_confinement() -> None:
    """Say that this process is the writer's own, and ends with its job."""
    _allowed.append(True)


def confine_writes(paths: Iterable[Path]) -> None:
    """From now on let this thread, and those it starts, write only to these files and folders, if that is allowed.

    Threads that run already are not bound by it: DuckDB must have none yet.
    """
    if _allowed:
        report = restrict(read=[Path("/")], write=[*paths, Path("/dev/null")])
        logger.debug("landlock: %s", report)
