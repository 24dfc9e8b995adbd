"""What a person or a model reads says what happens in words, and what to do next."""

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.render import render_change, render_report
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio
UPDATE = "UPDATE orders SET amount = amount * 2 WHERE customer = 3"


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        ("CREATE INDEX by_status ON orders (status)", ("an index appears: CREATE INDEX by_status ON orders(status);",)),
        ("DROP INDEX by_customer", ("an index goes: CREATE INDEX by_customer ON orders(customer);",)),
        ("COMMENT ON TABLE orders IS 'sold'", ("note: none -> “sold”",)),
        ("COMMENT ON COLUMN orders.amount IS 'in cents'", ("note on column amount: “in euros” -> “in cents”",)),
        ("COMMENT ON VIEW big IS 'much'", ("note: none -> “much”",)),
        ("ALTER TABLE free ALTER b SET DEFAULT 3", ("column b changes its default: 1 -> 3",)),
        ("ALTER TABLE free ALTER b SET NOT NULL", ("column b takes no nulls any more",)),
        ("ALTER TABLE free ALTER a DROP NOT NULL", ("column a may be null from now on",)),
        ("ALTER TABLE free ALTER b TYPE VARCHAR", ("column b changes its type: INTEGER -> VARCHAR",)),
        ("ALTER TABLE free ADD PRIMARY KEY (a)", ("key (a) appears",)),
        ("ALTER TABLE free ADD COLUMN c DATE", ("column c appears: DATE",)),
        ("ALTER TABLE free DROP COLUMN b", ("column b (INTEGER) goes",)),
        (
            "CREATE TABLE made (a INTEGER PRIMARY KEY, b INTEGER DEFAULT 2, c INTEGER GENERATED ALWAYS AS (a + b))",
            (
                "column a INTEGER, without nulls",
                "column b INTEGER, default 2",
                "column c INTEGER, computed as CAST((a + b) AS INTEGER)",
                "key (a)",
            ),
        ),
        (
            "CREATE TABLE made (a INTEGER CHECK (a > 0), b INTEGER UNIQUE, c INTEGER REFERENCES orders (id))",
            (
                "column a INTEGER",
                "column b INTEGER",
                "column c INTEGER",
                "CHECK((a > 0))",
                "UNIQUE(b)",
                "FOREIGN KEY (c) REFERENCES orders(id)",
            ),
        ),
        (
            "CREATE OR REPLACE TABLE ruled (a INTEGER, b INTEGER); COMMENT ON TABLE ruled IS 'x'",
            ("CHECK((a > 0)) goes", "UNIQUE(b) goes", "note: none -> “x”"),
        ),
        (
            "CREATE OR REPLACE VIEW big AS SELECT * FROM free_names; COMMENT ON VIEW big IS 'x'",
            (
                "was: CREATE VIEW big AS SELECT * FROM free_names WHERE (id > 5);",
                "will be: CREATE VIEW big AS SELECT * FROM free_names;",
                "note: none -> “x”",
            ),
        ),
        ("CREATE OR REPLACE SEQUENCE counted", ("it is made anew as it was",)),
        (
            "CREATE OR REPLACE VIEW big AS SELECT id FROM free_names",
            (
                "was: CREATE VIEW big AS SELECT * FROM free_names WHERE (id > 5);",
                "will be: CREATE VIEW big AS SELECT id FROM free_names;",
            ),
        ),
        ("DROP VIEW big", ()),
    ],
)
async def test_the_preview_says_what_a_definition_gains_and_loses(
    workspace: ChangesWorkspace, sql: str, lines: tuple[str, ...]
) -> None:
    workspace.run(
        "CREATE INDEX by_customer ON orders (customer); COMMENT ON COLUMN orders.amount IS 'in euros';"
        "CREATE TABLE free (a INTEGER NOT NULL, b INTEGER DEFAULT 1); CREATE TABLE free_names AS SELECT 1 AS id;"
        "CREATE VIEW big AS SELECT * FROM free_names WHERE id > 5; CREATE SEQUENCE counted;"
        "CREATE TABLE ruled (a INTEGER CHECK (a > 0), b INTEGER UNIQUE)"
    )
    report = await workspace.service().propose(sql, requested_by="t")
    change = report.preview.schema_changes[0]
    assert change.details == lines
    assert change.only_notes == sql.startswith("COMMENT")
    assert (report.preview.risk.level == "low") == sql.startswith(("COMMENT", "CREATE TABLE"))


async def test_a_moved_change_shows_what_it_would_do_now_against_what_was_shown(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    workspace.run("INSERT INTO orders VALUES (5000, 3, 1, 'new')")
    moved = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    told = render_report(moved, with_rows=False)
    assert "c1: not applied: what it touches has moved" in told
    assert "what c2 would do now:\norders: +0 ~101 -0 rows (1001 -> 1001)" in told
    difference = "orders: rows in the table 1,000 before, 1,001 now; rows that change 100 before, 101 now"
    assert f"against what was shown before it moved:\n  {difference}" in told
    assert "~100" not in told
    assert difference in render_change(await service.show("c2"))


async def test_a_move_that_keeps_the_counts_says_that_the_rows_differ(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose(UPDATE, requested_by="t")
    workspace.run("UPDATE orders SET amount = amount + 1 WHERE id = 503")
    moved = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert "the counts are the same as before, but the rows or values are not" in render_report(moved)


@pytest.mark.parametrize("sql", ["INSERT INTO 'data/x.csv' SELECT 1", "INSERT INTO data.x.csv VALUES (1)"])
async def test_writing_into_a_file_by_insert_says_how_to_write_a_file(workspace: ChangesWorkspace, sql: str) -> None:
    (workspace.root / "data" / "x.csv").write_text("a\n1\n")
    with pytest.raises(ToolError) as refusal:
        await workspace.service(with_gate=True).propose(sql, requested_by="t")
    assert "COPY (" in str(refusal.value), str(refusal.value)
