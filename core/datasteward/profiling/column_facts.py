"""All that is known about one column when its findings are made."""

from dataclasses import dataclass

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.misfits import Misfits
from datasteward.profiling.model import ColumnProfile, Finding, ProfileSource, Severity
from datasteward.profiling.personal_text import PersonalText
from datasteward.profiling.sampling import ColumnSample, ColumnShape
from datasteward.profiling.scanning import Fences, ScannedColumn
from datasteward.profiling.text_types import HiddenType


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """All that is known about one column when its findings are made."""

    source: ProfileSource
    shape: ColumnShape
    profile: ColumnProfile
    sample: ColumnSample
    scanned: ScannedColumn
    hidden: HiddenType | None
    number_test: str | None
    misfits: Misfits | None
    inside: PersonalText | None
    fences: Fences | None
    rows: int
    sampled_rows: int
    is_first: bool = False

    @property
    def is_sampled(self) -> bool:
        """Whether the sample is but a part of the rows."""
        return self.sampled_rows < self.rows

    def estimate(self, sampled: int) -> int:
        """Rows of the whole for a count of sampled rows; at least one for at least one."""
        scaled = round(sampled * self.rows / max(1, self.sampled_rows))
        return max(1, scaled) if sampled else 0

    @property
    def name(self) -> str:
        """The column as a quoted SQL name."""
        return quote_name(self.shape.name)

    def show(self, condition: str) -> str:
        """SQL for the rows where `condition` holds."""
        return f"SELECT * FROM {self.source.shown_sql} WHERE {condition}"

    def make(
        self,
        code: str,
        severity: Severity,
        message: str,
        rows: int,
        *,
        example: str = "",
        show: str = "",
        mend: str = "",
        is_exact: bool = True,
    ) -> Finding:
        """A finding on this column; examples of a sensitive column are masked away."""
        return Finding(
            code=code, severity=severity, column=self.shape.name, message=message, rows=rows,
            share=rows / self.rows if self.rows else 0.0, example="" if self.profile.is_sensitive else example,
            show_sql=show, mend_sql=mend, is_exact=is_exact and not self.scanned.is_sampled,
        )  # fmt: skip
