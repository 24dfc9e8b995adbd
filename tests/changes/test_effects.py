"""What the preview says of all kinds of changes is what happens, and every one of them can be taken back exactly."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, TableHooks

from datasteward.changes.jobs import CheckQuery
from datasteward.changes.model import TableEffect
from datasteward.changes.service import ChangeReport, ChangeService
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio

BASE = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE SEQUENCE numbers START 10;
CREATE TABLE keyed (id INTEGER PRIMARY KEY, v INTEGER, s VARCHAR UNIQUE);
INSERT INTO keyed SELECT i, i % 7, 'k' || i FROM range(200) AS r (i);
CREATE TABLE lists (a INTEGER, l INTEGER[], m MAP(VARCHAR, INTEGER));
INSERT INTO lists SELECT i % 5, [i, NULL], MAP {'k': i} FROM range(50) AS r (i);
CREATE TABLE doubles (x DOUBLE, y VARCHAR);
INSERT INTO doubles VALUES ('nan', 'a'), ('inf', 'b'), (NULL, NULL), (1.5, 'a'), (1.5, 'a'), (1.5, 'a');
CREATE TABLE types (h HUGEINT, e mood, u UNION (n INTEGER, t VARCHAR), i INTERVAL, b BIT, z TIMESTAMPTZ, g UUID,
                    q BLOB, d DECIMAL(38, 10), st STRUCT (a INTEGER, "b c" VARCHAR));
INSERT INTO types VALUES (-170141183460469231731687303715884105727, 'sad', 'txt', INTERVAL 3 MONTH, '10101',
    '2020-01-01 10:00:00+02', '00000000-0000-0000-0000-000000000001', '\\x00'::BLOB, 1.0000000001, {'a': 1, 'b c': 'x'}),
    (5, NULL, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE generated (a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2), made TIMESTAMP DEFAULT now());
INSERT INTO generated (a) VALUES (1), (2);
CREATE TABLE numbered (id INTEGER DEFAULT nextval('numbers'), v VARCHAR);
INSERT INTO numbered (v) VALUES ('a');
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER, parent INTEGER REFERENCES parent (id));
INSERT INTO parent VALUES (1), (2), (3);
INSERT INTO child VALUES (10, 1);
CREATE INDEX keyed_v ON keyed (v);
CREATE SCHEMA "odd ""schema";
CREATE TABLE "odd ""schema"."Ta ble" ("se lect" INTEGER, "a""b" VARCHAR);
INSERT INTO "odd ""schema"."Ta ble" VALUES (1, 'x'), (2, 'y');
CREATE VIEW seen AS SELECT id, v FROM keyed WHERE v > 2;
COMMENT ON TABLE lists IS 'it''s lists';
"""


@dataclass(frozen=True)
class Case:
    sql: str
    table: str
    counts: tuple[int, int, int]
    action: str = "rows"


