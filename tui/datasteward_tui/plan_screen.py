"""An agent's plan for review: drop, reorder, reword and comment its steps; approval grants exactly what is left."""

import time
from collections.abc import Callable
from typing import ClassVar, TypeVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input

from datasteward_agent.plans import Plan, PlanDecision, PlanStep
from datasteward_tui.approval_panel import GUARD_SECONDS
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import show_block, show_line
from datasteward_tui.strips import blank, wrap_text

T = TypeVar("T")


class Draft:
    """The plan as the person leaves it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: list[PlanStep] = list(plan.steps)
        self.kept = [True] * len(self.steps)
        self.comments = [""] * len(self.steps)
        self.cursor = 0

    def move(self, step: int) -> None:
        """Take the current step up or down."""
        other = self.cursor + step
        if 0 <= other < len(self.steps):
            _swap(self.steps, self.cursor, other)
            _swap(self.kept, self.cursor, other)
            _swap(self.comments, self.cursor, other)
            self.cursor = other

    def decide(self, verdict: str, reason: str) -> PlanDecision:
        """The decision on what is left; without any step it is a rejection."""
        left = tuple(s for s, is_kept in zip(self.steps, self.kept, strict=True) if is_kept)
        notes = [f"Step “{s.title}”: {c}" for s, c in zip(self.steps, self.comments, strict=True) if c]
        dropped = [s.title for s, is_kept in zip(self.steps, self.kept, strict=True) if not is_kept]
        if dropped:
            notes.append(f"Dropped: {', '.join(dropped)}")
        comment = "\n".join([*([reason] if reason else []), *notes])
        if not left or verdict == "rejected":
            return PlanDecision(verdict="rejected", plan=self.plan, comment=comment)
        plan = Plan(plan_id=self.plan.plan_id, goal=self.plan.goal, steps=left)
        return PlanDecision(verdict="later" if verdict == "later" else "approved", plan=plan, comment=comment)


def _swap(items: list[T], one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]


class PlanScreen(ModalScreen[PlanDecision]):
    """Keys decide only after a moment; Esc leaves the plan for later."""

    DEFAULT_CSS = """
    PlanScreen { align: center middle; }
    PlanScreen #plan-box { width: 100; max-width: 96%; height: auto; max-height: 90%; border: round $primary;
      background: $background; padding: 0 1; border-title-color: $primary; border-subtitle-color: $ink-muted; }
    PlanScreen LinesView { height: auto; max-height: 76vh; min-height: 6; background: $background; scrollbar-size: 1 1; }
    PlanScreen Input { display: none; background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(-1)", show=False),
        Binding("down", "step(1)", show=False),
        Binding("shift+up,K", "move(-1)", "up"),
        Binding("shift+down,J", "move(1)", "down"),
        Binding("x,space", "drop", "drop or keep"),
        Binding("e", "ask('edit')", "reword"),
        Binding("c", "ask('comment')", "comment"),
        Binding("a", "approve", "approve"),
        Binding("r", "ask('reject')", "reject"),
        Binding("escape", "later", "later"),
    ]
    AUTO_FOCUS = ""
    KEYS = "↑↓ step · x drop · J K order · e reword · c comment · a approve · r reject · Esc later"

    def __init__(self, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.draft = Draft(plan)
        self._clock = clock
        self._asking = ""
        self._since = clock()

    def compose(self) -> ComposeResult:
        """A box with the steps and a line to type in."""
        with Vertical(id="plan-box") as box:
            box.border_title = f"Plan {self.draft.plan.plan_id} · nothing has been done yet"
            box.border_subtitle = self.KEYS
            yield LinesView(self._draw)
            yield Input(compact=True)

    def on_mount(self) -> None:
        """Decisions count after a moment."""
        self._since = self._clock()
        self.set_focus(None)

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        draft = self.draft
        strips = [*wrap_text(Text(show_block(draft.plan.goal, 2000), palette.heading), width), blank()]
        for index, step in enumerate(draft.steps):
            is_kept = draft.kept[index]
            mark = "▸" if index == draft.cursor else " "
            box = "☑" if is_kept else "☐"
            lead = Text.assemble(
                (f"{mark} ", palette.accent), (f"{box} {index + 1}. ", palette.good if is_kept else palette.muted)
            )
            title = palette.strong if is_kept else palette.muted
            strips += wrap_text(Text(show_line(step.title, 400), title), width, first=lead, rest=Text(" " * 7))
            for words, style in _facts(step, palette):
                strips += wrap_text(Text(show_line(words, 600), style), width, first=Text(" " * 7))
            if draft.comments[index]:
                strips += wrap_text(Text(f"“{draft.comments[index]}”", palette.warn), width, first=Text(" " * 7))
        return strips

    def _redraw(self) -> None:
        view = self.query_one(LinesView)
        view._draw_all()

    def action_step(self, step: int) -> None:
        """To another step."""
        self.draft.cursor = max(0, min(len(self.draft.steps) - 1, self.draft.cursor + step))
        self._redraw()

    def action_move(self, step: int) -> None:
        """Take the step up or down."""
        self.draft.move(step)
        self._redraw()

    def action_drop(self) -> None:
        """Drop the step, or keep it after all."""
        self.draft.kept[self.draft.cursor] = not self.draft.kept[self.draft.cursor]
        self._redraw()

    def action_ask(self, what: str) -> None:
        """Type a wording, a comment or a reason."""
        line = self.query_one(Input)
        self._asking = what
        at = self.draft.cursor
        line.value = {"edit": self.draft.steps[at].title, "comment": self.draft.comments[at], "reject": ""}[what]
        line.placeholder = {
            "edit": "The step in your words",
            "comment": "What the agent should know",
            "reject": "Why not?",
        }[what]
        line.display = True
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        words, at = event.value.strip(), self.draft.cursor
        asked = self._asking
        self._stop_asking()
        if asked == "edit" and words:
            self.draft.steps[at] = self.draft.steps[at].model_copy(update={"title": words[:200]})
        elif asked == "comment":
            self.draft.comments[at] = words
        elif asked == "reject":
            self.dismiss(self.draft.decide("rejected", words))
            return
        self._redraw()

    def _stop_asking(self) -> None:
        self._asking = ""
        self.query_one(Input).display = False
        self.set_focus(None)

    def action_approve(self) -> None:
        """Approve what is left, unless it is too soon."""
        if self._clock() - self._since < GUARD_SECONDS:
            self.query_one("#plan-box").border_subtitle = "too soon: have a look first"
            return
        self.dismiss(self.draft.decide("approved", ""))

    def action_later(self) -> None:
        """Take the typing back, or leave the plan for later."""
        if self._asking:
            self._stop_asking()
        else:
            self.dismiss(self.draft.decide("later", ""))


def _facts(step: PlanStep, palette: Palette) -> list[tuple[str, Style]]:
    facts: list[tuple[str, Style]] = []
    if step.reads:
        facts.append((f"reads {', '.join(step.reads)}", palette.muted))
    facts.append(
        (f"writes {', '.join(step.writes)}", palette.warn) if step.writes else ("writes nothing", palette.muted)
    )
    if step.expected:
        facts.append((f"expects {step.expected}", palette.muted))
    if step.why:
        facts.append((step.why, palette.muted))
    return facts
