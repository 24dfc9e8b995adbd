"""The policy's rules in their order, and what was recently blocked by them, by people or by the gate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.boxed_screen import ScrolledScreen
from datasteward_tui.fact_lines import draw_fact
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.rule_words import describe_rule
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, to_strip, wrap_text

if TYPE_CHECKING:
    from datasteward.changes.policy import PolicyRule, PolicySettings

LABEL_CELLS = 10
UNSIGNED = (
    "! The policy is not signed by the approver: allow rules do not count, and what they name is asked about,"
    " until `steward policy sign`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Something that was not let through: when (ISO 8601, UTC), what, whose, and why."""

    at: str
    what: str
    who: str
    why: str


class RulesScreen(ScrolledScreen[Literal["edit"] | None]):
    """Scrolls; gives "edit" when the person wants to change `steward.toml`."""

    DEFAULT_CSS = """
    RulesScreen > Vertical { max-width: 120; height: auto; max-height: 92%; }
    RulesScreen LinesView { height: auto; max-height: 80vh; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "edit steward.toml"),
    ]
    TITLE_WORDS = "Rules"
    HINTS = (
        KeyHint(key="e", words="edit steward.toml in $EDITOR", action="edit"),
        KeyHint(key="↑↓ PgUp PgDn", words="scroll", action="scroll_pages(1)"),
        KeyHint(key="Esc", words="close", action="leave"),
    )

    def __init__(self, policy: "PolicySettings", blocked: Sequence[Blocked], *, allow_counts: bool) -> None:
        super().__init__()
        self._allow_counts = allow_counts
        self._policy = policy
        self._blocked = blocked

    def content(self) -> Iterator[Widget]:
        """Rules, then what was blocked."""
        yield LinesView(self._draw)

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        strips: list[Strip] = []
        if not self._allow_counts and any(r.verdict == "allow" for r in self._policy.rules):
            strips += [*wrap_text(Text(UNSIGNED, palette.warn), width), blank()]
        for number, rule in enumerate(self._policy.rules, 1):
            strips += [*_draw_rule(number, rule, width, palette), blank()]
        default = "is asked about" if self._policy.default == "ask" else "is denied"
        words = (
            f"What no rule settles {default}." if self._policy.rules else f"There are no rules: every change {default}."
        )
        strips += [*wrap_text(Text(words, palette.text), width), blank()]
        strips += wrap_text(Text("Recently blocked", palette.heading), width)
        if not self._blocked:
            strips += wrap_text(Text("Nothing.", palette.muted), width)
        return [*strips, *(_draw_blocked(b, width, palette) for b in self._blocked)]

    def action_edit(self) -> None:
        """Leave for the editor."""
        self.dismiss("edit")


def _draw_rule(number: int, rule: "PolicyRule", width: int, palette: Palette) -> Iterator[Strip]:
    sign, style = {"allow": ("✓", palette.good), "ask": ("?", palette.warn), "deny": ("✗", palette.bad)}[rule.verdict]
    lead = Text.assemble((f"{number:>2} ", palette.muted), (f"{sign} {rule.verdict:<6}", style))
    yield from wrap_text(Text(show_line(rule.name, 300), palette.strong), width, first=lead, rest=Text(" " * 11))
    for label, words in describe_rule(rule):
        yield from draw_fact(f"{label:<{LABEL_CELLS}}", words, width, palette, indent=11)


def _draw_blocked(blocked: Blocked, width: int, palette: Palette) -> Strip:
    text = Text.assemble((f"{blocked.at[5:16].replace('T', ' ')}  ", palette.muted), ("✗ ", palette.bad))
    text.append(f"{fit_cells(show_line(blocked.what, 200), 24):<25} ", palette.strong)
    text.append(f"{fit_cells(show_line(blocked.who, 200), 22):<23} ", palette.text)
    text.append(fit_cells(show_line(blocked.why, 400), max(0, width - text.cell_len)), palette.muted)
    return to_strip(text)
