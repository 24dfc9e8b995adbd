"""The agent: takes a prompt, works with a model and tools until it is answered, and tells all of it in events."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Literal

from datasteward.errors import ConfigError, DatastewardError
from datasteward_agent.events import Event, RunEnded
from datasteward_agent.fencing import make_mark
from datasteward_agent.limits import Spending
from datasteward_agent.models.choosing import MissingKey
from datasteward_agent.models.port import Model
from datasteward_agent.run_context import AgentOptions, RunContext, RunStop
from datasteward_agent.session_store import Session
from datasteward_agent.toolset import ApprovalDesk, EvidenceChecker, Person, Toolset
from datasteward_agent.turns import TurnLoop

logger = logging.getLogger(__name__)
CANCEL_GRACE_SECONDS = 0.05
"""How long a cancelled run waits for its tools before it tells its result; they end on their own after that."""
ABANDONED_SECONDS = 3.0


class Agent:
    """One conversation. Runs are one after another; `cancel` may be called at any time from the same event loop."""

    def __init__(
        self,
        *,
        model: Model,
        toolset: Toolset,
        session: Session,
        options: AgentOptions,
        desk: ApprovalDesk | None = None,
        person: Person | None = None,
        evidence: EvidenceChecker | None = None,
    ) -> None:
        if options.requires_evidence and evidence is None:
            raise ConfigError("Evidence is required, but no checker is at hand.")
        session.hide(model.identity.secrets)
        self._model = model
        self._toolset = toolset
        self._session = session
        self._options = options
        self._desk = desk
        self._person = person
        self._evidence = evidence
        self._cancelled: asyncio.Event | None = None
        self._cancel_outcome: Literal["interrupted", "terminated"] = "interrupted"
        self._abandoned: set[asyncio.Task[None]] = set()

    def cancel(self, outcome: Literal["interrupted", "terminated"] = "interrupted") -> None:
        """End the current run at once; its result is told within 100 ms, with the words that had arrived."""
        self._cancel_outcome = outcome
        if self._cancelled is not None:
            self._cancelled.set()

    async def run(
        self, prompt: str | None, on_event: Callable[[Event], None], *, approvals: tuple[str, ...] = ()
    ) -> RunEnded:
        """Work on `prompt` (None goes on with an open session) and return the last event, whatever became of it.

        `approvals` are proposals and plans that the person at the command line approves. Raises only what `on_event`
        raises, and `CancelledError` after the result was told when the caller's own task is cancelled.
        """
        started = time.monotonic()
        context = self._begin(on_event)
        run = TurnLoop(self._model, context)
        self._cancelled = asyncio.Event()
        work = asyncio.create_task(run.drive(prompt, approvals))
        signal = asyncio.create_task(self._cancelled.wait())
        interruption: BaseException | None = None
        stop: RunStop | None = None
        try:
            done, _ = await asyncio.wait(
                {work, signal}, timeout=self._options.budget.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if work not in done:
                stop = self._why_stopped(signal in done)
        except asyncio.CancelledError as error:
            interruption, stop = error, RunStop("interrupted")
        signal.cancel()
        if stop is not None:
            work.cancel()
            await asyncio.wait({work}, timeout=CANCEL_GRACE_SECONDS)
        self._cancelled = None
        ended = run.finish(stop or _read_outcome(work), time.monotonic() - started)
        self._let_go(work)
        await asyncio.shield(asyncio.to_thread(self._sync))
        if interruption is not None:
            raise interruption
        return ended

    async def events(self, prompt: str | None, *, approvals: tuple[str, ...] = ()) -> AsyncIterator[Event]:
        """The events of a run as they happen, the last a `RunEnded`. Leaving the iteration cancels the run."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        task = asyncio.create_task(self.run(prompt, queue.put_nowait, approvals=approvals))
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            task.result()
        finally:
            self.cancel()
            await asyncio.wait({task}, timeout=ABANDONED_SECONDS)

    async def close(self) -> None:
        """Wait a moment for calls that a cancel left behind, and let go of the model."""
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=ABANDONED_SECONDS)
        await self._model.close()

    def _begin(self, on_event: Callable[[Event], None]) -> RunContext:
        return RunContext(
            options=self._options,
            session=self._session,
            toolset=self._toolset,
            desk=self._desk,
            person=self._person,
            evidence=self._evidence,
            spending=Spending(price=self._model.identity.price),
            mark=make_mark(self._session.session_id),
            mode=self._options.gate.mode,
            on_event=on_event,
        )

    def _why_stopped(self, is_cancelled: bool) -> RunStop:
        if is_cancelled:
            return RunStop(self._cancel_outcome)
        return RunStop("timeout", f"The run's time of {self._options.budget.seconds} s is over.")

    def _let_go(self, work: asyncio.Task[None]) -> None:
        if not work.done():
            self._abandoned.add(work)
            work.add_done_callback(self._abandoned.discard)

    def _sync(self) -> None:
        try:
            self._session.sync()
        except OSError:
            logger.warning("session %s could not be synced", self._session.session_id)


def _read_outcome(work: "asyncio.Task[None]") -> RunStop:
    """Why the turns ended; a defect is logged and told as such."""
    error = work.exception() if not work.cancelled() else asyncio.CancelledError()
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case RunStop():
            return error
        case MissingKey():
            return RunStop("auth", error.message, hint=error.hint)
        case DatastewardError():
            return RunStop("failed", error.message, hint=error.hint)
        case asyncio.CancelledError():
            return RunStop("interrupted")
        case _:
            logger.error("the run failed inside Datasteward", exc_info=error)
            return RunStop("failed", f"internal: {type(error).__name__}: {error}")
