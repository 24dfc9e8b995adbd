"""`steward query`, `steward catalog` and `steward results`."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datasteward_cli.app import Scope
from datasteward_cli.calls import call_tool

if TYPE_CHECKING:
    from datasteward_tools.search_catalog import SearchCatalogOutput

PERSON_BUDGET = 12_000


@click.command()
@click.argument("sql", required=False)
@click.option("-f", "--file", "sql_file", type=click.File("r", encoding="utf-8"), help="Read the SQL from a file.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "ndjson"]),
    default="table",
    help="table and json show a view; csv and ndjson print every row.",
)
@click.option("-p", "--parameter", "parameters", multiple=True, help="A value for ?, or name=value for $name; repeat.")
@click.option("--limit", type=click.IntRange(min=1), help="Store at most this many rows.")
@click.option("--timeout", type=float, help="Seconds the query may run.")
@click.option("--dry-run", is_flag=True, help="Only the plan with estimated rows and bytes.")
@click.option("--budget", type=click.IntRange(200, 20_000), default=PERSON_BUDGET, help="Characters shown.")
@click.pass_obj
def query(
    scope: Scope,
    sql: str | None,
    sql_file: Any,
    form: str,
    parameters: tuple[str, ...],
    limit: int | None,
    timeout: float | None,
    dry_run: bool,
    budget: int,
) -> None:
    """Run read-only SQL ('-' reads it from standard input) and print the rows; every row is kept as r1, r2, …"""
    text = sql_file.read() if sql_file else sys.stdin.read() if sql == "-" else sql
    if not text:
        raise click.UsageError(
            "No SQL was given: steward query 'FROM orders LIMIT 5', -f FILE, or - for standard input."
        )
    arguments: dict[str, Any] = {"sql": text, "budget": budget, "dry_run": dry_run}
    if parameters:
        arguments["parameters"] = read_parameters(parameters)
    if limit is not None:
        arguments["limit"] = limit
    if timeout is not None:
        arguments["timeout_seconds"] = timeout
    answer = call_tool(scope, "run_query", arguments)
    if form == "json":
        click.echo(json.dumps(answer.structured, ensure_ascii=False, separators=(",", ":")))
    elif form == "table" or dry_run:
        click.echo(answer.text)
    else:
        for result in answer.structured["results"]:
            _print_rows(scope, str(result["handle"]), form)


def read_parameters(texts: Sequence[str]) -> list[Any] | dict[str, Any]:
    """Values as a list, or as an object when every one is name=value; JSON where it parses, text elsewhere."""
    named = [t.partition("=") for t in texts]
    if all(sep and name.isidentifier() for name, sep, _ in named):
        return {name: _value(value) for name, _, value in named}
    return [_value(t) for t in texts]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print_rows(scope: Scope, handle: str, form: str) -> None:
    """Every row of a stored result, straight from its file."""
    path = scope.workspace.results_folder / f"{handle}.parquet"
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        names, rows = _stored_rows(path)
        writer.writerow(names)
        for row in rows:
            writer.writerow(
                ["" if c is None else json.dumps(c) if isinstance(c, list | dict | bool) else c for c in row]
            )
    else:
        names, rows = _stored_rows(path)
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, separators=(",", ":")))


def _stored_rows(path: Path) -> tuple[list[str], Iterator[list[Any]]]:
    import pyarrow.parquet as pq

    from datasteward.engine.arrow_cells import read_cells

    file = pq.ParquetFile(path)
    return list(file.schema_arrow.names), (row for batch in file.iter_batches(8192) for row in read_cells(batch))


@click.command()
@click.argument("words", nargs=-1)
@click.option("--kind", type=click.Choice(["table", "view", "file", "result"]))
@click.option("--detail", type=click.Choice(["names", "columns", "full"]), default="columns")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def catalog(scope: Scope, words: tuple[str, ...], kind: str | None, detail: str, as_json: bool) -> None:
    """List what SQL can name here; WORDS narrow by name, path or column."""
    arguments: dict[str, Any] = {"words": " ".join(words), "detail": detail, "budget": 20_000}
    if kind:
        arguments["kind"] = kind
    answer = call_tool(scope, "search_catalog", arguments)
    click.echo(json.dumps(answer.structured, ensure_ascii=False) if as_json else answer.text)


@click.group()
def results() -> None:
    """List, show, pin and prune stored results."""


@results.command("list")
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_results(scope: Scope, words: tuple[str, ...], as_json: bool) -> None:
    """List the newest stored results with rows, size and SQL; WORDS narrow by name or column."""
    found = _find_results(scope, " ".join(words))
    click.echo(json.dumps(found.to_structured(), ensure_ascii=False) if as_json else found.to_text())


def _find_results(scope: Scope, words: str) -> "SearchCatalogOutput":
    """Every page of the catalog's results as one."""
    from datasteward_tools.search_catalog import Dataset, SearchCatalogOutput

    arguments = {"kind": "result", "words": words, "detail": "full", "budget": 20_000}
    datasets: list[Dataset] = []
    offset: int | None = 0
    while offset is not None:
        answer = call_tool(scope, "search_catalog", arguments | {"offset": offset})
        page = SearchCatalogOutput.model_validate(answer.structured)
        datasets += page.datasets
        offset = page.next_offset
    return page.model_copy(update={"datasets": datasets})


@results.command("show")
@click.argument("handle")
@click.option("--offset", type=click.IntRange(min=0), default=0)
@click.option("--limit", type=click.IntRange(1, 500), default=100)
@click.option("--where", help="An SQL condition.")
@click.option("--order-by", help="SQL order.")
@click.option("--column", "columns", multiple=True, help="Only this column; repeat.")
@click.pass_obj
def show_result(
    scope: Scope,
    handle: str,
    offset: int,
    limit: int,
    where: str | None,
    order_by: str | None,
    columns: tuple[str, ...],
) -> None:
    """Print a page of a stored result."""
    arguments: dict[str, Any] = {"handle": handle, "offset": offset, "limit": limit, "budget": PERSON_BUDGET}
    arguments |= {"where": where, "order_by": order_by, "columns": list(columns) or None}
    click.echo(call_tool(scope, "read_result", arguments).text)


@results.command("pin")
@click.argument("handle")
@click.option("--off", is_flag=True, help="Let it age again.")
@click.pass_obj
def pin_result(scope: Scope, handle: str, off: bool) -> None:
    """Keep a result whatever its age."""
    _store(scope).pin(handle, is_pinned=not off)
    click.echo(f"{handle} {'ages again' if off else 'is kept'}.")


@results.command("prune")
@click.pass_obj
def prune_results(scope: Scope) -> None:
    """Remove results past their age or over the quota."""
    gone = _store(scope).prune()
    click.echo(f"removed {len(gone)}: {', '.join(gone)}" if gone else "nothing to remove")


def _store(scope: Scope) -> Any:
    from datasteward.engine.results import ResultStore
    from datasteward.state import StateDatabase

    workspace = scope.workspace
    workspace.make_state_folder()
    return ResultStore(StateDatabase(workspace.state_path), workspace.results_folder, scope.settings.results)
