"""Making a profile: a sample tells what to look for, one pass over all rows counts it exactly."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import duckdb

from datasteward.errors import ToolError
from datasteward.profiling.budget import Budget
from datasteward.profiling.column_facts import ColumnFacts
from datasteward.profiling.columns import profile_column
from datasteward.profiling.findings import find_in_column, order_findings
from datasteward.profiling.gaps import find_gaps
from datasteward.profiling.key_names import promises_key
from datasteward.profiling.keys import CompositeKeys, find_composite_keys
from datasteward.profiling.looking import LEAST_SECONDS, Job, Looks, ReportProgress, count_rows, look, sample_rows
from datasteward.profiling.model import (
    ColumnProfile,
    Dependency,
    Finding,
    ForeignKey,
    Profile,
    ProfileOptions,
    ProfileSource,
    Structure,
)
from datasteward.profiling.sampling import ColumnShape, Sample, describe
from datasteward.profiling.structure import count_duplicates, find_dependencies, find_foreign_keys
from datasteward.profiling.table_findings import find_in_table, name_repeated

_VERIFIED_ROWS = 2_000_000
_WIDEST_FOR_KEYS = 60
_WIDEST_FOR_DEPENDENCIES = 200
_UNLISTED = frozenset({"outliers", "marker_value", "few_negatives"})


def _stay_silent(_share: float, _doing: str) -> None:
    return None


def profile(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    options: ProfileOptions | None = None,
    progress: ReportProgress = _stay_silent,
) -> Profile:
    """The profile of `source`; `cursor` must be the caller's own and is used by nobody else meanwhile.

    Figures are exact over all rows unless marked; what the time budget or the engine's memory limit did not allow is named
    in `left_out`. Raises `ToolError` when the source cannot be read.
    """
    options = options or ProfileOptions()
    started = time.monotonic()
    budget = Budget(cursor=cursor, ends_at=started + options.budget_seconds)
    job = Job(cursor=cursor, source=source, options=options, budget=budget, progress=progress)
    sample: Sample | None = None
    try:
        shapes = _choose_columns(job)
        progress(0.02, "sampling")
        total = budget.bound(lambda: count_rows(job), None, "the number of rows", LEAST_SECONDS)
        sample = sample_rows(job, shapes, total)
        return _assemble(job, look(job, shapes, sample, total), started)
    except duckdb.Error as error:
        if isinstance(error, duckdb.InterruptException):
            raise
        first_line = str(error).strip().splitlines()[0]
        hint = "Raise limits.memory in steward.toml." if isinstance(error, duckdb.OutOfMemoryException) else None
        raise ToolError(f"{source.name} cannot be profiled: {first_line}", code="runtime", hint=hint) from error
    finally:
        if sample is not None:
            cursor.execute(f"DROP TABLE IF EXISTS {sample.table}")


def _choose_columns(job: Job) -> tuple[ColumnShape, ...]:
    shapes = describe(job.cursor, job.source)
    most = job.options.max_columns
    if len(shapes) > most:
        job.budget.left_out.append(f"{len(shapes) - most} columns after the first {most}")
    return shapes[:most]


def _assemble(job: Job, looks: Looks, started: float) -> Profile:
    columns = tuple(profile_column(s, looks, job.options.sensitive_columns) for s in looks.shapes)
    job.progress(0.75, "keys and dependencies")
    near = replace(job.source, table_sql=looks.sample.table) if looks.sample.is_whole else job.source
    structure = _find_structure(job, near, looks, columns)
    findings = _find_all(job, near, looks, columns, structure)
    job.progress(1.0, "done")
    source, how = job.source, looks.sample.how
    return Profile(
        name=source.name, rows=looks.rows, format=source.file_format or source.format, size_bytes=source.size_bytes,
        sampled_rows=looks.sample.rows, columns=columns, findings=findings, structure=structure,
        seconds=round(time.monotonic() - started, 3), made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        grain=_grain(structure), told=source.told, left_out=tuple(job.budget.left_out),
        quarantine_rows=source.quarantine_rows, quarantine_sql=source.quarantine_sql, rows_are_exact=looks.rows_are_exact,
        notes=() if looks.sample.is_whole else (f"Quantiles, patterns and figures marked ~ are from {how}.",),
    )  # fmt: skip


def _find_structure(job: Job, near: ProfileSource, looks: Looks, columns: Sequence[ColumnProfile]) -> Structure:
    """Keys, dependencies and foreign keys; `near` is where they are looked for, the sample if that is all rows."""
    keys = _order_keys(columns)
    budget, cursor = job.budget, job.cursor
    duplicates: int | None = 0 if keys or looks.rows < 2 else None
    composite = CompositeKeys()
    if duplicates is None:
        duplicates = budget.run(
            "duplicate rows", lambda: count_duplicates(cursor, near, looks.shapes, looks.rows), None
        )
    if not keys and looks.rows > 1 and len(looks.shapes) <= _WIDEST_FOR_KEYS:
        search = partial(find_composite_keys, cursor, near, looks.sample, looks.shapes, looks.rows)
        composite = budget.run(
            "composite keys", lambda: search(lambda: budget.allows("larger composite keys")), composite
        )
    return Structure(
        keys=keys,
        composite_keys=composite.keys,
        near_keys=composite.near,
        dependencies=_find_dependencies(job, near, looks, keys),
        foreign_keys=_find_foreign_keys(job, near, looks),
        duplicate_rows=duplicates,
    )


def _order_keys(columns: Sequence[ColumnProfile]) -> tuple[str, ...]:
    """The keys, those named as identifiers first, sensitive ones last."""
    keys = [c for c in columns if c.is_key]
    return tuple(c.name for c in sorted(keys, key=lambda c: (c.is_sensitive, not promises_key(c.name))))


def _find_dependencies(job: Job, near: ProfileSource, looks: Looks, keys: Sequence[str]) -> tuple[Dependency, ...]:
    if len(looks.shapes) > _WIDEST_FOR_DEPENDENCIES:
        return ()
    free = [s for s in looks.shapes if s.name not in keys]
    is_verified = looks.sample.is_whole or (looks.rows <= _VERIFIED_ROWS and not job.is_parsed)
    search = partial(find_dependencies, job.cursor, near, looks.sample, free, is_verified=is_verified)
    return job.budget.run("functional dependencies", search, ())


def _find_foreign_keys(job: Job, near: ProfileSource, looks: Looks) -> tuple[ForeignKey, ...]:
    others, budget = job.options.others, job.budget
    if not others:
        return ()
    search = partial(find_foreign_keys, job.cursor, near, looks.sample, looks.shapes, others)
    return budget.run("foreign keys", lambda: search(lambda: budget.allows("some foreign keys")), ())


def _grain(structure: Structure) -> str:
    if structure.keys:
        return f"one row per {structure.keys[0]}"
    return "one row per " + " and ".join(structure.composite_keys[0]) if structure.composite_keys else ""


def _find_all(
    job: Job, near: ProfileSource, looks: Looks, columns: Sequence[ColumnProfile], structure: Structure
) -> tuple[Finding, ...]:
    found: list[Finding] = list(find_in_table(job.source, looks, structure, job.options))
    for shape, column in zip(looks.shapes, columns, strict=True):
        facts = _facts(job.source, looks, shape, column)
        found.extend(f for f in find_in_column(facts) if not (column.is_sensitive and f.code in _UNLISTED))
        if _may_have_gaps(facts):
            gap = job.budget.run("gaps in dates", partial(find_gaps, job.cursor, near.table_sql, facts), None)
            found.extend([gap] if gap else [])
    by_name = {c.name: c for c in columns}
    for index, finding in enumerate(found):
        is_small = looks.sample.is_whole or (looks.rows <= _VERIFIED_ROWS and not job.is_parsed)
        if finding.code == "near_key" and finding.column and is_small and not by_name[finding.column].is_sensitive:
            name = partial(name_repeated, job.cursor, near.table_sql, finding)
            found[index] = job.budget.run("examples of repeated keys", name, finding)
    return order_findings(found)


def _facts(source: ProfileSource, looks: Looks, shape: ColumnShape, column: ColumnProfile) -> ColumnFacts:
    name = shape.name
    return ColumnFacts(
        source=source, shape=shape, profile=column, sample=looks.sample.columns[name], scanned=looks.scanned[name],
        hidden=looks.hidden.get(name) if column.better_sql else None, number_test=looks.number_tests.get(name), misfits=looks.misfits.get(name),
        inside=looks.inside.get(name), fences=looks.fences.get(name), rows=looks.rows, sampled_rows=looks.sample.rows,
        is_first=shape is looks.shapes[0],
    )  # fmt: skip


def _may_have_gaps(facts: ColumnFacts) -> bool:
    """Whether a series of days may be looked at: one whose first and last day may be told."""
    is_series = facts.shape.family in {"date", "timestamp"} and facts.rows >= 30
    return is_series and not facts.profile.is_sensitive and not facts.scanned.is_sampled
