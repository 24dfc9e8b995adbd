"""A dataset's columns and types."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip

from datasteward_tui.catalog import Dataset, quote_if_needed
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.entry_list import EntryList
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, wrap_text


class SchemaView(EntryList):
    """Enter puts a column's name into the prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,i", "unfold", "into the prompt"),
        Binding("p", "look('profile')", "profile"),
        Binding("l", "look('lineage')", "lineage"),
    ]
    HINTS = (
        KeyHint(key="Enter", words="into the prompt", action="unfold"),
        KeyHint(key="p", words="profile", action="look('profile')"),
        KeyHint(key="l", words="lineage", action="look('lineage')"),
    )

    def __init__(self, dataset: Dataset, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._dataset = dataset

    @property
    def row_count(self) -> int:
        """The columns."""
        return len(self._dataset.columns)

    def draw_head(self, width: int, palette: Palette) -> list[Strip]:
        """What the dataset is, and the query behind a result."""
        facts = " · ".join(f for f in (self._dataset.kind, self._dataset.facts) if f)
        head = wrap_text(Text(show_line(facts, 300), palette.muted), width)
        if self._dataset.sql:
            head += wrap_text(Text(show_line(" ".join(self._dataset.sql.split()), 600), palette.code), width)
        return [*head, blank()]

    def draw_row(self, index: int, width: int, palette: Palette) -> Text:
        """Number, name, type."""
        column = self._dataset.columns[index]
        longest = max(len(c.name) for c in self._dataset.columns)
        room = max(8, min(longest + 2, width * 2 // 3))
        return Text.assemble(
            (f"{index + 1:>4}  ", palette.bar),
            (f"{fit_cells(show_line(column.name, 200), room - 1):<{room}}", palette.text),
            (show_line(column.type, 400), palette.muted),
        )

    def action_unfold(self) -> None:
        """Put the name into the prompt."""
        if self._dataset.columns:
            name = f"{self._dataset.sql_name}.{quote_if_needed(self._dataset.columns[self.row].name)}"
            self.post_message(DetailPane.Asked(name, runs=False))

    def action_look(self, view: str) -> None:
        """The profile or lineage of this dataset."""
        self.post_message(DetailPane.Looked(view, self._dataset.name))
