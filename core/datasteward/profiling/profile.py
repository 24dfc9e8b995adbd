"""Making a profile: a sample tells what to look for, one pass over all rows counts it exactly."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.sql_text import quote_name
from datasteward.profiling.budget import Budget
from datasteward.profiling.distributions import complete, fences_of, find_distributions
from datasteward.profiling.findings import ColumnFacts, find_in_column, masked_example, order_findings
from datasteward.profiling.gaps import find_gaps
from datasteward.profiling.meanings import find_meaning, find_pattern
from datasteward.profiling.model import (
    ColumnProfile,
    Dependency,
    Distribution,
    Finding,
    ForeignKey,
    Meaning,
    Profile,
    ProfileOptions,
    ProfileSource,
    Structure,
    ValueCount,
)
from datasteward.profiling.sampling import ColumnShape, Sample, describe, take_sample
from datasteward.profiling.scanning import Fences, ScannedColumn, count_keys, key_candidates, scale_up, scan
from datasteward.profiling.structure import (
    count_duplicates,
    find_composite_keys,
    find_dependencies,
    find_foreign_keys,
    show_orphans,
    show_violations,
)
from datasteward.profiling.text_types import HiddenType, find_hidden_type

ReportProgress = Callable[[float, str], None]
_VERIFIED_ROWS = 2_000_000
_ROWS_COUNTED_AT_ONCE = 500_000
_PARSED_FORMATS = frozenset({"csv", "delimited", "json", "ndjson"})
_LEAST_SECONDS = 0.25
"""What counting, sampling and reading each get even when the budget is smaller."""
_SAMPLED_CELLS = 4_000_000
_LEAST_SAMPLE = 1_000
_UNLISTED = frozenset({"outliers", "marker_value", "few_negatives"})


def _stay_silent(_share: float, _doing: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    """What the two looks found, by column name."""

    shapes: tuple[ColumnShape, ...]
    sample: Sample
    rows: int
    scanned: dict[str, ScannedColumn]
    distributions: dict[str, Distribution]
    fences: dict[str, Fences]
    hidden: dict[str, HiddenType]
    rows_are_exact: bool = True


def profile(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    options: ProfileOptions | None = None,
    progress: ReportProgress = _stay_silent,
) -> Profile:
    """The profile of `source`; `cursor` must be the caller's own and is used by nobody else meanwhile.

    Figures are exact over all rows unless marked; what the time budget did not allow is named in `left_out`. Raises
    `ToolError` when the source cannot be read.
    """
    options = options or ProfileOptions()
    started = time.monotonic()
    budget = Budget(cursor=cursor, ends_at=started + options.budget_seconds)
    sample: Sample | None = None
    try:
        shapes = describe(cursor, source)
        if len(shapes) > options.max_columns:
            budget.left_out.append(f"{len(shapes) - options.max_columns} columns after the first {options.max_columns}")
            shapes = shapes[: options.max_columns]
        progress(0.02, "sampling")
        total = budget.bound(lambda: _count_rows(cursor, source), None, "the number of rows", _LEAST_SECONDS)
        sample = _sample(cursor, source, shapes, options, total, budget)
        looks = _look(cursor, source, options, shapes, sample, total, budget, progress)
        return _assemble(cursor, source, options, looks, budget, started, progress)
    except duckdb.Error as error:
        if isinstance(error, duckdb.InterruptException):
            raise
        raise ToolError(
            f"{source.name} cannot be profiled: {str(error).strip().splitlines()[0]}", code="runtime"
        ) from error
    finally:
        if sample is not None:
            cursor.execute(f"DROP TABLE IF EXISTS {sample.table}")


def _count_rows(cursor: duckdb.DuckDBPyConnection, source: ProfileSource) -> int | None:
    """The number of rows where it costs little; None for files that must be parsed to be counted."""
    if source.format in _PARSED_FORMATS:
        return None
    row = cursor.execute(f"SELECT count(*) FROM {source.table_sql}").fetchone()
    return int(row[0]) if row else 0


def _sample(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    shapes: tuple[ColumnShape, ...],
    options: ProfileOptions,
    total: int | None,
    budget: Budget,
) -> Sample:
    """Fewer rows of wide tables, so that the sample stays within about four million cells; raises `ToolError` (timeout)."""
    rows = min(options.sample_rows, max(_LEAST_SAMPLE, _SAMPLED_CELLS // max(1, len(shapes))))
    found = budget.bound(lambda: take_sample(cursor, source, shapes, rows, total), None, least_seconds=_LEAST_SECONDS)
    if found is None:
        raise ToolError(
            f"{source.name} gave no sample within {options.budget_seconds:g} seconds.",
            code="timeout",
            hint="Give it more seconds, or store the result of the query first and profile that.",
        )
    return found


def _look(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    options: ProfileOptions,
    shapes: tuple[ColumnShape, ...],
    sample: Sample,
    total: int | None,
    budget: Budget,
    progress: ReportProgress,
) -> _Looks:
    distributions = find_distributions(cursor, sample.table, shapes)
    fences = fences_of(distributions, shapes)
    today = options.today or datetime.now(UTC).date().isoformat()
    scanned: dict[str, ScannedColumn] = {}
    rows = sample.rows
    progress(0.15, "reading all rows")
    is_whole = sample.how == "all rows" or (total is None and sample.rows < sample.asked)
    table = sample.table if is_whole else source.table_sql
    candidates = key_candidates(shapes, sample)
    counts_apart = not is_whole and source.format not in _PARSED_FORMATS and (total or 0) > _ROWS_COUNTED_AT_ONCE
    at_once = () if counts_apart else candidates if is_whole else candidates[:2]
    lists_days = not is_whole and source.format in _PARSED_FORMATS

    def read_all() -> bool:
        nonlocal rows, scanned
        for part in scan(
            cursor, table, shapes, sample, candidates=at_once, fences=fences, today=today, lists_days=lists_days
        ):
            rows = part.rows
            scanned |= part.columns
            progress(0.15 + 0.45 * len(scanned) / len(shapes), "reading all rows")
        return True

    is_done = budget.bound(read_all, False, least_seconds=60.0 if is_whole else _LEAST_SECONDS)
    rows_are_exact = is_whole or bool(scanned) or total is not None
    if not is_done:
        if not scanned:
            rows = total if total is not None else _estimate_rows(cursor, source, sample)
        rest = [s for s in shapes if s.name not in scanned]
        for part in scan(cursor, sample.table, rest, sample, candidates=(), fences=fences, today=today):
            factor = rows / max(1, part.rows)
            scanned |= {name: scale_up(column, factor) for name, column in part.columns.items()}
        whose = "all columns" if len(rest) == len(shapes) else f"{len(rest)} of {len(shapes)} columns"
        budget.left_out.append(f"exact counts of {whose}: theirs are scaled up from {sample.how} (time budget)")
    if counts_apart and is_done:
        scanned |= budget.run(
            "exact key counts",
            lambda: count_keys(cursor, table, shapes, candidates, scanned),
            dict[str, ScannedColumn](),
        )
        progress(0.7, "counting keys")
    if is_whole:
        sample = replace(sample, how="all rows")
    hidden = {
        s.name: h
        for s in shapes
        if s.type == "VARCHAR" and (h := find_hidden_type(s.name, sample.columns[s.name].values)) is not None
    }
    return _Looks(
        shapes=shapes,
        sample=sample,
        rows=rows,
        scanned=scanned,
        distributions=distributions,
        fences=fences,
        hidden=hidden,
        rows_are_exact=rows_are_exact,
    )


def _estimate_rows(cursor: duckdb.DuckDBPyConnection, source: ProfileSource, sample: Sample) -> int:
    """The rows of a delimited file by its bytes and the sampled rows' length; the sampled rows where that is unknown."""
    if source.text_bytes is None or not sample.rows:
        return sample.rows
    listed = ", ".join(f"coalesce(CAST({quote_name(name)} AS VARCHAR), '')" for name in sample.columns)
    row = cursor.execute(f"SELECT avg(strlen(concat_ws(',', {listed}))) + 1 FROM {sample.table}").fetchone()
    return max(sample.rows, round(source.text_bytes / float(row[0]))) if row and row[0] else sample.rows


