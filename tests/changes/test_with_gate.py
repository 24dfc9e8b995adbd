"""Changes as they really come: through the gate, with a writer in a process of its own."""

import re

import pytest
from tests.support.changes_workspace import ChangesWorkspace

from datasteward.changes.host import SubprocessWriter
from datasteward.changes.service import ChangeReport, ChangeService
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio


async def apply(service: ChangeService, report: ChangeReport) -> ChangeReport:
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert done.status == "applied", done.message
    return done


@pytest.fixture
def service(workspace: ChangesWorkspace) -> ChangeService:
    (workspace.root / "data" / "new.csv").write_text("id,customer,amount,status\n5001,1,2.50,new\n5002,2,3.50,new\n")
    return workspace.service(writer=SubprocessWriter(), with_gate=True)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders SELECT * FROM 'data/new.csv'",
        pytest.param("INSERT INTO orders FROM read_csv('data/new.csv')", marks=pytest.mark.slow),
        pytest.param("COPY orders FROM 'data/new.csv'", marks=pytest.mark.slow),
        pytest.param("INSERT INTO orders SELECT * FROM new", marks=pytest.mark.slow),
        "CREATE TABLE fresh AS SELECT * FROM new",
    ],
)
async def test_a_file_is_imported_and_the_import_taken_back(
    workspace: ChangesWorkspace, service: ChangeService, sql: str
) -> None:
    before = workspace.fingerprint()
    report = await service.propose(sql, requested_by="t")
    assert report.preview.tables[0].inserted == 2
    await apply(service, report)
    await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert workspace.fingerprint() == before


async def test_a_file_that_changes_after_the_preview_is_asked_about_again(
    workspace: ChangesWorkspace, service: ChangeService
) -> None:
    report = await service.propose("INSERT INTO orders SELECT * FROM 'data/new.csv'", requested_by="t")
    with (workspace.root / "data" / "new.csv").open("a") as file:
        file.write("5003,3,1.00,new\n")
    done = await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert done.status == "moved"
    assert workspace.run("SELECT count(*) FROM orders") == [(1000,)]


@pytest.mark.parametrize("sql", ["DELETE FROM _steward.receipts", "DROP SCHEMA _steward CASCADE"])
async def test_receipts_stay_even_when_a_gate_lets_it_pass(workspace: ChangesWorkspace, sql: str) -> None:
    service = workspace.service()
    await apply(service, await service.propose("DELETE FROM orders WHERE id = 1", requested_by="t"))
    with pytest.raises(ToolError, match="receipts of earlier changes"):
        await service.propose(sql, requested_by="t")
    assert workspace.receipts() == ["c1"]


async def test_a_file_is_converted_to_another_format(workspace: ChangesWorkspace, service: ChangeService) -> None:
    sql = "COPY (SELECT * FROM 'data/new.csv') TO 'data/new.parquet' (FORMAT parquet)"
    report = await service.propose(sql, requested_by="t")
    await apply(service, report)
    assert (workspace.root / "data" / "new.parquet").read_bytes()[:4] == b"PAR1"


REFUSED = (
    "SELECT 1",
    "COPY orders TO '/tmp/steal.csv'",
    "COPY orders TO '.steward/state.sqlite'",
    "COPY orders TO 'warehouse.duckdb'",
    "ATTACH 'x.duckdb'",
    "DELETE FROM _steward.receipts",
    "DROP SCHEMA _steward CASCADE",
    "CREATE TABLE _steward.mine (a INTEGER)",
    "INSERT INTO orders SELECT * FROM read_csv('/etc/passwd')",
    "COMMIT; DELETE FROM orders",
    "SET threads = 1",
)


async def test_what_may_not_be_proposed_is_refused(workspace: ChangesWorkspace) -> None:
    service = workspace.service(with_gate=True)
    await apply(service, await service.propose("DELETE FROM orders WHERE id = 1", requested_by="t"))
    before = workspace.fingerprint()
    for sql in REFUSED:
        with pytest.raises(ToolError):
            await service.propose(sql, requested_by="t")
    assert (workspace.fingerprint(), workspace.receipts()) == (before, ["c1"])


