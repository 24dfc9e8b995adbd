"""Foreign keys, views, notes, triggers, macros and sequences come back exactly as they were, or that is denied before."""

from collections import Counter

import duckdb
import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.model import Parameter, Preview

pytestmark = pytest.mark.anyio


def some_slow(*values: str) -> list[object]:
    """Every third case runs always, the others with the slow ones."""
    return [pytest.param(v, marks=[] if n % 3 == 0 else [pytest.mark.slow]) for n, v in enumerate(values)]


FAMILY = """
CREATE TABLE p (id INTEGER PRIMARY KEY, v INTEGER, l INTEGER[]);
INSERT INTO p VALUES (1, 0, [1]), (2, 0, [2]), (4, 0, [4]);
CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p (id));
INSERT INTO c VALUES (1, 1), (2, 2);
CREATE TABLE n (id INTEGER PRIMARY KEY, up INTEGER REFERENCES n (id));
INSERT INTO n VALUES (2, NULL);
INSERT INTO n VALUES (1, 2);
CREATE SCHEMA s2;
CREATE TABLE s2.c (id INTEGER PRIMARY KEY);
INSERT INTO s2.c VALUES (1);
CREATE TABLE s2.d (cid INTEGER REFERENCES s2.c (id));
INSERT INTO s2.d VALUES (1);
CREATE TABLE k (id INTEGER PRIMARY KEY, v INTEGER);
INSERT INTO k SELECT i, i FROM range(5000) AS r (i);
"""
OBJECTS = """
CREATE TABLE t (a INTEGER, b INTEGER);
INSERT INTO t VALUES (1, 1), (2, 2);
CREATE INDEX i ON t (a);
CREATE TABLE log (n INTEGER);
CREATE VIEW w AS SELECT a FROM t;
CREATE VIEW a2 AS SELECT a FROM w;
CREATE OR REPLACE VIEW w AS SELECT a FROM t WHERE a > 0;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE MACRO f() AS 3;
CREATE MACRO f() AS TABLE SELECT 1 AS q;
CREATE TABLE d (a INTEGER DEFAULT f());
CREATE SEQUENCE s START 10 INCREMENT 5;
CREATE SEQUENCE done MAXVALUE 2;
SELECT nextval('s'), nextval('done');
SELECT nextval('s'), nextval('done');
"""
NOTES = "".join(
    f"COMMENT ON {what} IS 'old';"
    for what in ("INDEX i", "TYPE mood", "MACRO f", "MACRO TABLE f", "SEQUENCE s", "VIEW w")
)
TRIGGERS = "".join(
    f"CREATE TRIGGER on_{event} AFTER {event} ON t FOR EACH STATEMENT INSERT INTO log VALUES (1);"
    for event in ("INSERT", "DELETE", "UPDATE")
)
CATALOG = (
    "SELECT schema_name, table_name, sql, comment FROM duckdb_tables() WHERE schema_name <> '_steward'",
    "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE schema_name <> '_steward'",
    "SELECT schema_name, index_name, sql, comment FROM duckdb_indexes() WHERE schema_name <> '_steward'",
    "SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE NOT internal",
    "SELECT schema_name, sequence_name, sql, last_value, comment FROM duckdb_sequences()",
    "SELECT schema_name, type_name, labels, comment FROM duckdb_types() WHERE NOT internal",
    "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name <> '_steward'",
    "SELECT schema_name, function_name, function_type, macro_definition, comment FROM duckdb_functions()"
    " WHERE NOT internal",
    "SELECT schema_name, table_name, sql FROM duckdb_triggers()",
)


def picture(workspace: ChangesWorkspace) -> list[Counter[str]]:
    """All that the database holds, as text."""
    connection = duckdb.connect(str(workspace.database))
    try:
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name <> '_steward' ORDER BY 1"
        ).fetchall()
        queries = [*CATALOG, *(f"SELECT '{t}', * FROM {t}" for (t,) in tables)]
        return [Counter(map(repr, connection.execute(q).fetchall())) for q in queries]
    finally:
        connection.close()


async def take_back(workspace: ChangesWorkspace, sql: str, *values: int) -> Preview:
    """Apply the text, take it back, and see that everything is as it was; gives what was shown before."""
    service, before = workspace.service(), picture(workspace)
    parameters = tuple(Parameter(name=str(n), value=v) for n, v in enumerate(values, 1))
    report = await service.propose(sql, requested_by="t", parameters=parameters)
    assert report.preview.is_reversible, report.preview.irreversible_because
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert done.status == "applied", done.message
    undo = await service.propose_undo(report.change, requested_by="t")
    done = await service.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")
    assert done.proven, done.message
    assert picture(workspace) == before
    return report.preview


