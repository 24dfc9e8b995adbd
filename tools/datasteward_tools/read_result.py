"""The tool `read_result`."""

import asyncio
from typing import Annotated, Any

from pydantic import Field

from datasteward.engine.jobs import head_from_json
from datasteward.engine.views import fit_view, render_table
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool
from datasteward_tools.view_models import Column, column_models


class ReadResultInput(ToolInput):
    handle: str
    offset: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    columns: list[str] | None = Field(default=None)
    where: str | None = Field(default=None, description="SQL condition.")
    order_by: str | None = Field(default=None, description="SQL.")
    budget: Annotated[int, Field(ge=200, le=20_000)] | None = None


class ReadResultOutput(ToolOutput):
    handle: str
    rows: int
    offset: int
    columns: list[Column]
    data: list[list[Any]]
    next_offset: int | None = None
    cut: str | None = None
    sql: str | None = None

    def to_text(self) -> str:
        """A heading, the table, and where to go on."""
        shown = f"rows {self.offset + 1:,}–{self.offset + len(self.data):,}" if self.data else "no rows"
        lines = [f"{self.handle}: {shown} of {self.rows:,}"]
        lines.append(render_table([c.to_core() for c in self.columns], self.data))
        if self.cut:
            lines.append(f"cut: {self.cut}")
        if self.next_offset is not None:
            lines.append(f"next_offset: {self.next_offset}")
        if self.sql:
            lines.append(f"made by: {self.sql}")
        return "\n".join(lines)


@tool(title="Read a stored result")
async def read_result(arguments: ReadResultInput, context: ToolContext) -> ReadResultOutput:
    """A page of a stored result: some rows and columns, filtered and ordered, within the budget.

    For joins and aggregates query the handle itself: run_query with FROM r17.
    """
    services: Services = context.services
    budget = arguments.budget or services.settings.limits.view_characters
    await services.engine.wait_stored(arguments.handle, services.settings.limits.timeout_seconds)
    stored = await asyncio.to_thread(services.results.get, arguments.handle)
    reply = await services.engine.run(
        "read_page",
        {
            "handle": stored.handle,
            "offset": arguments.offset,
            "limit": arguments.limit,
            "columns": arguments.columns,
            "where": arguments.where,
            "order_by": arguments.order_by,
            "characters": budget,
        },
        report=context.report,
    )
    head, total = head_from_json(reply["head"]), int(reply["matching_rows"])
    wanted = min(arguments.limit, max(0, total - arguments.offset))
    view = fit_view(head, wanted, budget)
    end = arguments.offset + len(view.rows)
    cuts = []
    if len(view.rows) < wanted:
        cuts.append(f"{len(view.rows)} of {wanted} rows asked for fit the budget")
    if view.columns_left:
        cuts.append(f"{view.columns_left:,} columns left out: name some in columns")
    if view.shortened_cells:
        cuts.append(f"{view.shortened_cells} long cells shortened: ask for fewer columns or rows, or a larger budget")
    return ReadResultOutput(
        handle=stored.handle,
        rows=total,
        offset=arguments.offset,
        columns=column_models(view.columns),
        data=[list(row) for row in view.rows],
        next_offset=end if end < total else None,
        cut="; ".join(cuts) or None,
        sql=stored.sql[:300] if arguments.offset == 0 else None,
    )
