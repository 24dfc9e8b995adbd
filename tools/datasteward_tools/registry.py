"""The tools an agent can call, in the order they are listed."""

from typing import Any

from datasteward.tooling import Tool
from datasteward_tools.read_result import read_result
from datasteward_tools.run_query import run_query
from datasteward_tools.search_catalog import search_catalog

TOOLS: tuple[Tool[Any, Any], ...] = (search_catalog, run_query, read_result)
