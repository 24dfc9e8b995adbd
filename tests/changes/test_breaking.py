"""Views and checks that a change would break are named before it is decided on."""

from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, TableHooks

from datasteward.changes.jobs import CheckQuery

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE beers (id INTEGER, name VARCHAR, brewery INTEGER);
INSERT INTO beers SELECT i, 'beer ' || i, i % 3 FROM range(30) AS r (i);
CREATE TABLE other (x INTEGER);
CREATE VIEW by_brewery AS SELECT brewery, count(*) AS n FROM beers GROUP BY brewery;
CREATE VIEW names AS SELECT name FROM beers;
CREATE VIEW above AS SELECT n FROM by_brewery;
CREATE VIEW lost AS SELECT * FROM other;
DROP TABLE other
"""
CHECKS = (
    CheckQuery(name="brewery is known", query="SELECT count(*) FROM beers WHERE brewery IS NULL"),
    CheckQuery(name="names are short", query="SELECT count(*) FROM beers WHERE length(name) > 20"),
    CheckQuery(name="names are numbers", query="SELECT count(*) FROM beers WHERE CAST(right(name, 1) AS INTEGER) < 0"),
    CheckQuery(name="never held", query="SELECT count(*) FROM beers WHERE id > 3"),
)


@pytest.fixture
def beers(tmp_path: Path) -> ChangesWorkspace:
    return ChangesWorkspace(tmp_path).make(TABLES)


async def broken(workspace: ChangesWorkspace, sql: str, checks: tuple[CheckQuery, ...] = ()) -> dict[str, str]:
    service = workspace.service(hooks=TableHooks(checks=checks))
    report = await service.propose(sql, requested_by="t")
    return {c.name: c.detail for c in report.preview.checks}


@pytest.mark.parametrize(
    ("sql", "views"),
    [
        ("ALTER TABLE beers DROP COLUMN brewery", {"view above", "view by_brewery"}),
        ("ALTER TABLE beers RENAME COLUMN name TO title", {"view names"}),
        ("ALTER TABLE beers RENAME TO ales", {"view above", "view by_brewery", "view names"}),
        ("DROP TABLE beers", {"view above", "view by_brewery", "view names"}),
        ("CREATE OR REPLACE VIEW by_brewery AS SELECT 1 AS one", {"view above"}),
        ("DROP VIEW by_brewery", {"view above"}),
        ("ALTER TABLE beers ADD COLUMN x INTEGER", set()),
        ("ALTER TABLE beers DROP COLUMN id", set()),
        ("UPDATE beers SET name = NULL", set()),
    ],
)
async def test_views_that_could_no_longer_be_read_are_named(beers: ChangesWorkspace, sql: str, views: set[str]) -> None:
    found = await broken(beers, sql)
    assert set(found) == views
    assert all(detail.startswith("it could no longer be read: ") for detail in found.values())


@pytest.mark.parametrize(
    ("sql", "checks"),
    [
        ("UPDATE beers SET brewery = NULL WHERE id < 3", {"brewery is known": "3 rows would break it; none does now"}),
        ("UPDATE beers SET brewery = NULL WHERE id = 3", {"brewery is known": "1 row would break it; none does now"}),
        (
            "UPDATE beers SET name = 'x' WHERE id = 3",
            {"names are numbers": "it could no longer be run: Conversion Error"},
        ),
        ("ALTER TABLE beers DROP COLUMN id", {}),
        (
            "ALTER TABLE beers DROP COLUMN brewery",
            {"brewery is known": 'it could no longer be run: Referenced column "brewery" not found'},
        ),
        (
            "DROP TABLE beers",
            {c.name: "it could no longer be run: Table with name beers does not exist" for c in CHECKS[:3]},
        ),
    ],
)
async def test_checks_that_hold_and_would_not_are_named(
    beers: ChangesWorkspace, sql: str, checks: dict[str, str]
) -> None:
    found = {n: d for n, d in (await broken(beers, sql, CHECKS)).items() if not n.startswith("view ")}
    assert set(found) == set(checks)
    assert all(found[name].startswith(detail) for name, detail in checks.items()), found


async def test_a_check_that_would_break_by_now_is_asked_about_again(beers: ChangesWorkspace) -> None:
    beers.run("CREATE TABLE known AS SELECT i AS brewery FROM range(9) AS r (i)")
    check = CheckQuery(
        name="breweries are known", query="SELECT count(*) FROM beers WHERE brewery NOT IN (SELECT brewery FROM known)"
    )
    service = beers.service(hooks=TableHooks(checks=(check,)))
    report = await service.propose("UPDATE beers SET brewery = 5 WHERE id = 1", requested_by="t")
    assert not report.preview.checks
    beers.run("DELETE FROM known WHERE brewery = 5")
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert (done.status, done.message) == ("moved", "breweries are known would break, which it did not in the preview")
    assert done.preview_now is not None and [c.name for c in done.preview_now.checks] == ["breweries are known"]
    again = await service.status(str(done.successor))
    assert (await service.approve(again.change, digest=again.digest, by="ada", channel="terminal")).status == "applied"
