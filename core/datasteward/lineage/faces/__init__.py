"""The forms a lineage graph is shown in: text, JSON, Mermaid, DOT, SVG and PNG."""
