"""The golden set: statements of every kind with the column lineage they must have."""

from pathlib import Path

import pytest

from datasteward.lineage.edges import StatementLineage, Subtype
from datasteward.lineage.resolve import resolve
from datasteward.lineage.schemas import ColumnRef
from tests.support.lineage_cases import GOLDEN_FILES, GoldenCase, golden_catalog, read_golden

CASES = read_golden(Path(__file__).with_name("golden.txt"))
MARKS: dict[Subtype, str] = {
    "identity": "",
    "transformation": "~",
    "aggregation": "+",
    "conditional": "?",
    "window": "@",
    "filter": "!",
    "sort": "^",
}


def test_the_golden_set_is_large_enough() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=[c.sql[:60] for c in CASES])
def test_a_golden_statement_has_the_lineage_written_beside_it(case: GoldenCase) -> None:
    found = resolve(case.sql, golden_catalog(), files=GOLDEN_FILES)
    assert found.confidence == "bound", found.notes
    told = {name: marked_sources(found, name) for name in case.columns}
    assert told == {name: sorted(sources) for name, sources in case.columns.items()}
    if not case.is_partial:
        assert [o.name for o in found.outputs if o.name not in case.columns] == []
    if case.rows is not None:
        rows = {f"{e.subtype} {e.source}" for e in found.edges if not e.target.column and e.kind == "indirect"}
        assert rows == set(case.rows)
    if case.writes:
        assert f"{found.kind} {found.target.name}" == case.writes


def test_count_star_reads_its_table_though_no_column_of_it() -> None:
    found = resolve("SELECT count(*) AS n FROM links", golden_catalog())
    assert [(str(e.source), e.target.column, e.kind) for e in found.edges] == [("links", "", "table")]


def test_output_columns_carry_their_types_and_expressions() -> None:
    found = resolve("SELECT id, kg * price AS net, [city] AS l FROM shipments JOIN hubs USING (id)", golden_catalog())
    assert [o.type for o in found.outputs] == ["INTEGER", "DOUBLE", "VARCHAR[]"]
    assert found.outputs[1].expression == "(shipments.kg * shipments.price)"


def marked_sources(found: StatementLineage, column: str) -> list[str]:
    """The sources of a column in the golden file's notation."""
    edges = [e for e in found.edges if e.target == ColumnRef(found.target, column)]
    return sorted(f"{e.source}{MARKS[e.subtype]}{'#' if e.masking else ''}" for e in edges)