def _assemble(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    options: ProfileOptions,
    looks: _Looks,
    budget: Budget,
    started: float,
    progress: ReportProgress,
) -> Profile:
    columns = tuple(_profile_column(s, looks, options) for s in looks.shapes)
    progress(0.75, "keys and dependencies")
    structure = _find_structure(cursor, source, options, looks, columns, budget)
    findings = _find_all(cursor, source, options, looks, columns, structure, budget)
    progress(1.0, "done")
    return Profile(
        name=source.name, rows=looks.rows, format=source.format, size_bytes=source.size_bytes,
        sampled_rows=looks.sample.rows, columns=columns, findings=findings, structure=structure,
        seconds=round(time.monotonic() - started, 3), made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        grain=_grain(structure, looks), told=source.told, left_out=tuple(budget.left_out),
        quarantine_rows=source.quarantine_rows, quarantine_sql=source.quarantine_sql, rows_are_exact=looks.rows_are_exact,
        notes=() if looks.sample.how == "all rows" else (f"Quantiles, patterns and top values marked ~ are from {looks.sample.how}.",),
    )  # fmt: skip


def _profile_column(shape: ColumnShape, looks: _Looks, options: ProfileOptions) -> ColumnProfile:
    scanned, look = looks.scanned[shape.name], looks.sample.columns[shape.name]
    meaning = find_meaning(shape.name, shape.family, look.values, scanned.min, scanned.max)
    if shape.name in options.sensitive_columns and (meaning is None or meaning.sensitivity == "none"):
        meaning = Meaning(
            kind=meaning.kind if meaning else "labelled as sensitive", share=1.0, confidence=1.0, sensitivity="personal"
        )
    hidden = looks.hidden.get(shape.name)
    if meaning is not None and meaning.kind in {"phone", "card number", "EAN", "ISBN", "national identifier", "IBAN"}:
        hidden = None
    is_whole = looks.sample.how == "all rows"
    distinct = look.distinct if is_whole and shape.family != "nested" else scanned.distinct
    is_exact = scanned.distinct_is_exact or (
        is_whole and shape.family not in {"nested", "binary", "other"} and _is_short(scanned)
    )
    return ColumnProfile(
        name=shape.name, type=shape.type, family=shape.family, nulls=looks.rows - scanned.filled, rows=looks.rows,
        distinct=scanned.distinct if scanned.distinct_is_exact else distinct, distinct_is_exact=is_exact,
        min=scanned.min, max=scanned.max, better_type=hidden.type if hidden else None,
        better_sql=hidden.sql if hidden else None, better_note=hidden.note if hidden else "",
        min_length=scanned.shortest, max_length=scanned.longest,
        pattern=find_pattern(look.values) if shape.family == "text" else None, top=_top(scanned, looks, shape.name),
        distribution=complete(looks.distributions.get(shape.name), scanned), meaning=meaning,
        is_key=is_exact and looks.rows > 1 and scanned.filled == looks.rows == (scanned.distinct if scanned.distinct_is_exact else distinct)
        and shape.family in {"integer", "text", "date", "timestamp"},
        masked_example=masked_example(look), is_sampled=scanned.is_sampled,
    )  # fmt: skip


