"""The time and memory a profile may take: work stops when they are used up, and what was left out is told."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import duckdb

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class Budget:
    """How much time is left on one cursor (`ends_at` of `time.monotonic`), and what was left out for lack of it."""

    cursor: duckdb.DuckDBPyConnection
    ends_at: float
    left_out: list[str] = field(default_factory=list)
    stopped_by: Literal["time", "memory"] | None = None
    """What stopped the last piece of work, None when it came to its end."""

    def allows(self, what: str) -> bool:
        """Whether `what` may start; when not, it is noted as left out."""
        if time.monotonic() < self.ends_at:
            return True
        self.left_out.append(what)
        return False

    def run(self, what: str, work: Callable[[], _T], otherwise: _T) -> _T:
        """What `work` gives, or `otherwise` when there was no time for it or it had to be stopped.

        An interrupt that is not ours goes on as `duckdb.InterruptException`.
        """
        return self.bound(work, otherwise, what) if self.allows(what) else otherwise

    def bound(self, work: Callable[[], _T], otherwise: _T, what: str = "", least_seconds: float = 0.0) -> _T:
        """As `run`, but `work` always starts and gets at least `least_seconds`; without `what` nothing is noted.

        Work that needs more than the engine's memory limit is stopped by the engine, and left out as well.
        """
        is_over = threading.Event()

        def stop() -> None:
            is_over.set()
            self.cursor.interrupt()

        timer = threading.Timer(max(least_seconds, self.ends_at - time.monotonic(), 0.001), stop)
        timer.daemon = True
        timer.start()
        self.stopped_by = None
        try:
            return work()
        except duckdb.InterruptException:
            if not is_over.is_set():
                raise
            self.stopped_by = "time"
        except duckdb.OutOfMemoryException:
            self.stopped_by = "memory"
        finally:
            timer.cancel()
            timer.join()
        if what:
            self.left_out.append(f"{what} (memory limit)" if self.stopped_by == "memory" else what)
        return otherwise
