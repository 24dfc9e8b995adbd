"""Talking to the model: messages, modes, sessions."""

import asyncio

from textual.binding import Binding, BindingType

from datasteward.errors import DatastewardError
from datasteward.workspace import Workspace
from datasteward_tui.blocks import NoticeBlock, PersonBlock, WelcomeBlock, WelcomeFacts
from datasteward_tui.commands import COMMANDS
from datasteward_tui.conversation import Conversation
from datasteward_tui.ports import MODES, Providers
from datasteward_tui.screen_person import ScreenPerson
from datasteward_tui.shell import Shell, shorten_home

CHAT_BINDINGS: tuple[BindingType, ...] = (
    Binding("shift+tab", "mode", "mode", priority=True),
    Binding("f7", "review", "plan or question", priority=True),
)


class ChatActions(Shell):
    """The conversation with the model, when there is one."""

    def __init__(self, workspace: Workspace, providers: Providers) -> None:
        super().__init__(workspace, providers)
        self.screen_person = ScreenPerson(self, self.is_free, lambda words: self.say(NoticeBlock(words, "warning")))

    def begin_chat(self) -> None:
        """Make the conversation, when there is a model."""
        if self.providers.chat is not None:
            self.conversation = Conversation(
                self.providers.chat, self.transcript, self.screen_person, self.show_standing
            )

    async def load_workflows(self) -> None:
        """Read the prompt files that become slash commands; only a model can follow them."""
        if self.providers.list_workflows is None or self.providers.chat is None:
            return
        try:
            found = await asyncio.to_thread(self.providers.list_workflows)
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "warning", error.hint))
            return
        taken = {c.name for c in COMMANDS}
        self.workflows = tuple(w for w in found if w.name not in taken)

    def send_workflow(self, name: str, rest: str) -> None:
        """Say a prompt file's text to the model; the command is what is shown."""
        workflow = next(w for w in self.workflows if w.name == name)
        try:
            text = workflow.write(rest)
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "warning", error.hint))
        else:
            self.send_message(f"/{name} {rest}".strip(), sent=text)

    def send_message(self, text: str, *, sent: str | None = None) -> None:
        """Say `text` to the model, or `sent` in its place; or say that there is none."""
        if self.conversation is None:
            self.say(PersonBlock(text))
            self.say(
                NoticeBlock(
                    "No model is set up to answer that.",
                    "warning",
                    "Begin with ! to run it as SQL. For answers set ANTHROPIC_API_KEY, or try steward demo.",
                )
            )
            return
        block = PersonBlock(text, is_queued=self.conversation.is_running, sent=sent)
        self.say(block)
        self.start(self.conversation.send(block), group="chat")
        self.show_standing()

    def action_mode(self) -> None:
        """Plan, ask, auto."""
        if self.conversation is not None:
            self.conversation.next_mode()
            self.show_standing()

    def command_mode(self, name: str) -> None:
        """The named mode, or the next."""
        if self.conversation is not None and name in MODES:
            self.conversation.mode = name
            self.show_standing()
        elif name:
            self.say(NoticeBlock(f"There is no mode '{name}'.", "warning", "plan, ask or auto"))
        else:
            self.action_mode()

    def action_review(self) -> None:
        """Open the plan or question that waits."""
        if len(self.screen_stack) == 1:
            self.screen_person.open_waiting()

    def action_new(self) -> None:
        """Begin a new conversation."""
        if self.conversation is None or self.conversation.is_running:
            self.notify("Stop the run first: Esc.")
            return
        self.start(self.conversation.leave(), group="session")
        self.transcript.clear()
        self.say(WelcomeBlock(self.welcome_facts()))

    def welcome_facts(self) -> WelcomeFacts:
        """What the first lines say."""
        chat = self.providers.chat
        return WelcomeFacts(
            folder=shorten_home(self.workspace.root),
            model=chat.model if chat else None,
            datasets=self.catalog.summary,
            example=self.catalog.example,
        )
