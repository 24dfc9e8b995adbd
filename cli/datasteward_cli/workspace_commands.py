"""`steward init` and `steward owner`."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from datasteward.errors import ConfigError, EngineFault
from datasteward.settings import Settings
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode

STOP_SECONDS = 10.0
EXAMPLE_RULES = """\
Two rules of the policy, as an example; docs/configuration.md tells every condition.
[[policy.rules]]
name = "never drop"
verdict = "deny"
kinds = ["drop_*"]

[[policy.rules]]
name = "small corrections in staging"
verdict = "allow"
kinds = ["insert", "update"]
tables = ["staging.*"]
max_rows = 100
reversible = true
"""


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Show it instead of writing it.")
@click.option("--force", is_flag=True, help="Replace a steward.toml that is there.")
@click.pass_obj
def init(scope: Scope, only_print: bool, force: bool) -> None:
    """Write steward.toml with every setting, its meaning and its default as comments."""
    text = render_settings()
    if only_print:
        click.echo(text, nl=False)
        return
    path = scope.workspace.settings_path
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already.", hint="--force replaces it; --print shows a fresh one.")
    path.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}")


def render_settings() -> str:
    """A steward.toml whose every key is commented out at its default."""
    lines = ["# Datasteward settings; every key shows its default. Environment: STEWARD_<TABLE>_<KEY>.", ""]
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        lines.append(f"[{section}]")
        for key, item in model.model_fields.items():
            lines += [f"# {line}" for line in str(item.description).split("\n")]
            if (section, key) == ("policy", "rules"):
                lines.append("# An example stands below.")
            else:
                lines.append(f"# {key} = {_toml(item.default)}")
        lines.append("")
    return "\n".join([*lines, *(f"#   {line}".rstrip() for line in EXAMPLE_RULES.splitlines()), ""])


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(value)


@click.group()
def owner() -> None:
    """The workspace's background process."""


@owner.command("status")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def owner_status(scope: Scope, as_json: bool) -> int:
    """Show it; exit code 1 when none is running."""
    from datasteward.owner.server import describe_status

    try:
        status = asyncio.run(_ask(scope, "status"))
    except EngineFault as error:
        click.echo("{}" if as_json else error.message)
        return ExitCode.INTERNAL
    click.echo(json.dumps(status) if as_json else describe_status(status))
    return ExitCode.DONE


@owner.command("stop")
@click.pass_obj
def owner_stop(scope: Scope) -> None:
    """Stop it; what runs is cancelled and rolled back."""
    try:
        asyncio.run(_stop(scope))
    except EngineFault as error:
        click.echo(error.message)
        return
    click.echo("stopped")


async def _ask(scope: Scope, method: str) -> Any:
    from datasteward.owner.client import open_owner

    async with open_owner(scope.workspace, front_end="cli", name="steward", is_model=False, start=False) as client:
        return await client.request(method)


async def _stop(scope: Scope) -> None:
    """Returns when that owner has let go of everything, whoever starts another one meanwhile."""
    process_id = (await _ask(scope, "status"))["process_id"]
    await _ask(scope, "stop")
    await asyncio.to_thread(_wait_for_end, scope.workspace.owner_file, process_id)


def _wait_for_end(owner_file: Path, process_id: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while _owner_process(owner_file) == process_id:
        if time.monotonic() > deadline:
            raise EngineFault(
                f"The owner process {process_id} was told to end and has not after {STOP_SECONDS:.0f} s.",
                hint="steward owner status tells what it is doing; its log is .steward/owner.log.",
            )
        time.sleep(0.02)


def _owner_process(owner_file: Path) -> int | None:
    try:
        return int(json.loads(owner_file.read_text())["process_id"])
    except (OSError, ValueError, KeyError):
        return None
