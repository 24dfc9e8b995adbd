"""`steward run --spec`: options, events, outcomes and exit codes as JSON, for programs that drive it."""

from typing import Any, get_args

import click

from datasteward_agent.events import EVENT_VERSION, Outcome, event_schema
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.run_output import EXIT_CODES

_MEANINGS: dict[str, str] = {
    "done": "the prompt was answered",
    "failed": "an internal fault, or the model's server failed after retries",
    "denied": "the run went on to its end, but something was denied",
    "waiting": "a proposal or plan waits for a person; resume with --resume SESSION",
    "max_turns": "--max-turns was reached",
    "budget": "--max-tokens or --max-usd was reached",
    "truncated": "the reply or the history did not fit",
    "refused": "the model refused",
    "schema_not_met": "the answer does not fit --schema after one correction",
    "assert_failed": "an assert of --script does not hold",
    "tool_failed": "a tool that was called failed and never worked afterwards",
    "auth": "no key, or the server did not accept it",
    "timeout": "--timeout was reached",
    "evidence_missing": "--require-evidence, and some figure is backed by no result",
    "interrupted": "SIGINT",
    "terminated": "SIGTERM",
}


def describe_run(command: click.Command) -> dict[str, Any]:
    """The whole interface of the command."""
    return {
        "command": "steward run",
        "event_version": EVENT_VERSION,
        "options": [_option(p) for p in command.params],
        "outcomes": [
            {"outcome": o, "exit_code": int(EXIT_CODES[o]), "meaning": _MEANINGS[o]} for o in get_args(Outcome)
        ],
        "exit_codes": {int(code): code.name.lower() for code in ExitCode},
        "streams": {"stdout": "the answer, the result, or one event a line", "stderr": "words for people"},
        "event_schema": event_schema(),
    }


def _option(parameter: click.Parameter) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "names": [*parameter.opts, *parameter.secondary_opts],
        "repeatable": parameter.multiple,
        "type": parameter.type.name,
    }
    if isinstance(parameter.type, click.Choice):
        facts["choices"] = list(parameter.type.choices)
    if isinstance(parameter, click.Option):
        facts["help"] = parameter.help
    return facts
