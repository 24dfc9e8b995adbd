"""A question of the agent, with its options and room for other words."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from datasteward_tui.safe_text import show_block, show_line


class QuestionScreen(ModalScreen[str | None]):
    """The answer is typed, by words or by an option's number; Esc declines."""

    DEFAULT_CSS = """
    QuestionScreen { align: center middle; }
    QuestionScreen Vertical { width: 80; max-width: 96%; height: auto; max-height: 90%; border: round $primary;
      background: $background; padding: 1 2; border-title-color: $primary; border-subtitle-color: $ink-muted; }
    QuestionScreen Input { margin-top: 1; background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "decline", "decline")]

    def __init__(self, question: str, options: tuple[str, ...]) -> None:
        super().__init__()
        self._question = question
        self._options = options

    def compose(self) -> ComposeResult:
        """Question, options, a line."""
        with Vertical() as box:
            box.border_title = "The agent asks"
            box.border_subtitle = "Enter answers · Esc declines"
            text = Text(show_block(self._question, 4000), "bold")
            for number, option in enumerate(self._options, 1):
                text.append(f"\n  {number}  {show_line(option, 400)}", "not bold")
            yield Static(text, markup=False)
            yield Input(compact=True, placeholder="a number or your own words" if self._options else "your answer")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take a number for its option, words as they are."""
        words = event.value.strip()
        if words.isdigit() and 1 <= int(words) <= len(self._options):
            self.dismiss(self._options[int(words) - 1])
        elif words:
            self.dismiss(words)

    def action_decline(self) -> None:
        """No answer."""
        self.dismiss(None)
