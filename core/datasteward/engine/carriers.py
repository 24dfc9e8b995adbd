"""How a DuckDB type is carried in a stored result: as itself where Parquet keeps it, else as text that casts back."""

from dataclasses import dataclass
from typing import Any

TEXT_THAT_CASTS_BACK = frozenset(
    {"hugeint", "uhugeint", "enum", "interval", "bit", "time with time zone", "bignum", "uuid"}
)
TEXT_FOR_GOOD = frozenset({"union", "variant", "geometry", "type", "lambda"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """How one column is stored: `stored_type` in SQL, whether that differs from the column's own, and can be undone."""

    name: str
    type: str
    stored_type: str
    is_native: bool
    is_restorable: bool


def choose_carrier(name: str, duckdb_type: Any) -> Carrier:
    """The carrier of one column of type `duckdb_type` (a `duckdb.DuckDBPyType`)."""
    original = str(duckdb_type)
    stored, restorable = _stored_form(duckdb_type)
    if original == '"NULL"':
        return Carrier(name=name, type="NULL", stored_type="INTEGER", is_native=False, is_restorable=False)
    return Carrier(name=name, type=original, stored_type=stored, is_native=stored == original, is_restorable=restorable)


def restore_expression(column: str, original: str, stored: str) -> str:
    """SQL that gives a stored column its own type back; `column` is a bare name."""
    quoted = quote_name(column)
    return quoted if original == stored else f"CAST({quoted} AS {original}) AS {quoted}"


def quote_name(name: str) -> str:
    """A name as an SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _stored_form(duckdb_type: Any) -> tuple[str, bool]:
    kind = duckdb_type.id
    if kind in TEXT_THAT_CASTS_BACK:
        return "VARCHAR", True
    if kind in TEXT_FOR_GOOD:
        return "VARCHAR", False
    if kind in {"list", "array"}:
        inner, restorable = _stored_form(duckdb_type.children[0][1])
        return f"{inner}[]", restorable
    if kind == "struct":
        parts = [(name, *_stored_form(child)) for name, child in duckdb_type.children]
        fields = ", ".join(f"{quote_name(name)} {stored}" for name, stored, _ in parts)
        stored = f"STRUCT({fields})"
        changed = any(p[1] != str(c[1]) for p, c in zip(parts, duckdb_type.children, strict=True))
        return (stored if changed else str(duckdb_type)), all(p[2] for p in parts)
    if kind == "map":
        (key, key_restorable), (value, value_restorable) = (_stored_form(c[1]) for c in duckdb_type.children)
        return f"MAP({key}, {value})", key_restorable and value_restorable
    if kind in {"timestamp_s", "timestamp_ms"}:
        return "TIMESTAMP", True
    return str(duckdb_type), True
