"""Earlier conversations to go on with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from datasteward_tui.choice_list import ChoiceList
from datasteward_tui.fuzzy import Choice, rank

if TYPE_CHECKING:
    from datasteward_agent.session_store import SearchHit, SessionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChoice:
    """The session to go on with, or a copy of it."""

    session_id: str
    is_fork: bool


class SessionScreen(ModalScreen[SessionChoice | None]):
    """Type to search titles and everything that was said; Enter resumes, Ctrl+F goes on in a copy."""

    DEFAULT_CSS = """
    SessionScreen { align: center middle; }
    SessionScreen Vertical { width: 100; max-width: 96%; height: auto; border: round $primary; background: $background;
      padding: 0 1; border-title-color: $primary; border-subtitle-color: $ink-muted; }
    SessionScreen Input { background: $surface; padding: 0 1; margin-bottom: 1; }
    SessionScreen ChoiceList { background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("ctrl+f", "fork", "copy", priority=True),
    ]

    def __init__(self, sessions: "Sequence[SessionSummary]", search: "Callable[[str], Sequence[SearchHit]]") -> None:
        super().__init__()
        self._sessions = sessions
        self._search = search

    def compose(self) -> ComposeResult:
        """A line to search with, and what it finds."""
        with Vertical() as box:
            box.border_title = "Sessions"
            box.border_subtitle = "Enter resume · ^F go on in a copy · Esc close"
            yield Input(compact=True, placeholder="search titles and words")
            yield ChoiceList()

    def on_mount(self) -> None:
        """Show the latest."""
        self._offer("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search."""
        self._offer(event.value)

    def _offer(self, words: str) -> None:
        found = rank(words, [_choice(s) for s in self._sessions])
        if words.strip():
            known = {c.inserted for c in found}
            for hit in self._search(words):
                if hit.session_id not in known:
                    known.add(hit.session_id)
                    found.append(Choice(value=hit.title or hit.session_id, about=hit.snippet, insert=hit.session_id))
        self.query_one(ChoiceList).show(found)

    def on_input_submitted(self) -> None:
        """Resume."""
        self._choose(is_fork=False)

    def on_choice_list_chosen(self) -> None:
        """A click resumes."""
        self._choose(is_fork=False)

    def _choose(self, *, is_fork: bool) -> None:
        choice = self.query_one(ChoiceList).marked
        if choice is not None:
            self.dismiss(SessionChoice(session_id=choice.inserted, is_fork=is_fork))

    def action_fork(self) -> None:
        """Go on in a copy."""
        self._choose(is_fork=True)

    def action_move(self, step: int) -> None:
        """Another session."""
        self.query_one(ChoiceList).move(step)

    def action_leave(self) -> None:
        """None of them."""
        self.dismiss(None)


def _choice(summary: "SessionSummary") -> Choice:
    about = f"{summary.updated[:16].replace('T', ' ')} · {summary.turns} turns · {summary.model} · {summary.outcome}"
    return Choice(value=summary.title or summary.session_id, about=about, insert=summary.session_id)
