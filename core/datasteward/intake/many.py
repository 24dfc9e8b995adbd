"""Many files as one table: a list, a glob, or a folder of hive partitions."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.model import BadRowLimit, Overrides, ReadPlan
from datasteward.intake.plan import read_plan
from datasteward.intake.sql_text import quote_name, quote_paths, quote_text

MOST_FILES = 10_000
_INTEGER = re.compile(r"__HIVE_DEFAULT_PARTITION__|0|-?[1-9][0-9]{0,17}")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PARTITION = re.compile(r"(?P<key>[A-Za-z_][\w ]*)=(?P<value>[^/\\]*)")


def list_files(pattern: Path) -> tuple[Path, ...]:
    """The files of a folder (at any depth, hidden ones left out) or of a glob pattern, sorted.

    Raises `ToolError` when there is none, or more than 10,000.
    """
    if pattern.is_dir():
        found = sorted(
            p
            for p in pattern.rglob("*")
            if p.is_file() and not any(x.startswith((".", "_")) for x in p.relative_to(pattern).parts)
        )
    else:
        parts = pattern.parts
        at = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts) - 1)
        found = sorted(p for p in Path(*parts[:at]).glob(str(Path(*parts[at:]))) if p.is_file())
    if not found:
        raise ToolError(f"No file matches {pattern}.", code="not_found")
    if len(found) > MOST_FILES:
        raise ToolError(
            f"{pattern} matches {len(found):,} files; at most {MOST_FILES:,} can be read as one.", code="too_large"
        )
    return tuple(found)


def read_many(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    cache_folder: Path,
    *,
    overrides: Overrides | None = None,
    limit: BadRowLimit | None = None,
    folder: Path | None = None,
) -> ReadPlan:
    """One plan for all of `paths`, columns joined by name; parts of a path such as `year=2024` become columns.

    Only parts below `folder` count where one is given. A part's values are numbers where all files' are.

    Parquet files are read by one scan. Other files are inspected one by one, so that one that is written differently
    from the rest is still read as it is. What differs between the files is told.
    """
    intakes = [inspect_file(p, overrides) for p in paths]
    formats = {i.format for i in intakes}
    if formats == {"parquet"}:
        has_partitions = any(_PARTITION.fullmatch(part) for part in paths[0].parts)
        hive = ", hive_partitioning = true" if has_partitions else ""
        sql = f"read_parquet({quote_paths(paths)}, union_by_name = true{hive})"
        return ReadPlan(kind="direct", table_sql=sql, files=tuple(paths), told=_tell_count(paths))
    plans = [read_plan(connection, i, cache_folder, limit) for i in intakes]
    keys = [_partition_keys(p.relative_to(folder) if folder else p) for p in paths]
    numbers = {k for found in keys for k in found if all(_INTEGER.fullmatch(x[k]) for x in keys if k in x)}
    selects = [
        f"SELECT {_select_list(found, numbers, plan)} FROM {plan.table_sql}"
        for found, plan in zip(keys, plans, strict=True)
    ]
    told = [*_tell_count(paths), *_tell_differences(paths, plans)]
    for path, plan in zip(paths, plans, strict=True):
        told.extend(f"{path.name}: {t}" for t in plan.told[:3])
    return ReadPlan(
        kind="converted" if any(p.kind == "converted" for p in plans) else "direct",
        table_sql="(" + " UNION ALL BY NAME ".join(selects) + ")",
        files=tuple(f for p in plans for f in p.files),
        told=tuple(told[:50]),
    )


def _partition_keys(path: Path) -> dict[str, str]:
    found = [m for part in path.parts[:-1] if (m := _PARTITION.fullmatch(part))]
    return {m["key"]: unquote(m["value"]) for m in found}


def _select_list(keys: dict[str, str], numbers: set[str], plan: ReadPlan) -> str:
    """All columns and those of the path, which stand in for columns of the same name in the file."""
    held = {c.name.casefold() for c in plan.columns}
    values = {
        k: "NULL" if v == _NO_VALUE else f"{v}::BIGINT" if k in numbers else quote_text(v) for k, v in keys.items()
    }
    listed = [f"{v} AS {quote_name(k)}" for k, v in values.items() if k.casefold() not in held]
    instead = [f"{v} AS {quote_name(k)}" for k, v in values.items() if k.casefold() in held]
    return ", ".join([f"* REPLACE ({', '.join(instead)})" if instead else "*", *listed])


def _tell_count(paths: Sequence[Path]) -> tuple[str, ...]:
    return (f"{len(paths):,} files are read as one table.",) if len(paths) > 1 else ()


def _tell_differences(paths: Sequence[Path], plans: Sequence[ReadPlan]) -> list[str]:
    """Columns that some files lack, and columns whose type differs."""
    told: list[str] = []
    names = list(dict.fromkeys(c.name for p in plans for c in p.columns))
    for name in names[:500]:
        types = {c.type for p in plans for c in p.columns if c.name == name}
        lacking = [path.name for path, p in zip(paths, plans, strict=True) if all(c.name != name for c in p.columns)]
        if lacking:
            shown = ", ".join(lacking[:3]) + (" …" if len(lacking) > 3 else "")
            told.append(f"{quote_name(name)} is missing in {len(lacking)} of {len(paths)} files ({shown}).")
        if len(types) > 1:
            told.append(f"{quote_name(name)} has differing types: {', '.join(sorted(types))}.")
    return told
