"""A folder of SQL files bound in order of need, so that lineage is known before anything has run here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datasteward.errors import ConfigError, ToolError
from datasteward.lineage.edges import StatementLineage
from datasteward.lineage.resolve import resolve
from datasteward.lineage.schemas import FILE_NAMESPACE, Catalog, Column, Dataset, DatasetKey, DatasetKind
from datasteward.lineage.sql_tokens import quote_name
from datasteward.lineage.statements import ScriptStatement, split_statements

MAX_FILES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedStatement:
    """One statement of the folder with its place and lineage."""

    file: str
    line: int
    sql: str
    lineage: StatementLineage


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """What could not be understood, and where; `file` is relative to the folder, `line` counts from 1."""

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The statements in the order they were bound, the problems, and the catalog with all that they make."""

    statements: tuple[ImportedStatement, ...]
    problems: tuple[ImportProblem, ...]
    catalog: Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    file: str
    line: int
    sql: str
    reads: frozenset[DatasetKey]
    writes: DatasetKey | None


def import_folder(
    folder: Path,
    catalog: Catalog,
    *,
    files: Mapping[str, tuple[Column, ...]] | None = None,
    dialect: str = "duckdb",
) -> ImportReport:
    """The lineage of every `.sql` file below `folder`; nothing is executed.

    A file that is one bare query defines the table named after the file (`marts/orders.sql` is `marts.orders`).
    Statements are bound once all that they read is known; cycles, missing inputs and unreadable statements are told
    with file and line and do not stop the rest. Raises `ConfigError` when the folder is not one or holds no SQL.
    """
    steps, problems = _read_steps(folder, catalog, dialect)
    made = {s.writes for s in steps if s.writes is not None}
    known = {d.key for d in catalog.datasets}
    done: list[ImportedStatement] = []
    waiting = list(steps)
    while waiting:
        ready = [s for s in waiting if not _needs(s, waiting)]
        if not ready:
            cycle = _find_cycle(waiting)
            problems.append(_cycle_problem(cycle))
            ready = [cycle[0]]
        for step in ready:
            waiting.remove(step)
            absent = sorted(k.name for k in step.reads - known - made if k.namespace != FILE_NAMESPACE)
            if absent:
                message = f"reads unknown {', '.join(absent)}"
                problems.append(ImportProblem(file=step.file, line=step.line, message=message))
            catalog = _bind(step, catalog, files or {}, dialect, done, [] if absent else problems)
    return ImportReport(statements=tuple(done), problems=tuple(problems), catalog=catalog)


def _read_steps(folder: Path, catalog: Catalog, dialect: str) -> tuple[list[_Step], list[ImportProblem]]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder.", hint="Give the folder that holds the .sql files.")
    paths = sorted(p for p in folder.rglob("*.sql") if p.is_file())
    if not paths:
        raise ConfigError(f"{folder} holds no .sql file.", hint="Give the folder that holds the .sql files.")
    if len(paths) > MAX_FILES:
        raise ConfigError(f"{folder} holds {len(paths):,} .sql files; at most {MAX_FILES:,} are read.")
    steps: list[_Step] = []
    problems: list[ImportProblem] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(ImportProblem(file=name, line=1, message=f"not readable: {error}"))
            continue
        for statement in _named_statements(path.relative_to(folder), text):
            step = _read_step(name, statement, catalog, dialect, problems)
            if step is not None:
                steps.append(step)
    return steps, problems


def _named_statements(path: Path, text: str) -> Sequence[ScriptStatement]:
    from datasteward.lineage.rewriting import is_query

    statements = split_statements(text)
    if len(statements) != 1 or not is_query(statements[0].sql):
        return statements
    parts = [*path.parent.parts[-1:], path.stem]
    target = ".".join(quote_name(p) for p in parts)
    return (replace(statements[0], sql=f"CREATE TABLE {target} AS {statements[0].sql}"),)


def _read_step(
    file: str, statement: ScriptStatement, catalog: Catalog, dialect: str, problems: list[ImportProblem]
) -> _Step | None:
    from datasteward.lineage.parsed import ParseFailure, parse_tables

    try:
        tables = parse_tables(statement.sql, catalog, dialect)
    except ParseFailure as error:
        problems.append(ImportProblem(file=file, line=statement.line, message=str(error)))
        return None
    makes = tables.kind in ("create_table", "create_view")
    writes = tables.target if makes or tables.kind in ("insert", "update", "merge", "delete") else None
    reads = frozenset(tables.inputs) | (frozenset() if makes or writes is None else frozenset([writes]))
    reads -= {writes} if makes and writes else set()
    return _Step(file=file, line=statement.line, sql=statement.sql, reads=reads, writes=writes if makes else None)


def _needs(step: _Step, waiting: Sequence[_Step]) -> list[_Step]:
    """The waiting statements that make what `step` reads; within one file the order of the text also holds."""
    earlier = [w for w in waiting if w.file == step.file and w.line < step.line]
    return [w for w in waiting if w is not step and w.writes in step.reads and w.writes is not None] + earlier


def _find_cycle(waiting: Sequence[_Step]) -> list[_Step]:
    way = [waiting[0]]
    while True:
        following = _needs(way[-1], waiting)[0]
        if following in way:
            return way[way.index(following) :]
        way.append(following)


def _cycle_problem(cycle: Sequence[_Step]) -> ImportProblem:
    places = " needs ".join(f"{s.file}:{s.line}" for s in [*cycle, cycle[0]])
    return ImportProblem(file=cycle[0].file, line=cycle[0].line, message=f"cycle: {places}")


def _bind(
    step: _Step,
    catalog: Catalog,
    files: Mapping[str, tuple[Column, ...]],
    dialect: str,
    done: list[ImportedStatement],
    problems: list[ImportProblem],
) -> Catalog:
    try:
        found = resolve(step.sql, catalog, files=files, dialect=dialect)
    except ToolError as error:
        problems.append(ImportProblem(file=step.file, line=step.line, message=error.message))
        return catalog
    if found.confidence != "bound" and dialect == "duckdb":
        problems.append(ImportProblem(file=step.file, line=step.line, message="; ".join(found.notes)))
    done.append(ImportedStatement(file=step.file, line=step.line, sql=step.sql, lineage=found))
    if found.kind == "create_macro":
        return catalog.with_macro(step.sql)
    if found.kind in ("create_table", "create_view") and found.outputs:
        kind: DatasetKind = "view" if found.kind == "create_view" else "table"
        target = found.target
        columns = found.output_schema
        return catalog.with_dataset(Dataset(namespace=target.namespace, name=target.name, kind=kind, columns=columns))
    return catalog
