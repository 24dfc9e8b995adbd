"""Crossing over to a thread for what waits on files or on the state database."""

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """What the function gives, run in a worker thread."""
    return await anyio.to_thread.run_sync(function)
