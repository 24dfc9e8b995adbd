"""What `steward run` was asked for, checked and turned into the agent's options."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasteward.errors import ConfigError
from datasteward_agent.events import Mode
from datasteward_agent.limits import Budget
from datasteward_agent.models.port import Effort
from datasteward_agent.rules import CallGate, parse_rule
from datasteward_agent.run_context import AgentOptions

OutputForm = Literal["text", "json", "stream-json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """The flags of one `steward run`, as given."""

    prompt: str | None = None
    prompt_file: Path | None = None
    form: OutputForm = "text"
    schema: Path | None = None
    max_turns: int | None = 50
    max_tokens: int | None = None
    max_usd: float | None = None
    timeout_seconds: float | None = None
    mode: Mode = "ask"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    on_approval: Literal["deny", "pause"] = "pause"
    resume: str | None = None
    continues: bool = False
    fork: str | None = None
    approve: tuple[str, ...] = ()
    requires_evidence: bool = False
    out: Path | None = None
    model: str | None = None
    base_url: str | None = None
    effort: Effort | None = None
    script: Path | None = None
    is_plan_only: bool = False
    plan: Path | None = None
    is_quiet: bool = False


def build_options(flags: RunFlags) -> AgentOptions:
    """The agent's options; raises `ConfigError` for a flag that can't be what it is."""
    if flags.mode == "plan" and flags.plan is not None:
        raise ConfigError(
            "--plan carries out an approved plan, and mode plan only reads.", hint="Leave out --mode plan."
        )
    return AgentOptions(
        gate=CallGate(
            mode="plan" if flags.is_plan_only else flags.mode,
            allow=tuple(map(parse_rule, flags.allow)),
            deny=tuple(map(parse_rule, flags.deny)),
        ),
        budget=Budget(turns=flags.max_turns, tokens=flags.max_tokens, usd=flags.max_usd, seconds=flags.timeout_seconds),
        on_waiting=flags.on_approval,
        output_schema=read_schema(flags.schema),
        is_plan_only=flags.is_plan_only,
        requires_evidence=flags.requires_evidence,
        effort=flags.effort,
    )


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """The JSON Schema of a file; raises `ConfigError` when it is none."""
    if path is None:
        return None
    import jsonschema

    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except OSError as error:
        raise ConfigError(f"The schema {path} cannot be read: {error.strerror}.") from error
    except (ValueError, AttributeError, jsonschema.SchemaError) as error:
        raise ConfigError(f"{path} is not a JSON Schema: {str(error).splitlines()[0]}.") from error
    if not isinstance(schema, dict):
        raise ConfigError(f"{path} is not a JSON Schema of an object or value: it must be a JSON object.")
    return schema


def read_prompt(flags: RunFlags) -> str | None:
    """The prompt from the argument, a file or stdin (`-`); None when a session is resumed without one."""
    if flags.prompt_file is not None and flags.prompt is not None:
        raise ConfigError("Give the prompt as an argument or with --prompt-file, not both.")
    if flags.prompt_file is not None:
        try:
            text = flags.prompt_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The prompt {flags.prompt_file} cannot be read: {error}.") from error
    elif flags.prompt == "-":
        text = sys.stdin.read()
    else:
        text = flags.prompt or ""
    goes_on = flags.resume is not None or flags.continues or flags.fork is not None
    if not text.strip() and not goes_on and flags.plan is None:
        raise ConfigError("There is no prompt.", hint='steward run "How many orders were there last month?"')
    return text.strip() or None
