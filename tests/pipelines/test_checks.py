"""Checks count exactly the rows that break them, from headers and from contracts alike."""

import duckdb
import pytest
import yaml

from datasteward.lineage.schemas import Column
from datasteward.pipelines.checks import Check, compile_checks
from datasteward.pipelines.contracts import (
    compare_contracts,
    find_breaches,
    parse_contracts,
    read_contract,
    validate_contract,
    write_contract,
)
from datasteward.pipelines.loading import Asset, PipelineFiles, load_pipeline
from datasteward.pipelines.problems import PipelineFault

ROWS = "(VALUES (1, 'a', 5.0), (2, 'b', -1.0), (2, NULL, NULL), (NULL, 'zz', 9.0)) AS t(k, name, net)"


def asset_with(checks: str) -> Asset:
    text = f"/* @asset\nchecks:\n{checks}\n@end */ SELECT 1"
    return load_pipeline(PipelineFiles(folder="f", texts={"t.sql": text})).assets[0]


def count(check: Check) -> int:
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE t AS SELECT * FROM {ROWS}")
    connection.execute("CREATE TABLE dim AS SELECT * FROM (VALUES (1), (NULL)) AS d(k)")
    row = connection.execute(check.count_query("t")).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("  - not_null: name", 1),
        ("  - not_null: [k, name]", 2),
        ("  - expect: net >= 0", 1),
        ("  - accepted: {column: name, values: [a, b]}", 1),
        ("  - pattern: {column: name, regex: '[a-z]'}", 1),
        ("  - range: {column: net, min: 0, max: 6}", 2),
        ("  - relationship: k -> dim.k", 2),
        ("  - unique: k", 1),
        ("  - rows: {min: 6}", 2),
        ("  - rows: {min: 1, max: 3}", 1),
        ("  - query: SELECT count(*) FROM this WHERE net < 0", 1),
    ],
)
def test_a_check_counts_what_breaks_it(text: str, bad: int) -> None:
    assert count(compile_checks(asset_with(text))[0]) == bad


def test_a_relationship_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(PipelineFault, match=r"is not 'column -> table\.column'"):
        compile_checks(asset_with("  - relationship: k dim"))


CONTRACT = """
kind: DataContract
apiVersion: v3.1.0
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: k, logicalType: integer, physicalType: INTEGER, required: true, unique: true}
      - {name: name, logicalType: string, logicalTypeOptions: {maxLength: 1, pattern: '[ab]'}}
      - name: net
        logicalType: number
        logicalTypeOptions: {minimum: 0}
        quality:
          - {metric: nullValues, mustBeLessOrEqualTo: 10, unit: percent}
    quality:
      - {metric: rowCount, mustBeBetween: [1, 3]}
      - {type: sql, query: 'SELECT count(*) FROM {object} WHERE net < 0', mustBe: 0, severity: warning}
"""


def test_a_contract_compiles_to_the_same_checks() -> None:
    assert validate_contract(CONTRACT) == ()
    contract = parse_contracts(CONTRACT, "c.odcs.yaml")[0]
    counts = {c.name: (count(c), c.on_fail) for c in contract.checks}
    assert counts == {
        "not_null k": (1, "block"),
        "unique k": (1, "block"),
        "maxLength name": (1, "block"),
        "pattern name": (1, "block"),
        "minimum net": (1, "block"),
        "nullValues net": (1, "block"),
        "rowCount": (1, "block"),
        "query": (1, "warn"),
    }


def test_columns_and_types_that_break_a_contract_are_named() -> None:
    contract = parse_contracts(CONTRACT, "c.odcs.yaml")[0]
    columns = [Column(name="K", type="BIGINT"), Column(name="net", type="DECIMAL(10,2)"), Column(name="x", type="DATE")]
    assert [b.message for b in find_breaches(contract, columns)] == [
        "column k is BIGINT, the contract promises INTEGER",
        "column name is promised and missing",
    ]


def test_a_contract_is_written_as_the_standard_says_and_read_back() -> None:
    checks = compile_checks(asset_with("  - not_null: k\n  - expect: net >= 0\n  - unique: k"))
    columns = [
        Column(name="k", type="BIGINT"),
        Column(name="net", type="DECIMAL(10,2)"),
        Column(name="d", type="DATE[]"),
    ]
    text = write_contract("orders", columns, checks)
    assert validate_contract(text) == ()
    again = parse_contracts(text, "x")[0]
    assert [(c.name, c.type, c.is_required) for c in again.columns] == [
        ("k", "BIGINT", True),
        ("net", "DECIMAL(10,2)", False),
        ("d", "DATE[]", False),
    ]
    assert find_breaches(again, columns) == ()
    assert sorted(count(c) for c in again.checks if "net" in c.sql) == [1]


def test_a_change_of_contract_says_what_breaks() -> None:
    document = yaml.safe_load(CONTRACT)
    properties = document["schema"][0]["properties"]
    properties[0]["physicalType"] = "BIGINT"
    properties[0]["required"] = False
    properties.pop(1)
    properties.append({"name": "extra", "logicalType": "string"})
    old, new = parse_contracts(CONTRACT, "a")[0], parse_contracts(yaml.safe_dump(document), "b")[0]
    told = {(c.kind, c.message) for c in compare_contracts(old, new)}
    assert ("breaking", "k: INTEGER becomes BIGINT") in told
    assert ("breaking", "k may now be NULL") in told
    assert ("breaking", "name is no longer promised") in told
    assert ("compatible", "extra is new") in told


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("c.yml#orders", "no contract file 'c.yml'.*did you mean 'c.yaml'"), ("c.yaml#order", "did you mean 'orders'")],
)
def test_a_missing_contract_is_told_with_the_nearest_name(reference: str, expected: str) -> None:
    with pytest.raises(PipelineFault, match=expected):
        read_contract(reference, {"c.yaml": CONTRACT}, asked_by="a.sql")


def test_what_is_not_a_contract_is_refused() -> None:
    with pytest.raises(PipelineFault, match="kind: DataContract"):
        parse_contracts("a: 1", "c.yaml")
