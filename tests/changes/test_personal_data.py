"""Which changes touch personal data is found by contract, name and values, told to people, and judged by rules."""

from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, TableHooks

from datasteward.changes.contract_checks import ContractChecks
from datasteward.changes.masking import without_personal_values
from datasteward.changes.model import ColumnLabel
from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.render import render_report
from datasteward.changes.rules import rule_for

pytestmark = pytest.mark.anyio

PEOPLE = """
CREATE TABLE people (id INTEGER, plan VARCHAR, email VARCHAR, birth_date DATE, note VARCHAR, score INTEGER, address STRUCT (mail VARCHAR));
INSERT INTO people SELECT i, 'plan ' || (i % 3), 'user' || i || '@example.org', DATE '1980-01-01' + i::INTEGER,
    'called on monday', i * 7, {'mail': 'user' || i || '@example.org'} FROM range(300) AS r (i);
CREATE INDEX people_plan ON people (plan)
"""
ALL = ["email", "birth_date", "address"]


@pytest.fixture
def people(tmp_path: Path) -> ChangesWorkspace:
    return ChangesWorkspace(tmp_path).make(PEOPLE)


async def columns_of(workspace: ChangesWorkspace, sql: str, labels: tuple[ColumnLabel, ...] = ()) -> list[str] | None:
    report = await workspace.service(hooks=TableHooks(labels=labels)).propose(sql, requested_by="t")
    found = report.preview.personal
    return None if found is None else [p.column for p in found]


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("UPDATE people SET score = score + 1", []),
        ("UPDATE people SET email = NULL WHERE id < 5", ["email"]),
        ("UPDATE people SET birth_date = birth_date + 1 WHERE id < 5", ["birth_date"]),
        ("UPDATE people SET plan = 'plan 9' WHERE id < 5", []),
        ("UPDATE people SET note = 'write to ' || email WHERE id = 299", ["note"]),
        ("UPDATE people SET plan = 'write to ' || email WHERE id = 299", ["plan"]),
        ("UPDATE people SET email = email", []),
        ("DELETE FROM people WHERE id = 7", ALL),
        ("INSERT INTO people (id, note) VALUES (1000, 'reach me at jo@example.org, thanks')", [*ALL, "note"]),
        ("CREATE TABLE copied AS SELECT id, email AS contact FROM people", ["contact"]),
        ("CREATE TABLE sums AS SELECT plan, count(*) AS n FROM people GROUP BY plan", []),
        ("ALTER TABLE people ADD COLUMN size INTEGER DEFAULT 3", []),
        ("DROP INDEX people_plan; ALTER TABLE people DROP COLUMN email", ["email"]),
        ("DROP TABLE people", ALL),
        ("COPY people TO 'data/people.parquet'", ["email", "birth_date", "address"]),
        ("COPY (SELECT plan, email FROM people) TO 'data/people.csv'", ["email"]),
        ("COPY (SELECT plan FROM people) TO 'data/plans.csv'", []),
        ("COPY (SELECT plan FROM people) TO 'data/plans.data' (FORMAT parquet)", None),
        ("CREATE VIEW seen AS SELECT * FROM people", []),
    ],
)
async def test_touched_columns_with_personal_data_are_named(
    people: ChangesWorkspace, sql: str, columns: list[str] | None
) -> None:
    found = await columns_of(people, sql)
    assert (found and sorted(found)) == (columns and sorted(columns))


async def test_taking_back_touches_what_the_change_touched(people: ChangesWorkspace) -> None:
    service = people.service()
    report = await service.propose("UPDATE people SET email = NULL", requested_by="t")
    await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    undo = await service.propose_undo(report.change, requested_by="t")
    assert [p.column for p in undo.preview.personal or ()] == ["email"]


async def test_a_contract_has_the_first_word(people: ChangesWorkspace) -> None:
    labels = (
        ColumnLabel(dataset="people", column="Plan", is_personal=True),
        ColumnLabel(dataset="main.people", column="email", is_personal=False),
    )
    assert await columns_of(people, "UPDATE people SET plan = 'x', email = 'a@example.org'", labels) == ["plan"]


async def test_contracts_label_by_classification_and_tag(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts/people.yaml").write_text(
        "kind: DataContract\napiVersion: v3.1.0\nid: p\nversion: 1.0.0\nstatus: draft\nschema:\n- name: people\n"
        "  properties:\n  - {name: plan, logicalType: string, tags: [pii]}\n"
        "  - {name: email, logicalType: string, classification: public}\n"
        "  - {name: note, logicalType: string, classification: restricted}\n"
        "  - {name: score, logicalType: integer, classification: internal}\n"
    )

    async def judge(texts: object) -> list[bool]:
        return []

    found = await ContractChecks(judge, tmp_path).find_labels()
    assert {x.column: x.is_personal for x in found} == {"plan": True, "email": False, "note": True}


