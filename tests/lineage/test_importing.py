"""A folder of SQL files, bound in order of need."""

from pathlib import Path

import pytest

from datasteward.errors import ConfigError
from datasteward.lineage.importing import ImportReport, import_folder
from datasteward.lineage.schemas import Catalog
from tests.support.lineage_cases import TABLES, make_dataset


def import_files(folder: Path, files: dict[str, str]) -> ImportReport:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return import_folder(folder, Catalog([make_dataset(n, TABLES[n]) for n in ("hubs", "shipments")]))


def test_files_are_bound_after_what_they_need(tmp_path: Path) -> None:
    report = import_files(
        tmp_path,
        {
            "a_last.sql": "CREATE TABLE done AS SELECT twice_kg FROM marts.middle",
            "marts/middle.sql": "-- a bare query\nSELECT hub_id, 2 * kg AS twice_kg FROM stg.first;",
            "stg/first.sql": "SELECT * EXCLUDE tags FROM shipments",
        },
    )
    assert report.problems == ()
    assert [s.file for s in report.statements] == ["stg/first.sql", "marts/middle.sql", "a_last.sql"]
    assert {s.lineage.confidence for s in report.statements} == {"bound"}
    made = report.catalog.find(("marts", "middle"))
    assert made is not None
    assert [(c.name, c.type) for c in made.columns] == [("hub_id", "INTEGER"), ("twice_kg", "DOUBLE")]


def test_statements_of_one_file_keep_their_order(tmp_path: Path) -> None:
    script = (
        "CREATE TABLE t AS SELECT id FROM hubs;\n\nINSERT INTO t SELECT id FROM shipments;\nCREATE VIEW v AS FROM t"
    )
    report = import_files(tmp_path, {"x.sql": script})
    assert [(s.line, s.lineage.kind) for s in report.statements] == [
        (1, "create_table"),
        (3, "insert"),
        (4, "create_view"),
    ]
    assert report.problems == ()


def test_a_macro_is_known_to_what_follows(tmp_path: Path) -> None:
    report = import_files(
        tmp_path, {"a.sql": "CREATE MACRO f(x) AS x + 1; CREATE TABLE t AS SELECT f(kg) AS k FROM shipments"}
    )
    assert {str(s) for s in report.statements[1].lineage.sources_of("k")} == {"shipments.kg"}


def test_a_cycle_is_told_with_its_places_and_the_rest_goes_on(tmp_path: Path) -> None:
    report = import_files(
        tmp_path,
        {
            "one.sql": "CREATE TABLE one AS SELECT x FROM two",
            "two.sql": "\nCREATE TABLE two AS SELECT x FROM one",
            "fine.sql": "CREATE TABLE fine AS SELECT id FROM hubs",
        },
    )
    assert "cycle: one.sql:1 needs two.sql:2 needs one.sql:1" in [p.message for p in report.problems]
    assert "fine.sql" in [s.file for s in report.statements]


def test_missing_inputs_and_broken_statements_are_told_with_file_and_line(tmp_path: Path) -> None:
    report = import_files(tmp_path, {"x.sql": "CREATE TABLE t AS SELECT id FROM lost;\n\nSELEC 1;\nSELECT 1"})
    told = [(p.file, p.line, p.message) for p in report.problems]
    assert ("x.sql", 1, "reads unknown lost") in told
    assert any(line == 3 and "syntax" in message.casefold() for _, line, message in told)


def test_a_folder_without_sql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \.sql file"):
        import_folder(tmp_path, Catalog())
    with pytest.raises(ConfigError, match="not a folder"):
        import_folder(tmp_path / "none", Catalog())
