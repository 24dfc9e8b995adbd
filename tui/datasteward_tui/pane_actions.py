"""Opening things in the pane: results, datasets, profiles, lineage, charts, the catalog."""

from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

from datasteward.errors import DatastewardError
from datasteward_tui import commands as slash
from datasteward_tui.blocks import NoticeBlock
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.sql_actions import SqlActions
from datasteward_tui.tool_views import View, view_chart, view_lineage, view_profile
from datasteward_tui.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Coroutine

PANE_BINDINGS: tuple[BindingType, ...] = (
    Binding("f3", "pane", "pane"),
    Binding("f4", "catalog", "catalog"),
    Binding("f6", "switch", "prompt or pane", priority=True),
)


class PaneActions(SqlActions):
    """What the conversation is about, beside it."""

    def on_transcript_opened(self, message: Transcript.Opened) -> None:
        """A handle in the conversation was chosen."""
        self.open_handle(message.handle)

    def on_transcript_copied(self, message: Transcript.Copied) -> None:
        """Copy a block."""
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
