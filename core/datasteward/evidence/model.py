"""What evidence is made of: figures, the results they are held against, and verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

Unit = Literal["plain", "percent", "points", "currency", "times", "date", "year"]
Leaning = Literal["exact", "about", "over", "under"]
Status = Literal["backed", "derived", "not_found", "not_checkable"]
Formula = Literal[
    "difference",
    "ratio",
    "share",
    "growth",
    "sum",
    "mean",
    "median",
    "min",
    "max",
    "rows",
    "distinct",
    "points",
    "spread",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DateReading:
    """A date as written: any of year, month, day and quarter may be missing (None)."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    quarter: int | None = None
    clock: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number or date in a text.

    `value` is in base units (1.2 M is 1200000, 5 % is 5); `decimals` counts the written ones, and half of
    `10 ** -decimals * scale` is the rounding allowed. `alternates` are other readings of the same digits.
    """

    start: int
    end: int
    text: str
    value: Decimal
    decimals: int = 0
    scale: Decimal = Decimal(1)
    unit: Unit = "plain"
    currency: str | None = None
    leaning: Leaning = "exact"
    has_sign: bool = False
    alternates: tuple[Decimal, ...] = ()
    dates: tuple[DateReading, ...] = ()
    skip_reason: str | None = None
    """Why the figure cannot be held against data; None when it can."""

    @property
    def tolerance(self) -> Decimal:
        """Half a unit of the last digit written, in base units; of the last digit that is not 0 after "about"."""
        step = self.scale.scaleb(-self.decimals)
        if self.leaning != "exact" and self.decimals == 0:
            shown = abs(self.value / self.scale)
            while shown >= 10 and shown % 10 == 0:
                shown, step = shown / 10, step * 10
        return step / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A result's column: its name and DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """A stored result as exact text: every cell is its documented text form, None for NULL."""

    handle: str
    columns: tuple[TableColumn, ...]
    rows: Iterable[Sequence[str | None]]
    row_count: int
    sql: str = ""


class ResultsReader(Protocol):
    """Where cited results come from."""

    def handles(self) -> Sequence[str]:
        """The handles an uncited figure may be looked up in."""

    def read(self, handle: str) -> ResultTable | None:
        """The result, or None when there is no such handle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReference:
    """One cell of a result: rows count from 1, `value` is the cell's exact text."""

    handle: str
    row: int
    column: str
    value: str

    def describe(self) -> str:
        """For example `r17 row 2 revenue = 1234`."""
        return f"{self.handle} row {self.row} {self.column} = {self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out about one figure."""

    figure: Figure
    status: Status
    is_cited: bool = False
    cells: tuple[CellReference, ...] = ()
    formula: Formula | None = None
    derivation: str | None = None
    """The arithmetic in words, with the exact value it gives."""
    reason: str | None = None
    nearest: CellReference | None = None

    def describe(self) -> str:
        """One line: the figure, the verdict, and its ground."""
        ground = self.derivation or (self.cells[0].describe() if self.cells else None) or self.reason or ""
        if self.status == "not_found" and self.nearest is not None:
            ground = (
                f"{ground}; nearest: {self.nearest.describe()}" if ground else f"nearest: {self.nearest.describe()}"
            )
        cited = "" if self.is_cited or self.status not in ("backed", "derived") else ", not cited"
        return f"{self.figure.text}: {self.status.replace('_', ' ')}{cited}" + (f" ({ground})" if ground else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """The verdicts of an answer in the order of its text, and what limits the check."""

    text: str
    verdicts: tuple[Verdict, ...]
    unknown_handles: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    """Results of which only a part was scanned, in words."""
    number_words: tuple[str, ...] = field(default=())
    """Numbers in words ("half", "a dozen"), which are not checked."""

    def count(self, status: Status) -> int:
        """How many figures got this verdict."""
        return sum(v.status == status for v in self.verdicts)

    @property
    def is_backed(self) -> bool:
        """True when no figure is missing from the data and no citation leads nowhere."""
        return not self.unknown_handles and self.count("not_found") == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanLimits:
    """How much of each result is read and how much work is done; what is over is told in the report."""

    cells: int = 400_000
    figures: int = 2_000
    work: int = 1_100_000
    """Steps of a few microseconds for all figures together, so that a check ends in proportion to its text."""
    text_characters: int = 200_000
