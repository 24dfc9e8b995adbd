"""`steward run`: the agent without a screen, with an exit code that a script can trust."""

import json
from pathlib import Path
from typing import Any

import click

from datasteward_cli.app import Scope

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("prompt", required=False)
@click.option("--prompt-file", type=_FILE, help="Read the prompt from a file; the argument - reads it from stdin.")
@click.option("--json", "form", flag_value="json", help="Print the result as one JSON object.")
@click.option("--stream-json", "form", flag_value="stream-json", help="Print every event as a line of JSON.")
@click.option("--text", "form", flag_value="text", help="Print the answer alone (this is what happens anyway).")
@click.option("--schema", type=_FILE, help="A JSON Schema that the answer must fit.")
@click.option("--max-turns", type=click.IntRange(1), default=50, show_default=True, help="Requests to the model.")
@click.option("--max-tokens", type=click.IntRange(1), help="Tokens in and out, all turns together.")
@click.option("--max-usd", type=click.FloatRange(0, min_open=True), help="Money, estimated from list prices.")
@click.option(
    "--timeout", "timeout_seconds", type=click.FloatRange(0, min_open=True), help="Seconds for the whole run."
)
@click.option(
    "--mode",
    type=click.Choice(["plan", "ask", "auto"]),
    default="ask",
    show_default=True,
    help="plan only reads; ask stops at a change that waits; auto goes on with other work.",
)
@click.option(
    "--allow", multiple=True, metavar="RULE", help="A tool, or tool(argument=pattern), that may change things."
)
@click.option(
    "--deny", multiple=True, metavar="RULE", help="A tool, or tool(argument=pattern), that may not be called."
)
@click.option(
    "--on-approval",
    type=click.Choice(["deny", "pause"]),
    default="pause",
    show_default=True,
    help="What becomes of a change that needs a person: deny it, or end with code 4 and resume later.",
)
@click.option("--resume", metavar="SESSION", help="Go on with a session; with no prompt, with what was open.")
@click.option("--continue", "continues", is_flag=True, help="Go on with the latest session.")
@click.option("--fork", metavar="SESSION", help="Go on with a copy of a session.")
@click.option("--approve", multiple=True, metavar="ID", help="Approve a waiting plan or change when resuming.")
@click.option(
    "--require-evidence", "requires_evidence", is_flag=True, help="Fail when a figure is backed by no result."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Leave result, transcript, SQL and data here."
)
@click.option("--model", help="A model's name, bedrock/NAME, vertex/NAME or scripted:FILE.")
@click.option("--base-url", help="A server that speaks the Messages API, such as http://127.0.0.1:11434.")
@click.option(
    "--effort", type=click.Choice(["low", "medium", "high", "xhigh", "max"]), help="How hard the model tries."
)
@click.option("--script", type=_FILE, help="Several prompts with asserts, as YAML.")
@click.option("--plan-only", "is_plan_only", is_flag=True, help="Only make a plan, and print it.")
@click.option(
    "--plan", type=_FILE, help="Carry out a plan (JSON); at a terminal it is shown, and a yes grants its changes."
)
@click.option("--quiet", "is_quiet", is_flag=True, help="No words on stderr.")
@click.option("--spec", is_flag=True, help="Print options, events and exit codes as JSON.")
@click.pass_context
def run(context: click.Context, /, **given: Any) -> int:
    """Let the agent work on PROMPT, and end with a code that says what happened.

    The answer goes to stdout, words go to stderr. 0 done, 3 something was denied, 4 waits for approval (go on with
    --resume), 5 turns, 6 budget, 7 truncated, 8 refused, 9 schema or assert, 10 tool, 11 key, 12 time, 13 evidence.
    """
    if given.pop("spec"):
        from datasteward_cli.run_spec import describe_run

        click.echo(json.dumps(describe_run(context.command), indent=2))
        return 0
    from datasteward_cli.run_session import run_headless
    from datasteward_cli.run_settings import RunFlags

    scope: Scope = context.obj
    flags = RunFlags(**{**given, "form": given["form"] or "text"})
    if flags.script is not None:
        from datasteward_cli.run_steps import run_steps

        return run_steps(scope, flags)
    return run_headless(scope, flags)
