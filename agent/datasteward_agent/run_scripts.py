"""Scripted runs for CI: prompts one after another in one session, and what must be true of each."""

import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from datasteward.errors import ConfigError
from datasteward_agent.conversation import Shape
from datasteward_agent.events import Event, Outcome, RunEnded, ToolCalled


class Asserts(Shape):
    """What must hold after a step; everything not named is free, but the outcome must be `done` unless named."""

    outcome: Outcome = "done"
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    matches: str | None = None
    calls: tuple[str, ...] = ()
    """Tools that must have been called."""
    no_calls: tuple[str, ...] = ()
    max_turns: int | None = None
    results: int | None = None
    """How many results the step must have stored at least."""
    backed: bool | None = None
    """Whether every figure must be backed."""


class Step(Shape):
    """One prompt; `new_session` begins without what was said before."""

    name: str = ""
    prompt: str = Field(min_length=1)
    new_session: bool = False
    expect: Asserts = Field(default_factory=Asserts, alias="assert")


class RunScript(Shape):
    """A file of steps; `model` overrides the model, such as `scripted:turns.yaml` beside it."""

    version: Literal[1] = 1
    model: str | None = None
    stop_at_first_failure: bool = True
    steps: tuple[Step, ...] = Field(min_length=1)


def load_run_script(path: Path) -> RunScript:
    """The script of a YAML file; raises `ConfigError` naming the place of a fault."""
    try:
        return RunScript.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"The script {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The script {path} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(p) for p in fault["loc"]) or "the file"
        raise ConfigError(f"The script {path} has a fault at {where}: {fault['msg']}.") from error


def find_failures(expected: Asserts, ended: RunEnded, events: list[Event]) -> list[str]:
    """What does not hold of a finished step, each in a sentence; empty when all does."""
    called = {e.name for e in events if isinstance(e, ToolCalled)}
    stored = {h for e in events if e.type == "tool.result" for h in e.handles}
    checks = [
        (ended.outcome == expected.outcome, f"outcome is {ended.outcome}, not {expected.outcome}"),
        *((text in ended.text, f"the answer lacks '{text}'") for text in expected.contains),
        *((text not in ended.text, f"the answer holds '{text}'") for text in expected.lacks),
        (
            expected.matches is None or re.search(expected.matches, ended.text) is not None,
            f"the answer does not match {expected.matches}",
        ),
        *((name in called, f"{name} was not called") for name in expected.calls),
        *((name not in called, f"{name} was called") for name in expected.no_calls),
        (
            expected.max_turns is None or ended.turns <= expected.max_turns,
            f"{ended.turns} turns, more than {expected.max_turns}",
        ),
        (
            expected.results is None or len(stored) >= expected.results,
            f"{len(stored)} results stored, fewer than {expected.results}",
        ),
        (
            expected.backed is None or expected.backed == all(f.verdict != "not_found" for f in ended.figures),
            "figures are not backed" if expected.backed else "figures are backed",
        ),
    ]
    return [fault for holds, fault in checks if not holds]
