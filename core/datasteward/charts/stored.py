"""Charts of stored results: drawing as an operation of a reader worker."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datasteward.charts.model import MAX_ROWS, ChartSpec
from datasteward.engine.result_files import result_path
from datasteward.errors import ToolError

if TYPE_CHECKING:
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session


def draw_stored(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """A chart as JSON: text, vega_json, notes, points.

    Arguments: handle, spec (the fields of `ChartSpec`), width and height in terminal cells. Raises `ToolError` for
    unfit columns or a result that is gone.
    """
    import pyarrow.parquet as pq

    from datasteward.charts.chart import draw_chart

    handle = str(arguments["handle"])
    spec = ChartSpec(**arguments["spec"])
    path = result_path(session.settings.results_folder, handle)
    if not path.is_file():
        raise ToolError(f"The result {handle} is no longer stored.", code="not_found", hint="Run its query again.")
    with pq.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        asked = {n.casefold() for n in (spec.x, spec.y, spec.color) if n}
        chosen = [n for n in names if n.casefold() in asked]
        is_known = asked <= {n.casefold() for n in chosen}
        total = int(file.metadata.num_rows)
        table = _read_head(file, chosen if is_known and chosen else None)
    chart = draw_chart(table, spec)
    notes = list(chart.notes)
    if total > table.num_rows:
        notes.append(f"{table.num_rows:,} of {total:,} rows were read: aggregate in SQL to chart all")
    text = chart.to_text(int(arguments["width"]), int(arguments["height"]))
    return {"text": text, "vega_json": chart.vega_json, "notes": notes, "points": len(chart.plot.points)}


def _read_head(file: Any, columns: list[str] | None) -> Any:
    """The first rows, at most `MAX_ROWS`, as one table."""
    import pyarrow as pa

    batches, rows = [], 0
    for batch in file.iter_batches(batch_size=65_536, columns=columns):
        batches.append(batch.slice(0, MAX_ROWS - rows))
        rows += batches[-1].num_rows
        if rows >= MAX_ROWS:
            break
    schema = file.schema_arrow if columns is None else pa.schema([file.schema_arrow.field(c) for c in columns])
    return pa.Table.from_batches(batches) if batches else schema.empty_table()
