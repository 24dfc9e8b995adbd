"""The tools check_answer and render_chart on results that were really stored."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.workspaces import make_workspace

from datasteward.engine.operations import OPERATIONS
from datasteward.errors import ToolError
from datasteward.services import open_services
from datasteward.settings import load_settings
from datasteward.tooling import Caller, ToolContext, Toolset
from datasteward.workspace import find_workspace
from datasteward_tools.check_answer import check_answer
from datasteward_tools.render_chart import render_chart
from datasteward_tools.run_query import run_query

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif("check_answer" not in OPERATIONS, reason="the worker operations are not registered yet"),
]
TOOLS = Toolset.of((run_query, check_answer, render_chart))
SALES = (
    "SELECT region, sum(amount) AS revenue, count(*) AS orders FROM 'data/sales.csv' GROUP BY region ORDER BY region"
)


@asynccontextmanager
async def open_context(folder: Path) -> AsyncIterator[ToolContext]:
    workspace = find_workspace(make_workspace(folder))
    async with open_services(workspace, load_settings(workspace)) as services:
        yield ToolContext(services=services, caller=Caller(front_end="mcp", name="test"), call_id="1")


async def call(context: ToolContext, name: str, **arguments: Any) -> Any:
    return await TOOLS.call(name, arguments, context)


async def test_figures_are_held_against_what_a_query_stored(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        handle = (await call(context, "run_query", sql=SALES)).results[0].handle
        good = await call(context, "check_answer", text=f"The north made 40.50 with 2 orders [{handle}].")
        assert good.is_backed and [v.status for v in good.verdicts] == ["backed", "backed"]
        bad = await call(context, "check_answer", text="The north made 45.50 with 2 orders [r99].")
        assert not bad.is_backed and bad.unknown_handles == ["r99"]
        assert bad.to_text().startswith("NOT backed")
        json.dumps(bad.to_structured())


async def test_a_chart_is_drawn_from_the_stored_rows(tmp_path: Path) -> None:
    async with open_context(tmp_path) as context:
        handle = (await call(context, "run_query", sql=SALES)).results[0].handle
        text = await call(context, "render_chart", handle=handle, kind="bar", x="region", y="revenue")
        assert re.search(r"^north +│.* 40\.5$", text.chart, re.MULTILINE), text.chart
        vega = await call(context, "render_chart", handle=handle, kind="bar", x="region", y="revenue", output="vega")
        assert [v["value"] for v in vega.vega_lite["data"]["values"]] == [40.5, 20.25]
        with pytest.raises(ToolError, match="Did you mean 'revenue'"):
            await call(context, "render_chart", handle=handle, kind="bar", x="region", y="revnue")


async def test_a_chart_becomes_a_picture_file(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    async with open_context(tmp_path) as context:
        handle = (await call(context, "run_query", sql=SALES)).results[0].handle
        drawn = await call(context, "render_chart", handle=handle, kind="bar", x="region", y="revenue", output="png")
        assert Path(drawn.picture).read_bytes().startswith(b"\x89PNG")
