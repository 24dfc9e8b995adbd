"""`steward init` and `steward owner`."""

import asyncio
import json
from typing import Any

import click
from pydantic import BaseModel

from datasteward.errors import ConfigError, EngineFault
from datasteward.settings import Settings
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode

STOP_SECONDS = 10.0


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
            lines.append(f"# {item.description}")
            lines.append(f"# {key} = {_toml(item.default)}")
        lines.append("")
    return "\n".join(lines)


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
    from datasteward.owner.address import connect

    await _ask(scope, "stop")
    async with asyncio.timeout(STOP_SECONDS):
        while (stream := await asyncio.to_thread(connect, scope.workspace.socket_path)) is not None:
            stream.close()
            await asyncio.sleep(0.05)
