"""The terminal app: a conversation with SQL and models on the left, what it is about on the right."""

import asyncio
import getpass
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from datasteward.errors import DatastewardError
from datasteward.workspace import Workspace
from datasteward_tui import commands as slash
from datasteward_tui import look
from datasteward_tui.approval_dock import ApprovalDock
from datasteward_tui.attention import call_attention
from datasteward_tui.blocks import Block, NoticeBlock, PersonBlock, WelcomeBlock, WelcomeFacts
from datasteward_tui.call_block import CallBlock
from datasteward_tui.catalog import Catalog, load_catalog
from datasteward_tui.choice_list import ChoiceList
from datasteward_tui.conversation import Conversation
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.fuzzy import Choice, rank
from datasteward_tui.ports import MODES, Providers
from datasteward_tui.prompt_history import PromptHistory
from datasteward_tui.prompt_input import PromptInput
from datasteward_tui.screen_person import ScreenPerson
from datasteward_tui.sql_runs import run_sql
from datasteward_tui.sql_text import begins_like_sql, looks_like_sql
from datasteward_tui.status_bar import KeyHint, Standing, StatusBar
from datasteward_tui.tool_link import ToolLink
from datasteward_tui.tool_views import TOOL_OF, View, propose, view_chart, view_lineage, view_profile
from datasteward_tui.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)
QUIET_SECONDS = 2.0
"""A plan or question opens by itself only when nothing was typed for so long."""


