"""The columns of many Parquet files at once, from their footers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.model import SourceColumn
from datasteward.intake.sql_text import quote_paths


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumns:
    """A file's columns in order."""

    path: Path
    columns: tuple[SourceColumn, ...]


def parquet_columns(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> list[FileColumns]:
    """The columns of each file with DuckDB's types; raises `ToolError` when a file is damaged."""
    query = f"""
        SELECT nodes, list(file_name) FROM (
            SELECT file_name, list({{n: name, t: duckdb_type, c: coalesce(num_children, 0)}} ORDER BY column_id) AS nodes
            FROM parquet_schema({quote_paths(paths)}) GROUP BY file_name
        ) GROUP BY nodes
    """
    try:
        rows = connection.cursor().execute(query).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        name = paths[0].name if len(paths) == 1 else f"One of {len(paths):,} files"
        raise ToolError(f"{name} cannot be read as Parquet: {first}", code="runtime") from error
    found = {name: _top_level(nodes) for nodes, names in rows for name in names}
    return [FileColumns(path=p, columns=found[str(p)]) for p in paths]


def _top_level(nodes: Sequence[Mapping[str, Any]]) -> tuple[SourceColumn, ...]:
    """The columns among the nodes of a schema tree, which stand parents before children."""
    columns: list[SourceColumn] = []
    below = 0
    for node in nodes[1:]:
        if below:
            below += int(node["c"]) - 1
            continue
        below = int(node["c"])
        columns.append(SourceColumn(name=str(node["n"]), label=str(node["n"]), type=str(node["t"])))
    return tuple(columns)
