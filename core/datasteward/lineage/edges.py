"""What a statement's lineage consists of, in the terms of OpenLineage's columnLineage facet (version 1-2-0)."""

from dataclasses import dataclass
from typing import Literal

from datasteward.lineage.schemas import Column, ColumnRef, DatasetKey

EdgeKind = Literal["direct", "indirect", "table"]
Subtype = Literal[
    "identity",
    "transformation",
    "aggregation",
    "join",
    "filter",
    "group_by",
    "sort",
    "window",
    "conditional",
    "reads",
]
Confidence = Literal["bound", "parsed", "table"]
StatementKind = Literal[
    "select",
    "create_table",
    "create_view",
    "insert",
    "update",
    "delete",
    "merge",
    "copy_to",
    "copy_from",
    "drop",
    "alter",
    "create_macro",
    "other",
]
ChangeKind = Literal["drop", "rename", "rename_column", "drop_column", "add_column", "change_type"]

DIRECT: tuple[Subtype, ...] = ("identity", "transformation", "aggregation")


def kind_of(subtype: Subtype) -> EdgeKind:
    """`direct` when values flow, `indirect` when they only steer, `table` when no column is known."""
    if subtype == "reads":
        return "table"
    return "direct" if subtype in DIRECT else "indirect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One column (or, with an empty column, one dataset) that has a part in another.

    An indirect edge onto a dataset as a whole holds for each of its columns (its rows were joined, filtered,
    grouped or sorted by the source). `masking` says that the value cannot be read back (hashed or counted).
    `expression` is how the target is computed, without casts; long ones are cut with an ellipsis.
    """

    source: ColumnRef
    target: ColumnRef
    subtype: Subtype
    masking: bool = False
    expression: str | None = None

    @property
    def kind(self) -> EdgeKind:
        """Whether values flow, only steer, or nothing finer than the table is known."""
        return kind_of(self.subtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputColumn:
    """A column that the statement gives back or writes."""

    name: str
    type: str
    expression: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange:
    """What a statement does to a dataset's shape; `column` and `new_name` are given where they apply."""

    kind: ChangeKind
    dataset: DatasetKey
    column: str | None = None
    new_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLineage:
    """The lineage of one statement.

    `target` is the dataset written, or the stand-in for the answer of a query (namespace `query`).
    `inputs` are all datasets read, also those of which no single column is used.
    `confidence`: `bound` by DuckDB's binder, `parsed` by the fallback parser, or `table` when only datasets are sure.
    `notes` say what could not be told, in words for a person.
    """

    kind: StatementKind
    outputs: tuple[OutputColumn, ...]
    inputs: tuple[DatasetKey, ...]
    target: DatasetKey
    edges: tuple[Edge, ...]
    confidence: Confidence
    notes: tuple[str, ...] = ()
    changes: tuple[SchemaChange, ...] = ()

    @property
    def output_schema(self) -> tuple[Column, ...]:
        """The output columns with their types."""
        return tuple(Column(name=o.name, type=o.type) for o in self.outputs)

    def sources_of(self, column: str) -> frozenset[ColumnRef]:
        """The columns whose values reach or steer the value of `column`; row conditions are left out."""
        return frozenset(e.source for e in self.edges if e.target.column == column)

    def row_sources(self) -> frozenset[ColumnRef]:
        """The columns that decide which rows come out, and in which order."""
        return frozenset(e.source for e in self.edges if not e.target.column and e.kind == "indirect")
