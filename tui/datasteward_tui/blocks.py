"""What a transcript is made of: each block draws itself as lines and says when it has changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import show_block, show_line
from datasteward_tui.strips import blank, indent, to_strip, wrap_text

KEY_CELLS = 20
NoticeLevel = Literal["info", "good", "warning", "error"]


class Block:
    """One part of a transcript. `version` changes with its content, `opens` is what Enter or a click opens."""

    opens: str | None = None
    is_foldable = False

    def __init__(self) -> None:
        self.version = 0

    def touch(self) -> None:
        """The content changed."""
        self.version += 1

    def fold(self) -> bool:
        """Fold or unfold; whether anything changed."""
        return False

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        """The lines in at most `width` cells."""
        raise NotImplementedError

    def source(self) -> str:
        """The content as text, for copying."""
        raise NotImplementedError

    def estimate(self, width: int) -> int:
        """About how many lines it takes, without drawing."""
        text = self.source()
        return 2 + text.count("\n") + len(text) // max(20, width)


class PersonBlock(Block):
    """What the person said."""

    def __init__(self, words: str, *, is_queued: bool = False, sent: str | None = None) -> None:
        super().__init__()
        self.words = words
        self.sent = words if sent is None else sent
        """What the model is told, when that is not what is shown."""
        self.is_queued = is_queued

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        lead = Text("❯ ", palette.accent)
        text = Text(show_block(self.words), palette.muted if self.is_queued else palette.strong)
        if self.is_queued:
            text.append("  queued", palette.warn)
        return [*wrap_text(text, width, first=lead, rest=Text("  ")), blank()]

    def source(self) -> str:
        return self.words


class NoticeBlock(Block):
    """A word from the app: a state, a fault with its next step."""

    _SIGNS: ClassVar[Mapping[NoticeLevel, str]] = {"info": "·", "good": "✓", "warning": "!", "error": "✗"}

    def __init__(
        self, words: str, level: NoticeLevel = "info", hint: str | None = None, *, opens: str | None = None
    ) -> None:
        super().__init__()
        self.words = words
        self.opens = opens
        self.level: NoticeLevel = level
        self.hint = hint

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        styles = {"info": palette.muted, "good": palette.good, "warning": palette.warn, "error": palette.bad}
        style = styles[self.level]
        lead = Text(f"{self._SIGNS[self.level]} ", style)
        body = palette.text if self.level in {"error", "warning"} else palette.muted
        told = Text(show_block(self.words), body)
        if self.opens:
            link = palette.link + Style(meta={"open": self.opens})
            told.highlight_regex(rf"\b{re.escape(self.opens)}\b", link)
        strips = wrap_text(told, width, first=lead, rest=Text("  "))
        if self.hint:
            strips += wrap_text(Text(show_block(self.hint), palette.muted), width, first=Text("  "))
        return [*strips, blank()]

    def source(self) -> str:
        return f"{self.words}\n{self.hint}" if self.hint else self.words


class DrawingBlock(Block):
    """Lines under a title, such as a plan; long ones go on below, indented."""

    def __init__(self, title: str, body: str, *, opens: str | None = None) -> None:
        super().__init__()
        self.title = title
        self.body = body
        self.opens = opens

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        strips = [to_strip(Text(show_line(self.title), palette.strong))] if self.title else []
        for line in show_block(self.body).split("\n"):
            strips += wrap_text(Text(line, palette.text), width, first=Text(""), rest=Text("   "))
        return [*strips, blank()]

    def source(self) -> str:
        return f"{self.title}\n{self.body}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeFacts:
    """What the first lines say: the folder, who answers, what is in the folder, and a name to try things on."""

    folder: str
    model: str | None
    datasets: str = ""
    example: str = ""


class WelcomeBlock(Block):
    """The first thing on the screen."""

    def __init__(self, facts: WelcomeFacts) -> None:
        super().__init__()
        self.facts = facts

    def tell(self, datasets: str, example: str) -> None:
        """What is in the folder is known now."""
        self.facts = replace(self.facts, datasets=datasets, example=example)
        self.touch()

    def draw(self, width: int, palette: Palette) -> list[Strip]:
        facts = self.facts
        lead = Text.assemble(("▞▚ ", palette.accent), ("Datasteward", palette.heading), "  ")
        strips = wrap_text(Text(show_line(facts.folder), palette.muted), width, first=lead, rest=Text("   "))
        if facts.datasets:
            strips += wrap_text(Text(facts.datasets, palette.text), width, first=Text("   "))
        strips.append(blank())
        for key, words in self._rows():
            first = Text(f"   {key:<{KEY_CELLS}}", palette.accent)
            strips += wrap_text(Text(words, palette.muted), width, first=first, rest=Text(" " * (KEY_CELLS + 3)))
        if facts.model is None:
            words = (
                "No model is set up: set ANTHROPIC_API_KEY for answers, or see steward demo. All else works without."
            )
            strips += [blank(), *wrap_text(Text(words, palette.muted), width, first=Text("   "))]
        return [*strips, blank()]

    def _rows(self) -> Sequence[tuple[str, str]]:
        facts = self.facts
        rows = [("SELECT …", "run SQL, no model needed; ! before it makes sure")]
        if facts.model:
            rows.insert(0, ("ask", f"in your own words; {show_line(facts.model)} answers with receipts"))
        if facts.example:
            rows.append((f"/profile {show_line(facts.example, 24)}", "what it holds, and what is wrong with it"))
        return [*rows, ("@", "name a table, file, column, result or run"), ("/", "commands; F1 shows every key")]

    def source(self) -> str:
        return "Datasteward"


def draw_bar(strips: Sequence[Strip], palette: Palette) -> list[Strip]:
    """The strips behind a thin bar, as something that belongs to the line above."""
    return indent(strips, "  ▏ ", palette.bar)