CASES = (
    Case("UPDATE keyed SET v = v + 1 WHERE id < 5", "keyed", (0, 5, 0)),
    Case("UPDATE keyed SET id = id + 1000 WHERE id < 5", "keyed", (0, 5, 0)),
    Case("UPDATE keyed SET v = v", "keyed", (0, 0, 0)),
    Case("UPDATE keyed SET s = upper(s), v = NULL WHERE id IN (SELECT a FROM lists)", "keyed", (0, 5, 0)),
    Case("UPDATE keyed AS k SET v = l.a + 1 FROM lists AS l WHERE l.a = k.id AND l.l[1] < 5", "keyed", (0, 5, 0)),
    Case("DELETE FROM keyed", "keyed", (0, 0, 200)),
    Case("DELETE FROM keyed USING lists WHERE lists.a = keyed.id", "keyed", (0, 0, 5)),
    Case("TRUNCATE doubles", "doubles", (0, 0, 6)),
    Case("INSERT INTO keyed VALUES (1, 1, 'new') ON CONFLICT (id) DO UPDATE SET v = 99", "keyed", (0, 1, 0)),
    Case("INSERT OR IGNORE INTO parent VALUES (3), (500)", "parent", (1, 0, 0)),
    Case(
        "MERGE INTO keyed USING (SELECT 1 AS id, 77 AS v UNION ALL SELECT 7001, 5) AS n ON n.id = keyed.id WHEN MATCHED"
        " THEN UPDATE SET v = n.v WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.v, 'm' || n.id)",
        "keyed",
        (1, 1, 0),
    ),
    Case("UPDATE lists SET l = [1] WHERE a = 1", "lists", (0, 10, 0)),
    Case("DELETE FROM lists WHERE a < 3", "lists", (0, 0, 30)),
    Case("UPDATE doubles SET x = 2 WHERE y = 'a'", "doubles", (0, 4, 0)),
    Case("DELETE FROM doubles WHERE x = 1.5", "doubles", (0, 0, 3)),
    Case("INSERT INTO doubles SELECT * FROM doubles WHERE x = 1.5", "doubles", (3, 0, 0)),
    Case("UPDATE types SET h = h + 1, e = 'glad', st = {'a': 2, 'b c': NULL}", "types", (0, 2, 0)),
    Case("DELETE FROM types", "types", (0, 0, 2)),
    Case("UPDATE generated SET a = 5 WHERE a = 1", "generated", (0, 1, 0)),
    Case("INSERT INTO generated (a) VALUES (9)", "generated", (1, 0, 0)),
    Case("INSERT INTO numbered (v) SELECT 'n' FROM range(3)", "numbered", (3, 0, 0)),
    Case("DELETE FROM child", "child", (0, 0, 1)),
    Case("INSERT INTO child VALUES (11, 2)", "child", (1, 0, 0)),
    Case('UPDATE "odd ""schema"."Ta ble" SET "a""b" = \'z\' WHERE "se lect" = 1', 'odd "schema.Ta ble', (0, 1, 0)),
    Case('DROP TABLE "odd ""schema"."Ta ble"', 'odd "schema.Ta ble', (0, 0, 2), "dropped"),
    Case("DROP TABLE lists", "lists", (0, 0, 50), "dropped"),
    Case("DROP TABLE types", "types", (0, 0, 2), "dropped"),
    Case("DROP TABLE keyed", "keyed", (0, 0, 200), "dropped"),
    Case("ALTER TABLE lists ADD COLUMN extra INTEGER DEFAULT 4", "lists", (0, 0, 0), "altered"),
    Case("ALTER TABLE doubles DROP COLUMN y", "doubles", (0, 5, 0), "altered"),
    Case("ALTER TABLE doubles ALTER x TYPE VARCHAR", "doubles", (0, 0, 0), "altered"),
    Case("CREATE OR REPLACE TABLE lists AS SELECT 1 AS q", "lists", (1, 0, 50), "replaced"),
    Case("CREATE TABLE fresh AS SELECT * FROM keyed LIMIT 10", "fresh", (10, 0, 0), "created"),
    Case("CREATE INDEX extra ON doubles (y)", "doubles", (0, 0, 0), "altered"),
    Case("DROP INDEX keyed_v", "keyed", (0, 0, 0), "altered"),
    Case("COMMENT ON TABLE lists IS 'other'", "lists", (0, 0, 0), "altered"),
)


async def apply(service: ChangeService, report: ChangeReport) -> ChangeReport:
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert done.status == "applied", done.message
    return done


def effect(report: ChangeReport, label: str) -> TableEffect:
    return next(t for t in report.preview.tables if t.table.label == label)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> ChangesWorkspace:
    return ChangesWorkspace(tmp_path_factory.mktemp("effects")).make(BASE)


