"""What the conversations cost: tokens, how many came from the cache, and estimated money, by session and by model."""

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from datasteward_agent.costs import ModelCost, SessionCost, add_up
from datasteward_tui.boxed_screen import ScrolledScreen
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.safe_text import fit_cells, show_line
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, to_strip, wrap_text

COLUMNS = (("in", 11), ("cached", 8), ("out", 10), ("money", 10))
FIGURE_CELLS = sum(width for _, width in COLUMNS)


class CostScreen(ScrolledScreen[None]):
    """Scrolls; this session first, then the models, then the sessions before."""

    DEFAULT_CSS = """
    CostScreen > Vertical { max-width: 110; height: auto; max-height: 92%; }
    CostScreen LinesView { height: auto; max-height: 80vh; }
    """
    TITLE_WORDS = "Cost"
    HINTS = (
        KeyHint(key="↑↓ PgUp PgDn", words="scroll", action="scroll_pages(1)"),
        KeyHint(key="Esc", words="close", action="leave"),
    )

    def __init__(self, costs: Sequence[SessionCost], session_id: str | None) -> None:
        super().__init__()
        self._costs = costs
        self._session_id = session_id

    def content(self) -> Iterator[Widget]:
        """The tables."""
        yield LinesView(self._draw)

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        counted = [c for c in self._costs if c.models]
        if not counted:
            return wrap_text(Text("Nothing was asked of a model here yet.", palette.muted), width)
        strips: list[Strip] = []
        here = next((c for c in counted if c.session_id == self._session_id), None)
        if here is not None:
            strips += _draw_table("This session", [(m.model, m) for m in here.models], width, palette)
        by_model: dict[str, ModelCost] = {}
        for part in (m for c in counted for m in c.models):
            by_model.setdefault(part.model, ModelCost(model=part.model)).add(part)
        strips += _draw_table("By model", list(by_model.items()), width, palette, has_total=len(by_model) > 1)
        rows = [(c.title or c.session_id, c.total) for c in counted]
        strips += _draw_table(f"By session, the latest {len(rows)}", rows, width, palette, has_total=len(rows) > 1)
        note = "Money is estimated from list prices; – where a model's price is not known."
        return [*strips, *wrap_text(Text(note, palette.muted), width)]


def _draw_table(
    title: str, rows: Sequence[tuple[str, ModelCost]], width: int, palette: Palette, *, has_total: bool = False
) -> list[Strip]:
    room = max(12, width - FIGURE_CELLS)
    head = Text(fit_cells(title, room).ljust(room), palette.heading)
    for name, cells in COLUMNS:
        head.append(name.rjust(cells), palette.muted)
    strips = [to_strip(head)]
    strips += [_draw_row(name, cost, room, palette, palette.text) for name, cost in rows]
    if has_total:
        strips.append(_draw_row("all", add_up(c for _, c in rows), room, palette, palette.strong))
    return [*strips, blank()]


def _draw_row(name: str, cost: ModelCost, room: int, palette: Palette, style: Style) -> Strip:
    usage = cost.usage
    share = usage.cache_read_tokens / usage.prompt_tokens if usage.prompt_tokens else 0.0
    money = "–" if cost.usd is None else f"~${cost.usd:,.4f}"
    text = Text(fit_cells(show_line(name, 200), room - 1).ljust(room), style)
    figures = (f"{usage.prompt_tokens:,}", f"{share:.0%}", f"{usage.output_tokens:,}", money)
    for (heading, cells), figure in zip(COLUMNS, figures, strict=True):
        text.append(figure.rjust(cells), palette.number if heading == "money" else palette.text)
    return to_strip(text)
