"""The tables and files that a query reads, each under a plain name by which both engines can be given its rows."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from datasteward.engine.carriers import quote_name, quote_text
from datasteward.errors import ToolError
from datasteward.lineage.schemas import Column
from datasteward.lineage.sql_tokens import closing_index, read_tokens
from datasteward.pipelines.syntax import FileScan, Query, TableUse

_CARRIERS = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "UUID": "VARCHAR",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
}
"""Types that Parquet or Spark lacks, and what carries their values, or fails where one does not fit."""
_SHARED = frozenset(
    ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIMESTAMP")
) | {"TIMESTAMP WITH TIME ZONE"}

Place = TableUse | FileScan
ColumnsOf = Callable[[Place, str], Sequence[Column]]
"""The columns of what a query names at a place, which SQL writes as the relation given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """How rows leave DuckDB: what is selected, and what stays behind because Spark has no such type."""

    columns: tuple[Column, ...]
    parts: tuple[str, ...]
    """What is selected for each of the columns."""
    left_behind: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Something that a query reads under `name`; `relation` is how DuckDB's SQL writes it after FROM."""

    name: str
    relation: str
    export: Export

    def narrow(self, names: Collection[str]) -> "Input":
        """The same with only those columns that are among `names`, or the first where none is."""
        picked = [i for i, c in enumerate(self.export.columns) if c.name in names] or [0]
        columns = tuple(self.export.columns[i] for i in picked)
        parts = tuple(self.export.parts[i] for i in picked)
        return replace(self, export=replace(self.export, columns=columns, parts=parts))

    @property
    def label(self) -> str:
        """The relation as people write it."""
        return self.relation.replace('"', "")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A query of DuckDB's dialect that reads its inputs by their plain names."""

    sql: str
    inputs: tuple[Input, ...]


def name_inputs(query: Query, columns_of: ColumnsOf) -> NamedQuery:
    """The query with `input_0`, `input_1`, … instead of what it reads; aliases keep the names that columns use.

    Raises `ToolError` when no column of an input can cross.
    """
    inputs: dict[str, Input] = {}
    pieces: list[str] = []
    done = 0
    places: list[Place] = sorted((*query.tables, *query.scans), key=lambda p: p.start)
    for place in places:
        end, relation, label = _relation_at(query.sql, place)
        key = relation.casefold()
        if key not in inputs:
            inputs[key] = make_input(f"input_{len(inputs)}", relation, columns_of(place, relation))
        alias = "" if _has_alias(query.sql, end, place) else f" AS {quote_name(label)}"
        pieces += [query.sql[done : place.start], inputs[key].name, alias]
        done = end
    return NamedQuery(sql="".join(pieces) + query.sql[done:], inputs=tuple(inputs.values()))


def make_input(name: str, relation: str, columns: Sequence[Column]) -> Input:
    """An input with all of its columns that can cross; raises `ToolError` when none can."""
    export = _plan_export(columns)
    if not export.columns:
        raise ToolError(
            f"no column of {relation.replace(chr(34), '')} has a type that Spark knows",
            code="invalid_arguments",
            hint="Compute this asset in DuckDB, or cast the columns in an asset before it.",
        )
    return Input(name=name, relation=relation, export=export)


def write_relation(parts: Sequence[str]) -> str:
    """A name as SQL writes it after FROM: of a table, or of a file by its path."""
    is_path = len(parts) == 1 and ("/" in parts[0] or "." in parts[0])
    return quote_text(parts[0]) if is_path else ".".join(quote_name(p) for p in parts)


def _relation_at(sql: str, place: Place) -> tuple[int, str, str]:
    """Where the relation ends in the text, how it is written, and the name that columns are qualified by."""
    tokens = read_tokens(sql[place.start :])
    if isinstance(place, FileScan):
        closing = closing_index(tokens, next(i for i, t in enumerate(tokens) if t.text == "("))
        end = place.start + tokens[closing if closing is not None else -1].end
        return end, sql[place.start : end], place.function
    if tokens[0].kind == "string":
        return place.start + tokens[0].end, quote_text(tokens[0].value), tokens[0].value.split("/")[-1].split(".")[0]
    end = place.start + tokens[2 * len(place.parts) - 2].end
    return end, write_relation(place.parts), place.parts[-1]


def _has_alias(sql: str, end: int, place: Place) -> bool:
    if isinstance(place, TableUse):
        return place.has_alias
    following = read_tokens(sql[end:])
    return bool(following) and (following[0].is_word("as") or following[0].kind in {"word", "quoted"})


def _plan_export(columns: Sequence[Column]) -> Export:
    kept, parts, left = [], [], []
    for column in columns:
        kind = "VARCHAR" if column.type.upper().startswith("ENUM") else column.type.upper()
        carrier = _CARRIERS.get(kind, kind)
        if carrier not in _SHARED and not (carrier.startswith("DECIMAL") and not carrier.endswith("]")):
            left.append(column)
            continue
        name = quote_name(column.name)
        value = name if carrier == column.type.upper() else f"CAST({name} AS {carrier})"
        parts.append(f"{value} AS {quote_name(column.name.lower())}")
        kept.append(Column(name=column.name.lower(), type=carrier))
    return Export(columns=tuple(kept), parts=tuple(parts), left_behind=tuple(left))
