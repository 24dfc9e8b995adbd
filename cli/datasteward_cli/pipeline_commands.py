"""`steward pipeline` and `steward contract`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from datasteward.errors import ConfigError
from datasteward_cli.app import Scope
from datasteward_cli.calls import call_tool, name_commands
from datasteward_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from datasteward.pipelines.service import PipelineService

T = TypeVar("T")
PLAN_BUDGET = 20_000
NO_RUN = "No run has begun yet; steward changes list shows what waits for approval."
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]

_PIPELINE_YAML = """\
# Every key is optional.
name: {name}
# start: 2026-01-01        # where incremental assets begin
# parallel: 2              # assets built at the same time
# publish: all             # the whole run at its end, or nothing
# timeout: 1h              # of a whole run
# defaults:
#   retry: {{times: 2, backoff: 2s}}
# connections:
#   erp: {{kind: database, path: data/erp.duckdb}}     # assets read erp.orders
"""
_EXAMPLE = """\
/* @asset
description: One row, to show what an asset is. Replace it.
checks:
  - not_null: id
  - expect: amount >= 0
    on_fail: quarantine
    max: 1%
tests:
  - given: {}
    expect: [{id: 1}]
@end */
SELECT 1 AS id, DATE '2026-01-01' AS day, 9.5 AS amount
"""


@click.group()
def pipeline() -> None:
    """Folders of SQL and Python assets: plan, run, watch and test them."""


@pipeline.command("init")
@click.argument("name")
@click.pass_obj
def init_pipeline(scope: Scope, name: str) -> None:
    """Make pipelines/NAME with a pipeline.yaml and one asset to begin with."""
    if not name.replace("_", "").replace("-", "").isalnum() or not name[0].isalpha():
        raise click.UsageError(f"'{name}' is not a name of letters, digits, _ and -, beginning with a letter.")
    folder = scope.workspace.root / "pipelines" / name
    if folder.exists():
        raise ConfigError(f"{folder} exists already.", hint=f"Look at it with: steward pipeline plan {name}")
    (folder / "staging").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(_PIPELINE_YAML.format(name=name), encoding="utf-8")
    (folder / "staging" / "first.sql").write_text(_EXAMPLE, encoding="utf-8")
    click.echo(f"made {folder.relative_to(scope.workspace.root)}; next: steward pipeline plan {name}")


def selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which assets and times are chosen."""
    for option in (
        click.option("--end", type=click.DateTime(MOMENTS), help="Backfill up to here, not included; UTC."),
        click.option("--start", type=click.DateTime(MOMENTS), help="Backfill from here; UTC."),
        click.option("--full-refresh", is_flag=True, help="Build the selected assets anew."),
        click.option(
            "-s", "--select", multiple=True, help="A name, glob, tag:word, +needs, needed-by+ or -without; repeat."
        ),
        click.argument("pipeline", required=False),
    ):
        command = option(command)
    return command


@pipeline.command("plan")
@selection
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan_command(
    scope: Scope,
    pipeline: str | None,
    select: tuple[str, ...],
    full_refresh: bool,
    start: datetime | None,
    end: datetime | None,
    as_json: bool,
) -> None:
    """Show what a run would do and why; nothing is run."""
    answer = call_tool(scope, "plan_pipeline", _arguments(pipeline, select, full_refresh, start, end))
    click.echo(json.dumps(answer.structured, ensure_ascii=False) if as_json else name_commands(answer.text))


def _arguments(
    pipeline: str | None, select: tuple[str, ...], full_refresh: bool, start: datetime | None, end: datetime | None
) -> dict[str, Any]:
    arguments: dict[str, Any] = {"select": list(select), "full_refresh": full_refresh, "budget": PLAN_BUDGET}
    if pipeline:
        arguments["pipeline"] = pipeline
    arguments |= {k: v.isoformat() for k, v in (("start", start), ("end", end)) if v is not None}
    return arguments


