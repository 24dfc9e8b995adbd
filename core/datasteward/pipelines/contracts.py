"""Open Data Contract Standard v3.1 documents: read, written, compiled to checks, and compared."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import ValidationError

from datasteward.lineage.schemas import Column
from datasteward.pipelines.checks import Check, join_checks
from datasteward.pipelines.contract_rules import column_checks, quality_check, unique_check
from datasteward.pipelines.problems import PipelineFault, Problem, suggest
from datasteward.pipelines.yaml_reading import has_aliases

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaObject

API_VERSION = "v3.1.0"
_PERSONAL = frozenset({"confidential", "restricted", "sensitive", "personal", "private", "pii"})
_LOGICAL_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "string": ("VARCHAR", "CHAR", "TEXT", "ENUM", "UUID", "BIT"),
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    "number": ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE", "TIMESTAMP"),
    "timestamp": ("TIMESTAMP",),
    "time": ("TIME",),
    "object": ("STRUCT", "MAP", "JSON", "UNION"),
    "array": ("LIST", "[]", "["),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractColumn:
    """A promised column; `type` is the physical type where one is given, and `logical` the standard's own word."""

    name: str
    type: str | None = None
    logical: str | None = None
    is_required: bool = False
    classification: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def is_personal(self) -> bool | None:
        """Whether it holds personal data, by the tag `pii` or the classification; None when neither says."""
        word = (self.classification or "").casefold()
        if word in _PERSONAL or any(t.casefold() in {"pii", "personal"} for t in self.tags):
            return True
        return False if word == "public" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What one dataset promises."""

    name: str
    version: str
    columns: tuple[ContractColumn, ...]
    checks: tuple[Check, ...]
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractBreach:
    """A promise that a schema does not keep."""

    column: str
    message: str


Breaking = Literal["breaking", "compatible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChange:
    """A difference between two versions of a contract, and whether readers of the old one may break."""

    column: str
    kind: Breaking
    message: str


def read_contract(reference: str, documents: Mapping[str, str], *, asked_by: str) -> Contract:
    """The contract at `file#schema`; without `#schema` the document's only one. Raises `PipelineFault`."""
    path, _, name = reference.partition("#")
    if path not in documents:
        message = f"there is no contract file '{path}' in the pipeline's folder{suggest(path, documents)}"
        raise PipelineFault([Problem(path=asked_by, message=message)])
    found = parse_contracts(documents[path], path)
    chosen = [c for c in found if c.name == name] if name else list(found)
    if len(chosen) != 1:
        names = [c.name for c in found]
        message = f"contract '{reference}': {'no schema of that name' if name else 'name one schema after #'}"
        raise PipelineFault([Problem(path=asked_by, message=message + suggest(name, names))])
    return chosen[0]


def parse_contracts(text: str, path: str) -> tuple[Contract, ...]:
    """Every dataset of an ODCS document; raises `PipelineFault` when it is not one."""
    from open_data_contract_standard.model import OpenDataContractStandard

    try:
        if has_aliases(text):
            raise PipelineFault([Problem(path=path, message="anchors and aliases (& and *) are not taken")])
        data = yaml.safe_load(text)
        _validate(data, path)
        document = OpenDataContractStandard.model_validate(data)
    except yaml.YAMLError as error:
        raise PipelineFault([Problem(path=path, message=f"not valid YAML: {error}")]) from error
    except ValidationError as error:
        faults = [".".join(str(p) for p in f["loc"]) + f": {f['msg']}" for f in error.errors(include_url=False)]
        raise PipelineFault([Problem(path=path, message=f"not an ODCS document: {'; '.join(faults[:5])}")]) from error
    return tuple(_contract(item, document.version or "", path) for item in document.schema_ or ())


@functools.cache
def _validator() -> Any:
    import open_data_contract_standard

    try:
        from jsonschema.validators import validator_for
    except ImportError:
        return None
    schema = json.loads(resources.files(open_data_contract_standard).joinpath("schema.json").read_text("utf-8"))
    return validator_for(schema)(schema)


def _validate(data: object, path: str) -> None:
    """Check against the standard's own JSON schema where a validator is installed."""
    if not isinstance(data, dict) or data.get("kind") != "DataContract":
        raise PipelineFault([Problem(path=path, message="not an ODCS document: 'kind: DataContract' is missing")])
    version = str(data.get("apiVersion", ""))
    if not version.startswith("v3."):
        raise PipelineFault([Problem(path=path, message=f"apiVersion is '{version}'; version 3 is read")])


def validate_contract(text: str) -> tuple[str, ...]:
    """Faults by the standard's JSON schema, empty when it is met; needs the `jsonschema` package."""
    validator = _validator()
    if validator is None:
        return ("jsonschema is not installed, so the document was not validated",)
    return tuple(f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(yaml.safe_load(text)))


def _contract(item: "SchemaObject", version: str, path: str) -> Contract:
    columns, checks = [], []
    keys = [p.name for p in item.properties or () if p.primaryKey and p.name]
    for column in item.properties or ():
        if column.name is None:
            continue
        columns.append(
            ContractColumn(
                name=column.name,
                type=column.physicalType,
                logical=column.logicalType,
                is_required=bool(column.required or column.primaryKey),
                classification=column.classification,
                tags=tuple(column.tags or ()),
            )
        )
        checks += column_checks(column)
    if keys:
        checks.append(unique_check(keys))
    for rule in item.quality or ():
        if (made := quality_check(rule, None)) is not None:
            checks.append(made)
    name = item.physicalName or item.name or ""
    return Contract(
        name=item.name or name, version=version, columns=tuple(columns), checks=join_checks(checks), path=path
    )


