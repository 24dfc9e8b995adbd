"""`steward profile`."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from datasteward_cli.app import Scope
from datasteward_cli.calls import call_tool


@click.command()
@click.argument("dataset")
@click.option("--column", help="Everything about one column.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole profile as JSON.")
@click.option(
    "--html", "html_path", type=click.Path(dir_okay=False, path_type=Path), help="Write one self-contained page."
)
@click.option("--contract", is_flag=True, help="Print a draft contract (ODCS v3.1, YAML).")
@click.option("--sql", "shows_sql", is_flag=True, help="Print the SQL that shows and mends each finding.")
@click.option("--compare-to", metavar="DATASET", help="What changed since the 'previous' profile, or against DATASET.")
@click.option("--mask", is_flag=True, help="Mask personal data, as a model would see it.")
@click.option("--seconds", type=click.FloatRange(min=0.1, max=600), default=60.0, help="Time budget.")
@click.pass_obj
def profile(
    scope: Scope,
    dataset: str,
    column: str | None,
    as_json: bool,
    html_path: Path | None,
    contract: bool,
    shows_sql: bool,
    compare_to: str | None,
    mask: bool,
    seconds: float,
) -> None:
    """Show what DATASET (a table, file, result or query) really is, and what is wrong in it."""
    from datasteward.profiling.page import render_page
    from datasteward.profiling.rendering import render_for_terminal
    from datasteward.profiling.storing import from_json, to_json

    arguments: dict[str, Any] = {"dataset": dataset, "seconds": seconds, "mask": mask}
    if column:
        arguments["column"] = column
    if compare_to:
        arguments["compare_to"] = compare_to
    if contract or shows_sql:
        arguments["show"] = "contract" if contract else "sql"
    answer = call_tool(scope, "profile_data", arguments)
    shown = from_json(json.dumps(answer.structured["profile"]))
    if html_path:
        html_path.write_text(render_page(shown, shows_values=not mask), encoding="utf-8")
        click.echo(str(html_path))
    elif as_json:
        click.echo(to_json(shown))
    elif column or compare_to or contract or shows_sql:
        click.echo(answer.text)
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(render_for_terminal(shown, width=width, shows_values=not mask, colour=colour))
