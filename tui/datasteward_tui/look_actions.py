"""Views of a dataset in the pane: profile, lineage, schema, chart."""

import asyncio
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasteward.errors import ToolError
from datasteward_tui.commands import split_words
from datasteward_tui.detail_pane import DetailPane, PaneView
from datasteward_tui.lineage_sight import read_sight
from datasteward_tui.lineage_view import LineageView
from datasteward_tui.schema_view import SchemaView
from datasteward_tui.sql_actions import SqlActions
from datasteward_tui.text_screen import TextView
from datasteward_tui.tool_views import LINEAGE_QUESTIONS, view_chart, view_lineage, view_profile

if TYPE_CHECKING:
    from datasteward.profiling.model import Profile
    from datasteward_tui.profile_view import ProfileView


class LookActions(SqlActions):
    """Each view is asked of the workspace's tools or read from its state, beside the screen."""

    def on_detail_pane_looked(self, message: DetailPane.Looked) -> None:
        """Another view of a dataset."""
        self.look_at(message.view, message.name)

    def look_at(self, view: str, name: str) -> None:
        """The view `profile`, `lineage` or `schema` of a dataset."""
        commands = {"profile": self.command_profile, "lineage": self.command_lineage, "schema": self.command_schema}
        commands[view](shlex.quote(name))

    def command_profile(self, rest: str) -> None:
        """A profile in the pane."""
        self.look(self._view_profile(split_words(rest)))

    async def _view_profile(self, words: Sequence[str]) -> PaneView:
        told = await view_profile(self.link, words)
        made = await asyncio.to_thread(_read_profile, told.document)
        from datasteward_tui.profile_view import ProfileView

        content = ProfileView(made, words[0], column=words[1] if len(words) > 1 else None)
        return PaneView(title=told.title, content=content, hints=ProfileView.HINTS)

    def on_profile_view_finding_asked(self, message: "ProfileView.FindingAsked") -> None:
        """The rows behind a finding."""
        self.run_statement(message.sql, opens=True)

    def command_lineage(self, rest: str) -> None:
        """Lineage in the pane: drawn, or in words when one question is asked."""
        words = split_words(rest)
        dataset = self.catalog.find(words[0]) if words else None
        if dataset is not None and dataset.path:
            words = (dataset.path, *words[1:])
        self.look(self._view_lineage(words))

    async def _view_lineage(self, words: Sequence[str]) -> PaneView:
        told = await view_lineage(self.link, words)
        if set(words) & set(LINEAGE_QUESTIONS):
            return PaneView(title=told.title, content=TextView(told.body))
        sight = await asyncio.to_thread(read_sight, self.workspace.state_path, words[0], words[1:])
        return PaneView(title=told.title, content=LineageView(sight, told.body), hints=LineageView.HINTS)

    def command_schema(self, rest: str) -> None:
        """Columns and types in the pane."""
        self.look(self._view_schema(" ".join(split_words(rest))))

    async def _view_schema(self, name: str) -> PaneView:
        dataset = self.catalog.find(name)
        if dataset is None:
            raise ToolError(f"There is no dataset '{name}'.", code="not_found", hint="F4 shows what there is.")
        return PaneView(title=f"Schema · {dataset.name}", content=SchemaView(dataset), hints=SchemaView.HINTS)

    def command_chart(self, rest: str) -> None:
        """A chart in the pane, as wide as it will be."""
        screen = self.screen_stack[0]
        is_beside = screen.has_class("-wide") and not screen.has_class("-full")
        width = int(self.size.width * 0.46) - 4 if is_beside else self.size.width - 3
        self.look(self._view_chart(split_words(rest), width, self.size.height - 10))

    async def _view_chart(self, words: Sequence[str], width: int, height: int) -> PaneView:
        told = await view_chart(self.link, words, width, height)
        return PaneView(title=told.title, content=TextView(told.body))


def _read_profile(document: str) -> "Profile":
    from datasteward.profiling.storing import from_json

    return from_json(document)
