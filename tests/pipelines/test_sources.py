"""What assets can read: files by name and by path, messy ones too, tables, views and results."""

from pathlib import Path

import pytest

from datasteward.errors import ToolError
from tests.support.pipeline_workspace import PipelineWorkspace, actions


@pytest.fixture
def place(tmp_path: Path) -> PipelineWorkspace:
    made = PipelineWorkspace(tmp_path)
    made.write({"data/sales.csv": "id;amount;note\n1;4.50;a\n2;7.25;b\n3;-1.00;c\n"})
    return made


def test_a_messy_file_is_read_by_its_friendly_name_as_queries_do(place: PipelineWorkspace) -> None:
    place.write({"clean.sql": "SELECT id, amount FROM sales", "total.sql": "SELECT sum(amount) AS s FROM clean"})
    assert place.run().status == "done"
    assert place.rows("SELECT count(*), min(id) FROM clean") == [(3, 1)]
    assert actions(place.plan()) == {}
    place.write({"data/sales.csv": "id;amount;note\n9;1.50;a\n"})
    assert place.plan().running[0].reasons == ("data/sales.csv changed",)


def test_a_path_in_quotes_is_a_file(place: PipelineWorkspace) -> None:
    place.write({"data/plain.csv": "a,b\n1,x\n2,y\n", "p.sql": "SELECT a FROM 'data/plain.csv' WHERE b = 'y'"})
    assert place.run().status == "done"
    assert place.rows("FROM p") == [(2,)]


def test_files_of_a_pattern_are_joined_by_column_name(place: PipelineWorkspace) -> None:
    (place.root / "data" / "in").mkdir()
    place.write({"data/in/a.csv": "a;b\n1;x\n", "data/in/b.csv": "a;c;b\n2;9;y\n"})
    for name, columns in (("p1", "1 AS a"), ("p2", "2 AS a, 'z' AS b")):
        place.execute(f"COPY (SELECT {columns}) TO '{place.root}/data/in/{name}.parquet'")
    place.write({"p.sql": "FROM 'data/in/*.csv'", "q.sql": "FROM 'data/in/p*.parquet'"})
    assert place.run().status == "done"
    assert place.rows("SELECT a, b, c FROM p ORDER BY a") == [(1, "x", None), (2, "y", 9)]
    assert place.rows("SELECT a, b FROM q ORDER BY a") == [(1, None), (2, "z")]


def test_an_appended_file_that_was_touched_and_a_new_part_of_a_glob_are_noticed(place: PipelineWorkspace) -> None:
    (place.root / "data" / "in").mkdir()
    place.write({"data/in/a.csv": "a\n1\n", "p.sql": "SELECT a FROM 'data/in/*.csv'"})
    place.run()
    place.write({"data/in/b.csv": "a\n2\n"})
    assert place.plan().running[0].reasons == ("data/in/*.csv changed",)
    place.run()
    assert place.rows("SELECT sum(a) FROM p") == [(3,)]


def test_a_table_of_the_database_is_an_input_whose_changed_rows_are_noticed(place: PipelineWorkspace) -> None:
    place.execute("CREATE TABLE raw AS SELECT range AS n FROM range(5); CREATE VIEW odd AS FROM raw WHERE n % 2 = 1")
    place.write({"p.sql": "SELECT sum(n) AS s FROM raw", "q.sql": "SELECT count(*) AS c FROM odd"})
    place.run()
    assert place.rows("FROM p") == [(10,)]
    assert actions(place.plan()) == {}
    place.execute("UPDATE raw SET n = 7 WHERE n = 0")
    plan = place.plan()
    assert {s.name: s.reasons for s in plan.running} == {"p": ("raw changed",), "q": ("odd changed",)}
    place.run()
    assert place.rows("FROM p") == [(17,)]


def test_a_view_cannot_hang_on_a_name_that_only_the_workspace_knows(place: PipelineWorkspace) -> None:
    place.write({"v.sql": "/* @asset materialize: view */ SELECT id FROM sales"})
    with pytest.raises(ToolError, match=r"v\.sql: a view cannot read 'data/sales\.csv' by its name"):
        place.plan()


def test_a_file_outside_the_roots_and_a_link_are_refused(place: PipelineWorkspace) -> None:
    place.write({"p.sql": "SELECT * FROM read_csv('../secret.csv')"})
    (place.root.parent / "secret.csv").write_text("a\n1\n")
    with pytest.raises(ToolError, match=r"p\.sql:1:15"):
        place.plan()
    (place.root / "data" / "link.csv").symlink_to(place.root.parent / "secret.csv")
    place.write({"p.sql": "SELECT * FROM read_csv('data/link.csv')"})
    with pytest.raises(ToolError, match=r"p\.sql:1:15"):
        place.plan()


def test_messy_files_of_the_world_become_a_checked_table(place: PipelineWorkspace, shared_data: Path) -> None:
    import shutil

    source = shared_data / "cleaning" / "beers"
    files = sorted(p for p in source.glob("*.csv"))
    if not files:
        pytest.skip("no beers here")
    dirty = next((f for f in files if "dirty" in f.name), files[0])
    shutil.copy(dirty, place.root / "data" / "beers.csv")
    place.write(
        {
            "staging/beers.sql": '/* @asset\nchecks:\n  - expect: "try_cast(ibu AS DOUBLE) IS NOT NULL OR ibu IS NULL"\n'
            "    on_fail: quarantine\n    max: 95%\n@end */ SELECT * FROM beers",
            "marts/styles.sql": "SELECT style, count(*) AS n FROM staging.beers GROUP BY style",
        }
    )
    outcome = place.run()
    assert outcome.status == "done", [s.message for s in outcome.steps]
    good = place.rows("SELECT count(*) FROM staging.beers")[0][0]
    kept = outcome.steps[0].quarantined
    assert good > 0 and good + kept == place.rows("SELECT sum(n) FROM marts.styles")[0][0] + kept


def test_a_value_far_down_that_fits_no_number_decides_the_type_at_planning(place: PipelineWorkspace) -> None:
    rows = "".join(f"{i},{i}\n" for i in range(60_000))
    place.write({"data/long.csv": f"id,ibu\n{rows}7,n.k.\n", "far.sql": "SELECT id, ibu FROM long"})
    step = place.plan().running[0]
    assert [(c.name, c.type) for c in step.columns] == [("id", "BIGINT"), ("ibu", "VARCHAR")]
    assert place.run().status == "done"
    assert place.rows("SELECT ibu FROM far WHERE ibu = 'n.k.'") == [("n.k.",)]
