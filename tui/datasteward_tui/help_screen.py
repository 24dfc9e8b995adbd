"""Every key and command, over the app: those of the panes and the inbox are read from the widgets themselves."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from datasteward_tui.boxed_screen import BoxedScreen
from datasteward_tui.commands import Command
from datasteward_tui.lines_view import LinesView
from datasteward_tui.palette import Palette
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import blank, to_strip, wrap_text

KEY_CELLS = 16
TWO_COLUMNS = 128
COLUMN_GAP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpRow:
    """A key or command, and what it does."""

    key: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpSection:
    """Rows under a title."""

    title: str
    rows: tuple[HelpRow, ...]


def list_sections(commands: Sequence[Command], *, has_chat: bool, has_desk: bool) -> list[HelpSection]:
    """All keys that work here, and all commands that can be given."""
    found = [_section("Typing", TYPING), _section("Looking", LOOKING)]
    if has_chat:
        found.append(_section("Working with the model", CHAT))
    if has_desk:
        found.append(_desk_section())
    found += [_section("Commands", [(f"/{c.name} {c.argument}".strip(), c.about) for c in commands])]
    found += list(_pane_sections())
    return found


TYPING = (
    ("Enter", "send"),
    ("⇧Enter, ^J", "new line"),
    ("↑ ↓", "what you typed before; ^R searches it"),
    ("@", "name a table, file, column, result or run"),
    ("/", "commands"),
    ("!", "run what follows as SQL"),
    ("^G", "write in $EDITOR"),
    ("Esc", "stop what runs; close what is open"),
)
LOOKING = (
    ("PgUp PgDn", "scroll the conversation"),
    ("^T", "into the conversation and back; there:"),
    ("  ↑ ↓", "from block to block"),
    ("  Enter", "open what it names, again for the next"),
    ("  Space, y", "fold or unfold, copy"),
    ("^O", "fold or unfold calls"),
    ("F3, F4", "the pane, the catalog in it"),
    ("F5, F6", "the pane wide; between prompt and pane"),
    ("^P, F1, ^Q", "all commands, this help, leave"),
    ("mouse", "ids, words that name a table, folds, keys"),
)
CHAT = (
    ("⇧Tab", "mode: plan, ask, auto"),
    ("Enter", "while it works: queue a message"),
    ("F7", "the plan or question that waits"),
    ("Esc", "stop at once; what was queued comes back"),
)


def _section(title: str, rows: Iterable[tuple[str, str]]) -> HelpSection:
    return HelpSection(title=title, rows=tuple(HelpRow(key=key, words=words) for key, words in rows))


def _hint_rows(hints: Iterable[KeyHint]) -> list[tuple[str, str]]:
    return [(hint.key, hint.words) for hint in hints]


def _desk_section() -> HelpSection:
    from datasteward_tui.approval_panel import ApprovalPanel

    keys = [
        (_show_key(b.key), b.description)
        for b in ApprovalPanel.BINDINGS
        if isinstance(b, Binding) and b.show and b.description
    ]
    return _section("Approvals", [("F2", "to the inbox and back; it never takes the keys by itself"), *keys])


def _pane_sections() -> Iterator[HelpSection]:
    from datasteward_tui.catalog_tree import CatalogTree
    from datasteward_tui.lineage_view import LineageView
    from datasteward_tui.profile_view import ProfileView
    from datasteward_tui.result_grid import ResultGrid
    from datasteward_tui.run_monitor import RunMonitor

    move = [("↑ ↓ PgUp PgDn", "move")]
    yield _section("In a table", [("↑ ↓ ← → Home End", "move; g and G to the ends"), *_hint_rows(ResultGrid.HINTS)])
    yield _section("In the catalog", [*move, *_hint_rows(CatalogTree.HINTS)])
    yield _section("In a profile", [*move, *_hint_rows(ProfileView.HINTS)])
    yield _section("In lineage", [("↑ ↓ ← →", "from box to box"), *_hint_rows(LineageView.HINTS)])
    yield _section("In a run", [*move, *_hint_rows(RunMonitor.HINTS)])


def _show_key(key: str) -> str:
    names = {"left": "←", "right": "→", "escape": "Esc", "slash": "/"}
    return ", ".join(names.get(part, part) for part in key.split(","))


class HelpScreen(BoxedScreen[None]):
    """Closed by Esc, F1 or q."""

    DEFAULT_CSS = "HelpScreen LinesView { height: 1fr; }"
    TITLE_WORDS = "Help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,q", "leave", "close"),
        Binding("up", "scroll_lines(-1)", show=False),
        Binding("down", "scroll_lines(1)", show=False),
        Binding("pageup", "scroll_pages(-1)", show=False),
        Binding("pagedown,space", "scroll_pages(1)", show=False),
    ]
    HINTS = (
        KeyHint(key="↑ ↓ PgUp PgDn", words="scroll", action="scroll_pages(1)"),
        KeyHint(key="Esc", words="close", action="leave"),
    )

    def __init__(self, commands: Sequence[Command], *, has_chat: bool, has_desk: bool) -> None:
        super().__init__()
        self._sections = list_sections(commands, has_chat=has_chat, has_desk=has_desk)

    def content(self) -> Iterator[Widget]:
        """All sections, in two columns where there is room."""
        yield LinesView(self._draw)

    def _draw(self, width: int, palette: Palette) -> list[Strip]:
        if width < TWO_COLUMNS:
            return [line for section in self._sections for line in draw_section(section, width, palette)]
        half = (width - COLUMN_GAP) // 2
        drawn = [draw_section(section, half, palette) for section in self._sections]
        cut = _best_cut([len(lines) for lines in drawn])
        left = [line for lines in drawn[:cut] for line in lines]
        right = [line for lines in drawn[cut:] for line in lines]
        count = max(len(left), len(right))
        empty = blank()
        pairs = zip(left + [empty] * (count - len(left)), right + [empty] * (count - len(right)), strict=True)
        return [Strip.join([one.adjust_cell_length(half + COLUMN_GAP), other]) for one, other in pairs]

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll."""
        self.query_one(LinesView).scroll_relative(y=lines, animate=False, immediate=True)

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by what is in sight."""
        self.action_scroll_lines(pages * max(1, self.query_one(LinesView).size.height - 1))


def draw_section(section: HelpSection, width: int, palette: Palette) -> list[Strip]:
    """Title, rows with their words under each other, and an empty line."""
    lines = [to_strip(Text(section.title, palette.heading))]
    longest = max((cell_len(r.key) for r in section.rows), default=0)
    room = min(max(KEY_CELLS, longest) + 2, width // 2)
    for row in section.rows:
        first = Text(f"  {row.key}".ljust(room + 2), palette.accent)
        lines += wrap_text(Text(row.words, palette.muted), width, first=first, rest=Text(" " * (room + 2)))
    return [*lines, blank()]


def _best_cut(heights: Sequence[int]) -> int:
    """After how many sections the second column begins, so that the longer one is as short as can be."""
    return min(range(len(heights) + 1), key=lambda cut: max(sum(heights[:cut]), sum(heights[cut:])))
