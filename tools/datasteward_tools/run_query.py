"""The tool `run_query`."""

from typing import Annotated, Any

from pydantic import Field

from datasteward.engine.engine import QueryRequest, QueryResult
from datasteward.engine.views import View, fit_view, render_facts, render_table
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool
from datasteward_tools.plans import describe_plan
from datasteward_tools.view_models import Column, column_models

Scalar = None | bool | int | float | str


class RunQueryInput(ToolInput):
    sql: str = Field(description="DuckDB SQL, one or several statements.")
    parameters: list[Any] | dict[str, Any] | None = Field(
        default=None, description="Values for ? or $1 (list) or $name (object)."
    )
    limit: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Rows to store at most.")
    budget: Annotated[int, Field(ge=200, le=20_000)] | None = Field(
        default=None, description="Characters shown (2000)."
    )
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None
    dry_run: bool = Field(default=False, description="Only the plan and estimates.")


class StatementResult(ToolOutput):
    handle: str | None = None
    rows: int | None = None
    columns: list[Column]
    data: list[list[Any]]
    cut: str | None = None
    note: str | None = None
    ms: float
    plan: str | None = None
    sql: str | None = None


class RunQueryOutput(ToolOutput):
    results: list[StatementResult]

    def to_text(self) -> str:
        """One block a statement: a heading, the table, facts, and what was cut."""
        return "\n\n".join(_block(r) for r in self.results)


@tool(title="Run a query")
async def run_query(arguments: RunQueryInput, context: ToolContext) -> RunQueryOutput:
    """Rows of a read-only DuckDB query, stored under a handle (r17) and shown as a small view.

    Names tables, views, files ('data/a.csv' or short name) and results (FROM r17). All rows are stored even when few
    are shown: go on with SQL over the handle. Decimals, big integers and dates are exact text. Not for writes.
    """
    services: Services = context.services
    budget = arguments.budget or services.settings.limits.view_characters
    request = QueryRequest(
        sql=arguments.sql,
        parameters=arguments.parameters,
        max_rows=arguments.limit,
        timeout_seconds=arguments.timeout_seconds,
        head_characters=budget,
        is_dry_run=arguments.dry_run,
        caller_name=context.caller.name,
    )
    results = await services.engine.query(request, context.report)
    share = max(200, budget // len(results))
    return RunQueryOutput(results=[_present(r, share, len(results) > 1) for r in results])


def _present(result: QueryResult, budget: int, is_one_of_many: bool) -> StatementResult:
    sql = result.sql.strip()[:200] if is_one_of_many else None
    if result.handle is None:
        return StatementResult(
            columns=column_models(result.head.columns),
            data=[],
            ms=_milliseconds(result.seconds),
            plan=describe_plan(result.head, budget),
            sql=sql,
        )
    view = fit_view(result.head, result.row_count, budget)
    return StatementResult(
        handle=result.handle,
        rows=result.row_count,
        columns=column_models(view.columns),
        data=[list(row) for row in view.rows],
        cut=describe_cut(view, result),
        note="; ".join(n.rstrip(".") for n in result.head.notes) or None,
        ms=_milliseconds(result.seconds),
        sql=sql,
    )


def describe_cut(view: View, result: QueryResult) -> str | None:
    """What the view or the store left out, and how to get it; None when nothing was."""
    parts = []
    if result.is_storing:
        parts.append(
            f"{len(view.rows)} rows shown; the rest is still being stored, a query on {result.handle} waits for it"
        )
    elif view.rows_left:
        parts.append(f"{len(view.rows):,} of {result.row_count:,} rows shown")
    if view.columns_left:
        parts.append(f"{len(view.columns):,} of {len(view.columns) + view.columns_left:,} columns shown")
    if view.shortened_cells:
        parts.append(f"{view.shortened_cells} long cells shortened")
    if result.cut_reason:
        parts.append(f"the stored result was {result.cut_reason}, the query gives more")
    return "; ".join(parts) or None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _block(result: StatementResult) -> str:
    lines = [f"-- {result.sql}"] if result.sql else []
    if result.plan is not None:
        return "\n".join([*lines, result.plan])
    columns = [c.to_core() for c in result.columns]
    count = "rows being counted" if result.rows is None else f"{result.rows:,} row{'' if result.rows == 1 else 's'}"
    lines.append(
        f"{result.handle}: {count}, {len(columns)} column{'' if len(columns) == 1 else 's'} shown, {result.ms} ms"
    )
    lines.append(render_table(columns, result.data))
    facts = render_facts(columns)
    if facts:
        lines.append(f"facts on all rows:\n{facts}")
    if result.cut:
        lines.append(f"cut: {result.cut}")
    if result.note:
        lines.append(f"note: {result.note}")
    return "\n".join(lines)
