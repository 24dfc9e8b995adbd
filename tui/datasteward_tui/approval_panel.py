"""The inbox above the prompt: what waits for a decision, shown with its rows; keys count only inside it, and not at once."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from datasteward_tui.change_lines import RISK_SIGNS, ChangeCase, draw_change, empty_lines, is_shown_whole
from datasteward_tui.change_words import APPROVED_WORDS, describe_age, summarise_effect
from datasteward_tui.decisions import (
    APPROVED_KEYS,
    CLOSING,
    DOING,
    ENTER_DOES,
    KEYS,
    OTHERS,
    PLACEHOLDERS,
    Asking,
    Decision,
    Verb,
)
from datasteward_tui.key_guard import TOO_FAST, TOO_SOON, KeyGuard
from datasteward_tui.key_line import KeyLine
from datasteward_tui.lines_view import LinesView
from datasteward_tui.queue_line import QueueLine
from datasteward_tui.safe_text import show_line

if TYPE_CHECKING:
    from datasteward.changes.confirming import TypedAnswer
    from datasteward.changes.store import ChangeRow, ChangeSummary

HOLD_SECONDS = 0.35
"""For so long `a` waits for another key: one that follows shows that words are typed, and nothing is approved."""
SHARE_ASIDE, SHARE_IN_HAND = 0.46, 0.66
"""Of the terminal's height, what the panel takes at most: while the prompt has the keys, and while it has them."""


