"""The workspace's pipeline runs, newest first."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from datasteward_tui.call_block import format_seconds
from datasteward_tui.entry_list import EntryList
from datasteward_tui.palette import Palette
from datasteward_tui.run_shelf import RunLine
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import to_strip


class RunList(EntryList):
    """Enter opens a run."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "unfold", "open")]
    HINTS = (KeyHint(key="Enter", words="open", action="unfold"),)

    class Chosen(Message):
        """A run was chosen."""

        def __init__(self, run: str) -> None:
            super().__init__()
            self.run = run

    def __init__(self, lines: Sequence[RunLine], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines

    @property
    def row_count(self) -> int:
        """The runs."""
        return len(self._lines)

    def draw_head(self, width: int, palette: Palette) -> list[Strip]:
        """A word when there is none."""
        if self._lines:
            return []
        return [to_strip(Text("Nothing was run yet. Pipelines live in pipelines/NAME/.", palette.muted))]

    def draw_row(self, index: int, width: int, palette: Palette) -> Text:
        """Name, pipeline, state, assets."""
        line = self._lines[index]
        styles = {"running": palette.accent, "done": palette.good, "partly": palette.warn, "stopped": palette.warn}
        left = f"  {format_seconds(line.seconds_left)} left" if line.seconds_left is not None else ""
        text = Text.assemble(
            (f"{line.run:<6}", palette.link), (f"{fit_cells(show_line(line.pipeline, 60), 20):<21}", palette.text)
        )
        if line.undone_by:
            return text.append(f"undone by {line.undone_by}", palette.muted)
        text.append(f"{line.status:<9}", styles.get(line.status, palette.bad))
        return text.append(f"{line.done:>4} of {line.total} assets{left}", palette.muted)

    def action_unfold(self) -> None:
        """Open the run under the cursor."""
        if self._lines:
            self.post_message(self.Chosen(self._lines[self.row].run))
