"""Earlier conversations: searched by title and words, resumed, gone on with in a copy, exported."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.fact_lines import draw_fact
from datasteward_tui.fuzzy import Choice, rank
from datasteward_tui.lines_view import LinesView
from datasteward_tui.marked_list import MarkedList
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import wrap_text

if TYPE_CHECKING:
    from datasteward_agent.session_store import SearchHit, SessionSummary

SessionVerb = Literal["resume", "fork", "markdown", "sql"]
_OUTCOME_SIGNS = {"done": "✓", "waiting": "⚑", "": "·", "interrupted": "◦"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChoice:
    """A session, and what to do with it."""

    session_id: str
    verb: SessionVerb


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session as listed; `snippet` when words of it were found."""

    summary: "SessionSummary"
    snippet: str = ""


class SessionScreen(BoxedScreen[SessionChoice | None]):
    """Type to search; Enter resumes the marked one."""

    DEFAULT_CSS = """
    SessionScreen > Vertical { max-width: 120; height: auto; max-height: 92%; }
    SessionScreen Input { margin-bottom: 1; }
    SessionScreen LinesView { height: 5; margin-top: 1; border-top: hkey $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("ctrl+f", "choose('fork')", "copy", priority=True),
        Binding("ctrl+e", "choose('markdown')", "export", priority=True),
        Binding("ctrl+l", "choose('sql')", "export SQL", priority=True),
    ]
    AUTO_FOCUS = "Input"
    TITLE_WORDS = "Sessions"
    HINTS = (
        KeyHint(key="Enter", words="resume", action="choose('resume')"),
        KeyHint(key="^F", words="go on in a copy", action="choose('fork')"),
        KeyHint(key="^E", words="export as Markdown", action="choose('markdown')"),
        KeyHint(key="^L", words="as SQL", action="choose('sql')"),
        KeyHint(key="↑↓", words="others", action="move(1)"),
        KeyHint(key="Esc", words="close", action="leave"),
    )

    def __init__(self, sessions: "Sequence[SessionSummary]", search: "Callable[[str], Sequence[SearchHit]]") -> None:
        super().__init__()
        self._sessions = sessions
        self._search = search
        self._list: MarkedList[SessionRow] = MarkedList(_draw_row, empty="No session holds these words.")

    def content(self) -> Iterator[Widget]:
        """A line to search with, what it finds, and the marked one in full."""
        yield Input(compact=True, placeholder="search titles and everything that was said")
        yield self._list
        yield LinesView(self._draw_marked)

    def on_mount(self) -> None:
        """Show the latest."""
        self._list.styles.height = max(4, min(len(self._sessions), self.app.size.height - 16))
        self._offer("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search."""
        self._offer(event.value)

    def _offer(self, words: str) -> None:
        by_id = {s.session_id: s for s in self._sessions}
        choices = rank(words, [Choice(value=s.title or s.session_id, insert=s.session_id) for s in self._sessions])
        rows = {c.inserted: SessionRow(summary=by_id[c.inserted]) for c in choices}
        for hit in self._search(words) if words.strip() else ():
            if (
                hit.session_id in by_id
                and not rows.get(hit.session_id, SessionRow(summary=by_id[hit.session_id])).snippet
            ):
                rows[hit.session_id] = SessionRow(summary=by_id[hit.session_id], snippet=f"{hit.kind}: {hit.snippet}")
        self._list.show(list(rows.values()))

    def on_marked_list_marked(self) -> None:
        """Show it in full."""
        self.query_one(LinesView).set_source(self._draw_marked)

    def on_marked_list_chosen(self) -> None:
        """A click on the marked one resumes."""
        self.action_choose("resume")

    def _draw_marked(self, width: int, palette: Palette) -> list[Strip]:
        row = self._list.marked
        if row is None:
            return []
        summary = row.summary
        facts = (
            f"{summary.turns} turns · {summary.tokens:,} tokens · {show_line(summary.model, 60)} · {summary.outcome}"
        )
        if summary.waiting:
            facts += f" · {', '.join(summary.waiting)} open when it ended"
        strips = wrap_text(Text(show_line(summary.title, 300), palette.strong), width)
        strips += draw_fact("is", f"{summary.session_id}  {facts}", width, palette)
        if summary.parent:
            strips += draw_fact("from", show_line(summary.parent, 60), width, palette)
        if row.snippet:
            strips += draw_fact("found", show_line(row.snippet, 400), width, palette, style=palette.accent)
        return strips

    def on_input_submitted(self) -> None:
        """Resume."""
        self.action_choose("resume")

    def action_choose(self, verb: SessionVerb) -> None:
        """Do it with the marked session."""
        row = self._list.marked
        if row is not None:
            self.dismiss(SessionChoice(session_id=row.summary.session_id, verb=verb))

    def action_move(self, step: int) -> None:
        """Another session."""
        self._list.move(step)

    def action_page(self, pages: int) -> None:
        """A session one sight further."""
        self._list.move_page(pages)


def _draw_row(row: SessionRow, width: int, palette: Palette) -> Text:
    summary = row.summary
    sign = _OUTCOME_SIGNS.get(summary.outcome, "!")
    style = {"✓": palette.good, "⚑": palette.warn, "!": palette.bad}.get(sign, palette.muted)
    when = summary.updated[:16].replace("T", " ")
    text = Text.assemble((f"{sign} ", style))
    text.append(fit_cells(show_line(summary.title or summary.session_id, 300), max(8, width - len(when) - 5)))
    text.append(" " * max(1, width - text.cell_len - len(when) - 1))
    text.append(when, palette.muted)
    return text