@pytest.mark.parametrize(
    "sql",
    some_slow(
        "UPDATE p SET v = 1; UPDATE p SET v = v + 1 WHERE id = 1",
        "INSERT INTO p VALUES (1, 9, []), (8, 8, []) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
        "MERGE INTO p USING (SELECT 1 AS id UNION ALL SELECT 7) AS s ON s.id = p.id"
        " WHEN MATCHED THEN UPDATE SET v = 9 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0, [])",
        "UPDATE p SET v = v + 1; UPDATE p SET l = [7], id = 9 WHERE id = 4",
        "INSERT INTO p VALUES (3, 0, []); UPDATE c SET pid = 2 WHERE id = 1",
        "DROP TABLE c; DELETE FROM p WHERE id = 1",
        "INSERT INTO p VALUES (9, 9, []); CREATE TABLE e (pid INTEGER REFERENCES p (id)); INSERT INTO e VALUES (9)",
        "ALTER TABLE c ADD COLUMN z INTEGER; ALTER TABLE p ADD COLUMN z INTEGER",
        "DROP TABLE c; DROP TABLE p; CREATE TABLE c (id INTEGER PRIMARY KEY);"
        " CREATE TABLE p (r INTEGER REFERENCES c (id))",
        "INSERT INTO c VALUES (7, 1); INSERT INTO s2.d VALUES (1)",
        "ALTER TABLE c ADD COLUMN z INTEGER",
        "COMMENT ON TABLE n IS 'x'",
        "DROP TABLE n",
        "INSERT INTO n VALUES (5, 1)",
        "COMMENT ON TABLE p IS 'x'; UPDATE p SET v = 4 WHERE id = 1",
        "CREATE INDEX again ON p (v); COMMENT ON INDEX again IS 'x'",
        "UPDATE k SET id = id - 1",
        "UPDATE k SET id = -1 WHERE id = 1; UPDATE k SET id = 1 WHERE id = 2; UPDATE k SET id = 2 WHERE id = -1",
        "DELETE FROM k WHERE id = 50; UPDATE k SET id = 50 WHERE id = 51; INSERT INTO k VALUES (51, 0)",
    ),
)
async def test_rows_and_tables_tied_by_foreign_keys_and_keys_come_back(workspace: ChangesWorkspace, sql: str) -> None:
    workspace.run(FAMILY)
    await take_back(workspace, sql)


async def test_an_update_by_a_bound_value_of_rows_that_others_refer_to_is_taken_back(
    workspace: ChangesWorkspace,
) -> None:
    workspace.run(FAMILY)
    await take_back(workspace, "UPDATE p SET v = ?", 5)


async def test_taking_back_what_was_taken_back_sets_only_what_changed_too(workspace: ChangesWorkspace) -> None:
    workspace.run(FAMILY)
    service = workspace.service()
    report = await service.propose("UPDATE p SET v = 1; UPDATE p SET v = 2 WHERE id = 1", requested_by="t")
    for _ in range(3):
        done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
        assert done.status == "applied", done.message
        report = await service.propose_undo(report.change, requested_by="t")
    assert workspace.run("SELECT v FROM p ORDER BY id") == [(2,), (1,), (1,)]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("INSERT INTO p VALUES (3, 0, []); UPDATE c SET pid = 3 WHERE id = 1", "c will refer to rows"),
        ("INSERT INTO n VALUES (5, NULL); INSERT INTO n VALUES (6, 5)", "n will refer to rows"),
        ("ALTER TABLE s2.c ADD COLUMN z INTEGER", "s2.d refers to c"),
    ],
)
async def test_what_duckdb_cannot_take_back_is_said_before(workspace: ChangesWorkspace, sql: str, reason: str) -> None:
    workspace.run(FAMILY)
    report = await workspace.service().propose(sql, requested_by="t")
    assert reason in (report.preview.irreversible_because or "")


@pytest.mark.parametrize(
    "sql",
    some_slow(
        "DROP VIEW a2; DROP VIEW w",
        "DROP TABLE d; DROP MACRO f",
        "ALTER TABLE t ADD COLUMN z INTEGER",
        "DROP INDEX i",
        "DROP VIEW a2; DROP VIEW w; DROP TABLE t; DROP TYPE mood; DROP SEQUENCE s; DROP SEQUENCE done",
        "DROP MACRO TABLE f",
        "CREATE OR REPLACE MACRO f() AS TABLE SELECT 2 AS q",
        "CREATE OR REPLACE SEQUENCE s START 10 INCREMENT 5",
        "CREATE OR REPLACE SEQUENCE done MAXVALUE 2",
    ),
)
async def test_objects_come_back_with_their_notes_and_where_they_stood(workspace: ChangesWorkspace, sql: str) -> None:
    workspace.run(OBJECTS + NOTES)
    assert (await take_back(workspace, sql)).schema_changes