def _is_short(scanned: ScannedColumn) -> bool:
    """Whether no value was cut when the sample was counted as text."""
    return scanned.longest is None or scanned.longest <= 500


def _top(scanned: ScannedColumn, looks: _Looks, name: str) -> tuple[ValueCount, ...]:
    if scanned.histogram:
        return tuple(
            ValueCount(value=v, rows=n, share=n / looks.rows, is_exact=not scanned.is_sampled)
            for v, n in scanned.histogram[:30]
        )
    look = looks.sample.columns[name]
    is_exact = looks.sample.how == "all rows"
    if look.filled == 0 or look.top[0].rows <= 1:
        return ()
    scale = looks.rows / max(1, looks.sample.rows)
    return tuple(
        ValueCount(value=t.value, rows=round(t.rows * scale), share=t.rows / looks.sample.rows, is_exact=is_exact)
        for t in look.top[:12]
    )


def _find_structure(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    options: ProfileOptions,
    looks: _Looks,
    columns: Sequence[ColumnProfile],
    budget: Budget,
) -> Structure:
    keys = tuple(c.name for c in columns if c.is_key)
    composite: tuple[tuple[str, ...], ...] = ()
    duplicates: int | None = 0 if keys or looks.rows < 2 else None
    is_whole = looks.sample.how == "all rows"
    near = replace(source, table_sql=looks.sample.table) if is_whole else source
    if not keys and looks.rows > 1:
        duplicates = budget.run("duplicate rows", lambda: count_duplicates(cursor, near, looks.shapes), None)
        if duplicates == 0 and len(looks.shapes) <= 60:
            composite = budget.run(
                "composite keys",
                lambda: find_composite_keys(cursor, near, looks.sample, looks.shapes, looks.rows),
                composite,
            )
    dependencies: tuple[Dependency, ...] = ()
    if len(looks.shapes) <= 200:
        free = [s for s in looks.shapes if s.name not in keys]
        verified = looks.rows <= _VERIFIED_ROWS and source.format not in _PARSED_FORMATS
        dependencies = budget.run(
            "functional dependencies",
            lambda: find_dependencies(cursor, near, looks.sample, free, is_verified=verified or is_whole),
            dependencies,
        )
    foreign: tuple[ForeignKey, ...] = ()
    if options.others:
        foreign = budget.run(
            "foreign keys",
            lambda: find_foreign_keys(
                cursor, near, looks.sample, looks.shapes, options.others, lambda: budget.allows("some foreign keys")
            ),
            foreign,
        )
    return Structure(
        keys=keys, composite_keys=composite, dependencies=dependencies, foreign_keys=foreign, duplicate_rows=duplicates
    )


