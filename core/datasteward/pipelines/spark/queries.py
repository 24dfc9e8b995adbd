"""An asset's query as Spark gets it, from DuckDB's dialect or as it was written for Spark."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasteward.pipelines.build_model import within
from datasteward.pipelines.inlining import fill_window, has_window_marks
from datasteward.pipelines.spark.inputs import ColumnsOf, Input, NamedQuery, make_input, name_inputs, write_relation
from datasteward.pipelines.spark.native import NativeQuery
from datasteward.pipelines.spark.transpiling import to_spark
from datasteward.pipelines.state_model import Window
from datasteward.pipelines.syntax import Query, TableUse


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkQuery:
    """A query of Spark's dialect and what it reads."""

    sql: str
    inputs: tuple[Input, ...]


def translate_query(query: Query, columns_of: ColumnsOf, names: Sequence[str]) -> SparkQuery:
    """A query of DuckDB's dialect, giving columns called `names`.

    Raises `ToolError` with every part that is not known to mean the same on Spark.
    """
    return translate_named(name_inputs(query, columns_of), names)


def translate_named(named: NamedQuery, names: Sequence[str]) -> SparkQuery:
    """As `translate_query`, for a query whose inputs have their plain names; only columns that it uses cross."""
    found = to_spark(named.sql, {i.name: i.export.columns for i in named.inputs}, names)
    return SparkQuery(sql=found.sql, inputs=tuple(i.narrow(found.names) for i in named.inputs))


def take_native(sql: str, columns_of: ColumnsOf) -> SparkQuery:
    """A query of Spark's own dialect; raises `ToolError` when it is not one that may run."""
    native = NativeQuery(sql)
    inputs: dict[tuple[str, ...], Input] = {}
    for parts in native.tables:
        use = TableUse(parts=parts, start=0, end=0, has_alias=True)
        relation = write_relation(parts)
        inputs[parts] = make_input(f"input_{len(inputs)}", relation, columns_of(use, relation))
    renamed = native.rename({parts: i.name for parts, i in inputs.items()})
    return SparkQuery(sql=renamed, inputs=tuple(inputs.values()))


def fill_native(sql: str, time_column: str | None, windows: Sequence[Window]) -> str:
    """A native query with its window filled in, or around it when it has no marks."""
    if not windows or time_column is None:
        return sql
    if has_window_marks(sql):
        return fill_window(sql, Window(start=windows[0].start, end=windows[-1].end))
    column = f"`{time_column.replace('`', '``')}`"
    return f"SELECT * FROM ({sql.strip().rstrip(';')}\n) WHERE {within(column, windows)} OR {column} IS NULL"
