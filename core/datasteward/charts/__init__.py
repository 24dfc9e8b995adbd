"""Charts drawn from stored results only: Vega-Lite, PNG and SVG, and terminal text."""