@pytest.fixture
def rich(template: ChangesWorkspace, tmp_path: Path) -> ChangesWorkspace:
    workspace = ChangesWorkspace(tmp_path).make()
    workspace.database.write_bytes(template.database.read_bytes())
    return workspace


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c.sql[:50], marks=[] if n % 3 == 0 else [pytest.mark.slow]) for n, c in enumerate(CASES)],
)
async def test_counts_are_exact_and_undo_restores_the_fingerprint(rich: ChangesWorkspace, case: Case) -> None:
    service, before = rich.service(), rich.fingerprint()
    report = await service.propose(case.sql, requested_by="t")
    found = effect(report, case.table)
    assert (found.inserted, found.updated, found.deleted) == case.counts
    assert found.action == case.action
    assert rich.fingerprint() == before
    await apply(service, report)
    schema, _, name = case.table.rpartition(".")
    if found.action != "dropped":
        table = f'"{(schema or "main").replace(chr(34), chr(34) * 2)}"."{name}"'
        assert rich.run(f"SELECT count(*) FROM {table}") == [(found.rows_after,)]
    undone = await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert undone.proven
    assert rich.fingerprint() == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE OR REPLACE VIEW seen AS SELECT 1 AS one",
        "DROP VIEW seen",
        "CREATE SCHEMA s2; CREATE TABLE s2.\"a b\" AS SELECT 1 AS x; INSERT INTO keyed VALUES (-1, -1, '')",
        'DROP SCHEMA "odd ""schema" CASCADE',
        "CREATE TYPE weekday AS ENUM ('mo', 'tu'); CREATE TABLE days (d weekday)",
        "DROP TABLE numbered; DROP SEQUENCE numbers",
        "CREATE MACRO plus(a, b) AS a + b",
        "ALTER TABLE doubles RENAME TO singles",
        "CREATE TABLE a1 AS SELECT 1 AS x; DROP TABLE a1",
    ],
)
async def test_scripts_are_one_change_and_undo_restores_the_fingerprint(rich: ChangesWorkspace, sql: str) -> None:
    service, before = rich.service(), rich.fingerprint()
    report = await service.propose(sql, requested_by="t")
    await apply(service, report)
    undo = await service.propose_undo(report.change, requested_by="t")
    assert (await apply(service, undo)).proven
    assert rich.fingerprint() == before


@pytest.mark.parametrize("case", [c for c in CASES if c.sql.startswith("UPDATE")], ids=lambda c: c.sql[:60])
async def test_whole_rows_held_or_not_the_measure_is_the_same(
    rich: ChangesWorkspace, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = rich.service()
    held = await service.propose(case.sql, requested_by="t")
    monkeypatch.setattr("datasteward.changes.candidates.HELD_CELLS", 0)
    read_again = await service.propose(case.sql, requested_by="t")
    assert held.preview.tables == read_again.preview.tables
    proposals = [(await service.show(r.change)).proposal for r in (held, read_again)]
    assert proposals[0].expected == proposals[1].expected
    await apply(service, held)
    assert (await apply(service, await service.propose_undo(held.change, requested_by="t"))).proven


async def test_rows_tied_by_a_foreign_key_are_said_to_be_irreversible(rich: ChangesWorkspace) -> None:
    service = rich.service()
    sql = "INSERT INTO parent VALUES (7); INSERT INTO child VALUES (70, 7)"
    report = await service.propose(sql, requested_by="t")
    assert not report.preview.is_reversible
    assert not service.can_elicit(report)
    await apply(service, report)
    with pytest.raises(ToolError, match="in one transaction"):
        await service.propose_undo(report.change, requested_by="t")


@pytest.mark.parametrize("with_ddl", [False, True])
async def test_values_of_every_type_are_compared_when_a_script_updates_them(
    rich: ChangesWorkspace, with_ddl: bool
) -> None:
    sql = "UPDATE types SET h = h + 1, e = 'glad', d = d; DELETE FROM doubles"
    report = await rich.service().propose(
        sql + ("; CREATE TABLE extra (a INTEGER)" if with_ddl else ""), requested_by="t"
    )
    found = effect(report, "types")
    assert (found.updated, [c.column for c in found.columns]) == (2, ["h", "e"])
    assert found.columns[0].least_before == "-170141183460469231731687303715884105727"


async def test_a_view_on_a_changed_table_stays_and_follows(rich: ChangesWorkspace) -> None:
    service = rich.service()
    await apply(service, await service.propose("UPDATE keyed SET v = 0", requested_by="t"))
    assert rich.run("SELECT count(*) FROM seen") == [(0,)]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("INSERT INTO keyed VALUES (1, 1, 'dup')", "Duplicate key"),
        ("DELETE FROM parent", "still referenced by a foreign key"),
        ("INSERT INTO child VALUES (1, 99)", "foreign key"),
        ("UPDATE keyed SET v = random()", "another value each time"),
        ("INSERT INTO nowhere VALUES (1)", "nowhere"),
        ("UPDATE keyed SET nothing = 1", "nothing"),
        ("COPY keyed TO 'missing/out.csv'", "folder does not exist"),
        ("COPY keyed TO 'data/parts.csv' (PARTITION_BY (v))", "one single file"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_nothing_is_recorded(
    rich: ChangesWorkspace, sql: str, words: str
) -> None:
    service, before = rich.service(), rich.fingerprint()
    with pytest.raises(ToolError, match=words):
        await service.propose(sql, requested_by="t")
    assert await service.summaries() == ()
    assert rich.fingerprint() == before


@pytest.mark.parametrize("default", ["uuid()", "random()"])
async def test_a_default_that_cannot_be_frozen_is_refused_where_it_is_used_and_only_there(
    rich: ChangesWorkspace, default: str
) -> None:
    rich.run(f"CREATE TABLE tokens (id INTEGER, token VARCHAR DEFAULT {default})")
    service, before = rich.service(), rich.fingerprint()
    for sql in (
        "INSERT INTO tokens (id) VALUES (1)",
        "INSERT INTO tokens VALUES (1, DEFAULT)",
        "INSERT INTO tokens (id) SELECT id FROM parent",
    ):
        with pytest.raises(ToolError, match=r"default is \w+\(\), which gives another value") as refusal:
            await service.propose(sql, requested_by="t")
        assert refusal.value.code == "forbidden"
    assert rich.fingerprint() == before
    await apply(service, await service.propose("INSERT INTO tokens VALUES (1, 'mine')", requested_by="t"))
    assert rich.run("SELECT * FROM tokens") == [(1, "mine")]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE parent ADD COLUMN z INTEGER",
        "ALTER TABLE parent ADD COLUMN z INTEGER; COMMENT ON TABLE child IS 'x'",
    ],
)
async def test_altering_a_table_that_others_refer_to_is_said_to_be_irreversible(
    rich: ChangesWorkspace, sql: str
) -> None:
    service = rich.service()
    report = await service.propose(sql, requested_by="t")
    assert "child refers to parent" in (report.preview.irreversible_because or "")
    await apply(service, report)
    with pytest.raises(ToolError, match="child refers to parent"):
        await service.propose_undo(report.change, requested_by="t")


