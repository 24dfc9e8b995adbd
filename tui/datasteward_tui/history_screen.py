"""Every change of the workspace and what became of it; taking one back is one key away."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Input

from datasteward.errors import DatastewardError
from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.change_lines import ChangeCase, draw_change, empty_lines
from datasteward_tui.change_words import describe_age
from datasteward_tui.key_guard import TOO_SOON, KeyGuard
from datasteward_tui.lines_view import LinesView
from datasteward_tui.marked_list import MarkedList
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint

if TYPE_CHECKING:
    from datasteward.changes.store import ChangeSummary

WITH_WHO = 64
"""From this width on a row tells who asked."""
SIGNS = {
    "waiting": "⚑",
    "approved": "◔",
    "applied": "✓",
    "rejected": "✗",
    "denied": "✗",
    "expired": "○",
    "moved": "↷",
    "replaced": "↷",
    "failed": "!",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryWish:
    """What the person wants done with a change: an applied one taken back, or an approved one applied."""

    verb: Literal["undo", "apply"]
    change: str
    digest: str


class HistoryScreen(BoxedScreen[HistoryWish | None]):
    """Gives what to do with a change, or None; the list is read once, each change when its row is marked."""

    DEFAULT_CSS = """
    HistoryScreen > Vertical { max-width: 200; }
    HistoryScreen #history { height: 1fr; layout: horizontal; }
    HistoryScreen.-narrow #history { layout: vertical; }
    HistoryScreen MarkedList { width: 46%; height: 1fr; }
    HistoryScreen LinesView { width: 54%; height: 1fr; border-left: vkey $panel; padding: 0 0 0 1; }
    HistoryScreen.-narrow MarkedList { width: 100%; height: 38%; }
    HistoryScreen.-narrow LinesView { width: 100%; height: 1fr; border-left: none; border-top: hkey $panel; padding: 0; }
    HistoryScreen Input { margin-bottom: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
        Binding("u", "undo", "undo"),
        Binding("a", "apply", "apply"),
        Binding("slash", "search", "search"),
    ]
    TITLE_WORDS = "Changes"

    def __init__(
        self,
        changes: "Sequence[ChangeSummary]",
        read: Callable[[str], Awaitable[ChangeCase]],
        at: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.guard = KeyGuard(clock)
        self._changes, self._read, self._first = changes, read, at
        self._list: MarkedList[ChangeSummary] = MarkedList(_draw_row, empty="Nothing was ever proposed here.")

    def content(self) -> Iterator[Widget]:
        """A line to search with, the list, the marked change."""
        yield Input(compact=True, placeholder="search handle, state, who asked, SQL", id="search")
        with Container(id="history"):
            yield self._list
            yield LinesView(lambda width, palette: empty_lines("", width, palette))

    def on_mount(self) -> None:
        """List all, with the change asked for marked."""
        self.query_one("#search").display = False
        handles = [c.handle for c in self._changes]
        self._list.show(self._changes, handles.index(self._first) if self._first in handles else 0)

    def on_key(self, event: events.Key) -> None:
        """Keys that come fast keep the guard on, and so do letters that mean nothing here."""
        is_letter = event.is_printable and event.key not in {"space", "slash"}
        self.guard.note_key(is_stray=is_letter and event.key not in self._bindings.key_to_bindings)

    def hints(self) -> tuple[KeyHint, ...]:
        """Undo and apply only where they can be."""
        marked = self._list.marked
        own: tuple[KeyHint, ...] = ()
        if marked is not None and marked.status == "applied" and marked.undone_by is None:
            own = (KeyHint(key="u", words=f"undo {marked.handle}", action="undo"),)
        elif marked is not None and marked.status == "approved":
            own = (KeyHint(key="a", words=f"apply {marked.handle}", action="apply"),)
        return (
            *own,
            KeyHint(key="↑↓", words="others", action="move(1)"),
            KeyHint(key="PgUp PgDn", words="scroll", action="scroll(1)"),
            KeyHint(key="/", words="search", action="search"),
            KeyHint(key="Esc", words="close", action="leave"),
        )

    def on_marked_list_marked(self) -> None:
        """Read the marked change."""
        self.guard.restart()
        self.tell("")
        marked = self._list.marked
        if marked is None:
            self.query_one(LinesView).set_source(lambda width, palette: empty_lines("", width, palette))
        else:
            read: Callable[[], Awaitable[None]] = partial(self._show, marked.handle)
            self.run_worker(read, group="history", exclusive=True, exit_on_error=False)

    async def _show(self, change: str) -> None:
        try:
            case = await self._read(change)
        except DatastewardError as error:
            words = show_line(error.message, 400)
            self.query_one(LinesView).set_source(lambda width, palette: empty_lines(words, width, palette))
        else:
            self.query_one(LinesView).set_source(lambda width, palette: draw_change(case, width, palette))

    def action_move(self, step: int) -> None:
        """Another change."""
        self._list.move(step)

    def action_scroll(self, pages: int) -> None:
        """Scroll the marked change."""
        view = self.query_one(LinesView)
        view.scroll_relative(y=pages * max(1, view.size.height - 1), animate=False, immediate=True)

    def action_search(self) -> None:
        """Type to narrow the list."""
        line = self.query_one("#search", Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Only what holds every word."""
        words = event.value.lower().split()
        self._list.show([c for c in self._changes if all(w in _words_of(c) for w in words)])

    def on_input_submitted(self) -> None:
        """The keys go back to the list."""
        self.set_focus(None)

    def action_undo(self) -> None:
        """Propose to take the marked change back, where that can be."""
        marked = self._list.marked
        if marked is None or marked.status != "applied":
            self.tell("only an applied change can be undone")
        elif marked.undone_by is not None:
            self.tell(f"{marked.handle} was taken back by c{marked.undone_by}")
        else:
            self.dismiss(HistoryWish(verb="undo", change=marked.handle, digest=marked.digest))

    def action_apply(self) -> None:
        """Apply the marked change, where it is approved and was not; not at once after it was marked."""
        marked = self._list.marked
        if marked is None or marked.status != "approved":
            self.tell("only what is approved and not applied yet can be applied")
        elif self.guard.is_on:
            self.guard.refuse()
            self.tell(TOO_SOON)
        else:
            self.dismiss(HistoryWish(verb="apply", change=marked.handle, digest=marked.digest))


def _words_of(summary: "ChangeSummary") -> str:
    return f"{summary.handle} {summary.status} {summary.requested_by} {summary.title}".lower()


def _draw_row(summary: "ChangeSummary", width: int, palette: Palette) -> Text:
    style = _style_of(summary, palette)
    sign = "↶" if summary.undone_by else SIGNS.get(summary.status, "·")
    state = f"undone by c{summary.undone_by}" if summary.undone_by else summary.status
    age = describe_age(summary.created_at)
    text = Text.assemble(
        (f"{sign} ", style), (f"{summary.handle:<5}", palette.strong), (f"{fit_cells(state, 14):<15}", style)
    )
    if width >= WITH_WHO:
        text.append(f"{fit_cells(show_line(summary.requested_by, 80), 17):<18}", palette.muted)
    room = width - text.cell_len - 8
    title = fit_cells(show_line(summary.title, 300), room)
    text.append(title)
    text.append(" " * max(1, width - text.cell_len - len(age) - 1))
    text.append(age, palette.muted)
    return text


def _style_of(summary: "ChangeSummary", palette: Palette) -> Style:
    if summary.undone_by:
        return palette.muted
    return {
        "waiting": palette.warn,
        "applied": palette.good,
        "rejected": palette.bad,
        "denied": palette.bad,
        "failed": palette.bad,
    }.get(summary.status, palette.muted)
