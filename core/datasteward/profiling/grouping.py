"""Findings that say the same of many columns, told once."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasteward.profiling.figures import format_share
from datasteward.profiling.model import Finding

_ALIKE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingGroup:
    """Findings with one message on several columns; of most findings there is one."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The worst of them."""
        return self.findings[0]

    @property
    def columns(self) -> str:
        """The columns with the share of their rows where that is not all of them."""
        return ", ".join(
            f"{f.column}{'' if f.share == 1 else f' {format_share(f.share)}'}" for f in self.findings if f.column
        )


def group_findings(findings: Sequence[Finding]) -> tuple[FindingGroup, ...]:
    """Findings in their order; four and more with the same message stand together where the first of them stood."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code, finding.severity, finding.message), []).append(finding)
    groups: list[FindingGroup] = []
    for finding in findings:
        same = alike[finding.code, finding.severity, finding.message]
        if len(same) < _ALIKE:
            groups.append(FindingGroup(findings=(finding,)))
        elif finding is same[0]:
            groups.append(FindingGroup(findings=tuple(same)))
    return tuple(groups)
