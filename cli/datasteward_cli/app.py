"""The click application; each command's module is imported only when that command runs."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datasteward.errors import ConfigError, DatastewardError, ToolError
from datasteward.workspace import Workspace, find_workspace
from datasteward_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from datasteward.settings import Settings

COMMANDS: dict[str, tuple[str, str]] = {
    "query": ("datasteward_cli.data_commands:query", "Run SQL and print the rows."),
    "catalog": ("datasteward_cli.data_commands:catalog", "List tables, views, data files and results."),
    "results": ("datasteward_cli.data_commands:results", "List, show, pin and prune stored results."),
    "profile": ("datasteward_cli.profile_commands:profile", "Tell what a file, table or result really is."),
    "lineage": ("datasteward_cli.lineage_commands:lineage", "Trace columns, weigh changes, read SQL files."),
    "changes": ("datasteward_cli.changes_commands:changes", "The inbox: list, show, approve, reject, undo."),
    "approver": ("datasteward_cli.changes_commands:approver", "The key that signs approvals."),
    "policy": ("datasteward_cli.changes_commands:policy", "What is decided without asking, and why."),
    "run": ("datasteward_cli.run_commands:run", "Let the agent work on a prompt, without a screen."),
    "sessions": ("datasteward_cli.session_commands:sessions", "List, show, search, export and fork sessions."),
    "replay": ("datasteward_cli.session_commands:replay", "Run a session's queries again and tell what changed."),
    "pipeline": ("datasteward_cli.pipeline_commands:pipeline", "Plan, run and watch folders of SQL and Python."),
    "contract": ("datasteward_cli.pipeline_commands:contract", "Check data contracts and what a change breaks."),
    "mcp": ("datasteward_cli.mcp_command:mcp", "Serve MCP over stdio or HTTP."),
    "init": ("datasteward_cli.workspace_commands:init", "Write a commented steward.toml."),
    "doctor": ("datasteward_cli.doctor:doctor", "Tell what is found, what is missing and how to mend it."),
    "owner": ("datasteward_cli.workspace_commands:owner", "Show or stop the workspace's background process."),
    "log": ("datasteward_cli.log_command:log", "Read, follow, filter and verify the journal."),
    "demo": ("datasteward_cli.agent_demo:demo", "Watch the agent work on example data, without a key."),
}

TAB_CELLS = 4


class Scope:
    """What the flags before the command say."""

    def __init__(self, workspace: Path | None, *, no_owner: bool) -> None:
        self._folder = workspace
        self.no_owner = no_owner

    @property
    def workspace(self) -> Workspace:
        """The workspace; raises `ConfigError` when the folder is not there."""
        return find_workspace(self._folder)

    @property
    def settings(self) -> "Settings":
        """Its settings; raises `ConfigError` naming the fault."""
        from datasteward.settings import load_settings

        return load_settings(self.workspace)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else " steward --help lists the commands."
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-w", "--workspace", type=click.Path(path_type=Path), help="The folder to work in; the current one unless told."
)
@click.option("--no-owner", is_flag=True, envvar="STEWARD_NO_OWNER", help="Use no background process.")
@click.version_option(package_name="datasteward", prog_name="steward")
@click.pass_context
def steward(ctx: click.Context, workspace: Path | None, no_owner: bool) -> None:
    """Query, explore and change data with agents you can check: DuckDB over MCP, reviewed writes, undo, evidence."""
    ctx.obj = Scope(workspace, no_owner=no_owner)
    if ctx.invoked_subcommand is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo(ctx.get_help())
            return
        from datasteward_cli.terminal import show_app

        show_app(ctx.obj)


def run_app(argv: Sequence[str]) -> int:
    """Run the click application; returns the exit code."""
    try:
        outcome: Any = steward.main(args=list(argv), prog_name="steward", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except BrokenPipeError:
        sys.stderr.close()
        return ExitCode.DONE
    except ConfigError as error:
        _complain(error)
        return ExitCode.USAGE
    except ToolError as error:
        _complain(error)
        return exit_code_of(error)
    except DatastewardError as error:
        _complain(error)
        return ExitCode.INTERNAL
    return int(outcome) if isinstance(outcome, int) else ExitCode.DONE


def exit_code_of(error: ToolError) -> ExitCode:
    """The exit code that a tool's error stands for."""
    match error.code:
        case "invalid_arguments" | "unknown_tool":
            return ExitCode.USAGE
        case "forbidden" | "needs_approval":
            return ExitCode.DENIED
        case "timeout":
            return ExitCode.TIMED_OUT
        case "cancelled":
            return ExitCode.INTERRUPTED
        case "internal" | "unavailable":
            return ExitCode.INTERNAL
        case _:
            return ExitCode.TOOL_FAILED


def _complain(error: DatastewardError) -> None:
    from datasteward.changes.quoting import make_safe

    print(make_safe(f"steward: {error}".expandtabs(TAB_CELLS)), file=sys.stderr)
