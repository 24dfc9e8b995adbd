"""Rows of a stored result, read from its Parquet file a row group at a time.

This module imports pyarrow and is itself imported only when a result is opened, in a thread.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasteward.engine.arrow_cells import read_cells
from datasteward.engine.cells import Cell
from datasteward.engine.result_files import column_types
from datasteward.errors import ToolError
from datasteward_tui.tables import TableColumn

KEPT_GROUPS = 4
SORTABLE_CELLS = 24_000_000
"""A result with more cells is sorted by a query instead of here."""


class ResultPages:
    """One stored result. Methods may be called from any thread; `load` and `sort` take time, `peek` does not."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
            self.columns = tuple(TableColumn(name=n, type=t) for n, t in column_types(path))
        except FileNotFoundError as error:
            raise ToolError(
                f"The rows of {path.stem} are not stored any more.", code="not_found", hint="Run its query again."
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise ToolError(f"{path.name} cannot be read: {error}.", hint="Run its query again.") from error
        metadata = self._file.metadata
        self.row_count: int = metadata.num_rows
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._ends = list(accumulate(sizes))
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = Lock()
        self._sorted: pa.Table | None = None
        self._order: pa.Array | None = None

    def peek(self, start: int, count: int) -> Sequence[Sequence[Cell]] | None:
        """Rows `start` to `start + count` if they are in memory, else None."""
        start, end = max(0, start), min(self.row_count, start + count)
        if start >= end:
            return []
        with self._lock:
            if self._order is not None and self._sorted is not None:
                return read_cells(self._sorted.take(self._order.slice(start, end - start)))
            groups = self._needed(start, end)
            if any(g not in self._groups for g in groups):
                return None
            tables = [self._groups[g] for g in groups]
        rows: list[list[Cell]] = []
        for group, table in zip(groups, tables, strict=True):
            begin = self._ends[group] - table.num_rows
            low, high = max(start, begin) - begin, min(end, self._ends[group]) - begin
            rows += read_cells(table.slice(low, high - low))
        return rows

    def load(self, start: int, count: int) -> None:
        """Read what `peek` needs for these rows."""
        for group in self._needed(max(0, start), min(self.row_count, start + count)):
            with self._lock:
                if group in self._groups:
                    self._groups.move_to_end(group)
                    continue
                self._groups[group] = self._file.read_row_group(group)
                while len(self._groups) > KEPT_GROUPS:
                    self._groups.popitem(last=False)

    def can_sort(self, column: int) -> bool:
        """Whether `sort` orders this column as DuckDB would, within bounds of memory."""
        kind = self._file.schema_arrow.field(column).type
        is_own_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if is_own_text and self.columns[column].type.upper() not in {"VARCHAR", "UUID"}:
            return False
        is_nested = pa.types.is_nested(kind)
        return not is_nested and self.row_count * max(1, len(self.columns)) <= SORTABLE_CELLS

    def sort(self, column: int | None, *, is_descending: bool = False) -> None:
        """Show the rows in the order of a column, nulls last; None is the order as stored."""
        if column is None:
            with self._lock:
                self._order = None
            return
        table = self._sorted or self._file.read()
        direction = "descending" if is_descending else "ascending"
        order = pc.sort_indices(table.column(column).combine_chunks(), sort_keys=[("", direction)])
        with self._lock:
            self._sorted, self._order = table, order

    def _needed(self, start: int, end: int) -> list[int]:
        if start >= end:
            return []
        first, last = bisect_right(self._ends, start), bisect_right(self._ends, end - 1)
        return list(range(first, last + 1))
