"""The rule that a yes would write into `steward.toml`, in full, before it is written."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from datasteward.errors import ConfigError
from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.fact_lines import draw_fact
from datasteward_tui.key_guard import TOO_SOON, KeyGuard
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.rule_words import describe_rule, read_rule
from datasteward_tui.safe_text import show_lines
from datasteward_tui.sql_edit_screen import SqlEditScreen
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, wrap_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAnswer:
    """The rule as the person left it, and the approver's passphrase when there is a key."""

    text: str
    passphrase: str | None


class RuleScreen(BoxedScreen[RuleAnswer | None]):
    """Shows the rule in words and as the text that is written; `a` writes it and approves the change."""

    DEFAULT_CSS = """
    RuleScreen > Vertical { height: auto; max-height: 92%; max-width: 100; border: round $warning;
      border-title-color: $warning; }
    RuleScreen LinesView { height: auto; max-height: 60vh; }
    RuleScreen Input { display: none; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "accept", "write it"), Binding("e", "edit", "edit it")]
    HINTS = (
        KeyHint(key="a", words="write the rule and approve this change", action="accept"),
        KeyHint(key="e", words="edit the rule", action="edit"),
        KeyHint(key="Esc", words="neither", action="leave"),
    )

    def __init__(
        self, change: str, rule: str, *, needs_passphrase: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._change, self._rule = change, rule
        self._needs_passphrase = needs_passphrase
        self.guard = KeyGuard(clock)

    def content(self) -> Iterator[Widget]:
        """The rule, and a line for the passphrase."""
        yield LinesView(self._draw)
        yield Input(compact=True, password=True, placeholder="The approver's passphrase; it signs the policy too.")

    def on_mount(self) -> None:
        """Decisions count after a moment."""
        self.guard.restart()
        self.entitle(f"Approve {self._change} and all like it")

    def on_key(self, event: events.Key) -> None:
        """Keys that come fast keep the guard on, and so do letters that mean nothing here."""
        is_letter = event.is_printable and event.key not in {"space", "slash"}
        self.guard.note_key(is_stray=is_letter and event.key not in self._bindings.key_to_bindings)

    def hints(self) -> Sequence[KeyHint]:
        """What is no rule cannot be written."""
        return self.HINTS if self._is_rule() else self.HINTS[1:]

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        try:
            rule = read_rule(self._rule)
        except ConfigError as error:
            return self._draw_faults(error, width, palette)
        says = {
            "allow": "From now on, without asking:",
            "ask": "From now on, always ask:",
            "deny": "From now on, never:",
        }
        strips = [*wrap_text(Text(says[rule.verdict], palette.heading), width), blank()]
        for label, words in describe_rule(rule):
            strips += draw_fact(f"{label:<10}", words, width, palette, indent=2, style=palette.strong)
        strips += [blank(), *wrap_text(Text("Written at the end of steward.toml:", palette.muted), width)]
        return [*strips, *self._draw_text(width, palette)]

    def _draw_faults(self, error: ConfigError, width: int, palette: Palette) -> list[Strip]:
        strips = wrap_text(Text("This is not one rule, so nothing is written:", palette.bad), width)
        for line in show_lines(error.message):
            strips += wrap_text(Text(line, palette.text), width, first=Text("· ", palette.bad), rest=Text("  "))
        return [*strips, blank(), *self._draw_text(width, palette)]

    def _draw_text(self, width: int, palette: Palette) -> Iterator[Strip]:
        for line in show_lines(self._rule.strip()):
            yield from wrap_text(Text(line, palette.code), width, first=Text("▏ ", palette.bar))

    def action_accept(self) -> None:
        """Take the rule, after the passphrase if there is a key."""
        if self.guard.is_on:
            self.guard.refuse()
            self.tell(TOO_SOON)
        elif not self._is_rule():
            self.tell("mend the rule first: e edits it")
        elif self._needs_passphrase:
            line = self.query_one(Input)
            line.display = True
            line.focus()
            self.tell("Enter writes the rule and approves · Esc does neither")
        else:
            self.dismiss(RuleAnswer(text=self._rule, passphrase=None))

    def _is_rule(self) -> bool:
        try:
            read_rule(self._rule)
        except ConfigError:
            return False
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The passphrase is there."""
        event.stop()
        self.dismiss(RuleAnswer(text=self._rule, passphrase=event.value))

    def action_edit(self) -> None:
        """Change the rule by hand."""

        def take(text: str | None) -> None:
            if text is not None:
                self._rule = f"{text}\n"
                self.guard.restart()
                self.query_one(LinesView).set_source(self._draw)
                self.tell("")

        self.app.push_screen(SqlEditScreen("The rule", self._rule, "take the rule"), take)
