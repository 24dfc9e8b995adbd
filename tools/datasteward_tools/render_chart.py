"""The tool `render_chart`."""

import asyncio
import json
from typing import Annotated, Any, Literal

from pydantic import Field

from datasteward.charts.model import Aggregate, ChartKind, Sort
from datasteward.charts.pictures import save_picture
from datasteward.lineage.noting import note_chart
from datasteward.services import Services
from datasteward.tooling import ToolContext, ToolInput, ToolOutput, tool


class RenderChartInput(ToolInput):
    handle: str
    kind: ChartKind
    x: str | None = None
    y: str | None = None
    color: str | None = Field(default=None, description="Series; a heatmap's shade.")
    aggregate: Aggregate = "none"
    sort: Sort = "data"
    limit: Annotated[int, Field(ge=1, le=5000)] | None = None
    title: Annotated[str, Field(max_length=200)] | None = None
    output: Literal["text", "vega", "png", "svg"] = "text"
    width: Annotated[int, Field(ge=24, le=200)] = 80
    height: Annotated[int, Field(ge=6, le=60)] = 18


class RenderChartOutput(ToolOutput):
    handle: str
    points: int
    chart: str
    notes: list[str]
    vega_lite: dict[str, Any] | None = None
    picture: str | None = None
    """Path of the PNG or SVG file."""

    def to_text(self) -> str:
        """The chart as text, then where the picture is."""
        lines = [f"{self.handle}: {self.points:,} points", self.chart]
        if self.vega_lite is not None:
            lines.append(json.dumps(self.vega_lite, ensure_ascii=False))
        if self.picture:
            lines.append(f"picture: {self.picture}")
        return "\n".join(lines)


@tool(title="Draw a chart of a result")
async def render_chart(arguments: RenderChartInput, context: ToolContext) -> RenderChartOutput:
    """A chart drawn from a stored result's own rows, as terminal text, Vega-Lite, or a PNG or SVG file.

    x and y name columns; histogram needs x only, box y (and x), heatmap x, y and color. Aggregate large results first.
    """
    services: Services = context.services
    await services.engine.wait_stored(arguments.handle, services.settings.limits.timeout_seconds)
    stored = await asyncio.to_thread(services.results.get, arguments.handle)
    spec = arguments.model_dump(include={"kind", "x", "y", "color", "aggregate", "sort", "limit", "title"})
    request = {"handle": stored.handle, "spec": spec, "width": arguments.width, "height": arguments.height}
    reply = await services.engine.run("draw_chart", request, report=context.report)
    picture = None
    if arguments.output in ("png", "svg"):
        folder = services.workspace.state_folder / "charts"
        kind: Literal["png", "svg"] = "png" if arguments.output == "png" else "svg"
        path = await asyncio.to_thread(save_picture, folder, stored.handle, reply["vega_json"], kind)
        picture = str(path)
        shown = services.files.show(path)
        used = [c for c in (arguments.x, arguments.y, arguments.color) if c]
        await asyncio.to_thread(note_chart, services.lineage, handle=stored.handle, columns=used, picture=shown)
    return RenderChartOutput(
        handle=stored.handle,
        points=int(reply["points"]),
        chart=str(reply["text"]),
        notes=list(reply["notes"]),
        vega_lite=json.loads(reply["vega_json"]) if arguments.output == "vega" else None,
        picture=picture,
    )
