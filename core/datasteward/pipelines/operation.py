"""The worker's side of planning, testing and looking back: operations of a reader."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import duckdb

from datasteward.engine.carriers import quote_name
from datasteward.engine.duckdb_errors import explain_duckdb_error
from datasteward.errors import ToolError
from datasteward.pipelines.loading import PipelineFiles
from datasteward.pipelines.plan_model import PlanRequest

if TYPE_CHECKING:
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session

MAX_SAMPLE_ROWS = 20


@contextlib.contextmanager
def _reading(session: "Session", files: PipelineFiles) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of the session, or of an instance of its own when the pipeline names databases to attach."""
    from datasteward.engine.lockdown import open_cursor
    from datasteward.pipelines.connected import find_attachments
    from datasteward.pipelines.opening import open_to_plan

    attached = find_attachments(files, session.settings)
    database = session.settings.database if session.database_name else None
    own = open_to_plan(session.settings, database, attached) if attached else None
    cursor = open_cursor(own, session.database_name) if own else session.cursor()
    try:
        yield cursor
    except duckdb.Error as error:
        raise explain_duckdb_error(error, "", is_cancelled=session.is_cancelled) from error
    finally:
        if own is None:
            session.close_cursor(cursor)
        else:
            own.close()


def plan_pipeline(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The plan of `files` (folder, texts) for `request`, as JSON."""
    from datasteward.pipelines.preparing import prepare

    files = PipelineFiles(folder=arguments["folder"], texts=arguments["texts"])
    with _reading(session, files) as cursor:
        request = PlanRequest.model_validate(arguments["request"])
        prepared = prepare(files, request, cursor, session.database_name, session.settings)
        return prepared.plan.model_dump(mode="json")


def run_tests(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The outcomes of the assets' unit tests, as JSON."""
    from datasteward.pipelines.graph import select_assets
    from datasteward.pipelines.preparing import understand
    from datasteward.pipelines.testing import run_asset_tests

    files = PipelineFiles(folder=arguments["folder"], texts=arguments["texts"])
    with _reading(session, files) as cursor:
        analysis = understand(files, cursor, session.database_name, session.settings)
        selected = select_assets(analysis.graph, arguments["select"])
        return [o.model_dump(mode="json") for o in run_asset_tests(analysis, selected)]


def find_readers(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """Which assets read which column of the asset `dataset`: `{column: [names]}`, columns in lower case."""
    from datasteward.pipelines.preparing import understand

    files = PipelineFiles(folder=arguments["folder"], texts=arguments["texts"])
    with _reading(session, files) as cursor:
        analysis = understand(files, cursor, session.database_name, session.settings)
        wanted = str(arguments["dataset"]).casefold()
        readers: dict[str, list[str]] = {}
        for key, node in analysis.nodes.items():
            if wanted not in {key, node.asset.name.casefold(), node.asset.table.casefold()}:
                continue
            for reader in analysis.ordered:
                used = reader.reads.get(key, frozenset()) if key in reader.reads else frozenset()
                columns = [c.name.casefold() for c in node.columns] if used is None else sorted(used)
                for column in columns:
                    readers.setdefault(column, []).append(reader.asset.name)
        return readers


def read_run_history(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """Steps of runs, newest first, optionally of one `asset`: `[key, status, state]` each, as JSON."""
    from datasteward.pipelines.state import read_history

    cursor = session.cursor()
    try:
        name = session.database_name
        if name is None:
            return []
        found = read_history(cursor, name, asset=arguments.get("asset"), limit=int(arguments.get("limit", 20)))
        return [[key, status, state.model_dump(mode="json")] for key, status, state in found]
    except duckdb.Error as error:
        raise explain_duckdb_error(error, "", is_cancelled=session.is_cancelled) from error
    finally:
        session.close_cursor(cursor)


def count_quarantine(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """How many rows a quarantine `table` holds by reason: `[[reason, rows], …]`, worst first; no values."""
    cursor = session.cursor()
    try:
        where = f"quarantine.{quote_name(str(arguments['table']))}"
        rows = cursor.execute(
            f"SELECT array_to_string(_reasons, ' and '), count(*) FROM {where} GROUP BY 1 ORDER BY 2 DESC, 1"
            f" LIMIT {MAX_SAMPLE_ROWS}"
        ).fetchall()
        return [[str(reason), int(count)] for reason, count in rows]
    except duckdb.CatalogException as error:
        raise ToolError(f"There is no quarantine {arguments['table']}.", code="not_found") from error
    finally:
        session.close_cursor(cursor)


def check_contract(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """What of a contract `text` (schema object `name`, or the only one) a `dataset` does not keep, as texts."""
    from datasteward.lineage.schemas import Column
    from datasteward.pipelines.contracts import find_breaches, read_contract

    path = str(arguments["path"])
    reference = f"{path}#{arguments['name']}" if arguments.get("name") else path
    contract = read_contract(reference, {path: str(arguments["text"])}, asked_by=path)
    dataset = str(arguments.get("dataset") or contract.name)
    named = ".".join(quote_name(p) for p in dataset.split(".")) if "/" not in dataset else f"'{dataset}'"
    session.prepare(f"SELECT * FROM {named}")
    cursor = session.cursor()
    try:
        columns = [Column(name=str(r[0]), type=str(r[1])) for r in cursor.execute(f"DESCRIBE FROM {named}").fetchall()]
        told = [b.message for b in find_breaches(contract, columns)]
        missing = {b.column.casefold() for b in find_breaches(contract, columns) if "missing" in b.message}
        for check in contract.checks:
            if missing & {c.casefold() for c in check.columns}:
                continue
            sql = check.count_query(named)
            session.prepare(sql)
            row = cursor.execute(sql).fetchone()
            if row and row[0]:
                told.append(f"{'warning: ' if check.on_fail == 'warn' else ''}{check.name}: {int(row[0]):,} bad")
        return {"dataset": dataset, "checks": len(contract.checks), "breaches": told}
    except duckdb.Error as error:
        raise explain_duckdb_error(error, "", is_cancelled=session.is_cancelled) from error
    finally:
        session.close_cursor(cursor)