class StewardApp(App[None]):
    """One workspace on one screen."""

    TITLE = "Datasteward"
    CSS = look.CSS
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (look.WIDE_COLUMNS, "-wide")]  # noqa: RUF012 - Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help", priority=True),
        Binding("f2", "approvals", "approvals"),
        Binding("f3", "pane", "pane"),
        Binding("f4", "catalog", "catalog"),
        Binding("shift+tab", "mode", "mode", priority=True),
        Binding("f7", "review", "plan or question", priority=True),
        Binding("f6", "switch", "prompt or pane", priority=True),
        Binding("ctrl+r", "history", "history", priority=True),
        Binding("ctrl+g", "editor", "editor", priority=True),
        Binding("ctrl+o", "fold_calls", "fold", priority=True),
        Binding("ctrl+t", "transcript", "conversation", priority=True),
        Binding("escape", "stop", "stop"),
    ]

    def __init__(self, workspace: Workspace, providers: Providers) -> None:
        super().__init__()
        self.workspace = workspace
        self.providers = providers
        self.link = ToolLink(providers.open_tools)
        self.catalog = Catalog()
        self.history = PromptHistory(workspace.state_folder / "prompt-history")
        self.at_hand: frozenset[str] = frozenset()
        self._is_searching_history = False
        self._jobs = 0
        self._waiting = 0
        self._typed_at = 0.0
        self.conversation: Conversation | None = None
        self.screen_person = ScreenPerson(self, self._is_free, lambda words: self.say(NoticeBlock(words, "warning")))
        self._is_blurred = False
        self.register_theme(look.DARK)
        self.register_theme(look.LIGHT)
        self.theme = "steward"

    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours and those derived from them."""
        variables = super().get_css_variables()
        self.theme_variables = {**variables, **look.derive_colours(variables, is_ansi=self.current_theme.ansi)}
        return self.theme_variables

    def compose(self) -> ComposeResult:
        """Conversation, pane, popup, prompt, status."""
        with Horizontal(id="body"):
            yield Transcript(id="transcript")
            yield DetailPane(id="detail")
        yield ApprovalDock(self.providers.open_desk, self.person, id="dock")
        yield ChoiceList(id="choices")
        yield PromptInput(self.history, id="prompt")
        yield StatusBar(id="status")

    @property
    def transcript(self) -> Transcript:
        """The conversation."""
        return self.screen_stack[0].query_one("#transcript", Transcript)

    @property
    def prompt(self) -> PromptInput:
        """Where the person types."""
        return self.screen_stack[0].query_one("#prompt", PromptInput)

    @property
    def pane(self) -> DetailPane:
        """What the conversation is about."""
        return self.screen_stack[0].query_one("#detail", DetailPane)

    @property
    def dock(self) -> ApprovalDock:
        """What waits for a decision."""
        return self.screen_stack[0].query_one("#dock", ApprovalDock)

    @property
    def choice_list(self) -> ChoiceList:
        """The popup."""
        return self.screen_stack[0].query_one("#choices", ChoiceList)

    @property
    def person(self) -> str:
        """Who decides here."""
        return self.providers.decided_by or _login()

    def on_mount(self) -> None:
        """Show the first frame; everything else comes after it."""
        if self.providers.chat is not None:
            self.conversation = Conversation(
                self.providers.chat, self.transcript, self.screen_person, self.show_standing
            )
        self.prompt.focus()
        self.show_standing()
        self._show_title()
        self.transcript.add(WelcomeBlock(self._welcome_facts()))
        self.call_after_refresh(self._begin)

    def _welcome_facts(self) -> WelcomeFacts:
        chat = self.providers.chat
        lines = [] if chat else ["No model is set up: SQL, files, changes and lineage work without one."]
        return WelcomeFacts(
            folder=_shorten_home(self.workspace.root), database="", model=chat.model if chat else None, lines=lines
        )

    def _begin(self) -> None:
        self.dock.begin()
        self.start(self.refresh_catalog(), group="catalog", exclusive=True)

    async def refresh_catalog(self) -> None:
        """Read anew what can be named, and which tools there are."""
        try:
            names = {d.name for d in await self.link.definitions()}
            self.catalog = await load_catalog(self.link)
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        self.at_hand = frozenset(_needs_met(names, self.providers))
        self.pane.show_datasets(self.catalog)
        self.show_standing()

    def start(self, work: "Coroutine[object, object, None]", *, group: str, exclusive: bool = False) -> Worker[None]:
        """Run something beside the screen; a defect in it is told and logged, and the app stays."""
        return self.run_worker(work, group=group, exclusive=exclusive, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell of work that failed by a defect."""
        if event.state == WorkerState.ERROR:
            error = event.worker.error
            logger.error("background work failed", exc_info=error)
            words = error.message if isinstance(error, DatastewardError) else f"{type(error).__name__}: {error}"
            hint = error.hint if isinstance(error, DatastewardError) else "This is a fault of the app; it goes on."
            self.say(NoticeBlock(words, "error", hint))

    # What is said

    def say(self, block: Block) -> None:
        """Put a block at the end of the conversation; what comes after the app has closed is let go."""
        if self.screen_stack:
            self.transcript.add(block)

    def show_standing(self) -> None:
        """Bring the status line up to date."""
        bar = self.screen_stack[0].query_one("#status", StatusBar)
        chat = self.providers.chat
        talk = self.conversation
        facts = talk.facts if talk is not None else None
        activity = f"{self._jobs} running" if self._jobs else ""
        if talk is not None and talk.is_running:
            activity = (facts.activity if facts is not None else "") or "working"
        bar.standing = Standing(
            mode=talk.mode if talk is not None else None,
            context_share=facts.context_share if facts is not None else None,
            usd=facts.usd if facts is not None and facts.usd else None,
            queued=len(talk.queue) if talk is not None else 0,
            model=chat.model if chat else None,
            waiting=self._waiting,
            activity=activity,
            place=self._place(),
        )
        bar.hints = self._hints()

    def _place(self) -> str:
        folder = _shorten_home(self.workspace.root)
        return f"{folder} · {Path(self.catalog.database).name}" if self.catalog.database else folder

    def _hints(self) -> tuple[KeyHint, ...]:
        hints = [KeyHint(key="F1", words="help", action="help")]
        if self.providers.open_desk is not None:
            hints.append(KeyHint(key="F2", words="approvals", action="approvals"))
        hints += [
            KeyHint(key="F3", words="pane", action="pane"),
            KeyHint(key="F4", words="catalog", action="catalog"),
            KeyHint(key="^P", words="commands", action="command_palette"),
            KeyHint(key="^R", words="history", action="history"),
        ]
        if self.conversation is not None:
            hints.insert(1, KeyHint(key="⇧Tab", words="mode", action="mode"))
        if self._jobs or (self.conversation is not None and self.conversation.is_running):
            hints.insert(0, KeyHint(key="Esc", words="stop", action="stop"))
        return tuple(hints)

    def _show_title(self) -> None:
        name = self.workspace.root.name or "/"
        self.title = f"Datasteward · {name}"

    # What is typed

    def on_text_area_changed(self) -> None:
        """Offer names and commands, and say how the text will be taken."""
        self._typed_at = time.monotonic()
        self.dock.note_typing()
        prompt = self.prompt
        prompt.border_title = self._reading_of(prompt.text)
        if self._is_searching_history:
            self._offer(rank(prompt.text, [Choice(value=e) for e in reversed(self.history.entries)]))
            return
        name, command = prompt.asked_name(), prompt.asked_command()
        if command is not None:
            self._offer(rank(f"/{command}" if command else "", slash.choices(self.commands())))
        elif name is not None:
            self._offer(rank(name, self.catalog.choices()))
        else:
            self._offer([])

    def _offer(self, choices: list[Choice]) -> None:
        self.choice_list.show(choices)
        self.prompt.is_choosing = bool(choices)

    def _is_sql(self, text: str) -> bool:
        """Whether a text is run as SQL: said so by `!`, clearly a statement, or nobody else there to take it."""
        if text.startswith("!") or looks_like_sql(text):
            return True
        return self.providers.chat is None and begins_like_sql(text)

    def _reading_of(self, text: str) -> str:
        if self._is_searching_history:
            return "search history"
        if text.startswith("/"):
            return "command"
        if self._is_sql(text):
            return "SQL"
        return "message" if text.strip() and self.providers.chat else ""

    def commands(self) -> tuple[slash.Command, ...]:
        """The commands that can be given now."""
        return slash.offered(self.at_hand | frozenset(_needs_met(set(), self.providers)))

    def on_prompt_input_steered(self, message: PromptInput.Steered) -> None:
        """Move in the popup, take its choice, or close it."""
        match message.key:
            case "up":
                self.choice_list.move(-1)
            case "down":
                self.choice_list.move(1)
            case "escape":
                self._close_choices()
            case _:
                self._take_choice(sends=message.key == "enter")

    def on_choice_list_chosen(self) -> None:
        """A click is as good as Tab."""
        self._take_choice(sends=False)
        self.prompt.focus()

    def _close_choices(self) -> None:
        if self._is_searching_history:
            self._is_searching_history = False
            self.prompt.put("")
        self._offer([])
        self.prompt.border_title = self._reading_of(self.prompt.text)

    def _take_choice(self, *, sends: bool) -> None:
        choice = self.choice_list.marked
        if choice is None:
            return
        if self._is_searching_history:
            self._is_searching_history = False
            self.prompt.put(choice.value)
        else:
            is_command = self.prompt.asked_command() is not None
            self.prompt.replace_asked(choice.inserted)
            if sends and is_command and not choice.inserted.endswith(" "):
                self.prompt.text = ""
                self.take(choice.inserted)
        self._offer([])

    def on_prompt_input_sent(self, message: PromptInput.Sent) -> None:
        """Take what was typed as a command, as SQL or as a message."""
        self.take(message.text)

    def take(self, text: str) -> None:
        """Act on a line as if it were typed."""
        self.transcript.go_to_end()
        if text.startswith("/"):
            self._take_command(text)
        elif self._is_sql(text):
            self.run_statement(text.removeprefix("!").strip())
        else:
            self._send_message(text)

    def _send_message(self, text: str) -> None:
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
        block = PersonBlock(text, is_queued=self.conversation.is_running)
        self.say(block)
        self.start(self.conversation.send(block), group="chat")
        self.show_standing()

    def _take_command(self, text: str) -> None:
        found = slash.parse_invocation(text, self.commands())
        if isinstance(found, str):
            self.say(NoticeBlock(found, "warning"))
            return
        handler = getattr(self, f"command_{found.command.action}", None)
        if handler is not None:
            handler(found.rest)
        else:
            self.call_later(self.run_action, found.command.action)

    def run_statement(self, sql: str) -> None:
        """Run SQL for the person and show its outcome."""
        if not sql:
            return
        block = CallBlock("SQL", sql=sql, is_unfolded=True)
        self.say(block)
        self.start(self._run_statement(sql, block), group="sql")

    async def _run_statement(self, sql: str, block: CallBlock) -> None:
        self._count_jobs(1)
        try:
            await run_sql(self.link, sql, block, lambda: self.transcript.changed(block))
            if block.code == "needs_approval" and "propose" in self.at_hand:
                await self._propose(sql, block)
        finally:
            self._count_jobs(-1)
        if block.opens and self.pane.is_shown and self.screen_stack[0].has_class("-wide"):
            self.open_handle(block.opens, takes_focus=False)

    async def _propose(self, sql: str, block: CallBlock) -> None:
        """What was typed is a change: measure it, and let it wait in the inbox."""
        block.retitle("change")
        try:
            change = await propose(self.link, sql)
        except DatastewardError as error:
            block.finish(error.message, {"message": error.message, "hint": error.hint}, seconds=None, is_error=True)
        else:
            block.finish(
                f"Nothing is changed yet: {change} waits for your decision (F2).", {}, seconds=None, is_error=False
            )
            self.dock.look_soon()
        self.transcript.changed(block)

    def _count_jobs(self, step: int) -> None:
        self._jobs += step
        self.show_standing()

    # The model

    def _is_free(self) -> bool:
        """Whether a screen may open without taking keys that are meant for something else."""
        quiet = time.monotonic() - self._typed_at > QUIET_SECONDS
        return quiet and not self.prompt.text.strip() and len(self.screen_stack) == 1 and not self.dock.has_keys

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
        self.say(WelcomeBlock(self._welcome_facts()))

    def action_sessions(self) -> None:
        """Choose an earlier conversation."""
        if self.conversation is None or self.conversation.is_running:
            self.notify("Stop the run first: Esc.")
            return
        self.start(self._pick_session(self.conversation), group="session", exclusive=True)

    async def _pick_session(self, conversation: Conversation) -> None:
        from datasteward_tui.session_screen import SessionScreen

        found = await conversation.summaries()
        choice = await self.push_screen_wait(SessionScreen(found, conversation.search))
        if choice is None:
            return
        blocks = await conversation.resume(choice.session_id, is_fork=choice.is_fork)
        self.transcript.clear()
        self.transcript.extend(blocks)
        self.transcript.go_to_end()
        self.show_standing()

    # Approvals

    def on_approval_dock_counted(self, message: ApprovalDock.Counted) -> None:
        """Show how many wait; call the person back when the terminal is elsewhere."""
        if message.waiting != self._waiting:
            self._waiting = message.waiting
            self.show_standing()
        if message.is_new and self._is_blurred:
            call_attention(self, "Datasteward: a change waits for your decision")

    def on_approval_dock_said(self, message: ApprovalDock.Said) -> None:
        """What came of a decision."""
        self.say(message.block)

    def on_approval_dock_left(self) -> None:
        """The keys go back to the prompt."""
        self.prompt.focus()

    def on_app_blur(self) -> None:
        """The terminal lost the focus."""
        self._is_blurred = True

    def on_app_focus(self) -> None:
        """The terminal has the focus again."""
        self._is_blurred = False

    def action_approvals(self) -> None:
        """To the inbox, or back."""
        self.dock.enter()

    def command_undo(self, change: str) -> None:
        """Propose to take an applied change back."""
        self.dock.propose_undo(change.strip())

    # Opening things

    def on_transcript_opened(self, message: Transcript.Opened) -> None:
        """A handle in the conversation was chosen."""
        self.open_handle(message.handle)

    def on_transcript_copied(self, message: Transcript.Copied) -> None:
        """Copy a block."""
        self._copy(message.text)

    def _copy(self, text: str) -> None:
        self.copy_to_clipboard(text)
        self.notify(f"{len(text):,} characters copied", timeout=2)

    def open_handle(self, handle: str, *, takes_focus: bool = True) -> None:
        """Show what a handle names in the pane."""
        path = self.workspace.results_folder / f"{handle}.parquet"
        self.pane.show_result(handle, path)
        self.set_pane(is_shown=True)
        if takes_focus:
            self.pane.focus_content()

    def set_pane(self, *, is_shown: bool) -> None:
        """Show or hide the pane."""
        self.screen_stack[0].set_class(is_shown, "-pane")
        if not is_shown:
            self.prompt.focus()

    def on_detail_pane_closed(self) -> None:
        """Esc in the pane."""
        self.set_pane(is_shown=False)

    def on_detail_pane_asked(self, message: DetailPane.Asked) -> None:
        """The pane wants SQL to be run, or a name put into the prompt."""
        if message.runs:
            self.run_statement(message.text)
        else:
            self.prompt.insert(message.text)
            self.prompt.focus()

    def on_detail_pane_opened(self, message: DetailPane.Opened) -> None:
        """A dataset was chosen in the tree."""
        self.command_open(message.name)

    # Commands

    def command_profile(self, rest: str) -> None:
        """A profile in the pane."""
        self.start(self._look(view_profile(self.link, slash.split_words(rest))), group="look", exclusive=True)

    def command_lineage(self, rest: str) -> None:
        """Lineage in the pane."""
        self.start(self._look(view_lineage(self.link, slash.split_words(rest))), group="look", exclusive=True)

    def command_chart(self, rest: str) -> None:
        """A chart in the pane, as wide as it will be."""
        is_wide = self.screen_stack[0].has_class("-wide")
        width = int(self.size.width * 0.46) - 4 if is_wide else self.size.width - 3
        view = view_chart(self.link, slash.split_words(rest), width, self.size.height - 10)
        self.start(self._look(view), group="look", exclusive=True)

    async def _look(self, view: "Coroutine[object, object, View]") -> None:
        self._count_jobs(1)
        try:
            found = await view
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        finally:
            self._count_jobs(-1)
        self.pane.show_drawing(found.title, found.body)
        self.set_pane(is_shown=True)

    def command_open(self, name: str) -> None:
        """A handle as a table; a dataset by a query."""
        dataset = self.catalog.find(name)
        if name[:1].lower() == "r" and name[1:].isdigit():
            self.open_handle(name.lower())
        elif dataset is not None and dataset.kind == "result":
            self.open_handle(dataset.name)
        elif dataset is not None:
            self.run_statement(f"FROM {dataset.sql_name}")
            self.set_pane(is_shown=True)
        else:
            self.say(NoticeBlock(f"There is no dataset '{name}'.", "warning", "F4 shows what there is."))

    def command_theme(self, name: str) -> None:
        """Another theme by name, or a list to choose from."""
        if name in self.available_themes:
            self.theme = name
        elif name:
            self.say(NoticeBlock(f"There is no theme '{name}'.", "warning", ", ".join(sorted(self.available_themes))))
        else:
            self.search_themes()

    def command_export(self, name: str) -> None:
        """Write the conversation to a file that does not exist yet."""
        path = (self.workspace.root / (name or "conversation.md")).resolve()
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(self.transcript.text() + "\n")
        except OSError as error:
            self.say(NoticeBlock(f"{path.name} was not written: {error.strerror}.", "error", "Give another name."))
        else:
            self.say(NoticeBlock(f"Written to {path}.", "good"))

    def action_copy_last(self) -> None:
        """Copy the last block that is no notice."""
        for block in reversed(self.transcript.blocks):
            if not isinstance(block, NoticeBlock | WelcomeBlock | PersonBlock):
                self._copy(block.source())
                return

    def action_clear(self) -> None:
        """Empty the screen."""
        self.transcript.clear()

    def action_results(self) -> None:
        """Stored results in the pane."""
        self.action_catalog()

    # Keys

    def action_help(self) -> None:
        """Every key and command."""
        if not isinstance(self.screen, Screen) or len(self.screen_stack) > 1:
            return
        from datasteward_tui.help_screen import HelpScreen

        has_desk, has_chat = self.providers.open_desk is not None, self.providers.chat is not None
        self.push_screen(HelpScreen(self.commands(), has_chat=has_chat, has_desk=has_desk))

    def action_pane(self) -> None:
        """Show or hide the pane."""
        self.set_pane(is_shown=not self.pane.is_shown)
        if self.pane.is_shown:
            self.pane.focus_content()

    def action_catalog(self) -> None:
        """What can be named, in the pane."""
        self.pane.show_catalog()
        self.set_pane(is_shown=True)
        self.pane.focus_content()
        self.start(self.refresh_catalog(), group="catalog", exclusive=True)

    def action_switch(self) -> None:
        """Between prompt and pane."""
        if self.pane.has_focus_within or not self.pane.is_shown:
            self.prompt.focus()
        else:
            self.pane.focus_content()

    def action_transcript(self) -> None:
        """Into the conversation, and back."""
        (self.prompt if self.transcript.has_focus else self.transcript).focus()

    def action_history(self) -> None:
        """Search what was typed before."""
        self.prompt.focus()
        self._is_searching_history = True
        self.prompt.put("")
        self.on_text_area_changed()

    def action_fold_calls(self) -> None:
        """Fold all calls, or unfold the last."""
        self.transcript.fold_all()

    def on_prompt_input_scrolled(self, message: PromptInput.Scrolled) -> None:
        """Scroll the conversation by pages."""
        if message.pages < 0:
            self.transcript.scroll_page_up(animate=False)
        else:
            self.transcript.scroll_page_down(animate=False)

    def action_stop(self) -> None:
        """Stop what runs; else close what is open; else go back to the prompt."""
        if self.conversation is not None and self.conversation.is_running:
            for block in self.conversation.stop():
                self.transcript.remove_block(block)
                self.prompt.put("\n".join(t for t in (self.prompt.text, block.words) if t))
        elif self._jobs:
            self.workers.cancel_group(self, "sql")
        elif not self.prompt.has_focus:
            self.prompt.focus()
        elif self.pane.is_shown:
            self.set_pane(is_shown=False)

    def action_editor(self) -> None:
        """Write the prompt in the person's own editor."""
        from textual.app import SuspendNotSupported

        from datasteward_tui.editor import edit_text

        try:
            with self.suspend():
                self.prompt.put(edit_text(self.prompt.text))
        except SuspendNotSupported:
            self.notify("This terminal cannot be left for an editor.", severity="warning")
        except OSError as error:
            self.notify(f"The editor did not start: {error.strerror}", severity="warning", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The app's commands and Textual's own."""
        for command in self.commands():
            if not command.argument or command.argument.startswith("["):
                yield SystemCommand(command.name.capitalize(), command.about, lambda c=command: self.take(f"/{c.name}"))
        for entry in super().get_system_commands(screen):
            if entry.title not in {"Quit", "Theme", "Keys", "Screenshot"}:
                yield entry

    async def on_unmount(self) -> None:
        """Let go of the owner."""
        if self.conversation is not None:
            await self.conversation.close()
        await self.link.close()


def _needs_met(tools: set[str], providers: Providers) -> Iterable[str]:
    if providers.open_desk is not None:
        yield "desk"
    if providers.chat is not None:
        yield "chat"
    yield from (need for need, tool in TOOL_OF.items() if tool in tools)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "person"


def _shorten_home(path: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - a home that does not exist must not raise
    text = str(path)
    return f"~{text[len(home) :]}" if home != "/" and text.startswith(home) else text


def run(workspace: Workspace, providers: Providers) -> None:
    """Show the app until the person leaves it; raises `ConfigError` when the state folder cannot be written."""
    workspace.make_state_folder()
    asyncio.run(StewardApp(workspace, providers).run_async())
