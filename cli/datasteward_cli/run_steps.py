"""`steward run --script`: prompts with asserts, one after another, for CI."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from datasteward.errors import ConfigError
from datasteward_agent.events import Outcome, RunEnded
from datasteward_agent.models.choosing import open_model
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.run_scripts import RunScript, Step, find_failures, load_run_script
from datasteward_agent.session_store import Session, SessionStore
from datasteward_cli.app import Scope
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.run_output import EXIT_CODES, RunWriter
from datasteward_cli.run_session import Backing, drive, known_secrets, open_backing, open_store
from datasteward_cli.run_settings import RunFlags, build_options


def run_steps(scope: Scope, flags: RunFlags) -> ExitCode:
    """Run the steps of `flags.script`; the first step that fails gives the exit code."""
    if flags.prompt is not None or flags.prompt_file is not None:
        raise ConfigError("With --script the prompts are in the script.", hint="Leave out the prompt.")
    assert flags.script is not None
    script = load_run_script(flags.script)
    runner = _Steps(replace(flags, model=_model_name(script, flags)), build_options(flags))
    outcome = asyncio.run(runner.run(scope, script))
    return EXIT_CODES[outcome]


def _model_name(script: RunScript, flags: RunFlags) -> str | None:
    chosen = flags.model or script.model
    if chosen and chosen.startswith("scripted:") and flags.model is None and flags.script is not None:
        return f"scripted:{flags.script.parent / Path(chosen.removeprefix('scripted:'))}"
    return chosen


class _Steps:
    def __init__(self, flags: RunFlags, options: AgentOptions) -> None:
        self._flags = flags
        self._options = options
        self._session: Session | None = None

    async def run(self, scope: Scope, script: RunScript) -> Outcome:
        """The outcome of the first step that fails, `done` when all hold."""
        first: Outcome = "done"
        async with open_store(scope.workspace) as store, open_backing(scope) as backing:
            try:
                for number, step in enumerate(script.steps, 1):
                    outcome = await self._step(store, backing, step, number)
                    first = outcome if first == "done" else first
                    if outcome != "done" and script.stop_at_first_failure:
                        break
            finally:
                self._close(store)
        return first

    async def _step(self, store: SessionStore, backing: Backing, step: Step, number: int) -> Outcome:
        if self._session is None or step.new_session:
            self._close(store)
            self._session = store.create()
        writer = RunWriter(self._flags.form, is_quiet=self._flags.is_quiet, hidden=known_secrets())
        model = open_model(self._flags.model, base_url=self._flags.base_url)
        ended = await drive(model, self._session, self._options, backing, step.prompt, (), writer)
        faults = find_failures(step.expect, ended, writer.events)
        name = step.name or step.prompt[:60]
        writer.say(f"{'ok' if not faults else 'FAILED'} {number} {name}")
        for fault in faults:
            writer.say(f"   {fault}")
        if self._flags.form == "json":
            writer.print_line(json.dumps({"type": "step", "step": number, "name": name, "faults": faults}))
        return _judge(ended, faults)

    def _close(self, store: SessionStore) -> None:
        if self._session is not None:
            store.index(self._session)
            self._session.close()
            self._session = None


def _judge(ended: RunEnded, faults: list[str]) -> Outcome:
    if not faults:
        return "done"
    only_outcome = len(faults) == 1 and faults[0].startswith("outcome is")
    return ended.outcome if only_outcome and ended.outcome != "done" else "assert_failed"
