"""Stored results as the checker reads them, and the check as an operation of a reader worker."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasteward.engine.cells import Cell, compact_json
from datasteward.engine.result_files import column_types, result_path
from datasteward.evidence.check import check_answer
from datasteward.evidence.model import EvidenceReport, ResultTable, TableColumn, Verdict

if TYPE_CHECKING:
    from datasteward.engine.operations import Tell
    from datasteward.engine.session import Session

_BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResults:
    """The result files of a folder; `queries` holds the SQL by handle of those an uncited figure may be looked up in."""

    folder: Path
    queries: Mapping[str, str]

    def handles(self) -> Sequence[str]:
        """The handles given, in their order."""
        return tuple(self.queries)

    def read(self, handle: str) -> ResultTable | None:
        """The stored result, its rows read as they are asked for; None when it is not stored."""
        import pyarrow.parquet as pq

        path = result_path(self.folder, handle)
        if handle not in self.queries or not path.is_file():
            return None
        columns = tuple(TableColumn(name=name, type=kind) for name, kind in column_types(path))
        return ResultTable(
            handle=handle,
            columns=columns,
            rows=_read_rows(path),
            row_count=int(pq.read_metadata(path).num_rows),
            sql=self.queries[handle],
        )


def _read_rows(path: Path) -> Iterator[list[str | None]]:
    import pyarrow.parquet as pq

    from datasteward.engine.arrow_cells import read_cells

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            for row in read_cells(batch):
                yield [_write_cell(cell) for cell in row]


def _write_cell(cell: Cell) -> str | None:
    return cell if cell is None or isinstance(cell, str) else compact_json(cell)


def check_stored(session: "Session", arguments: Mapping[str, Any], tell: "Tell") -> Any:
    """The report on `text` as JSON, and with each verdict's place in `sources` the (handle, column) of its cells.

    Arguments: text, queries (SQL by handle of every result that may be read).
    """
    results = StoredResults(folder=session.settings.results_folder, queries=dict(arguments["queries"]))
    report = check_answer(str(arguments["text"]), results)
    sources = [list(dict.fromkeys((c.handle, c.column) for c in v.cells)) for v in report.verdicts]
    return {"report": report_as_json(report), "sources": sources}


def report_as_json(report: EvidenceReport) -> dict[str, Any]:
    """The report as plain JSON, numbers as exact text; the answer's own text is left out."""
    return {
        "verdicts": [_verdict_as_json(v) for v in report.verdicts],
        "unknown_handles": list(report.unknown_handles),
        "cuts": list(report.cuts),
        "number_words": list(report.number_words),
        "is_backed": report.is_backed,
    }


def _verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "figure": verdict.figure.text,
        "start": verdict.figure.start,
        "end": verdict.figure.end,
        "status": verdict.status,
        "is_cited": verdict.is_cited,
        "cells": [cell.describe() for cell in verdict.cells],
        "formula": verdict.formula,
        "derivation": verdict.derivation,
        "reason": verdict.reason,
        "nearest": verdict.nearest.describe() if verdict.nearest else None,
        "line": verdict.describe(),
    }
