"""What changed between two profiles: columns, volume, missing values, distributions, categories."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from datasteward.profiling.figures import format_count, format_share
from datasteward.profiling.model import ColumnProfile, Distribution, Profile, Severity

DriftKind = Literal[
    "column_added", "column_removed", "type_changed", "rows", "nulls", "distribution", "new_categories", "lost_categories", "key_lost"
]  # fmt: skip
_FEW = 30
_TINY = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change; `measure` names the figure (such as PSI) and `figure` is its value, where there is one."""

    kind: DriftKind
    severity: Severity
    column: str | None
    message: str
    measure: str = ""
    figure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All changes from `before` to `after`, worst first."""

    before: str
    after: str
    before_made_at: str
    after_made_at: str
    changes: tuple[Change, ...]


def compare(before: Profile, after: Profile) -> Drift:
    """The changes between two profiles of the same thing, or of two datasets with columns of the same names.

    Distributions are compared by the population stability index (above 0.1 worth a look, above 0.25 a shift: the usual
    convention) and the Kolmogorov-Smirnov distance, both from the profiles' histograms; categories by the
    Jensen-Shannon distance with base 2.
    """
    old, new = {c.name: c for c in before.columns}, {c.name: c for c in after.columns}
    found = [Change(kind="column_removed", severity="high", column=n, message="is gone") for n in old if n not in new]
    found += [
        Change(kind="column_added", severity="medium", column=n, message=f"is new ({new[n].type})")
        for n in new
        if n not in old
    ]
    found += _compare_rows(before, after)
    for name, column in old.items():
        if name in new:
            found += _compare_columns(column, new[name])
    order = {"high": 0, "medium": 1, "low": 2}
    return Drift(
        before=before.name, after=after.name, before_made_at=before.made_at, after_made_at=after.made_at,
        changes=tuple(sorted(found, key=lambda c: (order[c.severity], c.column or "", c.kind))),
    )  # fmt: skip


def _compare_rows(before: Profile, after: Profile) -> list[Change]:
    if before.rows == after.rows:
        return []
    ratio = after.rows / before.rows if before.rows else math.inf
    severity: Severity = "high" if ratio < 0.5 or ratio > 3 else ("medium" if ratio < 0.9 or ratio > 1.5 else "low")
    message = f"{before.rows:,} rows became {after.rows:,}"
    return [
        Change(
            kind="rows",
            severity=severity,
            column=None,
            message=message,
            measure="ratio",
            figure=ratio if before.rows else None,
        )
    ]


def _compare_columns(old: ColumnProfile, new: ColumnProfile) -> list[Change]:
    found: list[Change] = []
    if old.type != new.type:
        found.append(
            Change(kind="type_changed", severity="high", column=old.name, message=f"{old.type} became {new.type}")
        )
    if old.is_key and not new.is_key and new.rows:
        found.append(Change(kind="key_lost", severity="high", column=old.name, message="was a key and is not any more"))
    shift = new.null_share - old.null_share
    if abs(shift) >= 0.01 or (old.nulls == 0) != (new.nulls == 0):
        severity: Severity = (
            "high" if abs(shift) >= 0.2 else ("medium" if abs(shift) >= 0.02 or old.nulls == 0 else "low")
        )
        message = f"nulls went from {format_share(old.null_share)} to {format_share(new.null_share)}"
        found.append(
            Change(
                kind="nulls",
                severity=severity,
                column=old.name,
                message=message,
                measure="difference",
                figure=round(shift, 4),
            )
        )
    if old.family != new.family:
        return found
    if _is_categorical(old) and _is_categorical(new):
        return found + _compare_categories(old, new)
    if old.distribution and new.distribution and not (old.is_key and new.is_key):
        found += _compare_distributions(old.name, old.distribution, new.distribution)
    return found


def _is_categorical(column: ColumnProfile) -> bool:
    return (
        column.distinct_is_exact
        and column.distinct <= _FEW
        and bool(column.top)
        and column.family in {"text", "boolean", "integer"}
    )


def _compare_categories(old: ColumnProfile, new: ColumnProfile) -> list[Change]:
    before, after = {t.value: t.rows for t in old.top}, {t.value: t.rows for t in new.top}
    hides = old.is_sensitive or new.is_sensitive
    found: list[Change] = []
    for kind, gone, rest, word in (
        ("lost_categories", before, after, "no longer has"),
        ("new_categories", after, before, "now has"),
    ):
        names = [v for v in gone if v not in rest]
        if names:
            listed = (
                f"{len(names)} values"
                if hides
                else ", ".join(repr(v) for v in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            )
            found.append(
                Change(
                    kind="lost_categories" if kind == "lost_categories" else "new_categories",
                    severity="medium",
                    column=old.name,
                    message=f"{word} {listed}",
                )
            )
    distance = jensen_shannon(before, after)
    if distance >= 0.1:
        severity: Severity = "high" if distance >= 0.3 else "medium"
        found.append(Change(kind="distribution", severity=severity, column=old.name, message="is distributed differently",
                            measure="Jensen-Shannon distance", figure=round(distance, 3)))  # fmt: skip
    return found


def jensen_shannon(before: dict[str, int], after: dict[str, int]) -> float:
    """The Jensen-Shannon distance (base 2, 0 to 1) of two sets of counts."""
    total_before, total_after = sum(before.values()) or 1, sum(after.values()) or 1
    divergence = 0.0
    for value in before.keys() | after.keys():
        p, q = before.get(value, 0) / total_before, after.get(value, 0) / total_after
        middle = (p + q) / 2
        divergence += sum(0.5 * x * math.log2(x / middle) for x in (p, q) if x > 0)
    return math.sqrt(max(0.0, divergence))


def _compare_distributions(name: str, old: Distribution, new: Distribution) -> list[Change]:
    if not old.counts or not new.counts:
        return []
    stability, distance = population_stability(old, new), kolmogorov_smirnov(old, new)
    if stability < 0.1 and distance < 0.1:
        return []
    severity: Severity = "high" if stability >= 0.25 else "medium"
    message = (
        f"is distributed differently (median {old.quantiles[3]:.6g} became {new.quantiles[3]:.6g}, KS {distance:.2f})"
    )
    return [
        Change(
            kind="distribution",
            severity=severity,
            column=name,
            message=message,
            measure="PSI",
            figure=round(stability, 3),
        )
    ]


def share_below(distribution: Distribution, at: float) -> float:
    """The share of values up to `at`, read off the histogram with straight lines between its edges."""
    edges, total = distribution.edges, sum(distribution.counts) or 1
    if at <= edges[0]:
        return 0.0
    if at >= edges[-1]:
        return 1.0
    index = bisect_right(edges, at) - 1
    below = sum(distribution.counts[:index])
    width = edges[index + 1] - edges[index]
    return (below + distribution.counts[index] * (at - edges[index]) / width) / total


def population_stability(old: Distribution, new: Distribution) -> float:
    """The population stability index over the bins of the old histogram, values outside counted in the outer bins."""
    total = sum(old.counts) or 1
    cuts = [0.0, *(share_below(new, e) for e in old.edges[1:-1]), 1.0]
    index = 0.0
    for count, low, high in zip(old.counts, cuts, cuts[1:], strict=False):
        p, q = max(count / total, _TINY), max(high - low, _TINY)
        index += (q - p) * math.log(q / p)
    return index


def kolmogorov_smirnov(old: Distribution, new: Distribution) -> float:
    """The largest difference between the two cumulative shares at any histogram edge."""
    cumulated = [0, *accumulate(old.counts)]
    total = cumulated[-1] or 1
    here = max(abs(c / total - share_below(new, e)) for c, e in zip(cumulated, old.edges, strict=True))
    other = max(abs(share_below(old, e) - share_below(new, e)) for e in new.edges)
    return max(here, other)


def render_drift(drift: Drift) -> str:
    """The changes as text, one line each, worst first."""
    if not drift.changes:
        return f"No drift from {drift.before} ({drift.before_made_at}) to {drift.after} ({drift.after_made_at})."
    mark = {"high": "!!", "medium": "!", "low": "·"}
    lines = [
        f"DRIFT {drift.before} ({drift.before_made_at}) → {drift.after} ({drift.after_made_at}): {format_count(len(drift.changes))} changes"
    ]
    for change in drift.changes[:60]:
        figure = f" [{change.measure} {change.figure:.3g}]" if change.measure and change.figure is not None else ""
        lines.append(f"{mark[change.severity]} {change.column + ' ' if change.column else ''}{change.message}{figure}")
    if len(drift.changes) > 60:
        lines.append(f"and {len(drift.changes) - 60} more")
    return "\n".join(lines)
