"""OpenLineage run events of what ran, with schema, column lineage, SQL and output statistics, and where to send them.

Event and facet shapes follow https://openlineage.io/spec (core 2-0-2, columnLineage 1-2-0).
"""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from datasteward.errors import ConfigError, EngineFault
from datasteward.lineage.edges import Edge, StatementLineage
from datasteward.lineage.schemas import Column, Dataset, DatasetKey

EventType = Literal["START", "COMPLETE", "FAIL"]
PRODUCER = "https://github.com/datasteward/datasteward"
_SPEC = "https://openlineage.io/spec"
_EVENT_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
HTTP_TIMEOUT_SECONDS = 5.0
JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStatistics:
    """What was written: rows, bytes and files, each None when not known."""

    row_count: int | None = None
    size_bytes: int | None = None
    file_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One transition of a run; `at` is in seconds since 1970.

    `run_id` may be any text: one that is no UUID becomes one by name, the same each time.
    `schemas` give the columns of inputs; the output's come from the lineage.
    """

    event_type: EventType
    run_id: str
    at: float
    job_namespace: str
    job_name: str
    sql: str | None = None
    dialect: str = "duckdb"
    lineage: StatementLineage | None = None
    schemas: Sequence[Dataset] = ()
    statistics: OutputStatistics | None = None
    error: str | None = None


class Transport(Protocol):
    """Where events go."""

    def send(self, event: str) -> None:
        """Deliver one event (JSON text); raises `EngineFault` when that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTransport:
    """Appends each event as one line to a file, readable by its owner only."""

    path: Path

    def send(self, event: str) -> None:
        """Append the line; raises `EngineFault` when the file cannot be written."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, event.encode() + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise EngineFault(f"{self.path} cannot take lineage events: {error.strerror}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTransport:
    """Posts each event to an OpenLineage endpoint, such as `http://host:5000/api/v1/lineage`; follows no proxy rule."""

    url: str
    api_key: str | None = None
    timeout_seconds: float = HTTP_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        """Refuse, with `ConfigError`, anything but an http or https address."""
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ConfigError(
                f"'{self.url}' is no address for lineage events.",
                hint="Give an http or https URL, or a file path for a file.",
            )

    def send(self, event: str) -> None:
        """Post the event and wait for the answer, at most `timeout_seconds`; raises `EngineFault`."""
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = Request(self.url, data=event.encode(), headers=headers, method="POST")  # noqa: S310  # http or https, checked when made
        try:
            with build_opener().open(request, timeout=self.timeout_seconds) as answer:
                answer.read(1024)
        except (URLError, OSError) as error:
            raise EngineFault(f"{self.url} did not take the lineage event: {error}.") from error


def write_event(report: RunReport) -> str:
    """The OpenLineage `RunEvent` as compact JSON on one line."""
    lineage = report.lineage
    schemas = {d.key: d.columns for d in report.schemas}
    run: dict[str, JsonValue] = {"runId": _run_uuid(report.run_id), "facets": _run_facets(report)}
    job: dict[str, JsonValue] = {
        "namespace": report.job_namespace,
        "name": report.job_name,
        "facets": _job_facets(report),
    }
    inputs: list[JsonValue] = []
    outputs: list[JsonValue] = []
    if lineage is not None:
        inputs = [_dataset(key, schemas.get(key, ())) for key in lineage.inputs]
        if lineage.outputs or lineage.kind not in ("other", "create_macro"):
            outputs = [_output(report, lineage, schemas)]
    event: JsonValue = {
        "eventType": report.event_type,
        "eventTime": datetime.fromtimestamp(report.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "producer": PRODUCER,
        "schemaURL": _EVENT_SCHEMA,
        "run": run,
        "job": job,
        "inputs": inputs,
        "outputs": outputs,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _facet(name: str, version: str, **values: JsonValue) -> dict[str, JsonValue]:
    schema = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": schema, **values}


def _run_facets(report: RunReport) -> dict[str, JsonValue]:
    if report.error is None:
        return {}
    return {
        "errorMessage": _facet("ErrorMessageRunFacet", "1-0-1", message=report.error, programmingLanguage="SQL"),
    }


def _job_facets(report: RunReport) -> dict[str, JsonValue]:
    facets: dict[str, JsonValue] = {
        "jobType": _facet(
            "JobTypeJobFacet", "2-0-4", processingType="BATCH", integration="DATASTEWARD", jobType="QUERY"
        )
    }
    if report.sql is not None:
        facets["sql"] = _facet("SQLJobFacet", "1-1-0", query=report.sql, dialect=report.dialect)
    return facets


def _dataset(key: DatasetKey, columns: Sequence[Column]) -> dict[str, JsonValue]:
    facets: dict[str, JsonValue] = {}
    if columns:
        facets["schema"] = _schema_facet(columns)
    return {"namespace": key.namespace, "name": key.name, "facets": facets}


def _schema_facet(columns: Sequence[Column]) -> JsonValue:
    fields: list[JsonValue] = [{"name": c.name, **({"type": c.type} if c.type else {})} for c in columns]
    return _facet("SchemaDatasetFacet", "1-2-0", fields=fields)


def _output(
    report: RunReport, lineage: StatementLineage, schemas: Mapping[DatasetKey, Sequence[Column]]
) -> dict[str, JsonValue]:
    columns = schemas.get(lineage.target) or lineage.output_schema
    output = _dataset(lineage.target, columns)
    facets = output["facets"]
    assert isinstance(facets, dict)
    onto_target = [e for e in lineage.edges if e.target.dataset == lineage.target]
    if any(e.source.column for e in onto_target):
        facets["columnLineage"] = _column_lineage_facet(onto_target)
    statistics = report.statistics
    if statistics is not None:
        values: dict[str, JsonValue] = {
            "rowCount": statistics.row_count,
            "size": statistics.size_bytes,
            "fileCount": statistics.file_count,
        }
        known = {name: value for name, value in values.items() if value is not None}
        output["outputFacets"] = {
            "outputStatistics": _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", **known),
        }
    return output


def _column_lineage_facet(edges: Sequence[Edge]) -> JsonValue:
    fields: dict[str, JsonValue] = {}
    for column in dict.fromkeys(e.target.column for e in edges if e.target.column):
        fields[column] = {"inputFields": _input_fields([e for e in edges if e.target.column == column])}
    return _facet(
        "ColumnLineageDatasetFacet",
        "1-2-0",
        fields=fields,
        dataset=_input_fields([e for e in edges if not e.target.column]),
    )


def _input_fields(edges: Sequence[Edge]) -> list[JsonValue]:
    by_source: dict[tuple[DatasetKey, str], list[JsonValue]] = {}
    for edge in edges:
        if not edge.source.column:
            continue
        by_source.setdefault((edge.source.dataset, edge.source.column), []).append(
            {
                "type": edge.kind.upper(),
                "subtype": edge.subtype.upper(),
                "description": edge.expression or "",
                "masking": edge.masking,
            }
        )
    return [
        {"namespace": dataset.namespace, "name": dataset.name, "field": field, "transformations": steps}
        for (dataset, field), steps in by_source.items()
    ]


def _run_uuid(run_id: str) -> str:
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{PRODUCER}/runs/{run_id}"))
