"""A question of the agent, with its options and room for other words."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import show_block, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, wrap_text


class QuestionScreen(BoxedScreen[str | None]):
    """The answer is typed, by words or by an option's number; Esc declines."""

    DEFAULT_CSS = """
    QuestionScreen > Vertical { max-width: 80; height: auto; max-height: 90%; }
    QuestionScreen LinesView { height: auto; max-height: 70vh; }
    QuestionScreen Input { margin-top: 1; }
    """
    AUTO_FOCUS = "Input"
    TITLE_WORDS: ClassVar[str] = "The agent asks"
    HINTS = (
        KeyHint(key="Enter", words="answers", action="answer"),
        KeyHint(key="Esc", words="declines", action="leave"),
    )

    def __init__(self, question: str, options: tuple[str, ...]) -> None:
        super().__init__()
        self._question = question
        self._options = options

    def content(self) -> Iterator[Widget]:
        """Question, options, a line."""
        yield LinesView(self._draw)
        yield Input(compact=True, placeholder="a number or your own words" if self._options else "your answer")

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        strips = wrap_text(Text(show_block(self._question, 4000), palette.strong), width)
        if self._options:
            strips.append(blank())
        for number, option in enumerate(self._options, 1):
            lead = Text(f"  {number}  ", palette.accent)
            strips += wrap_text(Text(show_line(option, 400), palette.text), width, first=lead, rest=Text("     "))
        return strips

    def on_input_submitted(self) -> None:
        """Enter answers."""
        self.action_answer()

    def action_answer(self) -> None:
        """Take a number for its option, words as they are."""
        words = self.query_one(Input).value.strip()
        if words.isdigit() and 1 <= int(words) <= len(self._options):
            self.dismiss(self._options[int(words) - 1])
        elif words:
            self.dismiss(words)
