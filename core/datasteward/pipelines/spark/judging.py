"""Whether an asset can be computed on Spark, seen while it is planned."""

from collections.abc import Sequence

from datasteward.errors import ToolError
from datasteward.pipelines.connections import find_spark
from datasteward.pipelines.loading import Asset, Pipeline
from datasteward.pipelines.problems import PipelineFault, Problem
from datasteward.pipelines.spark.inputs import ColumnsOf
from datasteward.pipelines.spark.native import NativeQuery
from datasteward.pipelines.spark.queries import take_native, translate_query
from datasteward.pipelines.syntax import Query, TableUse


def read_native_tables(asset: Asset, sql: str) -> tuple[TableUse, ...]:
    """What a query of Spark's own dialect reads; raises `PipelineFault` when it may not run."""
    try:
        tables = NativeQuery(sql).tables
    except ToolError as error:
        raise _fault(asset, error) from error
    return tuple(TableUse(parts=parts, start=0, end=0, has_alias=True) for parts in tables)


def judge_spark_asset(
    pipeline: Pipeline, asset: Asset, query: Query | None, sql: str, columns_of: ColumnsOf, names: Sequence[str]
) -> None:
    """Raises `PipelineFault` when the asset has no connection or its query cannot cross; `query` is None for native SQL."""
    try:
        if find_spark(asset.engine, pipeline.options.connections) is None:
            raise ToolError("'dialect: spark' needs 'engine: spark' here or among the defaults of pipeline.yaml")
        if query is None:
            take_native(sql, columns_of)
        else:
            translate_query(query, columns_of, names)
    except ToolError as error:
        raise _fault(asset, error) from error


def _fault(asset: Asset, error: ToolError) -> PipelineFault:
    hint = f". {error.hint}" if error.hint else ""
    return PipelineFault([Problem(path=asset.path, message=f"{error.message.rstrip('.')}{hint}")])
