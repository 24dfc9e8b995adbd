"""One headless run from start to exit code: session, model, tools, signals, output."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from datasteward.callers import Caller
from datasteward.errors import ConfigError, DatastewardError, ToolError
from datasteward.state import StateDatabase
from datasteward.workspace import Workspace
from datasteward_agent.agent import Agent
from datasteward_agent.conversation import say
from datasteward_agent.core_toolset import (
    EVIDENCE_TOOL,
    STATUS_TOOL,
    CallerToolset,
    ToolsetDesk,
    ToolsetEvidence,
    has_tool,
)
from datasteward_agent.events import Outcome, PlanDecided, PlanSubmitted, RunEnded, UserSaid
from datasteward_agent.models.choosing import DEFAULT_MODEL, MissingKey, open_model
from datasteward_agent.models.port import Model
from datasteward_agent.plans import parse_plan
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.run_files import write_run_files
from datasteward_agent.session_store import FOLDER_NAME, Session, SessionStore
from datasteward_agent.toolset import ApprovalDesk, EvidenceChecker, Toolset
from datasteward_cli.composition import open_tools
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.run_output import EXIT_CODES, RunWriter
from datasteward_cli.run_settings import RunFlags, build_options, read_prompt
from datasteward_prompts.loading import load_prompt, render_prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """What a run stands on: tools, and the desk and the checker if the workspace has them."""

    toolset: Toolset
    desk: ApprovalDesk | None
    evidence: EvidenceChecker | None


def run_headless(workspace: Workspace, flags: RunFlags, *, no_owner: bool) -> ExitCode:
    """Do the run and return its exit code; a result is written for everything that goes wrong after the flags."""
    writer = RunWriter(flags.form, is_quiet=flags.is_quiet)
    options, prompt = build_options(flags), read_prompt(flags)
    try:
        ended = asyncio.run(_run(workspace, flags, options, prompt, writer, no_owner=no_owner))
    except DatastewardError as error:
        ended = _broken(_outcome_of(error), error.message, error.hint, flags, writer)
        if isinstance(error, ConfigError) and not isinstance(error, MissingKey):
            return ExitCode.USAGE
    except KeyboardInterrupt:
        ended = _broken("interrupted", None, None, flags, writer)
    except Exception as error:
        logger.exception("the run failed")
        ended = _broken("failed", f"internal: {type(error).__name__}: {error}", None, flags, writer)
    return EXIT_CODES[ended.outcome]


@asynccontextmanager
async def open_store(workspace: Workspace) -> AsyncIterator[SessionStore]:
    """The workspace's sessions."""
    workspace.make_state_folder()
    state = StateDatabase(workspace.state_path)
    try:
        yield SessionStore(workspace.state_folder / FOLDER_NAME, state)
    finally:
        state.close()


@asynccontextmanager
async def open_backing(workspace: Workspace, *, no_owner: bool) -> AsyncIterator[Backing]:
    """The workspace's tools as the agent needs them."""
    caller = Caller(front_end="agent", name="steward run", is_model=True)
    async with open_tools(workspace, front_end="agent", name="steward run", is_model=True, no_owner=no_owner) as tools:
        toolset = CallerToolset(tools, caller)
        yield Backing(
            toolset=toolset,
            desk=ToolsetDesk(toolset) if has_tool(toolset, STATUS_TOOL) else None,
            evidence=ToolsetEvidence(toolset) if has_tool(toolset, EVIDENCE_TOOL) else None,
        )


