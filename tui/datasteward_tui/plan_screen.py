"""An agent's plan for review: drop, reorder, reword, edit and comment its steps; approval grants exactly what is left."""

import time
from collections.abc import Callable, Iterator
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from datasteward_agent.plans import Plan, PlanDecision, PlanStep
from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.fact_lines import draw_fact
from datasteward_tui.key_guard import TOO_SOON, KeyGuard
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.plan_draft import Draft, DraftStep
from datasteward_tui.safe_text import show_block, show_line
from datasteward_tui.sql_edit_screen import SqlEditScreen
from datasteward_tui.sql_text import colour_sql
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, wrap_text

INDENT = 7
_PLACEHOLDERS = {
    "title": "The step in your words",
    "comment": "What the agent should know about this step",
    "reject": "Why not? The agent reads this.",
}


class PlanScreen(BoxedScreen[PlanDecision]):
    """Keys decide only after a moment, and with the end of the plan in sight; Esc leaves the plan for later."""

    DEFAULT_CSS = """
    PlanScreen > Vertical { max-width: 120; height: auto; max-height: 92%; }
    PlanScreen LinesView { height: auto; max-height: 74vh; min-height: 4; }
    PlanScreen Input { display: none; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(-1)", show=False),
        Binding("down", "step(1)", show=False),
        Binding("pageup", "scroll(-1)", show=False),
        Binding("pagedown", "scroll(1)", show=False),
        Binding("shift+up,K", "move(-1)", "up"),
        Binding("shift+down,J", "move(1)", "down"),
        Binding("x,space", "drop", "drop or keep"),
        Binding("e", "edit", "edit its SQL"),
        Binding("t", "ask('title')", "reword"),
        Binding("c", "ask('comment')", "comment"),
        Binding("i", "ask_first", "ask me first"),
        Binding("a", "approve(False)", "approve all"),
        Binding("s", "approve(True)", "approve step by step"),
        Binding("r", "ask('reject')", "reject"),
    ]
    HINTS = (
        KeyHint(key="a", words="approve all", action="approve(False)"),
        KeyHint(key="s", words="step by step", action="approve(True)"),
        KeyHint(key="r", words="reject", action="ask('reject')"),
        KeyHint(key="↑↓", words="step", action="step(1)"),
        KeyHint(key="x", words="drop", action="drop"),
        KeyHint(key="J K", words="order", action="move(1)"),
        KeyHint(key="e", words="SQL", action="edit"),
        KeyHint(key="t", words="title", action="ask('title')"),
        KeyHint(key="c", words="comment", action="ask('comment')"),
        KeyHint(key="i", words="ask me first", action="ask_first"),
        KeyHint(key="Esc", words="later", action="leave"),
    )

    def __init__(self, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.draft = Draft(plan)
        self.guard = KeyGuard(clock)
        self._asking = ""
        self._tops: list[int] = []

    def content(self) -> Iterator[Widget]:
        """The steps and a line to type in."""
        yield LinesView(self._draw)
        yield Input(compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Decisions count after a moment."""
        self.guard.restart()
        self.entitle(f"Plan {self.draft.plan.plan_id} · nothing has been done yet")
        self.set_focus(None)

    def on_key(self, event: events.Key) -> None:
        """Keys that come fast keep the guard on, and so do letters that mean nothing here."""
        is_letter = event.is_printable and event.key not in {"space", "slash"}
        self.guard.note_key(is_stray=is_letter and event.key not in self._bindings.key_to_bindings)

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        draft = self.draft
        strips = [*wrap_text(Text(show_block(draft.plan.goal, 2000), palette.heading), width)]
        self._tops = []
        for index, entry in enumerate(draft.steps):
            strips.append(blank())
            self._tops.append(len(strips))
            strips += _draw_step(entry, index + 1, width, palette, is_marked=index == draft.cursor)
        return strips

    def _redraw(self) -> None:
        """Draw anew and keep the marked step in sight."""
        view = self.query_one(LinesView)
        view.redraw()
        top = self._tops[self.draft.cursor]
        end = self._tops[self.draft.cursor + 1] - 1 if self.draft.cursor + 1 < len(self._tops) else view.line_count
        if self.draft.cursor == 0:
            top = 0
        if top < view.scroll_offset.y or end - top >= view.size.height:
            view.scroll_to(y=top, animate=False, immediate=True)
        elif end > view.scroll_offset.y + view.size.height:
            view.scroll_to(y=end - view.size.height, animate=False, immediate=True)

    def action_step(self, step: int) -> None:
        """To another step."""
        self.tell("")
        self.draft.go(step)
        self._redraw()

    def action_scroll(self, pages: int) -> None:
        """Scroll the plan."""
        view = self.query_one(LinesView)
        view.scroll_relative(y=pages * max(1, view.size.height - 1), animate=False, immediate=True)

    def action_move(self, step: int) -> None:
        """Take the step up or down."""
        self.draft.move(step)
        self._redraw()

    def action_drop(self) -> None:
        """Drop the step, or keep it after all."""
        self.draft.current.is_kept = not self.draft.current.is_kept
        self._redraw()

    def action_ask_first(self) -> None:
        """Ask about this step's change although the plan is approved, or not."""
        if not self.draft.current.step.writes:
            self.tell("this step writes nothing, so there is nothing to ask about")
            return
        self.draft.edit(asks=not self.draft.current.step.asks)
        self._redraw()

    def action_edit(self) -> None:
        """Change the step's SQL by hand."""

        def take(text: str | None) -> None:
            if text is not None:
                self.draft.edit(sql=text)
                self._redraw()

        title = f"SQL of step {self.draft.cursor + 1}"
        self.app.push_screen(SqlEditScreen(title, self.draft.current.step.sql, "take it into the plan"), take)

    def action_ask(self, what: str) -> None:
        """Type a title, a comment or a reason."""
        line = self.query_one(Input)
        self._asking = what
        current = self.draft.current
        line.value = {"title": current.step.title, "comment": current.comment}.get(what, "")
        line.placeholder = _PLACEHOLDERS[what]
        line.display = True
        line.focus()
        self.tell("Enter takes it · Esc does not")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        words = event.value.strip()
        asked = self._asking
        self._stop_asking()
        if asked == "title" and words:
            self.draft.edit(title=words[:200])
        elif asked == "comment":
            self.draft.current.comment = words
        elif asked == "reject":
            self.dismiss(self.draft.decide("rejected", words))
            return
        self._redraw()

    def _stop_asking(self) -> None:
        self._asking = ""
        self.query_one(Input).display = False
        self.set_focus(None)
        self.tell("")

    def action_approve(self, asks_each: bool) -> None:
        """Approve what is left, with every change asked for or not, unless it is too soon or not all was in sight."""
        if self.guard.is_on:
            self.guard.refuse()
            self.tell(TOO_SOON)
        elif not self.query_one(LinesView).is_seen_to_end:
            self.tell("look to the end first: ↓ or PgDn")
        else:
            self.dismiss(self.draft.decide("approved", asks_each=asks_each))

    def action_leave(self) -> None:
        """Take the typing back, or leave the plan for later."""
        if self._asking:
            self._stop_asking()
        else:
            self.dismiss(self.draft.decide("later"))


