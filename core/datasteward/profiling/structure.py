"""Dependencies between columns, duplicate rows, and foreign keys into other datasets."""

from collections.abc import Callable, Sequence

import duckdb

from datasteward.intake.sql_text import quote_name
from datasteward.profiling.counting import count_distinct
from datasteward.profiling.model import Dependency, ForeignKey, OtherDataset, ProfileSource
from datasteward.profiling.sampling import ColumnShape, Sample, family_of

_DEPENDENCY_COLUMNS = 20
_PAIR_ROWS = 5_000
_PROVEN_PAIRS = 60
_NEAR = 0.05


def _pair(left: str, right: str) -> str:
    return f"hash({quote_name(left)}, {quote_name(right)})"


def count_duplicates(
    connection: duckdb.DuckDBPyConnection, source: ProfileSource, shapes: Sequence[ColumnShape], rows: int
) -> int:
    """How many rows repeat an earlier row in every column."""
    listed = ", ".join(quote_name(s.name) for s in shapes)
    return rows - count_distinct(connection, source.table_sql, f"hash({listed})", rows=rows)


def find_dependencies(
    connection: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    sample: Sample,
    shapes: Sequence[ColumnShape],
    *,
    is_verified: bool,
) -> tuple[Dependency, ...]:
    """Columns that fix another column, entirely or for all but 5 % of the rows.

    A determinant must repeat (three rows per value on average), and the dependent must vary. With `is_verified` the
    violations are counted over all rows, else in the sample only.
    """
    fit = _most_distinct([s.name for s in shapes if _can_depend(s, sample)], sample)
    pairs = _likely_pairs(connection, sample, fit)
    table = source.table_sql if is_verified else sample.table
    found: list[Dependency] = []
    for determinant, dependent in pairs[:_PROVEN_PAIRS]:
        violations, total, groups = _count_violations(connection, table, determinant, dependent)
        limit = _NEAR * total if groups >= 10 else 0
        if groups < 3 or violations > limit or (violations and not _is_strong(sample, determinant, dependent)):
            continue
        found.append(
            Dependency(determinant=determinant, dependent=dependent, violations=violations, is_exact=is_verified)
        )
    return tuple(_without_mirrors(found))


def _most_distinct(names: list[str], sample: Sample) -> list[str]:
    """The columns to look at, in their order: those with the most values, as these fix others."""
    chosen = set(sorted(names, key=lambda n: -sample.columns[n].distinct)[:_DEPENDENCY_COLUMNS])
    return [n for n in names if n in chosen]


