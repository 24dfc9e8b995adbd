"""Whether the types that Spark gives can stand for those that were planned, without a value being bent."""

from collections.abc import Sequence
from typing import Literal

from datasteward.lineage.schemas import Column

ValueKind = Literal["integer", "decimal", "float", "text", "boolean", "date", "timestamp", "blob", "other"]

_KINDS: dict[str, ValueKind] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT"), "integer"),
    **dict.fromkeys(("UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "float"),
    **dict.fromkeys(("VARCHAR", "UUID"), "text"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS"), "timestamp"),
    "TIMESTAMP_NS": "timestamp",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "BLOB": "blob",
}
_CARRIED: frozenset[tuple[ValueKind, ValueKind]] = frozenset(
    {("decimal", "integer"), ("float", "integer"), ("float", "decimal"), ("timestamp", "date")}
)
"""Planned and found: a DATE where DuckDB has midnight, and the like. Decimals are judged by their scale."""


def kind_of(type_name: str) -> ValueKind:
    """What kind of value a DuckDB type holds."""
    name = type_name.upper()
    if name.endswith("]") or name.startswith(("STRUCT", "MAP", "UNION")):
        return "other"
    if name.startswith("DECIMAL"):
        return "decimal"
    return "text" if name.startswith("ENUM") else _KINDS.get(name, "other")


def is_carried(planned: str, found: str) -> bool:
    """Whether values of type `found` are values of type `planned` once cast."""
    if planned.upper() == found.upper():
        return True
    want, have = kind_of(planned), kind_of(found)
    if have == "decimal" and want in {"integer", "decimal"}:
        return _scale(found) <= (_scale(planned) if want == "decimal" else 0)
    return (want == have and want != "other") or (want, have) in _CARRIED


def _scale(decimal: str) -> int:
    return int(decimal.rstrip(")").rsplit(",", 1)[-1])


def find_mismatches(planned: Sequence[Column], found: Sequence[Column]) -> tuple[str, ...]:
    """What is wrong with the columns found, in words; extra columns are wrong too."""
    have = {c.name.casefold(): c for c in found}
    problems = []
    for column in planned:
        got = have.pop(column.name.casefold(), None)
        if got is None:
            problems.append(f"{column.name} is missing")
        elif not is_carried(column.type, got.type):
            problems.append(f"{column.name} is {got.type} instead of {column.type}")
    problems += [f"{c.name} was not planned" for c in have.values()]
    return tuple(problems)