async def test_what_is_doubtful_about_an_imported_file_is_told_before_it_is_decided_on(
    workspace: ChangesWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{i};Café {i};{i},5\n" for i in range(300))
    messy = f"Report of May\n\nid;name;price\n{rows}301;too;many;cells;here\n"
    (workspace.root / "data" / "messy.csv").write_bytes(messy.encode("cp1252"))
    monkeypatch.chdir(workspace.root)
    service = workspace.service(with_gate=True)
    report = await service.propose("CREATE TABLE sales AS SELECT * FROM 'data/messy.csv'", requested_by="t")
    told = " ".join(n for n in report.preview.notes if n.startswith("data/messy.csv: "))
    assert "cp1252" in told and "quarantine" in told and "above the header" in told


@pytest.mark.parametrize("name", ["_steward", "_STEWARD"])
async def test_nothing_takes_the_name_of_the_receipts(workspace: ChangesWorkspace, name: str) -> None:
    with pytest.raises(ToolError, match="receipts"):
        await workspace.service(with_gate=True).propose(f"ALTER TABLE orders RENAME TO {name}", requested_by="t")


async def test_later_statements_know_a_table_by_its_new_name(workspace: ChangesWorkspace) -> None:
    service, before = workspace.service(with_gate=True), workspace.fingerprint()
    sql = "ALTER TABLE orders RENAME TO tmp; ALTER TABLE tmp ADD COLUMN z INTEGER; CREATE TABLE orders AS FROM tmp"
    report = await service.propose(sql, requested_by="t")
    await apply(service, report)
    await apply(service, await service.propose_undo(report.change, requested_by="t"))
    assert workspace.fingerprint() == before
    with pytest.raises(ToolError, match="no table orders"):
        await service.propose("ALTER TABLE orders RENAME TO tmp; ALTER TABLE orders DROP status", requested_by="t")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE orders SET customer = system.main.random()", "random.*another value"),
        ("CREATE TABLE made (a DOUBLE DEFAULT (system.main.random()))", "random.*another value"),
        ("CREATE TABLE made (a TIMESTAMPTZ DEFAULT system.main.now())", "without its schema"),
        ("INSERT INTO orders SELECT epoch(main.now())::INTEGER, 1, 1, 'x'", "without its schema"),
        ("CREATE TABLE made AS SELECT * FROM orders USING SAMPLE 3 ROWS", "sample"),
        ("DELETE FROM orders WHERE id IN (SELECT id FROM orders TABLESAMPLE 10%)", "sample"),
        ("INSERT INTO orders SELECT id + 9000, 1, 1, 'x' FROM few", "sample"),
        ("COPY (SELECT * FROM few) TO 'data/few.csv'", "sample"),
    ],
)
async def test_what_gives_something_else_each_time_is_refused_however_it_is_written(
    workspace: ChangesWorkspace, sql: str, words: str
) -> None:
    workspace.run("CREATE VIEW few AS SELECT * FROM orders TABLESAMPLE 10%")
    with pytest.raises(ToolError) as refusal:
        await workspace.service(with_gate=True).propose(sql, requested_by="t")
    assert re.search(words, f"{refusal.value} {refusal.value.hint}", re.DOTALL)


@pytest.mark.parametrize("word", ["current_date", "current_timestamp", "localtime", "today()", "now()"])
async def test_every_time_function_is_said_to_give_the_moment_of_the_proposal(
    workspace: ChangesWorkspace, word: str
) -> None:
    sql = f"UPDATE orders SET status = {word}::VARCHAR WHERE id = 1"
    report = await workspace.service(with_gate=True).propose(sql, requested_by="t")
    assert "moment of the proposal" in report.preview.notes[0]


@pytest.mark.parametrize(
    ("sql", "matched"),
    [
        ("UPDATE orders SET amount = 500 WHERE id = 7 RETURNING amount::INTEGER", 1),
        ("INSERT INTO orders VALUES (9001, 1, 2.5, 'new') RETURNING id AS \"Count\"", 1),
        ("DELETE FROM orders WHERE id < 10 RETURNING id", 10),
        ("DELETE FROM orders WHERE id < 0 RETURNING id", 0),
        ("UPDATE orders SET amount = 500 WHERE id < 10", 10),
    ],
)
async def test_rows_that_a_statement_returns_are_counted_and_not_read_as_a_count(
    workspace: ChangesWorkspace, sql: str, matched: int
) -> None:
    report = await workspace.service(with_gate=True).propose(sql, requested_by="t")
    assert [t.matched for t in report.preview.tables] == [matched]


@pytest.mark.parametrize("source", ["'data/new.csv'", "new", "read_csv('data/new.csv')"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "data/new.csv is gone since the preview; nothing was changed."),
        ('id,customer,amount\n1,"2\n3,4,5,6,7,8\n,,,,"x"y"\n', "data/new.csv has changed since the preview"),
        ("id,customer,amount,status\n5001,1,2.50,new\nmany,2,3.50,new\n", "data/new.csv has changed since the preview"),
    ],
    ids=["gone", "ragged", "other types"],
)
async def test_a_source_that_is_gone_or_broken_since_the_preview_is_named_with_a_way_on(
    workspace: ChangesWorkspace, service: ChangeService, source: str, text: str | None, words: str
) -> None:
    report = await service.propose(f"INSERT INTO orders SELECT * FROM {source}", requested_by="t")
    file = workspace.root / "data" / "new.csv"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(ToolError) as fault:
        await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")
    assert words in fault.value.message and "\n" not in fault.value.message
    assert "propose the change again" in str(fault.value.hint)
    assert workspace.run("SELECT count(*) FROM orders") == [(1000,)]
    assert (await service.status(report.change)).status == "failed"
