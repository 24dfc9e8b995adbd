"""Many files as one table: those of a pattern, or of a folder of hive partitions."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import duckdb

from datasteward.intake.model import BadRowLimit, Intake, Quarantine, ReadPlan, ReasonCount, SourceColumn
from datasteward.intake.plan import read_plan
from datasteward.intake.schemas import FileColumns, parquet_columns
from datasteward.intake.sql_text import quote_name, quote_paths, quote_text

_INTEGER = re.compile(r"__HIVE_DEFAULT_PARTITION__|0|-?[1-9][0-9]{0,17}")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PARTITION = re.compile(r"(?P<key>[A-Za-z_][\w ]*)=(?P<value>[^/\\]*)")
_NUMBER_TYPE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")
_NESTED_TYPE = re.compile(r"STRUCT|MAP|UNION|JSON|\]")
_MOST_TOLD = 12


def read_many(
    connection: duckdb.DuckDBPyConnection,
    intakes: Sequence[Intake],
    cache_folder: Path,
    *,
    limit: BadRowLimit | None = None,
    folder: Path | None = None,
) -> ReadPlan:
    """One plan for all the files, columns joined by name; parts of a path such as `year=2024` become columns.

    Only parts below `folder` count where one is given. A part's values are numbers where all files' are.

    Parquet files are read by one scan. Other files are read each as it is written, and a column whose types differ
    between them takes the one that holds all values. What differs between the files is told.
    """
    paths = [i.path for i in intakes]
    if all(i.format == "parquet" for i in intakes):
        return _read_parquet(connection, paths, folder)
    plans = [read_plan(connection, i, cache_folder, limit) for i in intakes]
    keys = [_partition_keys(p.relative_to(folder) if folder else p) for p in paths]
    numbers = {k for found in keys for k in found if all(_INTEGER.fullmatch(x[k]) for x in keys if k in x)}
    columns = [FileColumns(path=p, columns=plan.columns) for p, plan in zip(paths, plans, strict=True)]
    settled = _settle_types(columns)
    selects = [
        f"SELECT {_select_list(found, numbers, plan, settled)} FROM {plan.table_sql}"
        for found, plan in zip(keys, plans, strict=True)
    ]
    notes = [(path, t) for path, plan in zip(paths, plans, strict=True) for t in plan.told]
    return ReadPlan(
        kind="converted" if any(p.kind == "converted" for p in plans) else "direct",
        table_sql="(" + " UNION ALL BY NAME ".join(selects) + ")",
        files=tuple(f for p in plans for f in p.files),
        quarantine=_join_quarantines(paths, plans),
        told=(*_tell_count(paths), *_cut([*tell_differences(columns, settled), *_gather(notes)])),
    )


def _read_parquet(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], folder: Path | None) -> ReadPlan:
    columns = parquet_columns(connection, paths)
    home = folder or Path(paths[0].anchor)
    has_partitions = any(_PARTITION.fullmatch(part) for part in paths[0].relative_to(home).parts[:-1])
    hive = str(has_partitions).lower()
    sql = f"read_parquet({quote_paths(paths)}, union_by_name = true, hive_partitioning = {hive})"
    told = (*_tell_count(paths), *_cut(tell_differences(columns, {})))
    return ReadPlan(kind="direct", table_sql=sql, files=tuple(paths), told=told)


def _partition_keys(path: Path) -> dict[str, str]:
    found = [m for part in path.parts[:-1] if (m := _PARTITION.fullmatch(part))]
    return {m["key"]: unquote(m["value"]) for m in found}


def _settle_types(files: Sequence[FileColumns]) -> dict[str, str]:
    """By name in lower case, the type for each column whose types differ and have none in common by themselves."""
    types: dict[str, set[str]] = defaultdict(set)
    for file in files:
        for column in file.columns:
            types[column.name.casefold()].add(column.type)
    return {name: common for name, found in types.items() if len(found) > 1 and (common := _common_type(found))}


def _common_type(types: set[str]) -> str | None:
    """The type that holds the values of all `types` as they are; None for numbers, which DuckDB joins itself."""
    if all(_NUMBER_TYPE.fullmatch(t) for t in types):
        return None
    if types <= {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    return "JSON" if any(_NESTED_TYPE.search(t) for t in types) else "VARCHAR"


def _select_list(keys: Mapping[str, str], numbers: set[str], plan: ReadPlan, settled: Mapping[str, str]) -> str:
    """All columns and those of the path, which stand in for columns of the same name in the file."""
    values = {
        k: "NULL" if v == _NO_VALUE else f"{v}::BIGINT" if k in numbers else quote_text(v) for k, v in keys.items()
    }
    folded = {k.casefold() for k in values}
    held = {c.name.casefold() for c in plan.columns}
    instead = [f"{v} AS {quote_name(k)}" for k, v in values.items() if k.casefold() in held]
    instead += [
        f"{_cast(quote_name(c.name), settled[c.name.casefold()])} AS {quote_name(c.name)}"
        for c in plan.columns
        if c.name.casefold() in settled and c.name.casefold() not in folded
    ]
    listed = [f"{v} AS {quote_name(k)}" for k, v in values.items() if k.casefold() not in held]
    return ", ".join([f"* REPLACE ({', '.join(instead)})" if instead else "*", *listed])


def _cast(name: str, kind: str) -> str:
    return f"to_json({name})" if kind == "JSON" else f"{name}::{kind}"


def _join_quarantines(paths: Sequence[Path], plans: Sequence[ReadPlan]) -> Quarantine | None:
    """The lines set aside in any of the files, with a first column that names the file; None when there are none."""
    held = [(path, p.quarantine) for path, p in zip(paths, plans, strict=True) if p.quarantine]
    if not held:
        return None
    reasons: dict[str, int] = defaultdict(int)
    for _, quarantine in held:
        for reason in quarantine.reasons:
            reasons[reason.reason] += reason.rows
    selects = [f"SELECT {quote_text(path.name)} AS file, * FROM {q.table_sql}" for path, q in held]
    return Quarantine(
        path=held[0][1].path,
        rows=sum(q.rows for _, q in held),
        reasons=tuple(ReasonCount(reason=r, rows=n) for r, n in reasons.items()),
        table_sql="(" + " UNION ALL ".join(selects) + ")",
    )


def _tell_count(paths: Sequence[Path]) -> tuple[str, ...]:
    return (f"{len(paths):,} files are read as one table.",) if len(paths) > 1 else ()


def tell_differences(files: Sequence[FileColumns], settled: Mapping[str, str]) -> list[str]:
    """Which columns some of the files lack, and which have differing types (with the type in `settled`, if there)."""
    holders: dict[str, list[tuple[Path, SourceColumn]]] = defaultdict(list)
    for file in files:
        for column in file.columns:
            holders[column.name.casefold()].append((file.path, column))
    lacking: dict[tuple[Path, ...], list[str]] = defaultdict(list)
    told: list[str] = []
    for name, held in holders.items():
        if len(held) < len(files):
            having = {path for path, _ in held}
            lacking[tuple(f.path for f in files if f.path not in having)].append(held[0][1].name)
        if len({c.type for _, c in held}) > 1:
            told.append(_tell_types(held, settled.get(name)))
    return [*(_tell_lacking(paths, names, len(files)) for paths, names in lacking.items()), *told]


def _tell_lacking(paths: Sequence[Path], names: Sequence[str], total: int) -> str:
    shown = _shorten([quote_name(n) for n in names])
    verb = "are" if len(names) > 1 else "is"
    return f"{shown} {verb} missing in {len(paths):,} of {total:,} files ({_shorten([p.name for p in paths])})."


def _tell_types(held: Sequence[tuple[Path, SourceColumn]], settled: str | None) -> str:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path, column in held:
        groups[column.type].append(path)
    shown = "; ".join(f"{kind} in {_shorten([p.name for p in paths], 2)}" for kind, paths in sorted(groups.items()))
    taken = f", read as {settled}" if settled else ""
    return f"{quote_name(held[0][1].name)} has differing types{taken}: {shown}."


def _gather(notes: Iterable[tuple[Path, str]]) -> list[str]:
    """What is told of single files, the same of several said once."""
    files: dict[str, list[str]] = defaultdict(list)
    for path, note in notes:
        files[note].append(path.name)
    return [f"{_shorten(names)}: {note}" for note, names in files.items()]


def _cut(told: Sequence[str]) -> list[str]:
    left = len(told) - _MOST_TOLD
    return [*told[:_MOST_TOLD], f"{left:,} more such notes."] if left > 0 else list(told)


def _shorten(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