def _grain(structure: Structure, looks: _Looks) -> str:
    if structure.keys:
        preferred = sorted(structure.keys, key=lambda k: (looks.scanned[k].max or "") > "~")
        return f"one row per {preferred[0]}"
    if structure.composite_keys:
        return "one row per " + " and ".join(structure.composite_keys[0])
    return ""


def _find_all(
    cursor: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    options: ProfileOptions,
    looks: _Looks,
    columns: Sequence[ColumnProfile],
    structure: Structure,
    budget: Budget,
) -> tuple[Finding, ...]:
    found: list[Finding] = list(_find_in_table(source, looks, structure, options))
    for shape, column in zip(looks.shapes, columns, strict=True):
        facts = ColumnFacts(
            source=source, shape=shape, profile=column, sample=looks.sample.columns[shape.name],
            scanned=looks.scanned[shape.name], hidden=looks.hidden.get(shape.name) if column.better_sql else None,
            fences=looks.fences.get(shape.name), rows=looks.rows, sampled_rows=looks.sample.rows,
        )  # fmt: skip
        found.extend(f for f in find_in_column(facts) if not (column.is_sensitive and f.code in _UNLISTED))
        if _may_have_gaps(facts):
            table = looks.sample.table if looks.sample.how == "all rows" else source.table_sql
            gap = budget.run("gaps in dates", partial(find_gaps, cursor, table, facts), None)
            found.extend([gap] if gap else [])
    return order_findings(found)


def _may_have_gaps(facts: ColumnFacts) -> bool:
    """Whether a series of days may be looked at: one whose first and last day may be told."""
    is_series = facts.shape.family in {"date", "timestamp"} and facts.rows >= 30
    return is_series and not facts.profile.is_sensitive and not facts.scanned.is_sampled


def _find_in_table(
    source: ProfileSource, looks: _Looks, structure: Structure, options: ProfileOptions
) -> list[Finding]:
    found: list[Finding] = []
    if structure.duplicate_rows:
        listed = ", ".join(quote_name(s.name) for s in looks.shapes)
        found.append(
            Finding(
                code="duplicate_rows", severity="high", column=None, message=f"{structure.duplicate_rows:,} rows repeat an earlier row",
                rows=structure.duplicate_rows, share=structure.duplicate_rows / looks.rows,
                show_sql=f"SELECT *, count(*) AS copies FROM {source.shown_sql} GROUP BY ALL HAVING count(*) > 1" if listed else "",
                mend_sql=f"SELECT DISTINCT * FROM {source.shown_sql}",
            )
        )  # fmt: skip
    for item in structure.dependencies:
        if item.violations:
            message = f"breaks the rule that {item.determinant} fixes {item.dependent}"
            found.append(
                Finding(
                    code="broken_dependency", severity="medium", column=item.dependent, message=message, rows=item.violations,
                    share=item.violations / max(1, looks.rows if item.is_exact else looks.sample.rows),
                    show_sql=show_violations(source, item), is_exact=item.is_exact,
                    mend_sql=f"mode({quote_name(item.dependent)}) OVER (PARTITION BY {quote_name(item.determinant)}) AS {quote_name(item.dependent)}",
                )
            )  # fmt: skip
    by_name = {o.name: o for o in options.others}
    for key in structure.foreign_keys:
        if key.orphans:
            found.append(
                Finding(
                    code="orphans", severity="high", column=key.column, rows=key.orphans, share=key.orphans / looks.rows,
                    message=f"has values that are missing in {key.other}.{key.other_column}",
                    show_sql=show_orphans(source, key, by_name[key.other]),
                )
            )  # fmt: skip
    if source.quarantine_rows:
        found.append(
            Finding(
                code="quarantined_rows", severity="high", column=None, message="rows or lines did not parse and are in quarantine",
                rows=source.quarantine_rows, share=source.quarantine_rows / max(1, looks.rows + source.quarantine_rows),
                show_sql=f"SELECT * FROM {source.quarantine_sql}" if source.quarantine_sql else "",
            )
        )  # fmt: skip
    return found
