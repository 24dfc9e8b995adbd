"""Lineage in the pane: a drawn graph with a cursor, its columns on demand, and the same as a tree of words."""

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from datasteward_tui.lineage_drawing import Drawing, Rect, Role, Spot, draw_lineage, hot_links
from datasteward_tui.lineage_sight import LineageSight
from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette
from datasteward_tui.safe_text import show_line, show_lines
from datasteward_tui.status_bar import KeyHint
from datasteward_tui.strips import to_strip

FOOT_LINES = 2


class LineageView(ScrollView, can_focus=True):
    """Arrow keys go from box to box, with columns shown also from column to column."""

    DEFAULT_CSS = """
    LineageView { height: 1fr; background: $background; padding: 0 1; scrollbar-size: 0 1; scrollbar-color: $panel;
      scrollbar-background: $background; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "go('left')", show=False),
        Binding("right", "go('right')", show=False),
        Binding("up", "go('up')", show=False),
        Binding("down", "go('down')", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("c", "columns", "columns"),
        Binding("t", "tree", "tree or graph"),
        Binding("enter", "wish('open')", "rows"),
        Binding("g", "wish('lineage')", "from here"),
        Binding("p", "wish('profile')", "profile"),
    ]
    HINTS = (
        KeyHint(key="c", words="columns", action="columns"),
        KeyHint(key="t", words="tree", action="tree"),
        KeyHint(key="Enter", words="rows", action="wish('open')"),
        KeyHint(key="g", words="from here", action="wish('lineage')"),
        KeyHint(key="p", words="profile", action="wish('profile')"),
    )

    class Wished(Message):
        """Another view (`open`, `lineage`, `profile`) of a dataset is wanted."""

        def __init__(self, view: str, name: str) -> None:
            super().__init__()
            self.view = view
            self.name = name

    def __init__(self, sight: LineageSight, tree: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.sight = sight
        self.focus_spot = Spot(box=sight.start)
        self.has_columns = False
        self.is_tree = False
        self._tree = show_lines(tree)
        self._drawing = Drawing(rects=())

    def on_mount(self) -> None:
        """Draw, and bring the start in sight."""
        self._redraw()
        self.call_after_refresh(self._bring_in_sight)

    def _redraw(self) -> None:
        if self.is_tree:
            width = max((len(line) for line in self._tree), default=0)
            self.virtual_size = Size(width, len(self._tree))
        else:
            self._drawing = draw_lineage(self.sight, self.focus_spot, has_columns=self.has_columns)
            self.virtual_size = Size(self._drawing.width + 1, self._drawing.height + FOOT_LINES)
        self.refresh()

    def _bring_in_sight(self) -> None:
        if not self.is_tree and self._drawing.rects:
            rect = self._drawing.rects[self.focus_spot.box]
            y = rect.y if self.focus_spot.column < 0 else rect.y + 3 + self.focus_spot.column
            height = 1 if self.focus_spot.column >= 0 else min(rect.height, max(1, self.size.height - FOOT_LINES))
            region = Region(max(0, rect.x - 3), y, rect.width + 6, height + FOOT_LINES)
            self.scroll_to_region(region, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        """What has the cursor stays in sight, with as much before it as fits."""
        if not self.is_tree:
            self.scroll_to(x=0, y=0, animate=False, immediate=True, force=True)
        self._bring_in_sight()

    def on_focus(self) -> None:
        """The cursor shows."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor hides."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the graph or the tree; the last lines tell of what has the cursor."""
        palette, base, width = read_palette(self), self.rich_style, self.size.width
        x, line = self.scroll_offset.x, self.scroll_offset.y + y
        if self.is_tree:
            text = Text(self._tree[line] if line < len(self._tree) else "", palette.text)
            return to_strip(text).apply_style(base).crop_extend(x, x + width, base)
        foot = y - (self.size.height - FOOT_LINES)
        if foot >= 0:
            text = self._foot(foot, palette)
            text.truncate(width, overflow="ellipsis")
            return to_strip(text).apply_style(base).crop_extend(0, width, base)
        row = self._drawing.cells.get(line, {})
        text = Text()
        for column in range(x, x + width):
            character, role = row.get(column, (" ", "line"))
            text.append(character, self._style(role, palette))
        return to_strip(text).apply_style(base).crop_extend(0, width, base)

    def _style(self, role: Role, palette: Palette) -> Style:
        match role:
            case "line":
                return palette.bar
            case "hot" | "focus" | "hot_column":
                return palette.accent
            case "frame" | "kind":
                return palette.muted
            case "start":
                return palette.heading
            case "name":
                return palette.strong
            case "column":
                return palette.text
            case "cursor":
                return palette.cursor if self.has_focus else palette.strong

    def _foot(self, line: int, palette: Palette) -> Text:
        spot, box = self.focus_spot, self.sight.boxes[self.focus_spot.box]
        if line == 0:
            column = f".{box.columns[spot.column]}" if spot.column >= 0 else ""
            count = f"{len(self.sight.boxes):,} datasets" + (", more further away" if self.sight.is_cut else "")
            name = show_line(f"{box.name}{column}", 300)
            left, right = self.scroll_offset.x > 0, self.scroll_offset.x < self.max_scroll_x
            more = "  ◂ ▸ more" if left and right else "  ◂ more" if left else "  more ▸" if right else ""
            about = f"  {box.kind}  ·  {count}"
            return Text.assemble((name, palette.strong), (about, palette.muted), (more, palette.accent))
        return Text(self._told_of(spot), palette.muted)

    def _told_of(self, spot: Spot) -> str:
        """How the values of the cursor's column come about, or what the box is linked with."""
        boxes = self.sight.boxes
        if spot.column < 0:
            sources = {boxes[i.source].name for i in self.sight.links if i.target == spot.box}
            targets = {boxes[i.target].name for i in self.sight.links if i.source == spot.box}
            return show_line(f"reads {_name_some(sources)}; read by {_name_some(targets)}", 300)
        column = boxes[spot.box].columns[spot.column]
        into = [i for i in self.sight.links if (i.target, i.target_column) == (spot.box, column)]
        told = [
            f"{i.how.replace('_', ' ')} of {boxes[i.source].name}.{i.source_column}{f' = {i.expression}' if i.expression else ''}"
            for i in into
        ]
        links = len(hot_links(self.sight, spot))
        return show_line("; ".join(told) or f"a source; {links} links from here", 400)

    # Moving

    def _focus_on(self, spot: Spot) -> None:
        self.focus_spot = spot
        self._redraw()
        self._bring_in_sight()

    def action_go(self, way: str) -> None:
        """To the next box or column; in the tree, scroll."""
        if self.is_tree:
            steps = {"up": (0, -1), "down": (0, 1), "left": (-8, 0), "right": (8, 0)}[way]
            self.scroll_relative(x=steps[0], y=steps[1], animate=False, immediate=True)
        elif way in {"left", "right"}:
            self._go_across(1 if way == "right" else -1)
        else:
            self._go_along(1 if way == "down" else -1)

    def _go_across(self, step: int) -> None:
        """To the nearest linked box on that side, else to the nearest of the next layer."""
        here = self.focus_spot.box
        pairs = [(i.source, i.target) if step > 0 else (i.target, i.source) for i in self.sight.links]
        linked = {far for near, far in pairs if near == here and self._layer(far) * step > self._layer(here) * step}
        others = {i for i in range(len(self.sight.boxes)) if self._layer(i) == self._layer(here) + step}
        middle = self._middle(here)
        nearest = min(
            linked or others,
            key=lambda i: (abs(self._layer(i) - self._layer(here)), abs(self._middle(i) - middle)),
            default=None,
        )
        if nearest is not None:
            self._focus_on(Spot(box=nearest))

    def _go_along(self, step: int) -> None:
        spot = self.focus_spot
        if self.has_columns and -1 <= spot.column + step < len(self.sight.boxes[spot.box].columns):
            self._focus_on(Spot(box=spot.box, column=spot.column + step))
            return
        layer = [i for i in range(len(self.sight.boxes)) if self._layer(i) == self._layer(spot.box)]
        layer.sort(key=lambda i: self._rect(i).y)
        place = layer.index(spot.box) + step
        if 0 <= place < len(layer):
            last = len(self.sight.boxes[layer[place]].columns) - 1 if self.has_columns and step < 0 else -1
            self._focus_on(Spot(box=layer[place], column=last))

    def _layer(self, box: int) -> int:
        return self.sight.boxes[box].layer

    def _rect(self, box: int) -> Rect:
        return self._drawing.rects[box]

    def _middle(self, box: int) -> float:
        rect = self._rect(box)
        return rect.y + rect.height / 2

    def action_page(self, pages: int) -> None:
        """Scroll by a screenful."""
        self.scroll_relative(y=pages * max(1, self.size.height - FOOT_LINES), animate=False, immediate=True)

    def action_columns(self) -> None:
        """Show or hide the columns."""
        self.has_columns = not self.has_columns
        self._focus_on(Spot(box=self.focus_spot.box))

    def action_tree(self) -> None:
        """The tree in words, or the graph."""
        self.is_tree = not self.is_tree
        self.scroll_to(x=0, y=0, animate=False, immediate=True, force=True)
        self._redraw()
        self._bring_in_sight()

    def action_wish(self, view: str) -> None:
        """Ask for another view of the dataset under the cursor."""
        self.post_message(self.Wished(view, self.sight.boxes[self.focus_spot.box].name))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a box or column; a click on the cursor opens the dataset."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        x, y = self.scroll_offset.x + offset.x, self.scroll_offset.y + offset.y
        for index, rect in enumerate(self._drawing.rects if not self.is_tree else ()):
            if rect.x <= x < rect.x + rect.width and rect.y <= y < rect.y + rect.height:
                row = y - rect.y - 3
                is_column = self.has_columns and 0 <= row < len(self.sight.boxes[index].columns)
                spot = Spot(box=index, column=row if is_column else -1)
                if spot == self.focus_spot:
                    self.action_wish("open")
                else:
                    self._focus_on(spot)
                return


def _name_some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return (", ".join(shown) or "nothing") + more
