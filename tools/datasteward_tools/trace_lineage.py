"""The tool `trace_lineage`."""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from datasteward.errors import ToolError
from datasteward.lineage.faces.text import write_impact, write_text, write_way
from datasteward.lineage.graph import (
    Direction,
    add_dependents,
    assess_change,
    find_named,
    find_paths,
    find_starts,
    tell_unknown,
    trace,
)
from datasteward.lineage.recording import explain_unknown
from datasteward.lineage.schemas import ColumnRef
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool

Question = Literal["upstream", "downstream", "paths", "drop", "change_type", "rename"]


class TraceLineageInput(ToolInput):
    dataset: str = Field(description="Table, view, file, result or answer.")
    columns: list[str] = Field(default=[])
    question: Question = Field(default="upstream", description="drop, change_type, rename: what would break.")
    to: str | None = Field(default=None, description="Where paths lead: dataset[.column].")
    depth: Annotated[int, Field(ge=1, le=50)] = 5
    rows: bool = Field(default=False, description="Also columns that join, filter, group, sort.")
    at: datetime | None = Field(default=None, description="As it was at this time.")
    budget: Annotated[int, Field(ge=200, le=20_000)] | None = None


class TraceLineageOutput(ToolOutput):
    question: Question
    lines: list[str]
    datasets: int
    edges: int
    is_cut: bool = False

    def to_text(self) -> str:
        """The lines as they are."""
        return "\n".join(self.lines)


@tool(title="Trace lineage")
async def trace_lineage(arguments: TraceLineageInput, context: ToolContext) -> TraceLineageOutput:
    """Where columns come from or go to, column by column, as recorded from what ran here; or what a change breaks.

    Lines read `target ← source: column ← columns (how)`. Not for data never used here.
    """
    services: Services = context.services
    await services.capture.settle()
    budget = arguments.budget or services.settings.limits.view_characters
    return await asyncio.to_thread(_answer, services, arguments, budget)


def _answer(services: Services, arguments: TraceLineageInput, budget: int) -> TraceLineageOutput:
    with services.lineage.reading() as connection:
        starts = find_starts(connection, arguments.dataset, arguments.columns)
        if not starts:
            raise explain_unknown(connection, arguments.dataset)
        notes = tell_unknown(connection, starts)
        match arguments.question:
            case "upstream" | "downstream":
                traced = _trace(connection, starts, arguments, arguments.question, budget)
                return traced.model_copy(update={"lines": [*traced.lines, *notes]})
            case "paths":
                return _find_ways(connection, starts, arguments, budget)
            case change:
                impact = assess_change(connection, starts, change)
    impact = add_dependents(impact, services.dependents)
    return TraceLineageOutput(
        question=change,
        lines=[*write_impact(impact, budget=budget).split("\n"), *notes],
        datasets=len({r.dataset for r in (*impact.broken, *impact.affected)}),
        edges=len(impact.edges),
    )


def _trace(
    connection: sqlite3.Connection,
    starts: Sequence[ColumnRef],
    arguments: TraceLineageInput,
    direction: Direction,
    budget: int,
) -> TraceLineageOutput:
    graph = trace(
        connection,
        starts,
        direction,
        depth=arguments.depth,
        include_indirect=arguments.rows,
        at=arguments.at.timestamp() if arguments.at else None,
    )
    return TraceLineageOutput(
        question=direction,
        lines=write_text(graph, budget=budget).split("\n"),
        datasets=len(graph.datasets),
        edges=len(graph.edges),
        is_cut=graph.is_cut,
    )


def _find_ways(
    connection: sqlite3.Connection, starts: Sequence[ColumnRef], arguments: TraceLineageInput, budget: int
) -> TraceLineageOutput:
    if not arguments.to:
        raise ToolError(
            "trace_lineage: 'paths' needs 'to'.", code="invalid_arguments", hint="Give a dataset or dataset.column."
        )
    ends = find_named(connection, arguments.to)
    if not ends:
        raise ToolError(f"No lineage is kept of '{arguments.to}'.", code="not_found", hint="Trace the dataset first.")
    ways = [w for s in starts for e in ends for w in find_paths(connection, s, e)]
    text = "\n".join(write_way(way) for way in ways)[:budget] or "no path is recorded"
    return TraceLineageOutput(
        question="paths",
        lines=text.split("\n"),
        datasets=len({e.edge.source.dataset for w in ways for e in w}),
        edges=len(ways),
    )
