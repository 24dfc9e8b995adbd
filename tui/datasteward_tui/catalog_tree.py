"""Tables, files and results with their columns, as a tree."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from datasteward_tui.catalog import Catalog, Dataset, OlderResults, quote_if_needed
from datasteward_tui.detail_pane import DetailPane
from datasteward_tui.palette import COMPONENT_CLASSES, Palette, read_palette
from datasteward_tui.safe_text import show_line
from datasteward_tui.status_bar import KeyHint

GROUPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Tables", ("table", "view")),
    ("Files", ("file",)),
    ("Results", ("result",)),
)
OLDER = "\0older"
"""Stands for the row that lists older results; no dataset is called so."""


class CatalogTree(Tree[str]):
    """Enter opens a dataset, Space its columns, i puts its name into the prompt."""

    COMPONENT_CLASSES: ClassVar[set[str]] = Tree.COMPONENT_CLASSES | COMPONENT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "insert", "into the prompt"),
        Binding("p", "look('profile')", "profile"),
        Binding("l", "look('lineage')", "lineage"),
        Binding("d", "look('schema')", "schema"),
        Binding("right", "expand_node", show=False),
        Binding("left", "collapse_node", show=False),
    ]
    HINTS = (
        KeyHint(key="Enter", words="rows", action="select_cursor"),
        KeyHint(key="→", words="columns", action="expand_node"),
        KeyHint(key="p", words="profile", action="look('profile')"),
        KeyHint(key="l", words="lineage", action="look('lineage')"),
        KeyHint(key="d", words="schema", action="look('schema')"),
        KeyHint(key="i", words="into the prompt", action="insert"),
    )

    class OlderAsked(Message):
        """The results behind the `offset` newest are wanted."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    def __init__(self, catalog: Catalog, *, at_results: bool = False) -> None:
        super().__init__("catalog")
        self._at_results = at_results
        self._older: dict[str, Dataset] = {}
        self._has_older: bool | None = None
        self._results: TreeNode[str] | None = None
        self._by_name: dict[str | None, TreeNode[str]] = {}
        self.show_root = False
        self.guide_depth = 2
        self.auto_expand = False
        self._catalog = catalog

    def on_mount(self) -> None:
        """Fill the tree."""
        self.show(self._catalog)

    def show(self, catalog: Catalog) -> None:
        """Fill the tree anew; older results that were listed stay."""
        older = [d for d in self._older.values() if catalog.find(d.name) is None]
        self._catalog = replace(catalog, datasets=(*catalog.datasets, *older))
        palette, marked = read_palette(self), self.cursor_node.data if self.cursor_node is not None else None
        self.clear()
        self._by_name.clear()
        self._results = None
        for title, kinds in GROUPS:
            found = [d for d in self._catalog.datasets if d.kind in kinds]
            if not found:
                continue
            group = self.root.add(_label_group(title, len(found), palette), expand=True)
            for dataset in found:
                self._add(group, dataset)
            if kinds == ("result",):
                self._results = group
                self._offer_older()
        self.call_after_refresh(self._point_at, marked)
        if not catalog.datasets:
            self.root.add_leaf(Text("No data files or tables below this folder.", palette.muted))

    def _offer_older(self) -> None:
        has_older = self._catalog.has_older if self._has_older is None else self._has_older
        if self._results is not None and has_older:
            self._results.add_leaf(Text("older results: Enter lists them", read_palette(self).muted), data=OLDER)

    def add_older(self, page: OlderResults) -> None:
        """List older results below the others, with the cursor on the first of them."""
        known = {d.name for d in self._catalog.datasets}
        found = [d for d in page.datasets if d.name not in known]
        self._older |= {d.name: d for d in found}
        self._has_older = page.has_older
        self._catalog = replace(self._catalog, datasets=(*self._catalog.datasets, *found))
        if self._results is None:
            return
        for node in [n for n in self._results.children if n.data == OLDER]:
            node.remove()
        added = [self._add(self._results, dataset) for dataset in found]
        self._results.set_label(_label_group("Results", len(self._results.children), read_palette(self)))
        self._offer_older()
        if added:
            self.call_after_refresh(self.move_cursor, added[0])

    def _point_at(self, marked: str | None) -> None:
        """The cursor once on the first result, if those were asked for; else on what it was on, or on the first of all."""
        if self._at_results and self._results is not None:
            self._at_results = False
            self.move_cursor(self._results.children[0])
            self.scroll_to_node(self._results, animate=False)
        elif marked in self._by_name:
            self.move_cursor(self._by_name[marked])
        elif self.cursor_line < 1:
            self.cursor_line = min(1, self.last_line)

    def _add(self, group: TreeNode[str], dataset: Dataset) -> TreeNode[str]:
        palette = read_palette(self)
        sql = " ".join((dataset.sql or "").split())
        about = f"{dataset.facts}  {sql}" if sql else dataset.facts
        label = Text.assemble(
            (show_line(dataset.name, 80), palette.strong), (f"  {show_line(about, 120)}", palette.muted)
        )
        node = group.add(label, data=dataset.name)
        self._by_name[dataset.name] = node
        node.allow_expand = bool(dataset.columns)
        for column in dataset.columns:
            text = Text.assemble(
                (show_line(column.name, 80), palette.text), (f"  {show_line(column.type, 60)}", palette.muted)
            )
            node.add_leaf(text, data=f"{dataset.sql_name}.{quote_if_needed(column.name)}")
        return node

    def render_label(self, node: TreeNode[str], base_style: Style, style: Style) -> Text:
        """The label with its fold sign; its own colours stay."""
        sign = ("▾ " if node.is_expanded else "▸ ") if node.allow_expand else "  "
        label = node.label if isinstance(node.label, Text) else Text(str(node.label))
        text = Text.assemble((sign, base_style), label.copy())
        text.stylize_before(style)
        return text

    def on_tree_node_selected(self, event: Tree.NodeSelected[str]) -> None:
        """Open a dataset; fold a group."""
        event.stop()
        if event.node.data == OLDER:
            self.post_message(self.OlderAsked(sum(d.kind == "result" for d in self._catalog.datasets)))
            return
        dataset = self._catalog.find(event.node.data or "")
        if dataset is not None:
            self.post_message(DetailPane.Opened(dataset.name))
        elif event.node.data:
            self.post_message(DetailPane.Asked(event.node.data, runs=False))
        else:
            event.node.toggle()

    def action_insert(self) -> None:
        """Put the name into the prompt."""
        node = self.cursor_node
        if node is not None and node.data and node.data != OLDER:
            dataset = self._catalog.find(node.data)
            self.post_message(DetailPane.Asked(dataset.sql_name if dataset else node.data, runs=False))

    def action_look(self, view: str) -> None:
        """The profile, lineage or schema of the dataset under the cursor, or of the one whose column that is."""
        node = self.cursor_node
        while node is not None and self._catalog.find(node.data or "") is None:
            node = node.parent
        dataset = self._catalog.find(node.data or "") if node is not None else None
        if dataset is not None:
            self.post_message(DetailPane.Looked(view, dataset.name))

    def action_expand_node(self) -> None:
        """Show the columns."""
        if self.cursor_node is not None:
            self.cursor_node.expand()

    def action_collapse_node(self) -> None:
        """Hide the columns."""
        node = self.cursor_node
        if node is not None:
            (node if node.is_expanded or node.parent is None else node.parent).collapse()


def _label_group(title: str, number: int, palette: Palette) -> Text:
    return Text.assemble((title, palette.heading), (f"  {number:,}", palette.muted))