def _likely_pairs(connection: duckdb.DuckDBPyConnection, sample: Sample, fit: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of columns with hardly more combinations than values of the first, in the first 5,000 sampled rows."""
    pairs = [(a, b) for a in fit for b in fit if a != b and sample.columns[a].distinct >= sample.columns[b].distinct]
    if not pairs:
        return []
    counts = ", ".join(
        [f"count(DISTINCT {quote_name(a)})" for a in fit] + [f"count(DISTINCT {_pair(a, b)})" for a, b in pairs]
    )
    row = connection.execute(f"SELECT {counts} FROM (FROM {sample.table} LIMIT {_PAIR_ROWS})").fetchone() or ()
    alone = dict(zip(fit, row, strict=False))
    excess = {p: n - alone[p[0]] for p, n in zip(pairs, row[len(fit) :], strict=True)}
    limit = 1 + 2 * _NEAR * min(sample.rows, _PAIR_ROWS)
    return sorted((p for p in pairs if excess[p] <= limit), key=lambda p: excess[p])


def _can_depend(shape: ColumnShape, sample: Sample) -> bool:
    look = sample.columns[shape.name]
    if (
        shape.family not in {"text", "integer", "boolean", "date"}
        or look.filled < 0.5 * sample.rows
        or look.filled < 30
    ):
        return False
    return 2 <= look.distinct <= look.filled / 3


def _is_strong(sample: Sample, determinant: str, dependent: str) -> bool:
    """Whether a near dependency is no accident: the dependent's most frequent value must not fill the column."""
    look = sample.columns[dependent]
    return (
        bool(look.top)
        and look.top[0].rows < 0.8 * look.filled
        and look.distinct >= 5
        and sample.columns[determinant].distinct >= 10
    )


def _count_violations(
    connection: duckdb.DuckDBPyConnection, table: str, determinant: str, dependent: str
) -> tuple[int, int, int]:
    """Rows off the majority of their group, all rows, and groups of at least two rows."""
    a, b = quote_name(determinant), quote_name(dependent)
    row = connection.execute(
        f"SELECT sum(total - most), sum(total), count_if(total > 1) FROM (SELECT max(n) AS most, sum(n) AS total FROM "
        f"(SELECT {a} AS a, count(*) AS n FROM {table} WHERE {a} IS NOT NULL AND {b} IS NOT NULL GROUP BY {a}, {b}) GROUP BY a)"
    ).fetchone()
    return (int(row[0] or 0), int(row[1] or 0), int(row[2] or 0)) if row else (0, 0, 0)


def _without_mirrors(found: list[Dependency]) -> list[Dependency]:
    """Exact dependencies first; of two columns that fix each other only the first, of broken ones one for each dependent.

    A broken one says nothing where another column fixes the same dependent without exception.
    """
    kept: list[Dependency] = []
    fixed = {d.dependent for d in found if not d.violations}
    for item in sorted(found, key=lambda d: d.violations):
        if item.violations and (item.dependent in fixed or any(k.dependent == item.dependent for k in kept)):
            continue
        if not any(k.determinant == item.dependent and k.dependent == item.determinant for k in kept):
            kept.append(item)
    return kept[:16]


def show_violations(source: ProfileSource, dependency: Dependency) -> str:
    """SQL that lists the values of the determinant that go with more than one dependent."""
    a, b = quote_name(dependency.determinant), quote_name(dependency.dependent)
    return (
        f"SELECT {a}, histogram({b}) AS found FROM {source.shown_sql} WHERE {b} IS NOT NULL GROUP BY {a} "
        f"HAVING count(DISTINCT {b}) > 1"
    )


def find_foreign_keys(
    connection: duckdb.DuckDBPyConnection,
    source: ProfileSource,
    sample: Sample,
    shapes: Sequence[ColumnShape],
    others: Sequence[OtherDataset],
    may_go_on: Callable[[], bool],
) -> tuple[ForeignKey, ...]:
    """Columns whose values lie in a unique column of another dataset with a name that agrees.

    A column is tried where the names are equal, or where `customer_id` meets `id` or `key` of `customers`.
    """
    found: list[ForeignKey] = []
    for other in others:
        if not may_go_on():
            break
        described = connection.execute(f"DESCRIBE SELECT * FROM {other.table_sql}").fetchall()
        for shape in shapes:
            if shape.family not in {"integer", "text"} or not sample.columns[shape.name].filled:
                continue
            for row in described:
                name, family = str(row[0]), family_of(str(row[1]))
                if family == shape.family and _names_agree(shape.name, other.name, name):
                    try:
                        key = _check_inclusion(connection, source, shape.name, other, name)
                    except (duckdb.InvalidInputException, duckdb.ConversionException):
                        break
                    if key:
                        found.append(key)
    return tuple(found)


def _names_agree(column: str, other: str, other_column: str) -> bool:
    mine, theirs = column.lower(), other_column.lower()
    stem = other.lower().rsplit(".", 1)[-1]
    singulars = {stem, stem.removesuffix("s"), stem.removesuffix("es"), stem.removesuffix("ies") + "y"}
    if mine == theirs:
        return mine not in {"id", "name", "key", "code", "type", "date", "status", "description", "index"}
    for mark in ("id", "key", "code", "no"):
        if theirs in {mark, *(f"{s}_{mark}" for s in singulars)} and mine.endswith(mark):
            return any(mine in {f"{s}_{mark}", f"{s}{mark}"} or mine.endswith(f"_{s}_{mark}") for s in singulars)
    return False


def _check_inclusion(
    connection: duckdb.DuckDBPyConnection, source: ProfileSource, column: str, other: OtherDataset, other_column: str
) -> ForeignKey | None:
    c, o = quote_name(column), quote_name(other_column)
    unique = connection.execute(
        f"SELECT count({o}) = count(DISTINCT {o}), count({o}) FROM {other.table_sql}"
    ).fetchone()
    if not unique or not unique[0] or not unique[1]:
        return None
    row = connection.execute(
        f"SELECT count(*), count_if(o.v IS NOT NULL), sum(m.n) FILTER (o.v IS NULL) FROM "
        f"(SELECT {c} AS v, count(*) AS n FROM {source.table_sql} WHERE {c} IS NOT NULL GROUP BY {c}) m "
        f"LEFT JOIN (SELECT DISTINCT {o} AS v FROM {other.table_sql}) o ON m.v = o.v"
    ).fetchone()
    if not row or not row[0] or row[1] < 0.5 * row[0]:
        return None
    return ForeignKey(
        column=column, other=other.name, other_column=other_column, share=row[1] / row[0], orphans=int(row[2] or 0)
    )


def show_orphans(source: ProfileSource, key: ForeignKey, other: OtherDataset) -> str:
    """SQL that lists the rows whose value is missing in the other dataset."""
    c, o = quote_name(key.column), quote_name(key.other_column)
    return f"SELECT * FROM {source.shown_sql} AS t WHERE {c} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {other.name} AS o WHERE o.{o} = t.{c})"
