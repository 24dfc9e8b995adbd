"""The whole of a profile as a stored table, one typed row a column, so that a query can ask it."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from datasteward.engine.carriers import Carrier
from datasteward.engine.heads import take_head
from datasteward.engine.jobs import StatementOutcome, StoredDraft
from datasteward.engine.result_files import ResultWriter
from datasteward.profiling.model import ColumnProfile, Profile
from datasteward.profiling.storing import without_sensitive_values

_QUANTILES = ("p1", "p5", "p25", "p50", "p75", "p95", "p99")
_TOP = "STRUCT(value VARCHAR, row_count BIGINT, share DOUBLE, is_exact BOOLEAN)[]"
_FINDINGS = (
    "STRUCT(code VARCHAR, severity VARCHAR, message VARCHAR, row_count BIGINT, is_exact BOOLEAN, show_sql VARCHAR, "
    "mend_sql VARCHAR)[]"
)
_TYPES = {
    "position": "INTEGER", "column_name": "VARCHAR", "type": "VARCHAR", "better_type": "VARCHAR", "meaning": "VARCHAR",
    "is_personal": "BOOLEAN", "is_key": "BOOLEAN", "row_count": "BIGINT", "nulls": "BIGINT", "null_share": "DOUBLE",
    "distinct_count": "BIGINT", "distinct_is_exact": "BOOLEAN", "is_sampled": "BOOLEAN", "least": "VARCHAR",
    "most": "VARCHAR", "mean": "DOUBLE", "deviation": "DOUBLE", "skew": "DOUBLE", **dict.fromkeys(_QUANTILES, "DOUBLE"),
    "zeros": "BIGINT", "negatives": "BIGINT", "outliers": "BIGINT", "shortest": "BIGINT", "longest": "BIGINT",
    "pattern": "VARCHAR", "top_values": _TOP, "findings": _FINDINGS,
}  # fmt: skip


def store_facts(profile: Profile, path: Path) -> StatementOutcome:
    """Write one row a column to the Parquet file `path` and return it as a result that waits for its handle.

    Values of sensitive columns are not written. Findings on the whole table stand in a last row without a column name.
    """
    shown = without_sensitive_values(profile)
    rows = [_row(shown, position, column) for position, column in enumerate(shown.columns, 1)]
    general = _findings(shown, None)
    if general:
        rows.append({"position": len(rows) + 1, "row_count": shown.rows, "findings": general})
    schema = pa.schema([(name, _arrow_type(kind)) for name, kind in _TYPES.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    carriers = [Carrier(name=n, type=t, stored_type=t, is_native=True, is_restorable=True) for n, t in _TYPES.items()]
    with ResultWriter(path, schema, carriers) as writer:
        for batch in table.to_batches():
            writer.write(batch)
        content_hash = writer.finish()
    draft = StoredDraft(
        file_name=path.name, row_count=len(rows), size_bytes=path.stat().st_size, content_hash=content_hash, cut_reason=None
    )  # fmt: skip
    return StatementOutcome(
        sql=f"-- full statistics of the profile of {profile.name}", kind="profile",
        head=take_head(None, tuple(carriers), 0), draft=draft, seconds=profile.seconds,
    )  # fmt: skip


def _row(profile: Profile, position: int, column: ColumnProfile) -> dict[str, Any]:
    spread = column.distribution
    found: dict[str, Any] = {
        "position": position, "column_name": column.name, "type": column.type, "better_type": column.better_type,
        "meaning": column.meaning.kind if column.meaning else None, "is_personal": column.is_sensitive,
        "is_key": column.is_key, "row_count": column.rows, "nulls": column.nulls, "null_share": column.null_share,
        "distinct_count": column.distinct, "distinct_is_exact": column.distinct_is_exact, "is_sampled": column.is_sampled,
        "least": column.min, "most": column.max, "shortest": column.min_length, "longest": column.max_length,
        "pattern": column.pattern, "findings": _findings(profile, column.name),
        "top_values": [
            {"value": t.value, "row_count": t.rows, "share": t.share, "is_exact": t.is_exact} for t in column.top
        ],
    }  # fmt: skip
    if spread is not None:
        found |= {"mean": spread.mean, "deviation": spread.deviation, "skew": spread.skew, "zeros": spread.zeros}
        found |= {"negatives": spread.negatives, "outliers": spread.outliers}
        found |= dict(zip(_QUANTILES, spread.quantiles, strict=False))
    return found


def _findings(profile: Profile, column: str | None) -> list[dict[str, Any]]:
    return [
        {
            "code": f.code, "severity": f.severity, "message": f.message, "row_count": f.rows, "is_exact": f.is_exact,
            "show_sql": f.show_sql, "mend_sql": f.mend_sql,
        }
        for f in profile.findings
        if f.column == column
    ]  # fmt: skip


def _arrow_type(kind: str) -> pa.DataType:
    simple = {
        "VARCHAR": pa.string(), "BIGINT": pa.int64(), "INTEGER": pa.int32(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_()
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    fields = kind.removeprefix("STRUCT(").removesuffix(")[]").split(", ")
    return pa.list_(pa.struct([(name, simple[inner]) for name, inner in (f.split(" ") for f in fields)]))
