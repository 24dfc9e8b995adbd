"""`steward lineage`: where columns come from, what hangs on them, and lineage from SQL files."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    import sqlite3

    from datasteward.lineage.graph import LineageGraph
    from datasteward.lineage.recording import WorkspaceLineage
    from datasteward.lineage.schemas import Catalog, ColumnRef

FORMS = ("tree", "text", "json", "mermaid", "dot", "svg", "png")
PERSON_BUDGET = 12_000


class Moment(click.ParamType[float]):
    """A time as ISO 8601, local when it names no zone; given as seconds since 1970."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds, or a usage error."""
        if isinstance(value, int | float):
            return float(value)
        try:
            return datetime.fromisoformat(str(value)).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"'{value}' is no time; write it as 2026-11-21 or 2026-11-21T14:30:00+00:00.", param, ctx)


MOMENT = Moment()


@click.group()
def lineage() -> None:
    """Trace columns, weigh changes and read lineage from SQL files."""


@lineage.command("trace")
@click.argument("dataset")
@click.option("-c", "--column", "columns", multiple=True, help="Only this column; repeat for more.")
@click.option("--down", is_flag=True, help="What depends on it, instead of where it comes from.")
@click.option("--depth", type=click.IntRange(1, 50), default=10, show_default=True)
@click.option("--rows", is_flag=True, help="Also columns that only join, filter, group or sort.")
@click.option("--at", type=MOMENT, help="As it was then: 2026-11-21, 2026-11-21T14:30 or with a zone.")
@click.option("--format", "form", type=click.Choice(FORMS), help="tree, or by the ending of the output file.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.pass_obj
def trace_command(
    scope: Scope,
    dataset: str,
    columns: tuple[str, ...],
    down: bool,
    depth: int,
    rows: bool,
    at: float | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Show where DATASET's columns come from, or go to; a picture with -o lineage.svg."""
    from datasteward.lineage.graph import trace

    direction: Literal["upstream", "downstream"] = "downstream" if down else "upstream"
    with _reading(scope) as connection:
        starts = _starts(connection, dataset, columns)
        graph = trace(connection, starts, direction, depth=depth, include_indirect=rows, at=at)
    chosen = form or (output.suffix.lstrip(".") if output and output.suffix.lstrip(".") in FORMS else "tree")
    _write(_draw(graph, chosen), output, is_picture=chosen == "png")


@lineage.command("paths")
@click.argument("source")
@click.argument("target")
@click.option("--direct", is_flag=True, help="Only ways on which values flow, not joins, filters and the like.")
@click.option("--most", type=click.IntRange(1, 100), default=10, show_default=True, help="How many ways to show.")
@click.pass_obj
def paths_command(scope: Scope, source: str, target: str, direct: bool, most: int) -> None:
    """Show the shortest ways from SOURCE to TARGET, each a dataset or dataset.column."""
    from datasteward.lineage.faces.text import write_way
    from datasteward.lineage.graph import find_paths

    with _reading(scope) as connection:
        (start, *_), (end, *_) = (_starts(connection, name, ()) for name in (source, target))
        ways = find_paths(connection, start, end, max_paths=most, include_indirect=not direct)
    for way in ways:
        click.echo(write_way(way))
    if not ways:
        click.echo(f"no path from {start} to {end} is recorded", err=True)


@lineage.command("events")
@click.option("--since", type=MOMENT, default=0.0, help="Only runs that ended then or later.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Append to a file, a line each.")
@click.option("--url", help="Post to an OpenLineage endpoint; OPENLINEAGE_API_KEY is sent as the bearer.")
@click.option("--namespace", help="The jobs' namespace; by default the workspace folder's name.")
@click.pass_obj
def events_command(scope: Scope, since: float, output: Path | None, url: str | None, namespace: str | None) -> None:
    """Write OpenLineage run events (START, then COMPLETE or FAIL) of what ran, oldest first."""
    from datasteward.lineage.openlineage import FileTransport, HttpTransport, Transport, write_event
    from datasteward.lineage.run_events import read_runs, report_run

    if output and url:
        raise click.UsageError("Give --output or --url, not both.")
    transport: Transport | None = FileTransport(path=output) if output else None
    if url:
        transport = HttpTransport(url=url, api_key=os.environ.get("OPENLINEAGE_API_KEY"))
    name = namespace or f"datasteward.{scope.workspace.root.name}"
    with _reading(scope) as connection:
        reports = [r for run in read_runs(connection, since=since) for r in report_run(connection, run, namespace=name)]
    for report in reports:
        event = write_event(report)
        if transport is None:
            click.echo(event)
        else:
            transport.send(event)
    click.echo(f"{len(reports)} events{f' to {url or output}' if transport else ''}", err=True)


@lineage.command("impact")
@click.argument("dataset")
@click.option("-c", "--column", "columns", multiple=True, help="Only this column; repeat for more.")
@click.option("--change", type=click.Choice(["drop", "change_type", "rename"]), default="drop", show_default=True)
@click.pass_obj
def impact_command(
    scope: Scope, dataset: str, columns: tuple[str, ...], change: Literal["drop", "change_type", "rename"]
) -> None:
    """Tell what a change of DATASET, or of some of its columns, would break."""
    from datasteward.engine.results import ResultStore
    from datasteward.lineage.dependents import workspace_dependents
    from datasteward.lineage.faces.text import write_impact
    from datasteward.lineage.graph import add_dependents, assess_change

    with _opened(scope) as kept:
        with kept.reading() as connection:
            impact = assess_change(connection, _starts(connection, dataset, columns), change)
        results = ResultStore(kept.state, scope.workspace.results_folder, scope.settings.results)
        impact = add_dependents(impact, workspace_dependents(results, scope.workspace.root))
    click.echo(write_impact(impact, budget=PERSON_BUDGET))


@lineage.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dialect", default="duckdb", show_default=True, help="The SQL dialect of the files.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def import_command(scope: Scope, folder: Path, dialect: str, dry_run: bool, as_json: bool) -> int:
    """Bind FOLDER's .sql files in order of need and keep their lineage; nothing is run.

    Exit code 10 when a statement could not be understood; the others are kept.
    """
    from datasteward.errors import ConfigError
    from datasteward.lineage.importing import import_folder
    from datasteward.lineage.resolve import read_dialects

    if dialect not in read_dialects():
        raise ConfigError(f"'{dialect}' is no known dialect.", hint=f"Known: {', '.join(read_dialects())}.")
    report = import_folder(folder, _workspace_catalog(scope), dialect=dialect)
    if not dry_run:
        with _opened(scope) as kept:
            for statement in report.statements:
                job = f"{folder.name}/{statement.file}:{statement.line}"
                kept.keep(statement.lineage, report.catalog, sql=statement.sql, run_id=f"import {job}", job=job)
    found: list[dict[str, Any]] = [
        {"file": s.file, "line": s.line, "target": s.lineage.target.name, "confidence": s.lineage.confidence}
        for s in report.statements
    ]
    problems = [{"file": p.file, "line": p.line, "message": p.message} for p in report.problems]
    code = ExitCode.TOOL_FAILED if problems else ExitCode.DONE
    if as_json:
        click.echo(json.dumps({"statements": found, "problems": problems}, ensure_ascii=False))
        return code
    for item in found:
        click.echo(f"{item['file']}:{item['line']} {item['target']} ({item['confidence']})")
    for problem in problems:
        click.echo(f"{problem['file']}:{problem['line']}: {problem['message']}", err=True)
    click.echo(f"{len(found)} statements, {len(problems)} problems{', nothing kept' if dry_run else ''}")
    return code


def _draw(graph: "LineageGraph", form: str) -> str | bytes:
    from datasteward.lineage.faces import diagrams, svg, text

    match form:
        case "text":
            return text.write_text(graph, budget=PERSON_BUDGET, with_expressions=True) + "\n"
        case "json":
            return diagrams.write_json(graph) + "\n"
        case "mermaid":
            return diagrams.write_mermaid(graph)
        case "dot":
            return diagrams.write_dot(graph)
        case "svg":
            return svg.draw_svg(graph)
        case "png":
            return svg.draw_png(graph)
        case _:
            return text.write_tree(graph) + "\n"


def _write(content: str | bytes, output: Path | None, *, is_picture: bool) -> None:
    if output is None:
        if is_picture:
            raise click.UsageError("A PNG needs a file: -o lineage.png.")
        click.echo(content, nl=False)
        return
    output.write_bytes(content if isinstance(content, bytes) else content.encode())
    click.echo(f"wrote {output}", err=True)


@contextmanager
def _opened(scope: Scope) -> "Iterator[WorkspaceLineage]":
    from datasteward.lineage.recording import WorkspaceLineage
    from datasteward.state import StateDatabase

    scope.workspace.make_state_folder()
    state = StateDatabase(scope.workspace.state_path)
    try:
        yield WorkspaceLineage(state)
    finally:
        state.close()


@contextmanager
def _reading(scope: Scope) -> "Iterator[sqlite3.Connection]":
    with _opened(scope) as kept, kept.reading() as connection:
        yield connection


def _starts(connection: "sqlite3.Connection", dataset: str, columns: Sequence[str]) -> "tuple[ColumnRef, ...]":
    from datasteward.lineage.graph import find_named, find_starts, tell_unknown
    from datasteward.lineage.recording import explain_unknown

    starts = find_starts(connection, dataset, columns) if columns else find_named(connection, dataset)
    if not starts:
        raise explain_unknown(connection, dataset)
    for line in tell_unknown(connection, starts):
        click.echo(line, err=True)
    return starts


def _workspace_catalog(scope: Scope) -> "Catalog":
    """Every table, view and file of the workspace, page by page."""
    from datasteward.lineage.schemas import Catalog, Column, Dataset
    from datasteward_cli.calls import call_tool

    found: list[Dataset] = []
    offset: int | None = 0
    while offset is not None:
        arguments = {"detail": "columns", "budget": 20_000, "offset": offset}
        page = call_tool(scope, "search_catalog", arguments).structured
        for item in page["datasets"]:
            kind, name = item["kind"], item["name"]
            columns = tuple(Column(name=c[0], type=c[1]) for c in item.get("columns") or ())
            if kind == "file":
                shown = item.get("path") or name
                found.append(Dataset(namespace="file", name=shown, kind="file", columns=columns, path=(name,)))
            else:
                namespace = "result" if kind == "result" else "duckdb"
                found.append(Dataset(namespace=namespace, name=name, kind=kind, columns=columns))
        offset = page.get("next_offset")
    return Catalog(found)
