"""A contract proposed from a profile: an Open Data Contract Standard v3.1 document for a person to review."""

import re
from typing import Any

import yaml

from datasteward.profiling.model import ColumnProfile, Profile

_LOGICAL = {
    "integer": "integer", "decimal": "number", "text": "string", "boolean": "boolean", "date": "date", "time": "time",
    "timestamp": "timestamp", "nested": "object", "binary": "string", "other": "string",
}  # fmt: skip
_FORMATS = {"email": "email", "UUID": "uuid", "URL": "uri", "IP address": "ipv4"}
_MOST_ALLOWED = 20
_UNCLEAR_VALUES = frozenset(
    {"case_variants", "misspelling", "null_spelling", "padding", "broken_dependency", "mixed_types"}
)


def draft_contract(profile: Profile, *, version: str = "0.1.0") -> str:
    """The contract as YAML, status draft: columns, types, required, unique, ranges, allowed values, freshness, PII.

    What the data shows is proposed as a rule only where it is exact; the format is that of Bitol's ODCS v3.1.0.
    """
    name = re.sub(r"\W+", "_", profile.name).strip("_").lower() or "dataset"
    document: dict[str, Any] = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": name,
        "name": profile.name,
        "version": version,
        "status": "draft",
        "description": {"purpose": f"Proposed from a profile of {profile.rows:,} rows; to be reviewed."},
        "schema": [_table(profile, name)],
    }
    if properties := _freshness(profile, name):
        document["slaProperties"] = properties
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _table(profile: Profile, name: str) -> dict[str, Any]:
    keys = _primary_key(profile)
    unclear = {f.column for f in profile.findings if f.code in _UNCLEAR_VALUES}
    table: dict[str, Any] = {
        "name": name, "physicalName": profile.name, "logicalType": "object", "physicalType": "table",
        "properties": [_property(c, keys, spelt_alike=c.name not in unclear) for c in profile.columns],
    }  # fmt: skip
    if profile.grain:
        table["dataGranularityDescription"] = profile.grain
    quality: list[dict[str, Any]] = [
        {"type": "library", "metric": "rowCount", "mustBeGreaterThan": 0, "dimension": "completeness"}
    ]
    if len(keys) > 1:
        quality.append(
            {"type": "library", "metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": list(keys)}}
        )
    table["quality"] = quality
    return table


def _primary_key(profile: Profile) -> tuple[str, ...]:
    if profile.structure.keys:
        return (profile.structure.keys[0],)
    return profile.structure.composite_keys[0] if profile.structure.composite_keys else ()


def _property(column: ColumnProfile, keys: tuple[str, ...], *, spelt_alike: bool) -> dict[str, Any]:
    logical = "array" if column.type.endswith("[]") else _LOGICAL[column.family]
    found: dict[str, Any] = {"name": column.name, "logicalType": logical, "physicalType": column.type}
    if column.rows and column.nulls == 0:
        found["required"] = True
    if column.is_key:
        found["unique"] = True
    if column.name in keys:
        found["primaryKey"] = True
        found["primaryKeyPosition"] = keys.index(column.name) + 1
    if column.is_sensitive and column.meaning:
        found["classification"] = "restricted" if column.meaning.sensitivity == "sensitive" else "confidential"
        found["tags"] = ["pii", column.meaning.kind.replace(" ", "-")]
    elif column.meaning:
        found["tags"] = [column.meaning.kind.replace(" ", "-")]
    if options := _options(column):
        found["logicalTypeOptions"] = options
    if quality := _quality(column, spelt_alike=spelt_alike):
        found["quality"] = quality
    return found


def _options(column: ColumnProfile) -> dict[str, Any]:
    if column.family == "text" and column.meaning and column.meaning.share == 1 and column.meaning.kind in _FORMATS:
        return {"format": _FORMATS[column.meaning.kind]}
    if (
        column.is_sensitive
        or column.is_key
        or column.min is None
        or column.max is None
        or column.family not in {"integer", "decimal"}
    ):
        return {}
    low = float(column.min)
    if low < 0:
        return {}
    return {"minimum": 0}


def _quality(column: ColumnProfile, *, spelt_alike: bool) -> list[dict[str, Any]]:
    """Allowed values, unless some are but other spellings, and a ceiling of nulls."""
    found: list[dict[str, Any]] = []
    is_short_list = (
        column.family == "text"
        and column.distinct_is_exact
        and 0 < column.distinct <= _MOST_ALLOWED
        and len(column.top) == column.distinct
    )
    if is_short_list and spelt_alike and not column.is_sensitive and column.rows >= 10 * column.distinct:
        values = sorted(t.value for t in column.top)
        found.append(
            {
                "type": "library",
                "metric": "invalidValues",
                "arguments": {"validValues": values},
                "mustBe": 0,
                "dimension": "conformity",
            }
        )
    if 0 < column.null_share < 0.5:
        ceiling = min(100, round(column.null_share * 100 * 1.5 + 1))
        found.append(
            {
                "type": "library",
                "metric": "nullValues",
                "mustBeLessOrEqualTo": ceiling,
                "unit": "percent",
                "dimension": "completeness",
            }
        )
    return found


def _freshness(profile: Profile, name: str) -> list[dict[str, Any]]:
    """A freshness promise on the newest load or event column, its value left generous for the reviewer."""
    stamps = [
        c
        for c in profile.columns
        if c.family in {"timestamp", "date"}
        and re.search(r"(?i)updat|load|creat|event|order|modified|_at$|date", c.name)
    ]
    if not stamps or not stamps[0].max:
        return []
    return [{"property": "freshness", "value": 1, "unit": "d", "element": f"{name}.{stamps[0].name}"}]
