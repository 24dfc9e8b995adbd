"""The tools an agent can call, in the order they are listed."""

from typing import Any

from datasteward.tooling import Tool
from datasteward_tools.change_status import change_status
from datasteward_tools.check_answer import check_answer
from datasteward_tools.pipeline_status import pipeline_status
from datasteward_tools.plan_pipeline import plan_pipeline
from datasteward_tools.profile_data import profile_data
from datasteward_tools.propose_change import propose_change
from datasteward_tools.read_result import read_result
from datasteward_tools.render_chart import render_chart
from datasteward_tools.run_pipeline import run_pipeline
from datasteward_tools.run_query import run_query
from datasteward_tools.search_catalog import search_catalog
from datasteward_tools.trace_lineage import trace_lineage
from datasteward_tools.undo_change import undo_change

TOOLS: tuple[Tool[Any, Any], ...] = (
    search_catalog,
    profile_data,
    run_query,
    read_result,
    trace_lineage,
    check_answer,
    render_chart,
    propose_change,
    change_status,
    undo_change,
    plan_pipeline,
    run_pipeline,
    pipeline_status,
)
