"""`steward demo`: the main job on example data, with no key and no server of anyone else's."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from datasteward.calling import ToolCaller
from datasteward.callers import Caller
from datasteward.workspace import Workspace
from datasteward_cli.composition import open_tools
from datasteward_cli.example_data import write_example_data

AGENT = Caller(front_end="mcp", name="demo agent", is_model=True)


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Where to put the example data; a temporary folder unless told."
)
def demo(folder: Path | None) -> None:
    """Walk through a question on example data: catalog, query, a result used again, a refused write, the journal."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(_walk(folder.resolve()))
        click.echo(f"\nThe data stays in {folder}. Go on there with: steward query 'FROM orders LIMIT 5'")
        return
    with tempfile.TemporaryDirectory(prefix="datasteward-demo-") as made:
        asyncio.run(_walk(Path(made).resolve()))
        click.echo("\nKeep the data with --folder NAME, or point steward at a folder of your own.")


async def _walk(folder: Path) -> None:
    write_example_data(folder / "data")
    workspace = Workspace(root=folder)
    async with open_tools(workspace, front_end="mcp", name="demo", is_model=True, no_owner=True) as tools:
        await _step(tools, "What is in this folder?", "search_catalog", {"detail": "columns"})
        sql = (
            "SELECT p.name AS product, count(*) AS orders, sum(o.amount) AS revenue\n"
            "FROM orders o JOIN products p USING (product_id)\n"
            "WHERE o.status = 'paid' GROUP BY ALL ORDER BY revenue DESC"
        )
        first = await _step(tools, "Which products earn most? (Parquet partitions joined with NDJSON)", "run_query", {"sql": sql})
        handle = first["results"][0]["handle"]
        again = f"SELECT round(100 * max(revenue) / sum(revenue), 1) AS top_share_percent FROM {handle}"
        await _step(tools, f"The result is a table now: {handle} is used again", "run_query", {"sql": again})
        await _step(tools, "A wrong name gets help", "run_query", {"sql": "SELECT pname FROM products"})
        await _step(tools, "A query cannot write", "run_query", {"sql": "COPY orders TO 'leak.csv'"})
        await _step(tools, "or read other files", "run_query", {"sql": "FROM '/etc/passwd'"})
    _show_journal(workspace)


async def _step(tools: ToolCaller, title: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    click.echo(f"\n── {title}")
    click.echo(f"   {name} {arguments.get('sql', arguments)}")
    answer = await tools.call(name, arguments, AGENT)
    click.echo("\n".join(f"   │ {line}" for line in answer.text.splitlines()))
    return answer.structured


def _show_journal(workspace: Workspace) -> None:
    from datasteward.journal import Journal

    journal = Journal(workspace.journal_folder)
    report = journal.verify()
    click.echo("\n── The journal: every call, chained by hashes, no data values")
    for entry in journal.read():
        click.echo(f"   │ {entry.number} {entry.event} {entry.fields['tool']} {entry.fields['outcome']} {entry.fields['ms']} ms")
    click.echo(f"   │ chain {'intact' if report.is_intact else 'BROKEN'}, {report.entries} entries")