def find_breaches(contract: Contract, columns: Sequence[Column]) -> tuple[ContractBreach, ...]:
    """The promises about columns and types that a schema does not keep; more columns than promised are no breach."""
    have = {c.name.casefold(): c for c in columns}
    found = []
    for promised in contract.columns:
        column = have.get(promised.name.casefold())
        if column is None:
            found.append(
                ContractBreach(column=promised.name, message=f"column {promised.name} is promised and missing")
            )
        elif not _is_kept(promised, column.type):
            wanted = promised.type or promised.logical
            message = f"column {promised.name} is {column.type}, the contract promises {wanted}"
            found.append(ContractBreach(column=promised.name, message=message))
    return tuple(found)


def _is_kept(promised: ContractColumn, actual: str) -> bool:
    if promised.type:
        return _plain_type(promised.type) == _plain_type(actual)
    families = _LOGICAL_FAMILIES.get((promised.logical or "").casefold())
    return families is None or any(f in actual.upper() for f in families)


def _plain_type(name: str) -> str:
    plain = "".join(name.upper().split())
    aliases = {"INT": "INTEGER", "TEXT": "VARCHAR", "STRING": "VARCHAR", "BOOL": "BOOLEAN", "LONG": "BIGINT"}
    aliases |= {"INT8": "BIGINT", "INT4": "INTEGER", "TIMESTAMPTZ": "TIMESTAMPWITHTIMEZONE", "NUMERIC": "DECIMAL(18,3)"}
    aliases |= {"DECIMAL": "DECIMAL(18,3)", "FLOAT8": "DOUBLE", "REAL": "FLOAT", "DATETIME": "TIMESTAMP"}
    return aliases.get(plain, plain)


def compare_contracts(old: Contract, new: Contract) -> tuple[ContractChange, ...]:
    """What changed between two versions; a lost or retyped column and a weakened promise are breaking."""
    before = {c.name.casefold(): c for c in old.columns}
    after = {c.name.casefold(): c for c in new.columns}
    found: list[ContractChange] = []

    def add(column: str, kind: Breaking, message: str) -> None:
        found.append(ContractChange(column=column, kind=kind, message=message))

    for key, column in before.items():
        other = after.get(key)
        if other is None:
            add(column.name, "breaking", f"{column.name} is no longer promised")
            continue
        if (column.type or column.logical) != (other.type or other.logical):
            words = f"{column.type or column.logical} becomes {other.type or other.logical}"
            add(column.name, "breaking", f"{column.name}: {words}")
        if column.is_required and not other.is_required:
            add(column.name, "breaking", f"{column.name} may now be NULL")
        elif other.is_required and not column.is_required:
            add(column.name, "compatible", f"{column.name} is never NULL from now on")
    for key, column in after.items():
        if key not in before:
            add(column.name, "compatible", f"{column.name} is new")
    old_checks, new_checks = {c.sql: c for c in old.checks}, {c.sql: c for c in new.checks}
    for sql, check in old_checks.items():
        if sql not in new_checks and not check.name.startswith("not_null"):
            add(", ".join(check.columns), "breaking", f"the check '{check.name}' is gone or different")
    for sql, check in new_checks.items():
        if sql not in old_checks and not check.name.startswith("not_null"):
            add(", ".join(check.columns), "compatible", f"the check '{check.name}' is new")
    return tuple(found)


def write_contract(name: str, columns: Sequence[Column], checks: Sequence[Check], *, version: str = "1.0.0") -> str:
    """An ODCS v3.1 document for one dataset, as YAML, with each check as a `sql` quality rule."""
    required = {c for check in checks for c in check.columns if check.name.startswith("not_null")}
    properties = [
        {
            "name": c.name,
            "logicalType": logical_type(c.type),
            "physicalType": c.type,
            **({"required": True} if c.name in required else {}),
        }
        for c in columns
    ]
    quality = []
    for check in checks:
        if check.name.startswith("not_null") and check.scope == "row" and check.on_fail == "block":
            continue
        query = check.count_query("{object}").replace("{this}", "{object}")
        entry: dict[str, Any] = {"type": "sql", "name": check.name, "query": query, "mustBe": 0}
        if check.on_fail == "warn":
            entry["severity"] = "warning"
        quality.append(entry)
    item: dict[str, Any] = {"name": name, "physicalType": "table", "logicalType": "object", "properties": properties}
    if quality:
        item["quality"] = quality
    document = {
        "kind": "DataContract",
        "apiVersion": API_VERSION,
        "id": name,
        "name": name,
        "version": version,
        "status": "draft",
        "schema": [item],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def logical_type(type_name: str) -> str:
    """The standard's word for a DuckDB type."""
    plain = type_name.upper()
    if plain.endswith("]") or plain == "LIST":
        return "array"
    order = ("boolean", "integer", "number", "timestamp", "date", "time", "object", "array")
    for word in order:
        families = ("DATE",) if word == "date" else _LOGICAL_FAMILIES[word]
        if any(plain.startswith(f) for f in families):
            return word
    return "string"
