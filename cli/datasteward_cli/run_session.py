"""One headless run from start to exit code: session, model, tools, signals, output."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from datasteward.callers import Caller
from datasteward.errors import ConfigError, DatastewardError, ToolError
from datasteward.state import StateDatabase
from datasteward.workspace import Workspace
from datasteward_agent.agent import Agent
from datasteward_agent.conversation import say
from datasteward_agent.core_toolset import (
    EVIDENCE_TOOL,
    CallerToolset,
    ToolsetDesk,
    ToolsetEvidence,
    has_tool,
)
from datasteward_agent.events import Event, Outcome, PlanDecided, PlanSubmitted, RunEnded, UserSaid
from datasteward_agent.models.choosing import DEFAULT_MODEL, KEY_VARIABLE, MissingKey, open_model
from datasteward_agent.models.port import Model
from datasteward_agent.plans import Plan, parse_plan
from datasteward_agent.run_context import AgentOptions
from datasteward_agent.run_files import write_run_files
from datasteward_agent.session_store import FOLDER_NAME, Session, SessionStore
from datasteward_agent.toolset import STATUS_TOOL, ApprovalDesk, EvidenceChecker, ProposalState, Toolset
from datasteward_cli.app import Scope
from datasteward_cli.composition import open_tools
from datasteward_cli.exit_codes import ExitCode
from datasteward_cli.plan_grants import RUN_NAME, PlanGrant, ask_for_grant
from datasteward_cli.run_output import EXIT_CODES, RunWriter
from datasteward_cli.run_settings import RunFlags, build_options, read_prompt
from datasteward_prompts.loading import load_prompt, render_prompt

logger = logging.getLogger(__name__)


class Terminated(BaseException):
    """SIGTERM came while the agent was not yet, or no longer, there to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """What a run stands on: tools, and the desk and the checker if the workspace has them."""

    toolset: Toolset
    desk: ApprovalDesk | None
    evidence: EvidenceChecker | None


def run_headless(scope: Scope, flags: RunFlags) -> ExitCode:
    """Do the run and return its exit code; a result is written whatever goes wrong.

    Raises `ConfigError` for wrong usage, before anything ran.
    """
    writer = RunWriter(flags.form, is_quiet=flags.is_quiet, hidden=known_secrets())
    options, prompt = build_options(flags), read_prompt(flags)
    try:
        _catch_termination()
        approve_changes(scope, flags.approve)
        plan = read_plan(flags.plan) if flags.plan is not None else None
        grant = ask_for_grant(scope, plan) if plan is not None else None
        ended = asyncio.run(_run(scope, flags, options, prompt, writer, plan, grant))
    except DatastewardError as error:
        if isinstance(error, ConfigError) and not isinstance(error, MissingKey):
            raise
        ended = _broken(_outcome_of(error), error.message, error.hint, flags, writer)
    except KeyboardInterrupt:
        ended = _broken("interrupted", None, None, flags, writer)
    except Terminated:
        ended = _broken("terminated", None, None, flags, writer)
    except Exception as error:
        logger.exception("the run failed")
        ended = _broken("failed", f"internal: {type(error).__name__}: {error}", None, flags, writer)
    if writer.is_broken:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.INTERNAL
    return EXIT_CODES[ended.outcome]


def known_secrets() -> tuple[str, ...]:
    """What must never be printed, whoever says it."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    return (key,) if len(key) >= 8 else ()


def _catch_termination() -> None:
    def terminate(_number: int, _frame: object) -> None:
        raise Terminated

    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, terminate)


@asynccontextmanager
async def open_store(workspace: Workspace) -> AsyncIterator[SessionStore]:
    """The workspace's sessions."""
    workspace.make_state_folder()
    state = StateDatabase(workspace.state_path)
    try:
        yield SessionStore(workspace.state_folder / FOLDER_NAME, state)
    finally:
        state.close()


class InboxDesk(ToolsetDesk):
    """The workspace's inbox: looks through the tool, decides through the change service.

    It approves on its own only what a person at this terminal granted by their yes to a plan.
    """

    def __init__(self, toolset: Toolset, scope: Scope, grant: PlanGrant | None = None) -> None:
        super().__init__(toolset)
        self._scope = scope
        self._grant = grant

    async def grant(self, proposal_id: str, plan: Plan) -> ProposalState:
        """Approved and applied where the granted plan covers it exactly; else as it is, waiting in the inbox."""
        from datasteward_cli.changes_host import open_changes

        if self._grant is not None:
            with contextlib.suppress(ToolError):
                async with open_changes(self._scope) as service:
                    await self._grant.approve(service, proposal_id, plan)
        return await self.look(proposal_id)

    async def approve(self, proposal_id: str, comment: str) -> ProposalState:
        """What `approve_changes` made of it, before the run began."""
        return await self.look(proposal_id)

    async def withdraw(self, proposal_id: str, reason: str) -> ProposalState:
        """Reject what nobody will decide; what was decided meanwhile stays decided."""
        from datasteward_cli.changes_host import open_changes

        with contextlib.suppress(ToolError):
            async with open_changes(self._scope) as service:
                await service.reject(proposal_id, by="steward run", channel="headless", comment=reason)
        return await self.look(proposal_id)