@pipeline.command("run")
@selection
@click.option("--plan", "plan_hash", help="Run exactly this plan instead of the plan of now.")
@click.option("--purpose", default="", help="Why, for who decides.")
@click.pass_obj
def run_command(
    scope: Scope,
    pipeline: str | None,
    select: tuple[str, ...],
    full_refresh: bool,
    start: datetime | None,
    end: datetime | None,
    plan_hash: str | None,
    purpose: str,
) -> int:
    """Propose a run; it begins when the policy allows it or a person approves it (steward changes approve)."""
    if plan_hash is None:
        plan = call_tool(scope, "plan_pipeline", _arguments(pipeline, select, full_refresh, start, end))
        if not plan.structured["steps"]:
            click.echo(name_commands(plan.text))
            return ExitCode.DONE
        plan_hash = str(plan.structured["hash"])
    answer = call_tool(scope, "run_pipeline", {"plan": plan_hash, "purpose": purpose, "wait_seconds": 40})
    click.echo(name_commands(answer.text))
    status = answer.structured["status"]
    if status == "waiting":
        click.echo(f"decide with: steward changes approve {answer.structured['change']}", err=True)
        return ExitCode.WAITING_FOR_APPROVAL
    if status == "denied":
        return ExitCode.DENIED
    return ExitCode.DONE if status in {"applied", "applying"} else ExitCode.TOOL_FAILED