def _draw_step(entry: DraftStep, number: int, width: int, palette: Palette, *, is_marked: bool) -> Iterator[Strip]:
    step, is_kept = entry.step, entry.is_kept
    box = "☑" if is_kept else "☐"
    lead = Text.assemble(
        ("▸ " if is_marked else "  ", palette.accent),
        (f"{box} {number:<3}", palette.good if is_kept else palette.muted),
    )
    title = Text(show_line(step.title, 400), palette.strong if is_kept else palette.muted)
    if not is_kept:
        title.append("  dropped", palette.bad)
    elif step.title != entry.handed_in.title or step.sql != entry.handed_in.sql:
        title.append("  edited", palette.accent)
    yield from wrap_text(title, width, first=lead, rest=Text(" " * INDENT))
    if not is_kept:
        return
    for label, words, is_weighty in _facts(step):
        style = palette.warn if is_weighty else palette.text
        yield from draw_fact(label, show_line(words, 600), width, palette, style=style, indent=INDENT)
    if step.sql.strip():
        for line in colour_sql(step.sql.strip(), palette).split("\n"):
            yield from wrap_text(line, width, first=Text(f"{'':{INDENT}}▏ ", palette.bar))
    if entry.comment:
        you = Text(f"“{show_block(entry.comment, 2000)}”", palette.accent)
        yield from draw_fact("you", you, width, palette, indent=INDENT)


def _facts(step: PlanStep) -> list[tuple[str, str, bool]]:
    """Label, words, and whether it weighs: what is read and written, what is expected, what a yes grants."""
    facts = [
        ("reads", ", ".join(step.reads), False),
        ("writes", ", ".join(step.writes), True),
        ("expects", step.expected, False),
        ("why", step.why, False),
    ]
    if step.writes:
        facts.append(("grants", _grant(step), False))
    return [fact for fact in facts if fact[1]]


def _grant(step: PlanStep) -> str:
    if step.asks:
        return "nothing yet: its change is asked for"
    if step.digests:
        return "the change with exactly this digest"
    if step.sql.strip():
        return "one change by exactly this SQL"
    if step.kinds:
        return f"one {' or '.join(step.kinds)} of what it writes"
    return "nothing yet: its change is asked for"