def approve_changes(scope: Scope, ids: tuple[str, ...]) -> None:
    """Approve the changes among `ids` as `steward changes approve` does: preview first, at a terminal, with a yes.

    Its words go to stderr, because stdout is the run's. Raises `ToolError` (forbidden) where there is no terminal.
    """
    changes = [i for i in ids if i.startswith("c")]
    if not changes:
        return
    import click

    from datasteward_cli.changes_commands import approve_change

    with contextlib.redirect_stdout(sys.stderr), click.Context(approve_change, obj=scope) as context:
        for change in changes:
            context.invoke(approve_change, change=change, comment="approved with steward run --approve", edit=None)


@asynccontextmanager
async def open_backing(scope: Scope, grant: PlanGrant | None = None) -> AsyncIterator[Backing]:
    """The workspace's tools as the agent needs them, and a desk that knows what a person granted."""
    caller = Caller(front_end="agent", name=RUN_NAME, is_model=True)
    async with open_tools(
        scope.workspace, front_end="agent", name=RUN_NAME, is_model=True, no_owner=scope.no_owner
    ) as tools:
        toolset = CallerToolset(tools, caller)
        yield Backing(
            toolset=toolset,
            desk=InboxDesk(toolset, scope, grant) if has_tool(toolset, STATUS_TOOL) else None,
            evidence=ToolsetEvidence(toolset) if has_tool(toolset, EVIDENCE_TOOL) else None,
        )


async def _run(
    scope: Scope,
    flags: RunFlags,
    options: AgentOptions,
    prompt: str | None,
    writer: RunWriter,
    plan: Plan | None,
    grant: PlanGrant | None,
) -> RunEnded:
    workspace = scope.workspace
    model = open_model(flags.model, base_url=flags.base_url)
    warming = asyncio.create_task(asyncio.to_thread(_prepare, model))
    async with open_store(workspace) as store, open_backing(scope, grant) as backing:
        session = open_session(store, flags)
        if plan is not None:
            adopt_plan(session, plan, grant)
        try:
            ended = await drive(model, session, options, backing, prompt, flags.approve, writer)
            await asyncio.to_thread(store.index, session)
            if flags.out is not None:
                events = store.read(session.session_id)
                kept = next((e for e in reversed(events) if isinstance(e, RunEnded)), ended)
                write_run_files(flags.out, kept, events, workspace.results_folder)
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

    def take(event: Event) -> None:
        writer.take(event)
        if writer.is_broken:
            agent.cancel()

    try:
        return await agent.run(prompt, take, approvals=approvals)
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
    try:
        if flags.fork is not None:
            return store.fork(store.find(flags.fork))
        if flags.resume is not None:
            return store.open(store.find(flags.resume))
    except ToolError as error:
        if error.code == "not_found":
            raise ConfigError(error.message, hint=error.hint) from error
        raise
    if flags.continues:
        latest = store.latest()
        if latest is None:
            raise ConfigError("There is no session to continue in this workspace.")
        return store.open(latest)
    return store.create()


def read_plan(path: Path) -> Plan:
    """The plan of a file, read once so that what is shown is what is carried out; raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The plan {path} cannot be read: {error}.") from error
    return parse_plan(text, str(path))


def adopt_plan(session: Session, plan: Plan, grant: PlanGrant | None) -> None:
    """Take the plan as the one to carry out, and hand it to the model; only a grant lets its changes be applied."""
    comment = f"approved at the terminal by {grant.by}" if grant else "given with --plan; its changes are asked for"
    if not plan.plan_id:
        plan = plan.model_copy(update={"plan_id": f"p{session.state.plan_count + 1}"})
    words = render_prompt(load_prompt("run_plan"), {"plan": plan.to_text()})
    for event in (
        PlanSubmitted(plan=plan),
        PlanDecided(plan=plan, verdict="approved", comment=comment),
        UserSaid(message=say(words, "harness")),
    ):
        session.append(session.stamp(event))


def _outcome_of(error: DatastewardError) -> Outcome:
    if isinstance(error, MissingKey):
        return "auth"
    if isinstance(error, ToolError) and error.code in ("forbidden", "cancelled"):
        return "denied"
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
