"""The lineage picture as SVG, written here: no browser, no graphviz."""

from html import escape

from datasteward.lineage.faces.layout import HEADER_HEIGHT, ROW_HEIGHT, Box, lay_out, shorten_name
from datasteward.lineage.graph import LineageGraph
from datasteward.lineage.store import StoredEdge

_STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1f2933}"
    ".h{font-weight:600}.b{fill:#fff;stroke:#9aa5b1}.t{fill:#e4ecf5}.s .t{fill:#ffe8b3}"
    ".e{fill:none;stroke:#52708f;stroke-width:1.2}.i{stroke:#b3bcc6;stroke-dasharray:4 3}"
    ".m{stroke:#b26a1f}.r{fill:#ffe8b3}"
    "@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.b{fill:#1f2933;stroke:#616e7c}.t{fill:#323f4b}"
    ".s .t,.r{fill:#5c4813}.e{stroke:#90b4d8}.i{stroke:#616e7c}.bg{fill:#12181d}}"
)


def draw_svg(graph: LineageGraph) -> str:
    """The graph as one self-contained SVG document: boxes are datasets, rows columns, dashed lines indirect edges."""
    layout = lay_out([n.ref for n in graph.nodes], graph.edges)
    boxes = {b.dataset: b for b in layout.boxes}
    starts = {s.dataset for s in graph.starts}
    asked = {(s.dataset, s.column) for s in graph.starts if s.column}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width:.0f}" height="{layout.height:.0f}"'
        f' viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" role="img" aria-label="Lineage">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#52708f"/></marker></defs>',
        '<rect class="bg" width="100%" height="100%" fill="#fff"/>',
    ]
    lines = {_line_key(e): e for e in graph.edges if e.edge.kind != "direct"}
    lines |= {_line_key(e): e for e in graph.edges if e.edge.kind == "direct"}
    for stored in lines.values():
        if stored.edge.source.dataset in boxes and stored.edge.target.dataset in boxes:
            parts.append(_edge(stored, boxes[stored.edge.source.dataset], boxes[stored.edge.target.dataset]))
    for box in layout.boxes:
        marked = {column for dataset, column in asked if dataset == box.dataset}
        parts.append(_box(box, is_start=box.dataset in starts, marked=marked))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def draw_png(graph: LineageGraph, *, scale: float = 1.5) -> bytes:
    """The picture as PNG; raises `ConfigError` when the optional renderer is not installed."""
    from datasteward.errors import ConfigError

    try:
        import vl_convert
    except ImportError as error:
        raise ConfigError(
            "A PNG needs the renderer of the package vl-convert-python, which is not installed.",
            hint="Install it (pip install vl-convert-python) or ask for svg.",
        ) from error
    data: bytes = vl_convert.svg_to_png(draw_svg(graph), scale=scale)
    return data


def _line_key(stored: StoredEdge) -> tuple[object, object]:
    return stored.edge.source, stored.edge.target


def _edge(stored: StoredEdge, left: Box, right: Box) -> str:
    edge = stored.edge
    x1, y1 = left.x + left.width, left.row_y(edge.source.column)
    x2, y2 = right.x, right.row_y(edge.target.column)
    if left is right:
        x2 = x1
        curve = f"M{x1:.1f} {y1:.1f}C{x1 + 30:.1f} {y1:.1f} {x2 + 30:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    else:
        bend = max(30.0, abs(x2 - x1) / 2)
        curve = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2 - 1:.1f} {y2:.1f}"
    kind = "e" if edge.kind == "direct" else "e i"
    kind += " m" if edge.masking else ""
    title = f"{edge.source} → {edge.target}: {edge.subtype}"
    title += f" · {edge.expression}" if edge.expression and edge.subtype != "identity" else ""
    return f'<path class="{kind}" marker-end="url(#a)" d="{curve}"><title>{_text(title)}</title></path>'


def _box(box: Box, *, is_start: bool, marked: set[str]) -> str:
    lines = [f'<g class="s"><title>{_text(box.dataset.name)}</title>' if is_start else "<g>"]
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" rx="4"'
    lines.append(f'<rect class="b" {shape} height="{box.height:.1f}"/>')
    lines.append(f'<rect class="t" {shape} height="{HEADER_HEIGHT:.1f}"/>')
    name = _text(shorten_name(box.dataset.name))
    lines.append(f'<text class="h" x="{box.x + 8:.1f}" y="{box.y + 15:.1f}">{name}</text>')
    for column in box.columns:
        middle = box.row_y(column)
        if column in marked:
            top = middle - ROW_HEIGHT / 2
            lines.append(
                f'<rect class="r" x="{box.x + 1:.1f}" y="{top:.1f}" width="{box.width - 2:.1f}" height="{ROW_HEIGHT}"/>'
            )
        lines.append(f'<text x="{box.x + 8:.1f}" y="{middle + 4:.1f}">{_text(shorten_name(column))}</text>')
    lines.append("</g>")
    return "".join(lines)


def _text(text: str) -> str:
    """Text that is safe in XML: control characters shown as a replacement sign."""
    clean = "".join(c if c.isprintable() or c == " " else "\ufffd" for c in text)
    return escape(clean, quote=True)
