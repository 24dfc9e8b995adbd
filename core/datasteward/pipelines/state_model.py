"""What is known of an asset once it is published, as it is stored and sent between processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from datasteward.pipelines.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Time from `start` up to, not including, `end`; UTC without zone."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Both ends, shortened to dates where they fall on midnight."""
        return f"{_short(self.start)}..{_short(self.end)}"


def _short(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="minutes") if moment.hour or moment.minute else moment.date().isoformat()


class AssetPrint(Options):
    """The three fingerprints of an asset; columns by lower-case name."""

    rows: str
    columns: Mapping[str, str]
    settings: str


class Versions(Options):
    """Which content of an asset: one mark for its rows, one for each column's values (lower-case names)."""

    rows: str
    columns: Mapping[str, str]


class SeenFile(Options):
    """A file that was read: path, bytes, time of change in nanoseconds."""

    path: str
    size: int
    modified_ns: int


class WindowState(Options):
    """A span of time that is filled; ISO 8601, UTC."""

    start: datetime
    end: datetime

    def to_window(self) -> Window:
        """As the planner takes it."""
        return Window(start=self.start, end=self.end)


class CheckResult(Options):
    """What a check found: `bad` rows, or the number a table check gives."""

    name: str
    bad: int
    action: str


class AssetState(Options):
    """What was known of an asset when it was last published."""

    run: str
    change: str = ""
    at: str
    fingerprint: AssetPrint
    columns: tuple[tuple[str, str], ...]
    versions: Versions
    outer: Mapping[str, str] = {}
    reads: Mapping[str, Versions] = {}
    files: tuple[SeenFile, ...] = ()
    windows: tuple[WindowState, ...] = ()
    rows: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    attempts: int = 1
    null_shares: Mapping[str, float] = {}
    checks: tuple[CheckResult, ...] = ()
    message: str = ""
    sequence: int = 0
    pipeline: str = ""
