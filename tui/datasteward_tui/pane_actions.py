"""Opening things in the pane: results, datasets, profiles, lineage, charts, the catalog."""

import asyncio
import re
import shlex
from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

from datasteward.errors import DatastewardError
from datasteward_tui import commands as slash
from datasteward_tui.approval_actions import ApprovalActions
from datasteward_tui.blocks import DrawingBlock, NoticeBlock
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.lineage_sight import read_sight
from datasteward_tui.lineage_view import LineageView
from datasteward_tui.result_grid import ResultGrid
from datasteward_tui.run_actions import RunActions
from datasteward_tui.schema_view import SchemaView
from datasteward_tui.tool_views import LINEAGE_QUESTIONS, View, view_chart, view_lineage, view_profile
from datasteward_tui.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from datasteward.profiling.model import Profile
    from datasteward_tui.profile_view import ProfileView

PANE_BINDINGS: tuple[BindingType, ...] = (
    Binding("f3", "pane", "pane"),
    Binding("f4", "catalog", "catalog"),
    Binding("f6", "switch", "prompt or pane", priority=True),
)

_HANDLE = re.compile(r"[rcp][1-9][0-9]*")


class PaneActions(RunActions, ApprovalActions):
    """What the conversation is about, beside it."""

    def on_transcript_opened(self, message: Transcript.Opened) -> None:
        """What a block names was chosen."""
        self.open_named(message.handle)

    def on_transcript_pointed(self, message: Transcript.Pointed) -> None:
        """A word was clicked; when it names a dataset, that opens."""
        dataset = self.catalog.find(message.word)
        if dataset is not None:
            self.command_open(dataset.name)

    def on_transcript_copied(self, message: Transcript.Copied) -> None:
        """Copy a block."""
        self.copy_text(message.text)

    def on_result_grid_copied(self, message: ResultGrid.Copied) -> None:
        """Copy a cell or row."""
        self.copy_text(message.text)

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

    def on_detail_pane_looked(self, message: DetailPane.Looked) -> None:
        """Another view of a dataset."""
        handlers = {"profile": self.command_profile, "lineage": self.command_lineage, "schema": self.command_schema}
        handlers[message.view](shlex.quote(message.name))

    def command_profile(self, rest: str) -> None:
        """A profile in the pane."""
        self.start(self._profile(slash.split_words(rest)), group="look", exclusive=True)

    async def _profile(self, words: "Sequence[str]") -> None:
        self.count_jobs(1)
        try:
            told = await view_profile(self.link, words)
            made = await asyncio.to_thread(_read_profile, told.document)
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        finally:
            self.count_jobs(-1)
        from datasteward_tui.profile_view import ProfileView

        view = ProfileView(made, words[0], column=words[1] if len(words) > 1 else None)
        await self.pane.put(told.title, view, ProfileView.HINTS)
        self.set_pane(is_shown=True)
        self.pane.focus_content()

    def on_profile_view_finding_asked(self, message: "ProfileView.FindingAsked") -> None:
        """The rows behind a finding."""
        self.run_statement(message.sql, opens=True)

    def command_lineage(self, rest: str) -> None:
        """Lineage in the pane: drawn, or in words when one question is asked."""
        words = slash.split_words(rest)
        dataset = self.catalog.find(words[0]) if words else None
        if dataset is not None and dataset.path:
            words = (dataset.path, *words[1:])
        if set(words) & set(LINEAGE_QUESTIONS):
            self.start(self._look(view_lineage(self.link, words)), group="look", exclusive=True)
        else:
            self.start(self._draw_lineage(words), group="look", exclusive=True)

    async def _draw_lineage(self, words: "Sequence[str]") -> None:
        self.count_jobs(1)
        try:
            told = await view_lineage(self.link, words)
            sight = await asyncio.to_thread(read_sight, self.workspace.state_path, words[0], words[1:])
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        finally:
            self.count_jobs(-1)
        await self.pane.put(told.title, LineageView(sight, told.body), LineageView.HINTS)
        self.set_pane(is_shown=True)
        self.pane.focus_content()

    def on_lineage_view_wished(self, message: LineageView.Wished) -> None:
        """Another view of a dataset in the graph."""
        if message.view == "open":
            self.command_open(message.name)
        else:
            self.on_detail_pane_looked(DetailPane.Looked(message.view, message.name))

    def command_schema(self, rest: str) -> None:
        """Columns and types in the pane."""
        name = " ".join(slash.split_words(rest))
        dataset = self.catalog.find(name)
        if dataset is None:
            self.say(NoticeBlock(f"There is no dataset '{name}'.", "warning", "F4 shows what there is."))
            return
        self.pane.show(f"Schema · {dataset.name}", SchemaView(dataset), SchemaView.HINTS)
        self.set_pane(is_shown=True)
        self.pane.focus_content()

    def command_chart(self, rest: str) -> None:
        """A chart in the pane, as wide as it will be."""
        is_wide = self.screen_stack[0].has_class("-wide")
        width = int(self.size.width * 0.46) - 4 if is_wide else self.size.width - 3
        view = view_chart(self.link, slash.split_words(rest), width, self.size.height - 10)
        self.start(self._look(view), group="look", exclusive=True)

    async def _look(self, view: "Coroutine[object, object, View]") -> None:
        self.count_jobs(1)
        try:
            found = await view
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        finally:
            self.count_jobs(-1)
        self.pane.show_drawing(found.title, found.body)
        self.set_pane(is_shown=True)
        self.pane.focus_content()

    def command_open(self, name: str) -> None:
        """A result, change, run or plan by its handle; a dataset by a query."""
        dataset = self.catalog.find(name)
        if _HANDLE.fullmatch(name.lower()):
            self.open_named(name.lower())
        elif dataset is not None and dataset.kind == "result":
            self.open_handle(dataset.name)
        elif dataset is not None:
            self.run_statement(f"FROM {dataset.sql_name}", opens=True)
        else:
            self.say(NoticeBlock(f"There is no dataset '{name}'.", "warning", "F4 shows what there is."))

    def open_named(self, handle: str) -> None:
        """What a handle stands for: rows, a run, a change, a plan."""
        match handle[:1]:
            case "r":
                self.open_handle(handle)
            case "p":
                self._open_plan(handle)
            case _ if self.run_shelf.has(handle):
                self.open_run(handle)
            case _:
                self.open_change(handle)

    def _open_plan(self, handle: str) -> None:
        for block in reversed(self.transcript.blocks):
            if isinstance(block, DrawingBlock) and block.opens == handle:
                self.pane.show_drawing(block.title, block.body)
                self.set_pane(is_shown=True)
                self.pane.focus_content()
                return
        self.say(NoticeBlock(f"Plan {handle} is not in this conversation.", "warning"))

    def action_close_pane(self) -> None:
        """Hide the pane."""
        self.set_pane(is_shown=False)

    def action_results(self) -> None:
        """Stored results in the pane."""
        self.action_catalog()

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


def _read_profile(document: str) -> "Profile":
    from datasteward.profiling.storing import from_json

    return from_json(document)
