"""The two looks at a dataset: a sample tells what to count, one pass over all rows counts it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.sql_text import quote_name
from datasteward.profiling.budget import Budget
from datasteward.profiling.distributions import fences_of, find_distributions
from datasteward.profiling.misfits import Misfits, count_misfits
from datasteward.profiling.model import Distribution, ProfileOptions, ProfileSource
from datasteward.profiling.personal_text import PersonalText, find_inside
from datasteward.profiling.sampling import ALL_ROWS, ColumnShape, Sample, take_sample
from datasteward.profiling.scanning import Fences, ScannedColumn, ScanPlan, count_keys, key_candidates, scale_up, scan
from datasteward.profiling.text_types import HiddenType, find_hidden_type, find_number_test

ReportProgress = Callable[[float, str], None]
LEAST_SECONDS = 1.0
"""What counting, sampling and reading each get even when the budget is smaller."""
_LEAST_SECONDS_FOR_ALL = 60.0
_ROWS_COUNTED_AT_ONCE = 500_000
_MANY_ROWS = 5_000_000
_PARSED_FORMATS = frozenset({"csv", "delimited", "json", "ndjson"})
_SAMPLED_CELLS = 4_000_000
_LEAST_SAMPLE = 1_000
_SMALLEST_SAMPLE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A profile in the making: where it reads, what it may do, and whom it tells how far it is."""

    cursor: duckdb.DuckDBPyConnection
    source: ProfileSource
    options: ProfileOptions
    budget: Budget
    progress: ReportProgress

    @property
    def is_parsed(self) -> bool:
        """Whether every look at the source parses it from its start."""
        return self.source.format in _PARSED_FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What the two looks found, by column name."""

    shapes: tuple[ColumnShape, ...]
    sample: Sample
    rows: int
    scanned: dict[str, ScannedColumn]
    distributions: dict[str, Distribution]
    fences: dict[str, Fences]
    hidden: dict[str, HiddenType]
    number_tests: dict[str, str]
    inside: dict[str, PersonalText]
    misfits: dict[str, Misfits]
    rows_are_exact: bool = True


@dataclass(slots=True, kw_only=True)
class _Read:
    """What the pass over all rows gave so far."""

    rows: int
    columns: dict[str, ScannedColumn]


def count_rows(job: Job) -> int | None:
    """The number of rows where it costs little; None for files that must be parsed to be counted."""
    if job.is_parsed:
        return None
    row = job.cursor.execute(f"SELECT count(*) FROM {job.source.table_sql}").fetchone()
    return int(row[0]) if row else 0


def sample_rows(job: Job, shapes: tuple[ColumnShape, ...], total: int | None) -> Sample:
    """A sample within about four million cells, smaller still where memory does not hold it.

    Raises `ToolError`: timeout, or too_large when not even ten rows fit.
    """
    rows = min(job.options.sample_rows, max(_LEAST_SAMPLE, _SAMPLED_CELLS // max(1, len(shapes))))
    while rows >= _SMALLEST_SAMPLE:
        take = partial(take_sample, job.cursor, job.source, shapes, rows, total)
        found = job.budget.bound(take, None, least_seconds=LEAST_SECONDS)
        if found is not None:
            return found
        if job.budget.stopped_by == "time":
            raise ToolError(
                f"{job.source.name} gave no sample within {job.options.budget_seconds:g} seconds.",
                code="timeout",
                hint="Give it more seconds, or store the result of the query first and profile that.",
            )
        rows //= 10
    raise ToolError(
        f"{job.source.name} holds rows too large for the memory allowed.",
        code="too_large",
        hint="Raise limits.memory, or profile a query that leaves out the largest columns.",
    )


def look(job: Job, shapes: tuple[ColumnShape, ...], sample: Sample, total: int | None) -> Looks:
    """The sample's figures, completed by those of all rows as far as the budget allows."""
    if total is None and sample.rows < sample.asked and not sample.is_cut:
        sample = replace(sample, how=ALL_ROWS)
    is_whole = sample.is_whole
    distributions = find_distributions(job.cursor, sample.table, shapes)
    plan = ScanPlan(
        table_sql=sample.table if is_whole else job.source.table_sql,
        sample=sample,
        fences=fences_of(distributions, shapes),
        today=job.options.today or datetime.now(UTC).date().isoformat(),
        is_parsed=job.is_parsed and not is_whole,
        is_sample=is_whole,
        is_long=(total or 0) > _MANY_ROWS,
    )
    read, rows_are_exact = _read_all(job, shapes, plan, total)
    hidden = _find_hidden(shapes, sample, read)
    number_tests = _find_number_tests([s for s in shapes if s.name not in hidden], sample, read)
    return Looks(
        shapes=shapes,
        sample=sample,
        rows=read.rows,
        scanned=read.columns,
        distributions=distributions,
        fences=plan.fences,
        hidden=hidden,
        number_tests=number_tests,
        inside=find_inside(job.cursor, sample, shapes),
        misfits=count_misfits(job.cursor, sample, {n: h.sql for n, h in hidden.items()} | number_tests),
        rows_are_exact=rows_are_exact,
    )


