"""A box over the app with its keys at its foot: what every screen that stands on its own looks like."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from datasteward_tui.key_line import KeyLine
from datasteward_tui.lines_view import LinesView
from datasteward_tui.safe_text import show_line
from datasteward_tui.status_bar import KeyHint

T = TypeVar("T")


class BoxedScreen(ModalScreen[T]):
    """Content in a titled box; Esc leaves. A screen sets `TITLE_WORDS` and `HINTS` and composes `content`."""

    DEFAULT_CSS = """
    BoxedScreen { align: center middle; }
    BoxedScreen > Vertical { width: 96%; max-width: 150; height: 92%; border: round $primary; background: $background;
      padding: 1 2 0 2; border-title-color: $primary; border-subtitle-color: $ink-muted; }
    BoxedScreen > Vertical > KeyLine { margin-top: 1; }
    BoxedScreen LinesView { background: $background; scrollbar-size: 1 1; scrollbar-color: $panel;
      scrollbar-background: $background; scrollbar-corner-color: $background; }
    BoxedScreen Input { height: 1; border: none; background: $surface; padding: 0 1; }
    .-narrow BoxedScreen > Vertical, BoxedScreen.-narrow > Vertical { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "close")]
    AUTO_FOCUS = ""
    TITLE_WORDS: ClassVar[str] = ""
    HINTS: ClassVar[Sequence[KeyHint]] = ()

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="box"):
            yield from self.content()
            yield KeyLine(self.HINTS, owner=self)

    def content(self) -> Iterator[Widget]:
        """What stands in the box."""
        yield from ()

    def on_mount(self) -> None:
        """Name the box, where the screen has not."""
        if self.TITLE_WORDS:
            self.entitle(self.TITLE_WORDS)

    def entitle(self, words: str) -> None:
        """Another title; the words may come from anywhere."""
        self.query_one("#box").border_title = show_line(words, 200).replace("\\", "\\\\").replace("[", "\\[")

    def tell(self, words: str) -> None:
        """Words of our own in the place of the keys; none brings them back."""
        self.query_one(KeyLine).show(self.hints(), words)

    def hints(self) -> Sequence[KeyHint]:
        """The keys that work now."""
        return self.HINTS

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class ScrolledScreen(BoxedScreen[T]):
    """A box of which a `LinesView` is the content; the keys scroll it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_lines(-1)", show=False),
        Binding("down", "scroll_lines(1)", show=False),
        Binding("pageup", "scroll_pages(-1)", show=False),
        Binding("pagedown,space", "scroll_pages(1)", show=False),
        Binding("q", "leave", show=False),
    ]

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll."""
        self.query_one(LinesView).scroll_relative(y=lines, animate=False, immediate=True)

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by what is in sight."""
        self.action_scroll_lines(pages * max(1, self.query_one(LinesView).size.height - 1))
