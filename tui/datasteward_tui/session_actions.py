"""Conversations as a whole: resume, copy, rewind and export them, choose their model, see what they cost."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from datasteward.errors import DatastewardError
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.chat_actions import ChatActions
from datasteward_tui.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasteward_tui.blocks import Block
    from datasteward_tui.rewind_screen import RewindChoice

SUFFIXES: dict[Literal["markdown", "sql"], str] = {"markdown": "md", "sql": "sql"}


class SessionActions(ChatActions):
    """Only there with a model; what would disturb a run is refused while one works."""

    def _free_conversation(self) -> Conversation | None:
        if self.conversation is None or self.conversation.is_running:
            self.notify("Stop the run first: Esc.")
            return None
        return self.conversation

    def action_sessions(self) -> None:
        """Choose an earlier conversation."""
        conversation = self._free_conversation()
        if conversation is not None:
            self.start(self._pick_session(conversation), group="session", exclusive=True)

    async def _pick_session(self, conversation: Conversation) -> None:
        from datasteward_tui.session_screen import SessionScreen

        found = await conversation.summaries()
        choice = await self.push_screen_wait(SessionScreen(found, conversation.search))
        if choice is None:
            return
        match choice.verb:
            case "resume" | "fork":
                self._show_blocks(await conversation.resume(choice.session_id, is_fork=choice.verb == "fork"))
            case "markdown" | "sql":
                await self._export(conversation, choice.session_id, choice.verb)

    def _show_blocks(self, blocks: "Sequence[Block]") -> None:
        self.transcript.clear()
        self.transcript.extend(blocks)
        self.transcript.go_to_end()
        self.show_standing()

    async def _export(self, conversation: Conversation, session_id: str, form: Literal["markdown", "sql"]) -> None:
        text = await conversation.export(session_id, form)
        path = self.workspace.root / f"{session_id}.{SUFFIXES[form]}"
        try:
            await asyncio.to_thread(_write_new, path, text)
        except OSError as error:
            self.say(NoticeBlock(f"{path.name} was not written: {error.strerror}.", "error"))
        else:
            self.say(NoticeBlock(f"Written to {path}.", "good"))

    def action_fork(self) -> None:
        """Go on in a copy of this conversation."""
        conversation = self._free_conversation()
        if conversation is None or conversation.session_id is None:
            self.say(NoticeBlock("There is nothing to copy yet.", "info"))
            return
        self.start(self._fork(conversation, conversation.session_id), group="session", exclusive=True)

    async def _fork(self, conversation: Conversation, session_id: str) -> None:
        self._show_blocks(await conversation.resume(session_id, is_fork=True))
        self.say(NoticeBlock("This is a copy now; the session before stays as it was: /sessions.", "info"))

    def action_rewind(self) -> None:
        """Go back to before a message."""
        conversation = self._free_conversation()
        if conversation is not None:
            self.start(self._rewind(conversation), group="session", exclusive=True)

    async def _rewind(self, conversation: Conversation) -> None:
        from datasteward_tui.rewind_screen import RewindScreen

        points = await conversation.rewind_points()
        if not points:
            self.say(NoticeBlock("Nothing was said yet that one could go back to.", "info"))
            return
        standing = await self._applied_changes()
        shown = [p.keeping(standing) for p in points]
        choice = await self.push_screen_wait(RewindScreen(shown))
        if choice is not None:
            await self._go_back(conversation, choice)

    async def _applied_changes(self) -> frozenset[str]:
        """The changes that are applied and not undone; without an inbox nothing can be undone."""
        if self.providers.open_desk is None:
            return frozenset()
        try:
            found = await self.dock.inbox.everything()
        except DatastewardError:
            return frozenset()
        return frozenset(c.handle for c in found if c.status == "applied" and c.undone_by is None)

    async def _go_back(self, conversation: Conversation, choice: "RewindChoice") -> None:
        left = conversation.session_id
        self._show_blocks(await conversation.rewind(choice.point.kept_events))
        self.say(NoticeBlock(f"Back to before that message; what came after it is kept as {left}.", "info"))
        self.prompt.put(choice.point.text)
        self.prompt.focus()
        if choice.undoes:
            self.dock.propose_undo(*reversed(choice.point.changes))

    def command_model(self, name: str) -> None:
        """The named model, or a list to choose from."""
        if self.conversation is None:
            return
        if name:
            self.conversation.model = name
            self._tell_model(self.conversation)
        else:
            self.start(self._pick_model(self.conversation), group="model", exclusive=True)

    async def _pick_model(self, conversation: Conversation) -> None:
        from datasteward_tui.model_screen import ModelChoice, ModelScreen

        assert self.providers.chat is not None
        now = ModelChoice(model=conversation.model, effort=conversation.effort)
        choice = await self.push_screen_wait(ModelScreen(self.providers.chat.models, now))
        if choice is not None and choice != now:
            conversation.model, conversation.effort = choice.model, choice.effort
            self._tell_model(conversation)

    def _tell_model(self, conversation: Conversation) -> None:
        self.say(NoticeBlock(f"From the next message on: {conversation.model_words}.", "info"))
        self.show_standing()

    def action_cost(self) -> None:
        """Tokens and money by session and model."""
        if self.conversation is not None:
            self.start(self._show_cost(self.conversation), group="cost", exclusive=True)

    async def _show_cost(self, conversation: Conversation) -> None:
        from datasteward_tui.cost_screen import CostScreen

        await self.push_screen(CostScreen(await conversation.costs(), conversation.session_id))


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as stream:
        stream.write(text)