class ApprovalPanel(Vertical, can_focus=True, can_focus_children=False):
    """One change at a time out of those that wait."""

    DEFAULT_CSS = """
    ApprovalPanel { display: none; height: 8; border: round $warning; background: $background; padding: 0 1;
      border-title-color: $warning; border-subtitle-color: $ink-muted; }
    ApprovalPanel.-high { border: round $error; border-title-color: $error; }
    ApprovalPanel:focus, ApprovalPanel.-asking { border: heavy $warning; border-subtitle-color: $warning; }
    ApprovalPanel.-high:focus, ApprovalPanel.-high.-asking { border: heavy $error; border-subtitle-color: $error; }
    ApprovalPanel LinesView { height: 1fr; background: $background; scrollbar-size: 1 1; scrollbar-color: $panel;
      scrollbar-background: $background; scrollbar-corner-color: $background; }
    ApprovalPanel Input { display: none; height: 1; border: none; background: $surface; padding: 0 1; }
    ApprovalPanel KeyLine { display: none; }
    ApprovalPanel:focus KeyLine, ApprovalPanel.-asking KeyLine { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide('approve')", "approve"),
        Binding("A", "decide('rule')", "approve by a rule"),
        Binding("e", "decide('edit')", "edit"),
        Binding("c", "ask('approve')", "approve with a comment"),
        Binding("r", "ask('reject')", "reject"),
        Binding("x", "ask('stop')", "stop the agent"),
        Binding("l", "decide('later')", "later"),
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
    _LETTERS: ClassVar[dict[str, str]] = {
        b.key: b.action for b in BINDINGS if isinstance(b, Binding) and len(b.key) == 1
    }
    _NEVER_DEAD = frozenset({"up", "down", "pageup", "pagedown", "escape"})

    class Decided(Message):
        """The person decided."""

        def __init__(self, decision: Decision) -> None:
            super().__init__()
            self.decision = decision

    class Wanted(Message):
        """The panel turns to another change and needs all of it."""

        def __init__(self, change: str) -> None:
            super().__init__()
            self.change = change

    class HistoryAsked(Message):
        """The changes of before are wanted."""

    class Left(Message):
        """The person is done with the panel for now."""

    class WholeAsked(Message):
        """The whole preview is wanted over the app."""

        def __init__(self, case: ChangeCase) -> None:
            super().__init__()
            self.case = case

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(id=id)
        self.guard = KeyGuard(clock)
        self.hold_seconds = HOLD_SECONDS
        self._held: Timer | None = None
        self._changes: Sequence[ChangeSummary] = ()
        self._risks: Mapping[str, str] = {}
        self._current: str | None = None
        self._case: ChangeCase | None = None
        self._shown_key: tuple[str, str, str] | None = None
        self._asking: Asking | None = None
        self._told = ""
        self._is_chosen = False
        self.needs_passphrase = False
        """Whether an approver's key was made, so that approving asks for its passphrase."""

    def compose(self) -> ComposeResult:
        """What else waits, the preview, a line for words, the keys."""
        yield QueueLine()
        yield LinesView(lambda width, palette: empty_lines("Nothing waits.", width, palette), id="change-lines")
        yield Input(id="change-comment", compact=True, select_on_focus=False)
        yield KeyLine(owner=self, id="change-keys")

    @property
    def row(self) -> "ChangeRow | None":
        """The change that is shown."""
        return self._case.row if self._case is not None else None

    @property
    def view(self) -> LinesView:
        """The preview."""
        return self.query_one("#change-lines", LinesView)

    @property
    def is_asking(self) -> bool:
        """Whether words are being typed for a decision."""
        return self._asking is not None

    @property
    def has_keys(self) -> bool:
        """Whether what is typed goes to the panel."""
        return self.has_focus or self.is_asking

    def mark_seen(self, case: ChangeCase) -> None:
        """All of this change was in sight elsewhere."""
        if self._case is case:
            self.view.seen_lines = self.view.line_count

    def note_typing(self) -> None:
        """Something was typed elsewhere: decision keys are off for a moment."""
        self.guard.restart()

    def turn_to(self, change: str) -> None:
        """Show this change as soon as it is in the list."""
        self._current, self._shown_key = change, None

    def follow(self, change: str) -> None:
        """Turn to what came of a decision, unless the person has gone to another change since."""
        if not self._is_chosen and not self.is_asking:
            self.turn_to(change)

    def show_list(self, changes: "Sequence[ChangeSummary]", risks: Mapping[str, str]) -> None:
        """These changes can be gone through; the current one stays if it is among them. Risk levels are by digest."""
        self._changes, self._risks = changes, risks
        handles = [c.handle for c in changes]
        if self._current not in handles:
            self._current = handles[0] if handles else None
        summary = self._summary()
        key = (summary.handle, summary.digest, summary.status) if summary else None
        if key != self._shown_key and summary is not None:
            self.post_message(self.Wanted(summary.handle))
        elif summary is None and self._shown_key is not None:
            self._case, self._shown_key = None, None
            self.view.set_source(lambda width, palette: empty_lines("Nothing waits.", width, palette))
        self.query_one(QueueLine).show(changes, risks, self._current)
        self._show_titles()
        self.fit()

    def show_change(self, case: ChangeCase) -> None:
        """Show a change; a new one turns decision keys off for a moment."""
        summary = case.row.summary
        if summary.handle != self._current:
            return
        self._case = case
        self._drop_held()
        self._shown_key = (summary.handle, summary.digest, summary.status)
        self.guard.restart()
        self._stop_asking()
        if self._told == _reading(summary.handle):
            self._told = ""
        self.set_class(case.row.proposal.preview.risk.level == "high", "-high")
        self.view.set_source(lambda width, palette: draw_change(case, width, palette))
        self._show_titles()
        self.fit()

    def tell(self, words: str) -> None:
        """Say something at the foot."""
        self._told = words
        self._show_titles()

    def fit(self) -> None:
        """As high as the content, within the share of the terminal that is the panel's."""
        extra = (
            2 + (len(self._changes) > 1) + (self.query_one("#change-keys", KeyLine).size.height or 1) * self.has_keys
        )
        share = SHARE_IN_HAND if self.has_keys else SHARE_ASIDE
        most = max(8, int(self.app.size.height * share))
        self.styles.height = max(6, min(most, self.view.line_count + extra + (self._asking is not None)))

    def on_resize(self, event: events.Resize) -> None:
        """Other widths take other heights."""
        self.call_after_refresh(self.fit)

    def _summary(self) -> "ChangeSummary | None":
        return next((c for c in self._changes if c.handle == self._current), None)

    def _show_titles(self) -> None:
        summary = self._summary()
        if summary is None:
            self.border_title = "Approvals"
        else:
            place = next(i for i, c in enumerate(self._changes) if c.handle == summary.handle) + 1
            facts = [f"⚑ {summary.handle}", f"{place} of {len(self._changes)}"]
            if self._case is not None and self._case.row.summary.handle == summary.handle:
                level = self._case.row.proposal.preview.risk.level
                facts.append(f"{RISK_SIGNS[level]} {level} risk")
            if summary.undo_of:
                facts.append(f"undo of c{summary.undo_of}")
            facts.append(f"{describe_age(summary.created_at)} ago")
            if summary.status == "approved":
                facts.insert(1, APPROVED_WORDS)
            self.border_title = _plain(" · ".join(facts))
        self.border_subtitle = "" if self.has_keys else "F2 to decide · the prompt keeps the keys"
        others = (OTHERS,) if len(self._changes) > 1 else ()
        own = () if summary is None else APPROVED_KEYS if summary.status == "approved" else KEYS
        self.query_one("#change-keys", KeyLine).show((*own, *others, *CLOSING), self._told)

    def on_focus(self) -> None:
        """The keys are here now; not at once for decisions."""
        self.guard.restart()
        if self._asking is None:
            self._told = ""
        self._show_titles()
        self.call_after_refresh(self.fit)

    def on_blur(self) -> None:
        """The keys are elsewhere."""
        self._drop_held()
        self._show_titles()
        self.call_after_refresh(self.fit)

    def _refusal(self, verb: Verb) -> str | None:
        row = self.row
        summary = self._summary()
        if self._current is None:
            return "nothing to decide here"
        if row is None or summary is None or summary.digest != row.summary.digest:
            return _reading(self._current)
        if not self.has_keys:
            return "press F2 first"
        if summary.status == "approved":
            return None if verb == "approve" else f"{summary.handle} is approved already: a applies it"
        if verb in {"approve", "rule"} and not is_shown_whole(row.proposal):
            return "too long to be shown whole, so not approved here: reject it"
        if verb in {"approve", "rule"} and not self.view.is_seen_to_end:
            return "look to the end first: ↓ or p"
        return None

    def action_decide(self, verb: Verb) -> None:
        """Decide on what is shown, unless it is too soon; what only opens an editor is never too soon."""
        if self.is_asking:
            return
        refusal = self._refusal(verb)
        if refusal is None and verb != "edit" and self.guard.is_on:
            self.guard.refuse()
            refusal = TOO_SOON
        if refusal is not None:
            self.tell(refusal)
        elif verb == "approve" and not self._asks_before_approving():
            self._hold()
        else:
            self._send(Asking(verb=verb))

    def _asks_before_approving(self) -> bool:
        summary = self._summary()
        is_approved = summary is not None and summary.status == "approved"
        return not is_approved and (self.needs_passphrase or self._answer_to_type() is not None)

    def _hold(self) -> None:
        """Approve what is shown when no other key follows at once."""
        self._drop_held()
        self._held = self.set_timer(self.hold_seconds, partial(self._release, self._shown_key))
        self.tell(DOING["approve"])

    def _release(self, shown: tuple[str, str, str] | None) -> None:
        self._held = None
        refusal = self._refusal("approve")
        if refusal is not None or self.is_asking or shown != self._shown_key:
            self.tell(refusal or "")
            return
        self._send(Asking(verb="approve"))

    def _drop_held(self) -> bool:
        """Approve nothing; whether something would have been."""
        held, self._held = self._held, None
        if held is not None:
            held.stop()
            self.tell("")
        return held is not None

    async def on_key(self, event: events.Key) -> None:
        """Letters act here and in their order, so that none of a burst acts on what one before it has opened."""
        if self.is_asking:
            if event.is_printable and event.character is not None:
                event.stop()
                self.query_one("#change-comment", Input).insert_text_at_cursor(event.character)
            return
        action = self._LETTERS.get(event.key)
        was_shut, was_held = self.guard.is_shut, self._drop_held()
        self.guard.note_key(is_stray=event.is_printable and action is None and event.key != "space")
        if was_shut or was_held:
            self.guard.refuse()
            if event.key not in self._NEVER_DEAD and (event.is_printable or event.key in {"left", "right"}):
                event.stop()
                self.tell(TOO_FAST)
        elif action is not None:
            event.stop()
            await self.run_action(action)

    def _send(self, asked: Asking, passphrase: str | None = None) -> None:
        summary = self._summary()
        assert summary is not None
        verb: Verb = "apply" if summary.status == "approved" else asked.verb
        if verb == "approve" and not asked.has_rows and self._answer_to_type() is not None:
            self._ask(replace(asked, wants="rows"))
            return
        if verb == "approve" and self.needs_passphrase and passphrase is None:
            self._ask(replace(asked, wants="passphrase"))
            return
        self.tell(DOING.get(verb, ""))
        self.guard.restart()
        self._is_chosen = False
        self.post_message(
            self.Decided(
                Decision(
                    verb=verb,
                    change=summary.handle,
                    digest=summary.digest,
                    comment=asked.comment,
                    passphrase=passphrase,
                )
            )
        )

    def action_ask(self, verb: Verb) -> None:
        """Ask for a reason or a comment before deciding."""
        if self.is_asking:
            return
        summary = self._summary()
        is_approved = summary is not None and summary.status == "approved"
        refusal = self._refusal("reject" if is_approved else verb)
        if refusal is not None:
            self.tell(refusal)
            return
        self._ask(Asking(verb=verb))

    def _ask(self, asked: Asking) -> None:
        self._asking = asked
        self._drop_held()
        self.guard.restart()
        self.add_class("-asking")
        self.can_focus_children = True
        line = self.query_one("#change-comment", Input)
        line.password = asked.wants == "passphrase"
        line.placeholder = self._placeholder(asked)
        line.value = ""
        line.display = True
        line.focus()
        reason = ""
        if asked.wants == "rows":
            reason = "large or final: "
            self.view.scroll_home(animate=False, immediate=True)
        self.tell(f"{reason}Enter {ENTER_DOES[asked.verb]} · Esc does not")
        self.fit()

    def _placeholder(self, asked: Asking) -> str:
        match asked.wants:
            case "rows" if (expected := self._answer_to_type()) is not None:
                return expected.short
            case "passphrase":
                return "The approver's passphrase."
            case _:
                return PLACEHOLDERS[asked.verb]

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing goes on: an approval that Enter would give waits for a pause."""
        event.stop()
        self.guard.note_key()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The words are given: decide."""
        event.stop()
        asked, words = self._asking, event.value if event.input.password else event.value.strip()
        if asked is None or (asked.wants == "rows" and not self._is_right_answer(words)):
            return
        if asked.verb == "approve" and asked.wants == "comment" and self.guard.is_on:
            self.guard.restart()
            self.tell("too fast to approve: stop for a moment, then Enter does · Esc does not")
            return
        refusal = self._refusal(asked.verb)
        self._stop_asking()
        self.focus()
        if refusal is not None:
            self.tell(refusal)
            return
        match asked.wants:
            case "rows":
                self._send(replace(asked, has_rows=True))
            case "passphrase":
                self._send(asked, words)
            case "comment":
                self._send(replace(asked, comment=words))

    def _answer_to_type(self) -> "TypedAnswer | None":
        from datasteward.changes.confirming import answer_to_type

        return None if self.row is None else answer_to_type(self.row.summary.handle, self.row.proposal.preview)

    def _is_right_answer(self, words: str) -> bool:
        """Whether what was asked for was typed; when not, the line stays, and what stands there is told."""
        expected = self._answer_to_type()
        if expected is not None and expected.accepts(words):
            return True
        if words and self.row is not None:
            self.query_one("#change-comment", Input).value = ""
            where = self._place_of_answer(self.row, expected)
            self.tell(f"'{show_line(words, 20)}' is not it: {where} · Esc leaves it undecided")
        return False

    @staticmethod
    def _place_of_answer(row: "ChangeRow", expected: "TypedAnswer | None") -> str:
        """Where the person can read what is asked for; never what it is."""
        if expected is not None and expected.answer == row.summary.handle:
            return "it stands in the title above"
        numbers = re.findall(r"\d+", summarise_effect(row.proposal.preview).replace(",", ""))
        is_first = expected is not None and expected.answer in numbers
        return "it stands in the first line above" if is_first else "it stands beside the table below the SQL"

    def _stop_asking(self) -> None:
        if self._asking is None:
            return
        self._asking = None
        line = self.query_one("#change-comment", Input)
        had_focus, line.value, line.display = line.has_focus, "", False
        self.remove_class("-asking")
        self.can_focus_children = False
        self._told = ""
        if had_focus:
            self.focus()

    def action_history(self) -> None:
        """The changes of before."""
        self.post_message(self.HistoryAsked())

    def action_step(self, step: int) -> None:
        """The next older or newer change."""
        handles = [c.handle for c in self._changes]
        if self._current in handles and len(handles) > 1:
            self._told, self._is_chosen = "", True
            self.turn_to(handles[(handles.index(self._current) + step) % len(handles)])
            self.show_list(self._changes, self._risks)

    def on_queue_line_chosen(self, message: QueueLine.Chosen) -> None:
        """Another change was clicked."""
        message.stop()
        self._is_chosen = True
        self.turn_to(message.change)
        self.show_list(self._changes, self._risks)

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll the preview."""
        self.view.scroll_relative(y=lines, animate=False, immediate=True)
        if not self.is_asking:
            self.tell("")

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll the preview by what is in sight."""
        self.action_scroll_lines(pages * max(1, self.view.size.height - 1))

    def action_whole(self) -> None:
        """The whole preview over the app."""
        if self._case is not None:
            self.post_message(self.WholeAsked(self._case))

    def action_leave(self) -> None:
        """Take the words back, or give the keys back."""
        if self._asking is not None:
            self._stop_asking()
            self._show_titles()
            self.fit()
            return
        self.post_message(self.Left())


def _reading(change: str) -> str:
    return f"{change} is being read: press the key again"


def _plain(words: str) -> str:
    """Words for a border, which reads markup: brackets are taken literally."""
    return show_line(words, 300).replace("\\", "\\\\").replace("[", "\\[")
