"""`steward lineage`: where columns come from, what hangs on them, and lineage from SQL files."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from datasteward_cli.app import Scope

if TYPE_CHECKING:
    import sqlite3

    from datasteward.lineage.graph import LineageGraph
    from datasteward.lineage.recording import WorkspaceLineage
    from datasteward.lineage.schemas import Catalog, ColumnRef

FORMS = ("tree", "text", "json", "mermaid", "dot", "svg", "png")
PERSON_BUDGET = 12_000


@click.group()
def lineage() -> None:
    """Trace columns, weigh changes and read lineage from SQL files."""


@lineage.command("trace")
@click.argument("dataset")
@click.option("-c", "--column", "columns", multiple=True, help="Only this column; repeat for more.")
@click.option("--down", is_flag=True, help="What depends on it, instead of where it comes from.")
@click.option("--depth", type=click.IntRange(1, 50), default=10, show_default=True)
@click.option("--rows", is_flag=True, help="Also columns that only join, filter, group or sort.")
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
    form: str | None,
    output: Path | None,
) -> None:
    """Show where DATASET's columns come from, or go to; a picture with -o lineage.svg."""
    from datasteward.lineage.graph import trace

    direction: Literal["upstream", "downstream"] = "downstream" if down else "upstream"
    with _reading(scope) as connection:
        starts = _starts(connection, dataset, columns)
        graph = trace(connection, starts, direction, depth=depth, include_indirect=rows)
    chosen = form or (output.suffix.lstrip(".") if output and output.suffix.lstrip(".") in FORMS else "tree")
    _write(_draw(graph, chosen), output, is_picture=chosen == "png")


@lineage.command("impact")
@click.argument("dataset")
@click.option("-c", "--column", "columns", multiple=True, help="Only this column; repeat for more.")
@click.option("--change", type=click.Choice(["drop", "change_type", "rename"]), default="drop", show_default=True)
@click.pass_obj
def impact_command(
    scope: Scope, dataset: str, columns: tuple[str, ...], change: Literal["drop", "change_type", "rename"]
) -> None:
    """Tell what a change of DATASET, or of some of its columns, would break."""
    from datasteward.lineage.faces.text import write_impact
    from datasteward.lineage.graph import assess_change

    with _reading(scope) as connection:
        impact = assess_change(connection, _starts(connection, dataset, columns), change)
    click.echo(write_impact(impact, budget=PERSON_BUDGET))


@lineage.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dialect", default="duckdb", show_default=True, help="The SQL dialect of the files.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def import_command(scope: Scope, folder: Path, dialect: str, dry_run: bool, as_json: bool) -> None:
    """Bind FOLDER's .sql files in order of need and keep their lineage; nothing is run."""
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
    if as_json:
        click.echo(json.dumps({"statements": found, "problems": problems}, ensure_ascii=False))
        return
    for item in found:
        click.echo(f"{item['file']}:{item['line']} {item['target']} ({item['confidence']})")
    for problem in problems:
        click.echo(f"{problem['file']}:{problem['line']}: {problem['message']}", err=True)
    click.echo(f"{len(found)} statements, {len(problems)} problems{', nothing kept' if dry_run else ''}")


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
    from datasteward.lineage.graph import find_starts
    from datasteward.lineage.recording import explain_unknown

    starts = find_starts(connection, dataset, columns)
    if not starts and "." in dataset and not columns:
        name, _, column = dataset.rpartition(".")
        starts = find_starts(connection, name, [column])
    if not starts:
        raise explain_unknown(connection, dataset)
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