@pytest.mark.parametrize(
    ("sql", "verdict"),
    [
        ("UPDATE people SET score = 1", "applied"),
        ("UPDATE people SET email = 'a@example.org'", "waiting"),
        ("COPY (SELECT plan FROM people) TO 'data/plans.data' (FORMAT parquet)", "waiting"),
    ],
)
async def test_a_rule_allows_only_what_is_known_to_touch_none(people: ChangesWorkspace, sql: str, verdict: str) -> None:
    rule = PolicyRule(name="no personal data", verdict="allow", touches_pii=False)
    report = await people.service(policy=PolicySettings(rules=(rule,))).propose(sql, requested_by="t")
    assert report.status == verdict


@pytest.mark.parametrize(
    ("sql", "verdict"),
    [
        ("UPDATE people SET score = 1", "waiting"),
        ("UPDATE people SET email = 'a@example.org'", "denied"),
        ("COPY (SELECT plan FROM people) TO 'data/plans.data' (FORMAT parquet)", "denied"),
    ],
)
async def test_a_rule_denies_what_is_not_known_too(people: ChangesWorkspace, sql: str, verdict: str) -> None:
    rule = PolicyRule(name="hands off personal data", verdict="deny", touches_pii=True)
    report = await people.service(policy=PolicySettings(rules=(rule,))).propose(sql, requested_by="t")
    assert report.status == verdict


async def test_people_see_the_values_and_models_their_shapes(people: ChangesWorkspace) -> None:
    service = people.service()
    report = await service.propose("UPDATE people SET email = 'new1@example.net' WHERE id = 12", requested_by="t")
    assert report.preview.risk.reasons == ("it touches personal data: people.email",)
    seen, shown = render_report(report), render_report(without_personal_values(report))
    assert "personal data: people.email (email)" in seen and "personal data: people.email (email)" in shown
    assert "user12@example.org" in seen and "new1@example.net" in seen
    assert "user12" not in shown and "new1" not in shown and "xxxx99@xxxxxxx.xxx" in shown


async def test_a_suggested_rule_keeps_to_what_is_not_personal(people: ChangesWorkspace) -> None:
    service = people.service()
    report = await service.propose("UPDATE people SET score = 1", requested_by="t")
    assert "touches_pii = false" in rule_for((await service.show(report.change)).proposal, service.policy)


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("DELETE FROM people WHERE id > 100; ALTER TABLE people ADD COLUMN z INTEGER", ALL),
        ("INSERT INTO people (id) VALUES (5000); COMMENT ON TABLE people IS 'more'", ALL),
        ("UPDATE people SET email = upper(email); ALTER TABLE people ADD COLUMN z INTEGER", ["email"]),
        ("ALTER TABLE people RENAME TO folk; UPDATE folk SET email = '-'", ["email"]),
        (
            "ALTER TABLE people RENAME COLUMN email TO contact; UPDATE people SET contact = '-'",
            ["email"],
        ),
    ],
)
async def test_what_is_altered_besides_hides_no_personal_data(
    people: ChangesWorkspace, sql: str, columns: list[str]
) -> None:
    people.run("DROP INDEX people_plan")
    found = await columns_of(people, sql)
    assert found is not None and set(columns) <= set(found)


async def test_a_label_holds_under_a_new_name_and_in_an_export(people: ChangesWorkspace) -> None:
    people.run("DROP INDEX people_plan")
    labels = (ColumnLabel(dataset="people", column="plan", is_personal=True),)
    assert await columns_of(people, "ALTER TABLE people RENAME TO folk; UPDATE folk SET plan = 'x'", labels) == ["plan"]
    assert await columns_of(people, "COPY people TO 'data/people.parquet'", labels) == ["plan", *ALL]


async def test_columns_beyond_those_that_are_summarised_are_looked_at_too(tmp_path: Path) -> None:
    many = ", ".join(f"c{n} INTEGER" for n in range(60))
    workspace = ChangesWorkspace(tmp_path).make(
        f"CREATE TABLE t ({many}, email VARCHAR); INSERT INTO t (c0, email) VALUES (1, 'a@example.org')"
    )
    sets = ", ".join(f"c{n} = 7" for n in range(60))
    for sql in (f"UPDATE t SET {sets}, email = '-'", f"UPDATE t SET {sets}; UPDATE t SET email = '-'"):
        assert await columns_of(workspace, sql) == ["email"]


async def test_rows_beyond_those_that_are_summarised_count_as_touching_all(
    people: ChangesWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasteward.changes.effects.SUMMARY_ROWS", 10)
    sql = "UPDATE people SET score = 1; UPDATE people SET email = '-' WHERE id > 200"
    found = await columns_of(people, sql)
    assert found is not None and "email" in found
