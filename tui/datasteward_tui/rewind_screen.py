"""Going back to a message: what came after it is left behind in the old session, and its changes may be undone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.lines_view import LinesView
from datasteward_tui.marked_list import MarkedList
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_block, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import wrap_text

if TYPE_CHECKING:
    from datasteward_agent.rewinding import RewindPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindChoice:
    """The message to go back to, and whether to propose to undo what was applied since."""

    point: "RewindPoint"
    undoes: bool


class RewindScreen(BoxedScreen[RewindChoice | None]):
    """Lists the messages of this session, the latest marked."""

    DEFAULT_CSS = """
    RewindScreen > Vertical { max-width: 120; height: auto; max-height: 92%; }
    RewindScreen LinesView { height: auto; max-height: 30vh; margin-top: 1; border-top: hkey $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("enter", "rewind(False)", "go back"),
        Binding("u", "rewind(True)", "go back and undo"),
    ]
    TITLE_WORDS = "Go back to before a message"

    def __init__(self, points: "Sequence[RewindPoint]") -> None:
        super().__init__()
        self._points = points
        self._list: MarkedList[RewindPoint] = MarkedList(_draw_row, empty="Nothing was said yet.")

    def content(self) -> Iterator[Widget]:
        """The messages, and the marked one in full."""
        yield self._list
        yield LinesView(self._draw_marked)

    def on_mount(self) -> None:
        """The latest is marked."""
        self._list.styles.height = max(3, min(len(self._points), self.app.size.height // 2))
        self._list.show(self._points, len(self._points) - 1)

    def hints(self) -> tuple[KeyHint, ...]:
        """Undo only where there is something to undo."""
        point = self._list.marked
        undo = KeyHint(key="u", words="go back and undo", action="rewind(True)")
        return (
            KeyHint(key="Enter", words="go back", action="rewind(False)"),
            *((undo,) if point is not None and point.changes else ()),
            KeyHint(key="↑↓", words="others", action="move(1)"),
            KeyHint(key="Esc", words="stay", action="leave"),
        )

    def on_marked_list_marked(self) -> None:
        """Show it in full, with the keys that work on it."""
        self.query_one(LinesView).set_source(self._draw_marked)
        self.tell("")

    def on_marked_list_chosen(self) -> None:
        """A click on the marked one goes back."""
        self.action_rewind(False)

    def _draw_marked(self, width: int, palette: Palette) -> list[Strip]:
        point = self._list.marked
        if point is None:
            return []
        strips = wrap_text(Text(show_block(point.text, 1000), palette.text), width, first=Text("❯ ", palette.accent))
        if point.changes:
            names = ", ".join(point.changes)
            words = f"Applied since, and not undone: {names}. Enter leaves that as it is, u proposes to undo it."
            strips += wrap_text(Text(words, palette.warn), width)
        else:
            strips += wrap_text(Text("No change was applied since.", palette.muted), width)
        return strips

    def action_rewind(self, undoes: bool) -> None:
        """Go back to the marked message."""
        point = self._list.marked
        if point is not None and (point.changes or not undoes):
            self.dismiss(RewindChoice(point=point, undoes=undoes))

    def action_move(self, step: int) -> None:
        """Another message."""
        self._list.move(step)

    def action_page(self, pages: int) -> None:
        """A message one sight further."""
        self._list.move_page(pages)


def _draw_row(point: "RewindPoint", width: int, palette: Palette) -> Text:
    when = point.at[11:16]
    since = f"{', '.join(point.changes[:3])}{' …' if len(point.changes) > 3 else ''} since " if point.changes else ""
    text = Text.assemble((f"{when}  ", palette.muted))
    text.append(fit_cells(show_line(point.text, 300), width - text.cell_len - len(since) - 1))
    text.append(" " * max(1, width - text.cell_len - len(since)))
    text.append(since, palette.warn)
    return text