async def _run(
    workspace: Workspace,
    flags: RunFlags,
    options: AgentOptions,
    prompt: str | None,
    writer: RunWriter,
    *,
    no_owner: bool,
) -> RunEnded:
    model = open_model(flags.model, base_url=flags.base_url)
    warming = asyncio.create_task(asyncio.to_thread(_prepare, model))
    async with open_store(workspace) as store, open_backing(workspace, no_owner=no_owner) as backing:
        session = open_session(store, flags)
        if flags.plan is not None:
            adopt_plan(session, flags.plan)
        try:
            ended = await drive(model, session, options, backing, prompt, flags.approve, writer)
            await asyncio.to_thread(store.index, session)
            if flags.out is not None:
                events = store.read(session.session_id)
                write_run_files(flags.out, ended, events, workspace.results_folder)
        finally:
            session.close()
            await asyncio.wait({warming}, timeout=5)
    return ended


def _prepare(model: Model) -> None:
    """Import what the first request needs while the workspace opens."""
    prepare = getattr(model, "prepare", None)
    if prepare is not None:
        prepare()


async def drive(
    model: Model,
    session: Session,
    options: AgentOptions,
    backing: Backing,
    prompt: str | None,
    approvals: tuple[str, ...],
    writer: RunWriter,
) -> RunEnded:
    """One run with signals cared for: SIGINT and SIGTERM end it at once, with its result told."""
    agent = Agent(
        model=model,
        toolset=backing.toolset,
        session=session,
        options=options,
        desk=backing.desk,
        evidence=backing.evidence,
    )
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, agent.cancel, "interrupted")
        loop.add_signal_handler(signal.SIGTERM, agent.cancel, "terminated")
    try:
        return await agent.run(prompt, writer.take, approvals=approvals)
    finally:
        await agent.close()
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)


def open_session(store: SessionStore, flags: RunFlags) -> Session:
    """The session the flags name, or a new one; raises `ConfigError` or `ToolError` when there is none such."""
    chosen = [
        n for n, given in (("--resume", flags.resume), ("--continue", flags.continues), ("--fork", flags.fork)) if given
    ]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} can't go together.")
    if flags.fork is not None:
        return store.fork(store.find(flags.fork))
    if flags.resume is not None:
        return store.open(store.find(flags.resume))
    if flags.continues:
        latest = store.latest()
        if latest is None:
            raise ConfigError("There is no session to continue in this workspace.")
        return store.open(latest)
    return store.create()


def adopt_plan(session: Session, path: Path) -> None:
    """Take the plan of a file as approved by the person who gave it, and hand it to the model."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The plan {path} cannot be read: {error}.") from error
    plan = parse_plan(text, str(path))
    if not plan.plan_id:
        plan = plan.model_copy(update={"plan_id": f"p{session.state.plan_count + 1}"})
    words = render_prompt(load_prompt("run_plan"), {"plan": plan.to_text()})
    for event in (
        PlanSubmitted(plan=plan),
        PlanDecided(plan=plan, verdict="approved", comment="given with --plan"),
        UserSaid(message=say(words, "harness")),
    ):
        session.append(session.stamp(event))


def _outcome_of(error: DatastewardError) -> Outcome:
    if isinstance(error, MissingKey):
        return "auth"
    if isinstance(error, ToolError) and error.code in ("unavailable", "busy", "disk_full"):
        return "tool_failed"
    return "failed"


def _broken(outcome: Outcome, error: str | None, hint: str | None, flags: RunFlags, writer: RunWriter) -> RunEnded:
    """The result of a run that ended outside the agent, told unless the agent told one already."""
    told = next((e for e in reversed(writer.events) if isinstance(e, RunEnded)), None)
    ended = RunEnded(outcome=outcome, session="", error=error, hint=hint, model=flags.model or DEFAULT_MODEL)
    if told is not None:
        return replace_outcome(told, outcome)
    writer.take(ended)
    return ended


def replace_outcome(told: RunEnded, outcome: Outcome) -> RunEnded:
    """The result that was told, with what went wrong afterwards as its outcome unless it was worse already."""
    return told if told.outcome != "done" else told.model_copy(update={"outcome": outcome})


def with_prompt(flags: RunFlags, prompt: str) -> RunFlags:
    """The flags for another prompt."""
    return replace(flags, prompt=prompt, prompt_file=None)
