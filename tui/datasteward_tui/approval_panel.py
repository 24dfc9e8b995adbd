"""The inbox above the prompt: what waits for a decision, shown with its rows; keys count only inside it, and not at once."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from datasteward_tui.change_lines import describe_age, draw_change, empty_lines, headline
from datasteward_tui.lines_view import LinesView
from datasteward_tui.safe_text import show_line

if TYPE_CHECKING:
    from datasteward.changes.store import ChangeRow, ChangeSummary

GUARD_SECONDS = 0.6
"""Decision keys do nothing for so long after the change appeared, the panel got the keys, or something was typed."""
Verb = Literal["approve", "reject", "later", "undo"]


class ApprovalPanel(Vertical, can_focus=True, can_focus_children=False):
    """One change at a time out of those that wait, or of all."""

    DEFAULT_CSS = """
    ApprovalPanel { display: none; height: 46vh; max-height: 26; min-height: 8; border: round $warning;
      background: $background; padding: 0 1; border-title-color: $warning; border-subtitle-color: $ink-muted; }
    ApprovalPanel:focus, ApprovalPanel.-asking { border: heavy $warning; border-subtitle-color: $warning; }
    ApprovalPanel #change-effect { height: 1; text-style: bold; }
    ApprovalPanel LinesView { height: 1fr; background: $background; scrollbar-size: 1 1; scrollbar-color: $panel;
      scrollbar-background: $background; scrollbar-corner-color: $background; }
    ApprovalPanel Input { display: none; height: 1; border: none; background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide('approve')", "approve"),
        Binding("c", "ask('approve')", "approve with a comment"),
        Binding("r", "ask('reject')", "reject"),
        Binding("l", "decide('later')", "later"),
        Binding("u", "decide('undo')", "undo"),
        Binding("h", "history", "history"),
        Binding("p", "whole", "whole preview"),
        Binding("left", "step(-1)", "newer"),
        Binding("right", "step(1)", "older"),
        Binding("up", "scroll_lines(-1)", show=False),
        Binding("down", "scroll_lines(1)", show=False),
        Binding("pageup", "scroll_pages(-1)", show=False),
        Binding("pagedown,space", "scroll_pages(1)", show=False),
        Binding("escape", "leave", "back"),
    ]

    class Decided(Message):
        """The person decided on exactly this digest."""

        def __init__(self, verb: Verb, change: str, digest: str, comment: str) -> None:
            super().__init__()
            self.verb: Verb = verb
            self.change = change
            self.digest = digest
            self.comment = comment

    class Wanted(Message):
        """The panel turns to another change and needs all of it."""

        def __init__(self, change: str) -> None:
            super().__init__()
            self.change = change

    class HistoryAsked(Message):
        """Other changes are wanted: all, or only those that wait."""

    class Left(Message):
        """The person is done with the panel for now."""

    class WholeAsked(Message):
        """The whole preview is wanted over the app."""

        def __init__(self, row: "ChangeRow") -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._changes: Sequence[ChangeSummary] = ()
        self._current: str | None = None
        self._row: ChangeRow | None = None
        self._shown_key: tuple[str, str, str] | None = None
        self._quiet_since = 0.0
        self._asking: Verb | None = None
        self._told = ""
        self.shows_history = False

    def compose(self) -> ComposeResult:
        """The effect in a line, the preview, a line for a reason."""
        yield Static("", id="change-effect", markup=False)
        yield LinesView(lambda width, palette: empty_lines("Nothing waits.", width, palette), id="change-lines")
        yield Input(id="change-comment", compact=True)

    @property
    def row(self) -> "ChangeRow | None":
        """The change that is shown."""
        return self._row

    @property
    def view(self) -> LinesView:
        """The preview."""
        return self.query_one("#change-lines", LinesView)

    def mark_seen(self, row: "ChangeRow") -> None:
        """All of this change was in sight elsewhere."""
        if self._row is row:
            self.view.seen_lines = self.view.line_count

    def note_typing(self) -> None:
        """Something was typed elsewhere: decision keys are off for a moment."""
        self._quiet_since = self._clock()

    def show_list(self, changes: "Sequence[ChangeSummary]") -> None:
        """These changes can be gone through; the current one stays if it is among them."""
        self._changes = changes
        handles = [c.handle for c in changes]
        if self._current not in handles:
            self._current = handles[0] if handles else None
        summary = self._summary()
        key = (summary.handle, summary.digest, summary.status) if summary else None
        if key != self._shown_key and summary is not None:
            self.post_message(self.Wanted(summary.handle))
        elif summary is None:
            self._row, self._shown_key = None, None
        self._show_titles()

    def show_change(self, row: "ChangeRow") -> None:
        """Show a change; a new one turns decision keys off for a moment."""
        summary = row.summary
        if summary.handle != self._current:
            return
        self._row = row
        self._shown_key = (summary.handle, summary.digest, summary.status)
        self._quiet_since = self._clock()
        self._stop_asking()
        self.query_one("#change-effect", Static).update(headline(row.proposal.preview))
        self.view.set_source(lambda width, palette: draw_change(row, width, palette))
        self._show_titles()

    def tell(self, words: str) -> None:
        """Say something at the lower edge."""
        self._told = words
        self._show_titles()

    def _summary(self) -> "ChangeSummary | None":
        return next((c for c in self._changes if c.handle == self._current), None)

    def _show_titles(self) -> None:
        summary = self._summary()
        if summary is None:
            self.border_title = "Approvals"
            self.border_subtitle = "Esc back · h history"
            return
        place = next(i for i, c in enumerate(self._changes) if c.handle == summary.handle) + 1
        sign = "⚑ " if summary.status == "waiting" else ""
        facts = [f"{sign}{summary.handle}", f"{place} of {len(self._changes)}"]
        if summary.status != "waiting" or self.shows_history:
            facts.append(summary.status)
        if summary.undo_of:
            facts.append(f"undo of c{summary.undo_of}")
        if summary.undone_by:
            facts.append(f"undone by c{summary.undone_by}")
        facts.append(f"{describe_age(summary.created_at)} ago")
        self.border_title = _plain(" · ".join(facts))
        self.border_subtitle = _plain(self._told or self._keys(summary.status))

    def _keys(self, status: str) -> str:
        if not self.has_focus:
            return "F2 to decide · the prompt keeps the keys"
        browse = "←→ others · " if len(self._changes) > 1 else ""
        if status == "waiting":
            return f"a approve · r reject · l later · c comment · p whole · {browse}Esc back"
        undo = "u undo · " if status == "applied" else ""
        return (
            f"{undo}h waiting only · {browse}Esc back" if self.shows_history else f"{undo}h history · {browse}Esc back"
        )

    def on_focus(self) -> None:
        """The keys are here now; not at once for decisions."""
        self._quiet_since = self._clock()
        if self._asking is None:
            self._told = ""
        self._show_titles()

    def on_blur(self) -> None:
        """The keys are elsewhere."""
        if self._asking is None:
            self._told = ""
        self._show_titles()

    def _refusal(self, verb: Verb) -> str | None:
        row = self._row
        summary = self._summary()
        if row is None or summary is None or summary.digest != row.summary.digest:
            return "nothing to decide here"
        if not self.has_focus and self._asking is None:
            return "press F2 first"
        if self._clock() - self._quiet_since < GUARD_SECONDS:
            return "too soon: have a look first"
        if verb == "undo":
            return None if summary.status == "applied" else "only an applied change can be undone"
        if summary.status != "waiting":
            return f"{summary.handle} is {summary.status}"
        if verb == "approve" and not self.view.is_seen_to_end:
            return "look to the end first: ↓ or p"
        return None

    def action_decide(self, verb: Verb) -> None:
        """Decide on what is shown, unless it is too soon."""
        refusal = self._refusal(verb)
        if refusal is not None:
            self.tell(refusal)
            return
        self._send(verb, "")

    def _send(self, verb: Verb, comment: str) -> None:
        assert self._row is not None
        summary = self._row.summary
        self.tell(
            {"approve": "applying …", "reject": "rejecting …", "later": "kept for later", "undo": "measuring …"}[verb]
        )
        self._quiet_since = self._clock()
        self.post_message(self.Decided(verb, summary.handle, summary.digest, comment))

    def action_ask(self, verb: Verb) -> None:
        """Ask for a reason or a comment before deciding."""
        refusal = self._refusal(verb)
        if refusal is not None:
            self.tell(refusal)
            return
        self._asking = verb
        self.add_class("-asking")
        self.can_focus_children = True
        line = self.query_one("#change-comment", Input)
        line.placeholder = (
            "Why not? Whoever proposed it reads this." if verb == "reject" else "A comment with the approval."
        )
        line.value = ""
        line.display = True
        line.focus()
        self.tell(f"Enter {'rejects' if verb == 'reject' else 'approves'} · Esc does not")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The reason is given: decide."""
        event.stop()
        verb, comment = self._asking, event.value.strip()
        if verb is None:
            return
        self._quiet_since = min(self._quiet_since, self._clock() - GUARD_SECONDS)
        refusal = self._refusal(verb)
        self._stop_asking()
        self.focus()
        if refusal is None:
            self._send(verb, comment)
        else:
            self.tell(refusal)

    def _stop_asking(self) -> None:
        if self._asking is None:
            return
        self._asking = None
        had_focus = self.query_one("#change-comment", Input).has_focus
        self.query_one("#change-comment", Input).display = False
        self.remove_class("-asking")
        self.can_focus_children = False
        self._told = ""
        if had_focus:
            self.focus()

    def action_history(self) -> None:
        """All changes, or only those that wait."""
        self.shows_history = not self.shows_history
        self.tell("")
        self.post_message(self.HistoryAsked())

    def action_step(self, step: int) -> None:
        """The next older or newer change."""
        handles = [c.handle for c in self._changes]
        if self._current in handles and len(handles) > 1:
            self._current = handles[(handles.index(self._current) + step) % len(handles)]
            self._told = ""
            self._shown_key = None
            self.show_list(self._changes)

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll the preview."""
        self.view.scroll_relative(y=lines, animate=False, immediate=True)
        self.tell("")

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll the preview by what is in sight."""
        self.action_scroll_lines(pages * max(1, self.view.size.height - 1))

    def action_whole(self) -> None:
        """The whole preview over the app."""
        if self._row is not None:
            self.post_message(self.WholeAsked(self._row))

    def action_leave(self) -> None:
        """Take a reason back, or give the keys back."""
        if self._asking is not None:
            self._stop_asking()
            self._show_titles()
            return
        self.post_message(self.Left())


def _plain(words: str) -> str:
    """Words for a border, which reads markup: brackets are taken literally."""
    return show_line(words, 300).replace("\\", "\\\\").replace("[", "\\[")
