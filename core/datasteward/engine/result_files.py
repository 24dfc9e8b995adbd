"""Stored results on disk: one Parquet file a handle, with the columns' DuckDB types in its metadata."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datasteward.engine.carriers import Carrier, quote_name, quote_text, restore_expression
from datasteward.errors import ToolError

if TYPE_CHECKING:
    import pyarrow as pa

HANDLE = re.compile(r"r[1-9][0-9]{0,17}\Z", re.IGNORECASE)
_TYPES_KEY = b"datasteward.types"
ROW_GROUP_ROWS = 122_880
_CELLS_PER_BATCH = 2_000_000


def result_path(folder: Path, handle: str) -> Path:
    """Where the result of `handle` is stored."""
    return folder / f"{handle.lower()}.parquet"


def batch_rows(column_count: int) -> int:
    """Rows of one batch, so that a batch of any width stays within about two million cells."""
    return max(256, min(ROW_GROUP_ROWS, _CELLS_PER_BATCH // max(1, column_count)))


class ResultWriter:
    """Streams record batches into one Parquet file; use as a context manager, an unfinished file is removed."""

    def __init__(self, path: Path, schema: "pa.Schema", carriers: Sequence[Carrier]) -> None:
        import pyarrow.parquet as pq

        types = json.dumps([[c.type, c.stored_type, c.is_restorable] for c in carriers])
        self.path = path
        self.row_count = 0
        self._schema = schema.with_metadata({_TYPES_KEY: types.encode()})
        self._writer = pq.ParquetWriter(path, self._schema, compression="lz4", write_statistics=True)
        self._is_finished = False

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_finished:
            import pyarrow as pa

            try:
                self._writer.close()
            except (OSError, pa.ArrowException):
                pass
            self.path.unlink(missing_ok=True)

    def write(self, batch: "pa.RecordBatch") -> None:
        """Append a batch whose columns stand in the schema's order."""
        import pyarrow as pa

        renamed = pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)
        self._writer.write_batch(renamed, row_group_size=ROW_GROUP_ROWS)
        self.row_count += batch.num_rows

    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        return self.path.stat().st_size

    def finish(self) -> str:
        """Close the file and return its SHA-256 in hex."""
        self._writer.close()
        self._is_finished = True
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def stored_select(path: Path) -> str:
    """SQL that reads the stored result with its columns' own types; raises `ToolError` when it is gone or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except FileNotFoundError as error:
        raise ToolError(
            f"The result {path.stem} is no longer stored.", code="not_found", hint="Run its query again."
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise ToolError(
            f"The stored result {path.stem} is damaged: {error}.", code="runtime", hint="Run its query again."
        ) from error
    types = json.loads((schema.metadata or {}).get(_TYPES_KEY, b"[]"))
    columns = [
        restore_expression(name, original, stored) if restorable and original != "NULL" else quote_name(name)
        for name, (original, stored, restorable) in zip(schema.names, types, strict=True)
    ]
    return f"SELECT {', '.join(columns)} FROM read_parquet({quote_text(str(path))})"


def column_types(path: Path) -> list[tuple[str, str]]:
    """Name and DuckDB type of each stored column."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    types = json.loads((schema.metadata or {}).get(_TYPES_KEY, b"[]"))
    return [(name, entry[0]) for name, entry in zip(schema.names, types, strict=True)]