@pytest.mark.parametrize(
    "sql",
    ["ALTER TABLE child ADD COLUMN z INTEGER", "DROP TABLE child", "DROP TABLE child; DROP TABLE parent"],
)
async def test_altering_or_dropping_a_table_that_refers_to_another_is_taken_back(
    rich: ChangesWorkspace, sql: str
) -> None:
    service, before = rich.service(), rich.fingerprint()
    report = await service.propose(sql, requested_by="t")
    assert report.preview.is_reversible
    await apply(service, report)
    await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert rich.fingerprint() == before


async def test_dropping_a_table_that_others_refer_to_is_refused_in_the_preview(rich: ChangesWorkspace) -> None:
    with pytest.raises(ToolError, match="child"):
        await rich.service().propose("DROP TABLE parent", requested_by="t")


async def test_a_failing_statement_of_a_script_leaves_nothing_of_the_others(rich: ChangesWorkspace) -> None:
    before = rich.fingerprint()
    with pytest.raises(ToolError, match="Duplicate key"):
        await rich.service().propose("DELETE FROM lists; INSERT INTO keyed VALUES (1, 1, 'x')", requested_by="t")
    assert rich.fingerprint() == before


async def test_a_trigger_on_a_table_is_seen_in_the_tables_it_writes(rich: ChangesWorkspace) -> None:
    rich.run("CREATE TABLE log (n INTEGER)")
    rich.run("CREATE TRIGGER noted AFTER INSERT ON child FOR EACH STATEMENT INSERT INTO log VALUES (1)")
    service, before = rich.service(), rich.fingerprint()
    report = await service.propose("INSERT INTO child VALUES (5, 1)", requested_by="t")
    assert (effect(report, "child").inserted, effect(report, "log").inserted) == (1, 1)
    await apply(service, report)
    assert rich.fingerprint() != before


async def test_now_is_frozen_at_the_proposal(rich: ChangesWorkspace) -> None:
    service = rich.service()
    report = await service.propose("INSERT INTO generated (a) VALUES (3)", requested_by="t")
    shown = effect(report, "generated").samples[0].after
    await apply(service, report)
    assert shown is not None
    assert rich.run("SELECT made::VARCHAR FROM generated WHERE a = 3") == [(shown[2],)]


