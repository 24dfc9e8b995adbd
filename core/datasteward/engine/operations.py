"""The operations a reader worker knows, by name; each takes the session, plain arguments and a way to tell progress."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from datasteward.engine.jobs import QueryJob, ResultHead
from datasteward.engine.session import Session
from datasteward.errors import ToolError

Tell = Callable[[str, Mapping[str, Any]], None]
"""Sends an event of a call in progress: its name and JSON data."""

Operation = Callable[[Session, Mapping[str, Any], Tell], Any]

OPERATIONS: Mapping[str, str] = {
    "query": "datasteward.engine.operations:query",
    "read_page": "datasteward.engine.pages:read_page",
    "profile": "datasteward.profiling.operation:run_profile",
    "check_answer": "datasteward.evidence.stored:check_stored",
    "draw_chart": "datasteward.charts.stored:draw_stored",
    "judge_reads": "datasteward.changes.contract_checks:judge_reads",
    "inspect_change": "datasteward.changes.inspection:inspect_change",
    "resolve_lineage": "datasteward.lineage.operation:resolve_lineage",
    "resolve_change": "datasteward.lineage.change_operation:resolve_change",
    "plan_pipeline": "datasteward.pipelines.operation:plan_pipeline",
    "test_pipeline": "datasteward.pipelines.operation:run_tests",
    "find_readers": "datasteward.pipelines.operation:find_readers",
    "pipeline_history": "datasteward.pipelines.operation:read_run_history",
    "count_quarantine": "datasteward.pipelines.operation:count_quarantine",
    "check_contract": "datasteward.pipelines.operation:check_contract",
    "list_catalog": "datasteward.engine.catalog_listing:list_catalog",
    "release": "datasteward.engine.operations:release",
    "warm_up": "datasteward.engine.operations:warm_up",
}


def find_operation(name: str) -> Operation:
    """The operation of that name, its module imported on first use; raises `ToolError` for an unknown one."""
    target = OPERATIONS.get(name)
    if target is None:
        raise ToolError(f"There is no worker operation '{name}'.", code="internal")
    module, _, function = target.partition(":")
    operation: Operation = getattr(importlib.import_module(module), function)
    return operation


def query(session: Session, arguments: Mapping[str, Any], tell: Tell) -> Any:
    """Run a `QueryJob`; every head is told as soon as its first rows are there."""
    from datasteward.engine.query import run_query

    job = QueryJob(**arguments)

    def tell_head(index: int, head: ResultHead) -> None:
        tell("head", {"index": index, "head": asdict(head)})

    return [asdict(outcome) for outcome in run_query(session, job, tell_head)]


def release(session: Session, arguments: Mapping[str, Any], tell: Tell) -> Any:
    """Close the database file."""
    session.release()


def warm_up(session: Session, arguments: Mapping[str, Any], tell: Tell) -> Any:
    """Import and open what the first query would wait for; a database held elsewhere is left for that query to meet."""
    from datasteward.engine import query as _query  # noqa: F401

    session.close_cursor(session.cursor())