def _find_hidden(shapes: Sequence[ColumnShape], sample: Sample, read: _Read) -> dict[str, HiddenType]:
    found = {s.name: find_hidden_type(s.name, _values(s, sample, read)) for s in shapes if s.type == "VARCHAR"}
    return {name: hidden for name, hidden in found.items() if hidden is not None}


def _find_number_tests(shapes: Sequence[ColumnShape], sample: Sample, read: _Read) -> dict[str, str]:
    found = {s.name: find_number_test(s.name, _values(s, sample, read)) for s in shapes if s.type == "VARCHAR"}
    return {name: sql for name, sql in found.items() if sql is not None}


def _values(shape: ColumnShape, sample: Sample, read: _Read) -> Sequence[str]:
    return [v for v, _ in read.columns[shape.name].histogram] or sample.columns[shape.name].values


def _read_all(job: Job, shapes: tuple[ColumnShape, ...], plan: ScanPlan, total: int | None) -> tuple[_Read, bool]:
    """The figures of all rows, and whether their number is exact."""
    job.progress(0.15, "reading all rows")
    candidates = key_candidates(shapes, plan.sample)
    counts_apart = not plan.is_sample and not plan.is_parsed and (total or 0) > _ROWS_COUNTED_AT_ONCE
    at_once = () if counts_apart else candidates if plan.is_sample else candidates[:2]
    read = _Read(rows=plan.sample.rows, columns={})
    is_done = _pass_over(job, shapes, replace(plan, candidates=at_once), read)
    if job.budget.stopped_by == "memory":
        job.budget.left_out.append("exact distinct counts (memory limit)")
        is_done = _pass_over(job, shapes, replace(plan, counts_repeated=False), read)
    rows_are_exact = plan.is_sample or bool(read.columns) or total is not None
    if not is_done:
        _fill_from_sample(job, shapes, plan, read, total)
    elif counts_apart:
        read.columns |= job.budget.run(
            "exact key counts",
            lambda: count_keys(job.cursor, plan.table_sql, shapes, candidates, read.columns),
            dict[str, ScannedColumn](),
        )
        job.progress(0.7, "counting keys")
    return read, rows_are_exact


def _pass_over(job: Job, shapes: tuple[ColumnShape, ...], plan: ScanPlan, read: _Read) -> bool:
    """Whether all columns were read; `read` takes what was."""

    def work() -> bool:
        for part in scan(job.cursor, [s for s in shapes if s.name not in read.columns], plan):
            read.rows = part.rows
            read.columns |= part.columns
            job.progress(0.15 + 0.45 * len(read.columns) / max(1, len(shapes)), "reading all rows")
        return True

    return job.budget.bound(work, False, least_seconds=_LEAST_SECONDS_FOR_ALL if plan.is_sample else LEAST_SECONDS)


def _fill_from_sample(
    job: Job, shapes: tuple[ColumnShape, ...], plan: ScanPlan, read: _Read, total: int | None
) -> None:
    """Figures of the columns that were not read, scaled up from the sample, with a word on it."""
    why = "memory limit" if job.budget.stopped_by == "memory" else "time budget"
    if not read.columns:
        read.rows = total if total is not None else _estimate_rows(job, plan.sample)
    rest = [s for s in shapes if s.name not in read.columns]
    of_sample = replace(plan, table_sql=plan.sample.table, candidates=(), is_parsed=False, is_sample=True)
    for part in scan(job.cursor, rest, of_sample):
        factor = read.rows / max(1, part.rows)
        read.columns |= {name: scale_up(column, factor) for name, column in part.columns.items()}
    whose = "all columns" if len(rest) == len(shapes) else f"{len(rest)} of {len(shapes)} columns"
    job.budget.left_out.append(f"exact counts of {whose}: theirs are scaled up from {plan.sample.how} ({why})")


def _estimate_rows(job: Job, sample: Sample) -> int:
    """The rows of a delimited file by its bytes and the sampled rows' length; the sampled rows where that is unknown."""
    if job.source.text_bytes is None or not sample.rows:
        return sample.rows
    listed = ", ".join(f"coalesce(CAST({quote_name(name)} AS VARCHAR), '')" for name in sample.columns)
    row = job.cursor.execute(f"SELECT avg(strlen(concat_ws(',', {listed}))) + 1 FROM {sample.table}").fetchone()
    return max(sample.rows, round(job.source.text_bytes / float(row[0]))) if row and row[0] else sample.rows