async def test_sequence_values_are_those_of_the_preview(rich: ChangesWorkspace) -> None:
    service = rich.service()
    report = await service.propose("INSERT INTO numbered (v) SELECT 'n' FROM range(3)", requested_by="t")
    shown = sorted(int(s.after[0]) for s in effect(report, "numbered").samples if s.after and s.after[0])
    await apply(service, report)
    assert rich.run("SELECT id FROM numbered WHERE v = 'n' ORDER BY id") == [(n,) for n in shown]


async def test_a_check_that_would_newly_fail_is_named(rich: ChangesWorkspace) -> None:
    checks = (
        CheckQuery(name="v is small", query="SELECT count(*) FROM keyed WHERE v > 100"),
        CheckQuery(name="broken already", query="SELECT count(*) FROM keyed WHERE v > 1"),
    )
    service = rich.service(hooks=TableHooks(checks=checks, downstream=("seen.v",)))
    report = await service.propose("UPDATE keyed SET v = 101 WHERE id = 1", requested_by="t")
    assert [c.name for c in report.preview.checks] == ["v is small"]
    assert report.preview.downstream == ("seen.v",)
    assert not service.can_elicit(report)
    rich.run("INSERT INTO keyed VALUES (5000, 5, 'new')")
    moved = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert moved.preview_now is not None
    assert [c.name for c in moved.preview_now.checks] == ["v is small"]


async def test_a_macro_of_the_users_named_hash_fools_nobody(rich: ChangesWorkspace) -> None:
    rich.run("CREATE MACRO hash(a, b) AS 5; CREATE MACRO sum(x) AS 0")
    service = rich.service()
    report = await service.propose("UPDATE doubles SET y = 'q' WHERE x = 1.5", requested_by="t")
    assert effect(report, "doubles").updated == 3


async def test_a_table_of_300_columns_shows_what_changes(workspace: ChangesWorkspace) -> None:
    columns = ", ".join(f"i + {n} AS c{n}" for n in range(300))
    workspace.run(f"CREATE TABLE wide AS SELECT {columns} FROM range(2000) AS r (i)")
    service, before = workspace.service(), workspace.fingerprint()
    report = await service.propose("UPDATE wide SET c250 = -1 WHERE c0 < 10", requested_by="t")
    found = effect(report, "wide")
    assert found.sample_columns[0] == "c250"
    assert [c.column for c in found.columns] == ["c250"]
    await apply(service, report)
    await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert workspace.fingerprint() == before


async def test_an_export_is_staged_published_and_taken_back(workspace: ChangesWorkspace) -> None:
    service, out = workspace.service(), workspace.root / "data" / "out.csv"
    out.write_text("old\n")
    report = await service.propose("COPY (SELECT id FROM orders WHERE id < 3) TO 'data/out.csv'", requested_by="t")
    assert out.read_text() == "old\n"
    assert (report.preview.files[0].action, report.preview.files[0].rows) == ("replaced", 3)
    await apply(service, report)
    assert out.read_text() == "id\n0\n1\n2\n"
    assert out.stat().st_nlink == 1
    await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert out.read_text() == "old\n"
    assert out.stat().st_nlink == 1


async def test_an_export_whose_table_changed_is_asked_about_again(workspace: ChangesWorkspace) -> None:
    service = workspace.service()
    report = await service.propose("COPY orders TO 'data/out.csv'", requested_by="t")
    workspace.run("DELETE FROM orders WHERE id = 0")
    moved = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert moved.status == "moved" and moved.successor is not None
    assert not (workspace.root / "data" / "out.csv").exists()
    again = await service.status(moved.successor)
    await apply(service, again)
    assert len((workspace.root / "data" / "out.csv").read_text().splitlines()) == 1000


async def test_a_new_file_goes_again_when_taken_back(workspace: ChangesWorkspace) -> None:
    service, out = workspace.service(), workspace.root / "data" / "new.parquet"
    report = await service.propose("COPY orders TO 'data/new.parquet' (FORMAT parquet)", requested_by="t")
    await apply(service, report)
    assert out.exists()
    await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert not out.exists()


async def test_a_column_named_rowid_is_refused_with_a_way_on(workspace: ChangesWorkspace) -> None:
    workspace.run("CREATE TABLE odd (rowid INTEGER)")
    with pytest.raises(ToolError, match="rowid") as refusal:
        await workspace.service().propose("INSERT INTO odd VALUES (1)", requested_by="t")
    assert refusal.value.hint is not None and "RENAME" in refusal.value.hint
