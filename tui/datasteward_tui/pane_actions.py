"""Opening things in the pane by their name or handle, and the keys that show, widen and leave it."""

import re

from textual.binding import Binding, BindingType

from datasteward.errors import DatastewardError
from datasteward_tui.approval_actions import ApprovalActions
from datasteward_tui.blocks import DrawingBlock, NoticeBlock
from datasteward_tui.catalog import load_older
from datasteward_tui.catalog_tree import CatalogTree
from datasteward_tui.detail_pane import DetailPane, PaneView
from datasteward_tui.lineage_view import LineageView
from datasteward_tui.look_actions import LookActions
from datasteward_tui.result_grid import ResultGrid
from datasteward_tui.run_actions import RunActions
from datasteward_tui.text_screen import TextView
from datasteward_tui.transcript import Transcript

PANE_BINDINGS: tuple[BindingType, ...] = (
    Binding("f3", "pane", "pane"),
    Binding("f4", "catalog", "catalog"),
    Binding("f5", "widen", "wide pane", priority=True),
    Binding("f6", "switch", "prompt or pane", priority=True),
)

_HANDLE = re.compile(r"[rcp][1-9][0-9]*")


class PaneActions(LookActions, RunActions, ApprovalActions):
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
                self.start(self.show_view(PaneView(title=block.title, content=TextView(block.body))), group="look")
                return
        self.say(NoticeBlock(f"Plan {handle} is not in this conversation.", "warning"))

    def action_close_pane(self) -> None:
        """Hide the pane."""
        self.set_pane(is_shown=False)

    def action_results(self) -> None:
        """Stored results in the pane."""
        self._show_catalog(at_results=True)

    def on_catalog_tree_older_asked(self, message: CatalogTree.OlderAsked) -> None:
        """Older results are wanted in the tree."""
        self.start(self._load_older(message.offset), group="older", exclusive=True)

    async def _load_older(self, offset: int) -> None:
        try:
            page = await load_older(self.link, offset)
        except DatastewardError as error:
            self.say(NoticeBlock(error.message, "error", error.hint))
            return
        for tree in self.pane.query(CatalogTree):
            tree.add_older(page)

    def on_lineage_view_wished(self, message: LineageView.Wished) -> None:
        """Another view of a dataset in the graph."""
        if message.view == "open":
            self.command_open(message.name)
        else:
            self.look_at(message.view, message.name)

    def action_pane(self) -> None:
        """Show or hide the pane."""
        self.set_pane(is_shown=not self.pane.is_shown)
        if self.pane.is_shown:
            self.pane.focus_content()

    def action_widen(self) -> None:
        """The pane over the whole width, or beside the conversation."""
        if self.pane.is_shown:
            self.screen_stack[0].toggle_class("-full")

    def action_catalog(self) -> None:
        """What can be named, in the pane."""
        self._show_catalog(at_results=False)

    def _show_catalog(self, *, at_results: bool) -> None:
        tree = CatalogTree(self.catalog, at_results=at_results)
        view = PaneView(title="Catalog", content=tree, hints=CatalogTree.HINTS)
        self.start(self.show_view(view), group="look", exclusive=True)
        self.start(self.refresh_catalog(), group="catalog", exclusive=True)

    def action_switch(self) -> None:
        """Between prompt and pane."""
        if self.pane.has_focus_within or not self.pane.is_shown:
            self.prompt.focus()
        else:
            self.pane.focus_content()
