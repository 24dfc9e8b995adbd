"""The chart of a stored result: one plot, several surfaces."""

from dataclasses import dataclass

import pyarrow as pa

from datasteward.charts.model import ChartSpec, Plot
from datasteward.charts.plotting import make_plot
from datasteward.charts.terminal import draw_text
from datasteward.charts.vega import draw_png, draw_svg, write_vega


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawn chart; every surface shows the same points."""

    spec: ChartSpec
    plot: Plot
    vega_json: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the chart."""
        return self.plot.notes

    def to_text(self, width: int = 80, height: int = 20) -> str:
        """The chart as terminal text."""
        return draw_text(self.plot, width, height)

    def to_png(self, scale: float = 2.0) -> bytes:
        """The chart as PNG; raises `ConfigError` without the charts extra."""
        return draw_png(self.vega_json, scale)

    def to_svg(self) -> str:
        """The chart as SVG; raises `ConfigError` without the charts extra."""
        return draw_svg(self.vega_json)


def draw_chart(table: pa.Table, spec: ChartSpec) -> Chart:
    """The chart of `spec` from the rows of `table`; raises `ToolError` for columns that are missing or do not fit."""
    plot = make_plot(table, spec)
    return Chart(spec=spec, plot=plot, vega_json=write_vega(plot))
