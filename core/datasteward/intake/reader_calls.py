"""What a reader call in SQL, such as `read_csv('x.csv')`, may get wrong in silence, told beside its answer.

DuckDB carries such a call out itself with the options it was given; the file named alone is read by intake.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datasteward.errors import ToolError
from datasteward.intake.inspect import inspect_file
from datasteward.intake.many import tell_differences
from datasteward.intake.schemas import FileColumns, parquet_columns
from datasteward.intake.sql_text import quote_name, quote_text

_CSV_READERS = frozenset({"read_csv", "read_csv_auto"})
_JSON_READERS = frozenset({"read_json", "read_json_auto", "read_ndjson", "read_ndjson_auto"})
_PARQUET_READERS = frozenset({"read_parquet", "parquet_scan"})
_DIALECT = frozenset(
    {"sep", "delim", "delimiter", "separator", "quote", "escape", "header", "skip", "columns", "names", "column_names",
     "comment", "encoding", "auto_detect", "strict_mode", "null_padding"}
)  # fmt: skip
"""Options by which a caller says how a file is written, so that no doubt about it needs telling."""
_MOST_INSPECTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderCall:
    """A reader call: one `text` that it names with the `paths` it stands for, and `all_paths` of the whole call."""

    function: str
    text: str
    paths: tuple[Path, ...]
    all_paths: tuple[Path, ...]
    options: Mapping[str, str | None]

    def may_be(self, option: str) -> bool:
        """Whether an option is on, or not known because it is no constant."""
        return self.options.get(option, "false") not in {"false", "f", "0"}


def tell_reader_call(connection: duckdb.DuckDBPyConnection, call: ReaderCall) -> tuple[str, ...]:
    """Sentences on what the call leaves out or may misread; none where it says itself how its files are written."""
    told: list[str] = []
    if call.may_be("ignore_errors") and call.function in _CSV_READERS | _JSON_READERS:
        does = "drops lines" if call.function in _CSV_READERS else "gives rows of NULL for lines"
        told.append(
            f"{call.function} with ignore_errors {does} that do not parse, and does not count them;"
            f" FROM {quote_text(call.text)} keeps them in quarantine."
        )
    try:
        if call.function in _PARQUET_READERS:
            told += _tell_parquet(connection, call)
        elif call.function in _CSV_READERS and _DIALECT.isdisjoint(call.options):
            told += _tell_csv(call)
    except ToolError:
        return tuple(told)
    return tuple(told)


def _tell_parquet(connection: duckdb.DuckDBPyConnection, call: ReaderCall) -> list[str]:
    if len(call.all_paths) < 2 or "schema" in call.options:
        return []
    columns = parquet_columns(connection, call.all_paths)
    return _tell_lost(call, columns) or tell_differences(columns, {})


def _tell_csv(call: ReaderCall) -> list[str]:
    intakes = [i for p in call.all_paths[:_MOST_INSPECTED] if (i := inspect_file(p)).format == "delimited"]
    columns = [FileColumns(path=i.path, columns=i.columns) for i in intakes]
    lost = _tell_lost(call, columns) if len(columns) > 1 else []
    odd = next((i for i in intakes if i.path in call.paths and not i.is_plain and i.doubts), None)
    if odd is None:
        return lost
    return [
        *lost,
        f"{call.function} goes by DuckDB's own sniffing, and {odd.path.name} is not plain: {' '.join(odd.doubts[:3])}"
        f" FROM {quote_text(call.text)} reads it with that in mind.",
    ]


def _tell_lost(call: ReaderCall, columns: Sequence[FileColumns]) -> list[str]:
    """The columns that only later files have, which a reader drops that does not join by name."""
    if call.options.get("union_by_name") in {"true", "t", "1"}:
        return []
    first = {c.name.casefold() for c in columns[0].columns}
    lost = dict.fromkeys(c.name for f in columns[1:] for c in f.columns if c.name.casefold() not in first)
    if not lost:
        return []
    names = ", ".join(quote_name(n) for n in list(lost)[:5]) + (" …" if len(lost) > 5 else "")
    return [
        f"{call.function} takes the columns of the first file, {columns[0].path.name}: {names} of later files left out;"
        " union_by_name = true keeps them."
    ]
