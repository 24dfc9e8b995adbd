"""Talking to the agent: one session, its runs one after another, and what waits to be said."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from datasteward_tui.blocks import Block, PersonBlock
from datasteward_tui.ports import MODES, ChatProvider, Mode, RunChoice

if TYPE_CHECKING:
    from datasteward_agent.agent import Agent
    from datasteward_agent.costs import SessionCost
    from datasteward_agent.models.port import Effort
    from datasteward_agent.rewinding import RewindPoint
    from datasteward_agent.session_store import SearchHit, Session, SessionStore, SessionSummary
    from datasteward_agent.toolset import Person
    from datasteward_tui.event_blocks import ChatFacts, EventTeller, Stage


class Conversation:
    """The agent's side of the transcript. All imports of the agent happen at the first message."""

    def __init__(self, provider: ChatProvider, stage: "Stage", person: "Person", on_facts: Callable[[], None]) -> None:
        self._provider = provider
        self._stage = stage
        self._person = person
        self._on_facts = on_facts
        self._store: SessionStore | None = None
        self._session: Session | None = None
        self._agent: Agent | None = None
        self._teller: EventTeller | None = None
        self._is_stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.mode: Mode = "ask"
        self.model = provider.model
        self.effort: Effort | None = None
        self.is_running = False
        self.queue: list[PersonBlock] = []

    @property
    def facts(self) -> "ChatFacts | None":
        """Context, cost and activity, once there was a run."""
        return self._teller.facts if self._teller is not None else None

    @property
    def session_id(self) -> str | None:
        """The open session."""
        return self._session.session_id if self._session is not None else None

    @property
    def model_words(self) -> str:
        """The model and, when chosen, the effort of the next run."""
        return f"{self.model} · {self.effort}" if self.effort else self.model

    def next_mode(self) -> Mode:
        """Go from plan to ask to auto and around; counts from the next message on."""
        self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
        return self.mode

    async def send(self, block: PersonBlock) -> None:
        """Send what the block says, or queue it while a run works; returns when nothing is left to send."""
        if self.is_running:
            self.queue.append(block)
            return
        self.is_running = True
        self._idle.clear()
        self._is_stopping = False
        try:
            await self._run(block.sent)
            while self.queue and not self._is_stopping:
                following = self.queue.pop(0)
                following.is_queued = False
                following.touch()
                self._stage.changed(following)
                await self._run(following.sent)
        finally:
            self.is_running = False
            self._idle.set()
            self._on_facts()

    def stop(self) -> list[PersonBlock]:
        """End the run at once; gives back what was queued."""
        self._is_stopping = True
        if self._agent is not None:
            self._agent.cancel()
        left, self.queue = self.queue, []
        return left

    async def summaries(self) -> "Sequence[SessionSummary]":
        """The latest sessions."""
        store = await self._open_store()
        return await asyncio.to_thread(store.summaries)

    def search(self, words: str) -> "Sequence[SearchHit]":
        """Where words were said; short and from a local index."""
        return self._store.search(words) if self._store is not None else ()

    async def costs(self) -> "Sequence[SessionCost]":
        """What the latest sessions cost."""
        from datasteward_agent.costs import count_costs

        return await asyncio.to_thread(count_costs, await self._open_store())

    async def export(self, session_id: str, form: Literal["markdown", "sql"]) -> str:
        """A session as a text; raises `ToolError` when there is none."""
        from datasteward_agent.session_export import export_markdown, export_sql

        events = await asyncio.to_thread((await self._open_store()).read, session_id)
        return (export_markdown if form == "markdown" else export_sql)(session_id, events)

    async def rewind_points(self) -> "Sequence[RewindPoint]":
        """The messages of the open session that one can go back to."""
        from datasteward_agent.rewinding import find_rewind_points

        if self._session is None:
            return ()
        events = await asyncio.to_thread((await self._open_store()).read, self._session.session_id)
        return find_rewind_points(events)

    async def rewind(self, kept_events: int) -> Sequence[Block]:
        """Go on in a copy of the open session up to that event; the session itself stays as it is."""
        assert self._session is not None
        return await self.resume(self._session.session_id, is_fork=True, upto=kept_events)

    async def resume(self, session_id: str, *, is_fork: bool, upto: int | None = None) -> Sequence[Block]:
        """Go on with a session, or with a copy, of its events up to `upto` if given; gives its blocks.

        Raises `ToolError` when it is open elsewhere.
        """
        from datasteward_tui.event_blocks import BlockList, EventTeller

        store = await self._open_store()
        if is_fork:
            session = await asyncio.to_thread(store.fork, session_id, upto)
        else:
            session = await asyncio.to_thread(store.open, session_id)
        await self.leave()
        self._session = session
        events = await asyncio.to_thread(store.read, session.session_id)
        blocks = BlockList()
        teller = EventTeller(blocks, echoes_person=True)
        for event in events:
            teller.take(event)
        self._teller = EventTeller(self._stage, self._on_facts)
        self._teller.facts = teller.facts
        return blocks.blocks

    async def leave(self) -> None:
        """Close the session; the next message begins a new one."""
        session, self._session, self._teller = self._session, None, None
        if session is not None:
            session.close()

    async def close(self, timeout_seconds: float = 2.0) -> None:
        """Stop what runs, let it write its end down, and close the session."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_seconds)
        await self.leave()

    async def _open_store(self) -> "SessionStore":
        if self._store is None:
            self._store = await asyncio.to_thread(self._provider.open_sessions)
        return self._store

    async def _run(self, words: str) -> None:
        store = await self._open_store()
        await asyncio.to_thread(_import_agent)
        from datasteward_tui.event_blocks import EventTeller

        if self._session is None:
            self._session = await asyncio.to_thread(store.create)
        if self._teller is None:
            self._teller = EventTeller(self._stage, self._on_facts)
        choice = RunChoice(mode=self.mode, model=self.model, effort=self.effort)
        agent = await self._provider.make_agent(self._session, choice, self._person)
        self._agent = agent
        try:
            await agent.run(words, self._teller.take)
        finally:
            self._agent = None
            with contextlib.suppress(OSError):
                await agent.close()
        await asyncio.to_thread(store.index, self._session)


def _import_agent() -> None:
    import datasteward_tui.event_blocks  # noqa: F401 - only loaded here, away from the event loop