@pytest.mark.parametrize("made", ["DECIMAL(10, 2)", "STRUCT(a INTEGER, b VARCHAR[])", "INTEGER[3]", "VARCHAR"])
async def test_a_type_comes_back_with_its_sizes_and_fields(workspace: ChangesWorkspace, made: str) -> None:
    workspace.run(f"CREATE SCHEMA s2; CREATE TYPE s2.special AS {made}")
    await take_back(workspace, "DROP TYPE s2.special")
    workspace.run("CREATE TABLE typed (a s2.special)")
    assert workspace.run("SELECT data_type FROM duckdb_columns() WHERE table_name = 'typed'") == [
        (made.replace(", 2", ",2"),)
    ]


@pytest.mark.parametrize("what", ["INDEX i", "TYPE mood", "MACRO f", "MACRO TABLE f", "SEQUENCE s", "VIEW w"])
@pytest.mark.parametrize("note", ["'new'", "NULL"])
async def test_a_note_is_shown_and_taken_back_whatever_it_is_on(
    workspace: ChangesWorkspace, what: str, note: str
) -> None:
    workspace.run(OBJECTS + NOTES)
    shown = await take_back(workspace, f"COMMENT ON {what} IS {note}")
    assert shown.schema_changes[0].only_notes
    assert "“old” ->" in shown.schema_changes[0].details[0]


async def test_a_note_leaves_the_rows_of_its_table_alone(workspace: ChangesWorkspace) -> None:
    workspace.run("COMMENT ON TABLE orders IS 'old'")
    service = workspace.service()
    report = await service.propose("COMMENT ON TABLE orders IS 'new'", requested_by="t")
    await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    (record,) = (workspace.steward / "undo").iterdir()
    connection = duckdb.connect(str(record), read_only=True)
    assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("record",)]
    connection.close()


@pytest.mark.parametrize(
    "sql",
    some_slow(
        "ALTER TABLE t ADD COLUMN z INTEGER",
        "DROP VIEW a2; DROP VIEW w; DROP TABLE t",
        "DELETE FROM t WHERE a = 1; UPDATE t SET b = 9; INSERT INTO t VALUES (5, 5)",
        "UPDATE t SET b = 9 WHERE a = 1",
        "ALTER TABLE log ADD COLUMN z INTEGER",
        "CREATE OR REPLACE TABLE t (a INTEGER)",
    ),
)
async def test_triggers_come_back_and_do_not_fire_on_rows_that_do(workspace: ChangesWorkspace, sql: str) -> None:
    workspace.run(OBJECTS + TRIGGERS)
    await take_back(workspace, sql)


async def test_a_trigger_in_another_schema_comes_back(workspace: ChangesWorkspace) -> None:
    workspace.run(
        'CREATE TABLE log (n INTEGER); CREATE SCHEMA "s 2"; CREATE TABLE "s 2".tt (a INTEGER); USE "s 2";'
        'CREATE TRIGGER "a ON b" AFTER UPDATE OF a ON tt FOR EACH STATEMENT INSERT INTO main.log VALUES (4)'
    )
    service = workspace.service()
    report = await service.propose('DROP TABLE "s 2".tt', requested_by="t")
    for _ in range(2):
        done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
        if done.undo_of is None:
            report = await service.propose_undo(report.change, requested_by="t")
    assert done.proven
    workspace.run('INSERT INTO "s 2".tt VALUES (1); UPDATE "s 2".tt SET a = 2')
    assert workspace.run("SELECT n FROM log") == [(4,)]


async def test_macros_of_the_users_do_not_stand_in_the_way_of_taking_back(workspace: ChangesWorkspace) -> None:
    workspace.run("CREATE MACRO count(x) AS 7; CREATE MACRO unnest(x) AS 5; CREATE MACRO row_number() AS 1")
    workspace.run("CREATE MACRO lower(x) AS 'q'; CREATE MACRO list_contains(x, y) AS false; CREATE MACRO sum(x) AS 1")
    service, before = workspace.service(), workspace.fingerprint()
    for sql in ("UPDATE orders SET status = 'x' WHERE id < 5", "INSERT INTO orders VALUES (7777, 1, 1, 'n')"):
        report = await service.propose(sql, requested_by="t")
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
        undo = await service.propose_undo(report.change, requested_by="t")
        assert (await service.approve(undo.change, digest=undo.digest, by="ada", channel="terminal")).proven
        assert workspace.fingerprint() == before