@pipeline.command("status")
@click.argument("run", required=False)
@click.option("--asset", help="The history of one asset instead.")
@click.option("--stop", is_flag=True, help="Ask the run to stop; what is published stays.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status_command(scope: Scope, run: str | None, asset: str | None, stop: bool, as_json: bool) -> int:
    """Show how RUN (such as c8; the newest unless told) stands."""
    if asset is None and _has_no_run(scope, run) and not as_json:
        click.echo(NO_RUN)
        return ExitCode.DONE
    arguments: dict[str, Any] = {"action": "stop" if stop else "show"}
    arguments |= {k: v for k, v in (("run", run), ("asset", asset)) if v is not None}
    answer = call_tool(scope, "pipeline_status", arguments)
    click.echo(json.dumps(answer.structured, ensure_ascii=False) if as_json else name_commands(answer.text))
    return ExitCode.TOOL_FAILED if answer.structured["status"] in {"failed", "partly"} else ExitCode.DONE


def _has_no_run(scope: Scope, run: str | None) -> bool:
    """Whether no run has begun and none is asked for; raises `ToolError` (not_found) when `run` has not begun."""
    from datasteward.pipelines.run_book import RunBook

    book = RunBook(scope.workspace.state_folder)
    if run is None:
        return not book.runs(1)
    book.need_run(run)
    return False


@pipeline.command("resume")
@click.argument("run", required=False)
@click.pass_obj
def resume_command(scope: Scope, run: str | None) -> int:
    """Take up RUN (such as c8; the newest unless told) where it was interrupted; its approval still holds."""
    if _has_no_run(scope, run):
        click.echo(NO_RUN)
        return ExitCode.DONE
    found = call_tool(scope, "pipeline_status", {"run": run} if run else {})
    run = str(found.structured["run"])
    if found.structured["total"]:
        call_tool(scope, "change_status", {"change": run, "wait_seconds": 40})
    answer = call_tool(scope, "pipeline_status", {"run": run})
    click.echo(name_commands(answer.text))
    return ExitCode.DONE if answer.structured["status"] in {"done", "running"} else ExitCode.TOOL_FAILED


@pipeline.command("test")
@click.argument("pipeline", required=False)
@click.option("-s", "--select", multiple=True, help="Which assets; as in plan.")
@click.pass_obj
def test_command(scope: Scope, pipeline: str | None, select: tuple[str, ...]) -> int:
    """Run the unit tests in the assets' headers; no data is looked at."""
    outcomes = _with_pipelines(scope, lambda service: service.test(pipeline, select))
    for outcome in outcomes:
        click.echo(f"{'ok  ' if outcome.passed else 'FAIL'} {outcome.asset}: {outcome.name}")
        for line in outcome.differences:
            click.echo(f"     {line}")
    failed = sum(not o.passed for o in outcomes)
    click.echo(f"{len(outcomes) - failed} passed, {failed} failed" if outcomes else "no asset has unit tests")
    return ExitCode.TOOL_FAILED if failed else ExitCode.DONE


@pipeline.command("parity")
@click.argument("pipeline", required=False)
@click.option("-s", "--select", multiple=True, help="Which assets; as in plan.")
@click.option("--engine", help="spark or spark:NAME, to compare also assets that DuckDB computes today.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=100_000, show_default=True, help="Rows taken of each input."
)
@click.option("--timeout", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds per asset.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def parity_command(
    scope: Scope,
    pipeline: str | None,
    select: tuple[str, ...],
    engine: str | None,
    rows: int,
    timeout: float,
    as_json: bool,
) -> int:
    """Compute assets in DuckDB and on Spark from the same rows and tell what differs; nothing is written."""
    from datasteward.engine.engine import make_worker_settings
    from datasteward.pipelines.loading import read_folder
    from datasteward.pipelines.spark.parity_host import check_parity
    from datasteward.pipelines.spark.parity_model import ParityJob
    from datasteward.pipelines.statement import find_folder

    root = scope.workspace.root
    folder = find_folder(root, pipeline)
    job = ParityJob(
        folder=folder,
        texts=read_folder(root / folder).texts,
        select=select,
        engine=engine,
        sample_rows=rows,
        timeout_seconds=timeout,
    )
    report = check_parity(job, make_worker_settings(scope.workspace, scope.settings))
    click.echo(report.model_dump_json() if as_json else "\n".join(a.to_text() for a in report.assets))
    return ExitCode.DONE if all(a.status in {"equal", "skipped"} for a in report.assets) else ExitCode.TOOL_FAILED


def _with_pipelines(scope: Scope, work: "Callable[[PipelineService], Awaitable[T]]") -> T:
    """Run `work` on the pipelines of the workspace, in this process."""
    from datasteward.pipelines.service import PipelineService
    from datasteward_cli.composition import open_local

    async def run() -> T:
        async with open_local(scope.workspace, scope.settings) as (_, services):
            return await work(PipelineService(services))

    return asyncio.run(run())


@click.group()
def contract() -> None:
    """Contracts in the Open Data Contract Standard (v3.1): check data, compare versions."""


@contract.command("check")
@click.argument("document", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="The schema object in the document; needed when it has several.")
@click.option("--dataset", help="The table or file to check; the object's own name unless told.")
@click.pass_obj
def check_command(scope: Scope, document: Path, name: str | None, dataset: str | None) -> int:
    """Check a table or file against a contract DOCUMENT."""
    text = _read(document)
    found = _with_pipelines(scope, lambda service: service.check_contract(document.name, text, name, dataset))
    for line in found["breaches"]:
        click.echo(f"- {line}")
    broken = [b for b in found["breaches"] if not b.startswith("warning: ")]
    click.echo(f"{found['dataset']}: {found['checks']} checks, {len(broken)} broken")
    return ExitCode.TOOL_FAILED if broken else ExitCode.DONE


@contract.command("diff")
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--pipeline", help="Name the assets of this pipeline that read what breaks.")
@click.pass_obj
def diff_command(scope: Scope, old: Path, new: Path, pipeline: str | None) -> int:
    """Compare two versions of a contract; ends with code 10 when the new one breaks readers of the old."""
    from datasteward.pipelines.contracts import compare_contracts, parse_contracts

    def read_by(dataset: str, column: str) -> str:
        if pipeline is None or not column:
            return ""
        readers = _with_pipelines(scope, lambda service: service.readers_of(pipeline, dataset)).get(
            column.casefold(), []
        )
        return f" (read by {', '.join(readers)})" if readers else " (no asset reads it)"

    before = {c.name: c for c in parse_contracts(_read(old), old.name)}
    after = {c.name: c for c in parse_contracts(_read(new), new.name)}
    lines, breaks = [], False
    for name in [*before, *(n for n in after if n not in before)]:
        if name not in after or name not in before:
            gone = name not in after
            breaks = breaks or gone
            lines.append(f"{'breaking' if gone else 'compatible'}: {name} is {'no longer promised' if gone else 'new'}")
            continue
        for change in compare_contracts(before[name], after[name]):
            breaks = breaks or change.kind == "breaking"
            told = read_by(name, change.column) if change.kind == "breaking" else ""
            lines.append(f"{change.kind}: {name}: {change.message}{told}")
    click.echo("\n".join(lines) or "no difference")
    return ExitCode.TOOL_FAILED if breaks else ExitCode.DONE


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.") from error
