"""The conversation as one widget that draws only the lines in sight, however long it has become."""

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from datasteward_tui.block_stack import BlockStack
from datasteward_tui.blocks import Block
from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette

_WORD = re.compile(r"[\w./-]+")
PAINT_SECONDS = 0.05
"""Growing blocks are drawn anew at most this often."""


class Transcript(ScrollView, can_focus=True):
    """Blocks one below the other; stays at the end unless the person has scrolled up."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "block above"),
        Binding("down", "move(1)", "block below"),
        Binding("enter", "open", "open"),
        Binding("space", "fold", "fold"),
        Binding("y", "copy", "copy block"),
    ]

    class Opened(Message):
        """The person wants to see what a handle names."""

        def __init__(self, handle: str) -> None:
            super().__init__()
            self.handle = handle

    class Pointed(Message):
        """A word was clicked."""

        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

    class Copied(Message):
        """Text was asked for."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._blocks: list[Block] = []
        self._stack = BlockStack()
        self._drawn: dict[int, tuple[int, list[Strip]]] = {}
        self._width = 0
        self._palette: Palette | None = None
        self._cursor: int | None = None
        self._follows = True
        self._stale: set[int] = set()
        self._timer: Timer | None = None
        self._opened: str | None = None

    @property
    def blocks(self) -> Sequence[Block]:
        """All blocks in order."""
        return self._blocks

    def add(self, block: Block) -> None:
        """Put a block at the end."""
        self.extend([block])

    def extend(self, blocks: Sequence[Block]) -> None:
        """Put blocks at the end; they are drawn when they come in sight."""
        for block in blocks:
            self._blocks.append(block)
            self._stack.append(block.estimate(self._width or 80), is_exact=False)
        self._settle()

    def clear(self) -> None:
        """No blocks."""
        self._blocks.clear()
        self._stack.clear()
        self._drawn.clear()
        self._stale.clear()
        self._cursor, self._follows = None, True
        self._settle()

    def changed(self, block: Block) -> None:
        """A block has other content now; it is drawn soon."""
        for index in range(len(self._blocks) - 1, -1, -1):
            if self._blocks[index] is block:
                self._stale.add(index)
                break
        if self._timer is None and self.is_mounted:
            self._timer = self.set_timer(PAINT_SECONDS, self._paint_stale)

    def remove_block(self, block: Block) -> None:
        """Take a block out."""
        kept = [b for b in self._blocks if b is not block]
        self._blocks.clear()
        self._stack.clear()
        self._drawn.clear()
        self.extend(kept)

    def go_to_end(self) -> None:
        """Show the end, and stay there."""
        self._follows = True
        self._settle()

    def text(self) -> str:
        """Everything that was said, as text."""
        return "\n\n".join(block.source() for block in self._blocks)

    def _paint_stale(self) -> None:
        self._timer = None
        for index in self._stale:
            if index < len(self._blocks):
                self._drawn.pop(index, None)
        first = min(self._stale, default=None)
        self._stale.clear()
        if first is not None:
            self._settle(changed_from=first)

    def _draw(self, index: int) -> list[Strip]:
        block = self._blocks[index]
        found = self._drawn.get(index)
        if found is not None and found[0] == block.version:
            return found[1]
        if self._palette is None:
            self._palette = read_palette(self)
        strips = block.draw(max(20, self._width), self._palette)
        self._drawn[index] = (block.version, strips)
        return strips

    def _measure(self, index: int) -> int:
        return self._stack.set_height(index, len(self._draw(index)))

    def _settle(self, changed_from: int | None = None) -> None:
        """Draw what is in sight until its height is known, and keep the view where it is."""
        if not self._width:
            return
        if changed_from is not None:
            for index in range(changed_from, len(self._blocks)):
                if self._stack.is_exact(index) and index not in self._drawn:
                    self._measure(index)
        height = self.size.height
        if self._follows:
            need, index = height, len(self._blocks) - 1
            while index >= 0 and need > 0:
                self._measure(index)
                need -= self._stack.height(index)
                index -= 1
        else:
            self._measure_from(self.scroll_offset.y, height)
        self.virtual_size = Size(self._width, self._stack.total)
        if self._follows:
            self.scroll_to(y=max(0, self._stack.total - height), animate=False, immediate=True, force=True)
        self.refresh()

    def _measure_from(self, top: int, height: int) -> None:
        place = self._stack.find(min(top, max(0, self._stack.total - 1)))
        if place is None:
            return
        index, line = place.block, -place.line
        shift = 0
        while index < len(self._blocks) and line < height:
            if not self._stack.is_exact(index):
                growth = self._measure(index)
                if index == place.block and place.line:
                    shift = growth
            line += self._stack.height(index)
            index += 1
        if shift:
            self.set_reactive(Transcript.scroll_y, max(0.0, self.scroll_y + shift))
            self.set_reactive(Transcript.scroll_target_y, max(0.0, self.scroll_target_y + shift))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw what has come in sight."""
        super().watch_scroll_y(old_value, new_value)
        if not self._width:
            return
        self._follows = new_value >= self._stack.total - self.size.height - 0.5
        place = self._stack.find(round(new_value))
        if place is None:
            return
        before = self._stack.total
        self._measure_from(round(new_value), self.size.height)
        if self._stack.total != before:
            self.virtual_size = Size(self._width, self._stack.total)

    def on_resize(self) -> None:
        """Everything is laid out for the new width, what is in sight first."""
        width = self.scrollable_content_region.width
        if width != self._width:
            self._stack.forget(self._width / width if self._width and width else 1.0)
            self._drawn.clear()
            self._width = width
        self._settle()

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        self._palette = None
        self._drawn.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line at `y` of the view."""
        line = self.scroll_offset.y + y
        base = self.rich_style
        place = self._stack.find(line)
        if place is None:
            return Strip.blank(self.size.width, base)
        strips = self._draw(place.block)
        strip = strips[place.line] if place.line < len(strips) else Strip([])
        if place.block == self._cursor and self.has_focus and place.line < len(strips) - 1 and self._palette:
            base += self._palette.selected
        strip = strip.apply_style(base).crop_extend(0, self.size.width, base)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(line)) is not None:
            strip = _select(strip, span, self.screen.get_component_rich_style("screen--selection"))
        return strip.apply_offsets(0, line)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The words that are selected; only lines that were drawn can be."""
        lines: list[str] = []
        for index in range(len(self._blocks)):
            if self._stack.is_exact(index):
                lines += [strip.text.rstrip() for strip in self._draw(index)]
            else:
                lines += [""] * self._stack.height(index)
        return selection.extract("\n".join(lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Show the selection."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """A handle opens; the head of a block folds it."""
        handle = event.style.meta.get("open")
        if isinstance(handle, str):
            event.stop()
            self.post_message(self.Opened(handle))
            return
        offset = event.get_content_offset(self)
        place = self._stack.find(self.scroll_offset.y + offset.y) if offset is not None else None
        if place is None or offset is None:
            return
        if place.line == 0 and self._blocks[place.block].is_foldable:
            self._cursor = place.block
            self.action_fold()
            return
        strips = self._draw(place.block)
        word = _word_at(strips[place.line].text, offset.x) if place.line < len(strips) else ""
        if word:
            self.post_message(self.Pointed(word))

    def on_focus(self) -> None:
        """The last block is the current one."""
        if self._cursor is None or self._cursor >= len(self._blocks):
            self._cursor = len(self._blocks) - 1 if self._blocks else None
        self.refresh()

    def on_blur(self) -> None:
        """The current block is no longer shown."""
        self.refresh()

    def action_move(self, step: int) -> None:
        """Go to the block above or below."""
        if not self._blocks:
            return
        current = len(self._blocks) if self._cursor is None else self._cursor
        self._cursor = max(0, min(len(self._blocks) - 1, current + step))
        start, height = self._stack.start(self._cursor), self._stack.height(self._cursor)
        self.scroll_to_region(
            Region(0, start, 1, min(height, self.size.height)), animate=False, immediate=True, force=True
        )
        self.refresh()

    def action_open(self) -> None:
        """Open what the current block names, at each press the next; a block that names nothing is folded."""
        block = self._current()
        if block is None:
            return
        named = self._named_in(self._cursor or 0)
        if not named:
            self.action_fold()
            return
        last = self._opened if self._opened in named else None
        self._opened = named[(named.index(last) + 1) % len(named)] if last is not None else named[0]
        self.post_message(self.Opened(self._opened))

    def _named_in(self, index: int) -> list[str]:
        block = self._blocks[index]
        metas = [s.style.meta.get("open") for strip in self._draw(index) for s in strip if s.style]
        named = [block.opens, *(m for m in metas if isinstance(m, str))]
        return list(dict.fromkeys(n for n in named if n))

    def action_fold(self) -> None:
        """Fold or unfold the current block."""
        block = self._current()
        if block is not None and block.fold():
            self._follows = False
            self._drawn.pop(self._cursor or 0, None)
            self._settle(changed_from=self._cursor)

    def action_copy(self) -> None:
        """Copy the current block."""
        block = self._current()
        if block is not None:
            self.post_message(self.Copied(block.source()))

    def fold_all(self) -> bool:
        """Fold every block if one is unfolded, else unfold the last; whether there was any."""
        folding = [b for b in self._blocks if b.is_foldable]
        is_open = [b for b in folding if getattr(b, "is_unfolded", False)]
        for block in is_open or folding[-1:]:
            block.fold()
            self.changed(block)
        return bool(folding)

    def _current(self) -> Block | None:
        if self._cursor is None or self._cursor >= len(self._blocks):
            return None
        return self._blocks[self._cursor]


def _word_at(line: str, x: int) -> str:
    return next((m[0].strip(".") for m in _WORD.finditer(line) if m.start() <= x < m.end()), "")


def _select(strip: Strip, span: tuple[int, int], style: Style) -> Strip:
    start, end = span
    length = strip.cell_length
    end = length if end == -1 else min(end, length)
    if start >= end:
        return strip
    chosen = strip.crop(start, end)
    marked = Strip([Segment(s.text, (s.style or Style()) + style) for s in chosen])
    return Strip.join([strip.crop(0, start), marked, strip.crop(end, length)])
