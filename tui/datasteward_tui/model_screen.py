"""Another model or effort for the next messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.lines_view import LinesView
from datasteward_tui.marked_list import MarkedList
from datasteward_tui.palette import Palette
from datasteward_tui.ports import ModelOffer
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import to_strip

if TYPE_CHECKING:
    from datasteward_agent.models.port import Effort

EFFORTS: "tuple[Effort | None, ...]" = (None, "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The model and its effort, None for the model's own."""

    model: str
    effort: "Effort | None"


class ModelScreen(BoxedScreen[ModelChoice | None]):
    """Offers models, and takes any other name that is typed."""

    DEFAULT_CSS = """
    ModelScreen > Vertical { max-width: 100; height: auto; }
    ModelScreen Input { margin-bottom: 1; }
    ModelScreen MarkedList { height: 6; }
    ModelScreen LinesView { height: 1; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("tab", "effort", "effort", priority=True),
    ]
    AUTO_FOCUS = "Input"
    TITLE_WORDS = "Model and effort from the next message on"
    HINTS = (
        KeyHint(key="Enter", words="take it", action="take"),
        KeyHint(key="↑↓", words="model", action="move(1)"),
        KeyHint(key="Tab", words="effort", action="effort"),
        KeyHint(key="Esc", words="leave it as it is", action="leave"),
    )

    def __init__(self, offers: Sequence[ModelOffer], now: ModelChoice) -> None:
        super().__init__()
        self._offers = [*offers]
        if all(o.name != now.model for o in offers):
            self._offers.insert(0, ModelOffer(name=now.model, about="now"))
        self._now = now
        self._effort = now.effort
        self._list: MarkedList[ModelOffer] = MarkedList(_draw_offer)

    def content(self) -> Iterator[Widget]:
        """A line for any name, the offers, the effort."""
        yield Input(compact=True, placeholder="choose below, or type any model's name")
        yield self._list
        yield LinesView(self._draw_effort)

    def on_mount(self) -> None:
        """The present model is marked."""
        names = [o.name for o in self._offers]
        self._list.show(self._offers, names.index(self._now.model))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the offers, or offer what was typed."""
        typed = event.value.strip()
        found = [o for o in self._offers if typed.lower() in o.name.lower()]
        self._list.show(found or [ModelOffer(name=typed, about="as typed")])

    def _draw_effort(self, width: int, palette: Palette) -> list[Strip]:
        text = Text("effort  ", palette.muted)
        for effort in EFFORTS:
            is_chosen = effort == self._effort
            text.append(
                f"{'●' if is_chosen else '○'} {effort or 'its own'}  ", palette.accent if is_chosen else palette.muted
            )
        return [to_strip(text)]

    def action_effort(self) -> None:
        """The next effort, around the end."""
        self._effort = EFFORTS[(EFFORTS.index(self._effort) + 1) % len(EFFORTS)]
        self.query_one(LinesView).redraw()

    def action_move(self, step: int) -> None:
        """Another model."""
        self._list.move(step)

    def on_marked_list_chosen(self) -> None:
        """A click on the marked one takes it."""
        self.action_take()

    def on_input_submitted(self) -> None:
        """Take it."""
        self.action_take()

    def action_take(self) -> None:
        """Give the marked model and the effort."""
        offer = self._list.marked
        if offer is not None and offer.name:
            self.dismiss(ModelChoice(model=offer.name, effort=self._effort))


def _draw_offer(offer: ModelOffer, width: int, palette: Palette) -> Text:
    name = fit_cells(show_line(offer.name, 100), 28)
    return Text.assemble((f"{name:<30}", palette.strong), (show_line(offer.about, 200), palette.muted))
