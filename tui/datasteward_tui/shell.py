"""What every part of the app stands on: its widgets, its tools, what is said, and how things stand."""

import getpass
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.worker import Worker, WorkerState

from datasteward.errors import DatastewardError
from datasteward.workspace import Workspace
from datasteward_tui import commands as slash
from datasteward_tui import look
from datasteward_tui.approval_dock import ApprovalDock
from datasteward_tui.blocks import Block, NoticeBlock, WelcomeBlock
from datasteward_tui.catalog import Catalog, load_catalog
from datasteward_tui.choice_list import ChoiceList
from datasteward_tui.conversation import Conversation
from datasteward_tui.detail_pane import DetailPane, PaneView
from datasteward_tui.fuzzy import Choice
from datasteward_tui.ports import Providers, Workflow
from datasteward_tui.preferences import read_preferences
from datasteward_tui.prompt_history import PromptHistory
from datasteward_tui.prompt_input import PromptInput
from datasteward_tui.run_shelf import RunLine
from datasteward_tui.status_bar import KeyHint, Standing, StatusBar
from datasteward_tui.tool_link import ToolLink
from datasteward_tui.tool_views import TOOL_OF
from datasteward_tui.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)
QUIET_SECONDS = 2.0
"""A screen opens by itself only when nothing was typed for so long."""


class Shell(App[None]):
    """One workspace on one screen; what is done there is added by subject in the classes that stand on this one."""

    TITLE = "Datasteward"

    def __init__(self, workspace: Workspace, providers: Providers) -> None:
        super().__init__()
        self.workspace = workspace
        self.providers = providers
        self.link = ToolLink(providers.open_tools)
        self.link.tools.on_lost = self._tell_of_loss
        self.catalog = Catalog()
        self.history = PromptHistory(workspace.state_folder / "prompt-history")
        self.at_hand: frozenset[str] = frozenset()
        self.conversation: Conversation | None = None
        self.runs: tuple[RunLine, ...] = ()
        """Pipeline runs that go on now."""
        self._jobs = 0
        self._waiting = 0
        self._typed_at = 0.0
        self._is_blurred = False
        self.workflows: tuple[Workflow, ...] = ()
        self.run_choices: tuple[Choice, ...] = ()
        """Runs as `@` offers them."""
        self.register_theme(look.DARK)
        self.register_theme(look.LIGHT)
        kept = read_preferences(providers.preferences_path).theme
        self.theme = kept if kept in self.available_themes else "steward"

    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours and those derived from them."""
        variables = super().get_css_variables()
        self.theme_variables = {**variables, **look.derive_colours(variables, is_ansi=self.current_theme.ansi)}
        return self.theme_variables

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
        for block in self.transcript.blocks[:1]:
            if isinstance(block, WelcomeBlock):
                block.tell(self.catalog.summary, self.catalog.example)
                self.transcript.changed(block)
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

    def say(self, block: Block) -> None:
        """Put a block at the end of the conversation; what comes after the app has closed is let go."""
        if self.screen_stack:
            self.transcript.add(block)

    def _tell_of_loss(self) -> None:
        self.say(
            NoticeBlock("The engine's process has ended; a new one is started.", "warning", "Nothing stored is lost.")
        )

    def show_standing(self) -> None:
        """Bring the status line up to date."""
        bar = self.screen_stack[0].query_one("#status", StatusBar)
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
            model=talk.model_words if talk is not None else None,
            waiting=self._waiting,
            runs=self.runs,
            activity=activity,
            place=self._place(),
        )
        bar.hints = self._hints()

    def _place(self) -> str:
        folder = shorten_home(self.workspace.root)
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

    def count_jobs(self, step: int) -> None:
        """More or fewer things run."""
        self._jobs += step
        self.show_standing()

    def set_pane(self, *, is_shown: bool) -> None:
        """Show or hide the pane."""
        self.screen_stack[0].set_class(is_shown, "-pane")
        if not is_shown:
            self.screen_stack[0].remove_class("-full")
            self.prompt.focus()

    async def show_view(self, view: PaneView) -> None:
        """Show a view in the pane, and give it the keys."""
        self.set_pane(is_shown=True)
        await self.pane.put(view)
        self.pane.focus_content()

    def look(self, view: "Coroutine[object, object, PaneView]") -> None:
        """Show a view as soon as it is made; a fault is told."""
        self.start(self._look(view), group="look", exclusive=True)

    async def _look(self, view: "Coroutine[object, object, PaneView]") -> None:
        self.count_jobs(1)
        try:
            found = await view
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        finally:
            self.count_jobs(-1)
        await self.show_view(found)

    def open_handle(self, handle: str, *, takes_focus: bool = True) -> None:
        """Show what a handle names in the pane."""
        path = self.workspace.results_folder / f"{handle}.parquet"
        self.pane.show_result(handle, path)
        self.set_pane(is_shown=True)
        if takes_focus:
            self.pane.focus_content()

    def commands(self) -> tuple[slash.Command, ...]:
        """The commands that can be given now."""
        offered = slash.offered(self.at_hand | frozenset(_needs_met(set(), self.providers)))
        return offered + tuple(
            slash.Command(name=w.name, about=w.about, action="workflow", argument=" ".join(w.arguments))
            for w in self.workflows
        )

    def copy_text(self, text: str) -> None:
        """To the clipboard of the terminal."""
        self.copy_to_clipboard(text)
        self.notify(f"{len(text):,} characters copied", timeout=2)

    def is_free(self) -> bool:
        """Whether a screen may open without taking keys that are meant for something else."""
        quiet = time.monotonic() - self._typed_at > QUIET_SECONDS
        return quiet and not self.prompt.text.strip() and len(self.screen_stack) == 1 and not self.dock.has_keys


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


def shorten_home(path: Path) -> str:
    """The path with `~` for the home folder."""
    home = os.path.expanduser("~")  # noqa: PTH111 - a home that does not exist must not raise
    text = str(path)
    return f"~{text[len(home) :]}" if home != "/" and text.startswith(home) else text
