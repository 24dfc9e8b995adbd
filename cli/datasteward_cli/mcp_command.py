"""`steward mcp` with options: in one process, or over HTTP."""

import asyncio
import os
import secrets
from typing import Any

import click

from datasteward.errors import ConfigError
from datasteward_cli.app import Scope
from datasteward_cli.composition import open_tools

TOKEN_VARIABLE = "STEWARD_HTTP_TOKEN"  # noqa: S105 - the variable's name
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@click.command()
@click.option("--http", is_flag=True, help="Serve streamable HTTP instead of stdio.")
@click.option("--host", help="The address for --http, 127.0.0.1 unless told.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port for --http, 8765 unless told.")
@click.option("--no-token", is_flag=True, help="Ask for no bearer token; only on a loopback address.")
@click.option("--no-owner", "command_no_owner", is_flag=True, help="Use no background process.")
@click.option("-w", "--workspace", "folder", type=click.Path(), help="The folder to work in.")
@click.pass_obj
def mcp(
    scope: Scope,
    http: bool,
    host: str | None,
    port: int | None,
    no_token: bool,
    command_no_owner: bool,
    folder: str | None,
) -> int | None:
    """Serve this workspace to an MCP client over stdio, or with --http to any number of them.

    The bearer token for --http comes from STEWARD_HTTP_TOKEN; without that variable one is made and shown once.
    """
    from pathlib import Path

    no_owner = scope.no_owner or command_no_owner
    chosen = Scope(Path(folder), no_owner=no_owner) if folder else scope
    if http:
        settings = chosen.settings.http
        address = host or settings.host
        token = _token(address, no_token=no_token)
        asyncio.run(_serve_http(chosen, no_owner, address, settings.port if port is None else port, token))
    elif no_owner:
        asyncio.run(_serve_stdio(chosen))
    else:
        from datasteward_cli.pump import run_pump

        return run_pump(chosen.workspace, "stdio")
    return None


def _token(address: str, *, no_token: bool) -> str | None:
    if no_token:
        if address not in LOOPBACK:
            raise ConfigError(
                f"--no-token is allowed on a loopback address only, not on {address}.",
                hint=f"Set {TOKEN_VARIABLE}, or leave --no-token away and a token is made.",
            )
        return None
    given = os.environ.get(TOKEN_VARIABLE)
    if given is not None:
        if len(given) < 16:
            raise ConfigError(f"{TOKEN_VARIABLE} has {len(given)} characters; at least 16 are needed.")
        return given
    token = secrets.token_urlsafe(32)
    click.echo(f"bearer token for this run: {token}", err=True)
    return token


async def _serve_http(scope: Scope, no_owner: bool, host: str, port: int, token: str | None) -> None:
    from datasteward_mcp.http import serve_http
    from datasteward_mcp.server import build_server

    settings = scope.settings
    async with open_tools(scope.workspace, front_end="mcp", name="http", is_model=True, no_owner=no_owner) as tools:
        await serve_http(
            build_server(tools, prompts_folder=scope.workspace.root / "prompts"),
            host=host,
            port=port,
            token=token,
            allowed_hosts=settings.http.allowed_hosts,
            allowed_origins=settings.http.allowed_origins,
            announce=lambda url: click.echo(f"serving {url}", err=True),
        )


async def _serve_stdio(scope: Scope) -> None:
    """One process: the wire is moved to private descriptors first, so that nothing can print into it."""
    from datasteward.callers import Caller
    from datasteward.changes.client_decisions import ClientDecisions
    from datasteward_cli.composition import open_local
    from datasteward_cli.stdio import open_stdio
    from datasteward_mcp.framing import serve_stream
    from datasteward_mcp.server import build_server

    async with open_stdio() as (reader, writer), open_local(scope.workspace, scope.settings) as (tools, services):
        who: Any = Caller(front_end="mcp", name="stdio", connection="k1", process_id=os.getppid())
        server = build_server(
            tools, decisions=ClientDecisions(services.changes), prompts_folder=scope.workspace.root / "prompts"
        )
        await serve_stream(server, reader, writer, who)
