"""What OpenLineage 2-0-2 asks of a run event and its facets, put down as JSON Schema for the tests.

Written from the specification at https://openlineage.io/spec; stricter than it where we promise more.
"""

from typing import Any

_URI = {"type": "string", "pattern": "^https://"}
_NAMED = {"namespace": {"type": "string", "minLength": 1}, "name": {"type": "string", "minLength": 1}}


def _facet(name: str, **properties: Any) -> dict[str, Any]:
    schema = {
        "type": "string",
        "pattern": rf"^https://openlineage\.io/spec/facets/\d+-\d+-\d+/{name}\.json#/\$defs/{name}$",
    }
    return {
        "type": "object",
        "properties": {"_producer": _URI, "_schemaURL": schema, **properties},
        "required": ["_producer", "_schemaURL", *properties],
    }


_STEP = {
    "type": "object",
    "properties": {
        "type": {"enum": ["DIRECT", "INDIRECT"]},
        "subtype": {
            "enum": [
                *("IDENTITY", "TRANSFORMATION", "AGGREGATION", "JOIN", "GROUP_BY"),
                *("FILTER", "SORT", "WINDOW", "CONDITIONAL"),
            ]
        },
        "description": {"type": "string"},
        "masking": {"type": "boolean"},
    },
    "required": ["type"],
    "additionalProperties": False,
}
_INPUT_FIELDS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {**_NAMED, "field": {"type": "string"}, "transformations": {"type": "array", "items": _STEP}},
        "required": ["namespace", "name", "field"],
        "additionalProperties": False,
    },
}
_COLUMN_LINEAGE = _facet(
    "ColumnLineageDatasetFacet",
    fields={
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {"inputFields": _INPUT_FIELDS},
            "required": ["inputFields"],
        },
    },
    dataset=_INPUT_FIELDS,
)
_SCHEMA = _facet(
    "SchemaDatasetFacet",
    fields={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
)
_DATASET = {
    "type": "object",
    "properties": {
        **_NAMED,
        "facets": {
            "type": "object",
            "properties": {"schema": _SCHEMA, "columnLineage": _COLUMN_LINEAGE},
            "additionalProperties": False,
        },
        "outputFacets": {
            "type": "object",
            "properties": {
                "outputStatistics": {
                    **_facet("OutputStatisticsOutputDatasetFacet"),
                    "patternProperties": {"^(rowCount|size|fileCount)$": {"type": "integer", "minimum": 0}},
                }
            },
            "additionalProperties": False,
        },
    },
    "required": ["namespace", "name"],
    "additionalProperties": False,
}
EVENT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "producer": _URI,
        "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        "run": {
            "type": "object",
            "properties": {
                "runId": {"type": "string", "format": "uuid"},
                "facets": {
                    "type": "object",
                    "properties": {
                        "errorMessage": _facet(
                            "ErrorMessageRunFacet",
                            message={"type": "string"},
                            programmingLanguage={"type": "string"},
                        )
                    },
                    "additionalProperties": False,
                },
            },
            "required": ["runId"],
        },
        "job": {
            "type": "object",
            "properties": {
                **_NAMED,
                "facets": {
                    "type": "object",
                    "properties": {
                        "sql": _facet("SQLJobFacet", query={"type": "string"}, dialect={"type": "string"}),
                        "jobType": _facet(
                            "JobTypeJobFacet",
                            processingType={"enum": ["BATCH"]},
                            integration={"type": "string"},
                            jobType={"type": "string"},
                        ),
                    },
                    "additionalProperties": False,
                },
            },
            "required": ["namespace", "name"],
        },
        "inputs": {"type": "array", "items": _DATASET},
        "outputs": {"type": "array", "items": _DATASET},
    },
    "required": ["eventType", "eventTime", "producer", "schemaURL", "run", "job"],
    "additionalProperties": False,
}
