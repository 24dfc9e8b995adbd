"""Files that changes write: none before it is approved, each in the place that was approved, all taken back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, ProcessWriter

from datasteward.changes.file_effects import redirect, stage_export
from datasteward.changes.model import StatementWork
from datasteward.changes.service import ChangeReport, ChangeService
from datasteward.engine.landlock import landlock_version
from datasteward.errors import ToolError

pytestmark = pytest.mark.anyio


async def apply(service: ChangeService, report: ChangeReport) -> ChangeReport:
    return await service.approve(report.change, digest=report.digest, by="ada", channel="terminal")


DECOYS = (
    "COPY (SELECT $$ TO 'data/p.csv' $$ AS a) TO $$data/p.csv$$",
    "COPY (SELECT 1 AS a) TO /* TO 'data/p.csv' */ 'data/p.csv'",
    "COPY (SELECT 1 AS a) TO -- TO 'data/p.csv'\n'data/p.csv'",
    "COPY (SELECT 1 AS \" TO 'data/p.csv'\") TO E'data/p.csv'",
    "COPY (SELECT 'é' AS é, ' TO ''data/p.csv''' AS b) TO $x$data/p.csv$x$ (FORMAT csv);",
)


@pytest.mark.parametrize("sql", DECOYS)
async def test_a_preview_writes_no_data_file_whatever_stands_beside_the_target(
    workspace: ChangesWorkspace, sql: str
) -> None:
    file = workspace.root / "data" / "p.csv"
    file.write_text("precious\n")
    service = workspace.service(with_gate=True)
    report = await service.propose(sql, requested_by="t")
    assert file.read_text() == "precious\n"
    assert (await apply(service, report)).status == "applied"
    assert file.read_text() != "precious\n"
    assert (await apply(service, await service.propose_undo(report.change, requested_by="t"))).status == "applied"
    assert file.read_text() == "precious\n"


@pytest.mark.parametrize(
    "sql",
    [
        "COPY orders TO data",
        "COPY orders TO 'data/' 'p.csv'",
        "COPY orders TO ('data/' || 'p.csv')",
        "COPY orders TO $1",
    ],
)
async def test_a_target_that_is_not_one_string_is_refused(workspace: ChangesWorkspace, sql: str) -> None:
    with pytest.raises(ToolError) as fault:
        await workspace.service(with_gate=True).propose(sql, requested_by="t")
    assert fault.value.code in {"forbidden", "syntax"}


def test_a_target_is_replaced_only_where_the_parser_agrees(tmp_path: Path) -> None:
    import duckdb

    sql = "COPY (SELECT ' TO ''x.csv''' AS a) TO 'x.csv'"
    connection = duckdb.connect()
    for start in (sql.index("' TO"), sql.index("''x"), sql.rindex("'x") + 1):
        work = StatementWork(
            sql=sql, kind="copy_to", target_file="/x.csv", target_text="x.csv", target_start=start, target_end=len(sql)
        )
        with pytest.raises(ToolError, match="could not be found"):
            redirect(connection, work, tmp_path / "1_x.csv")
    earlier = StatementWork(sql=sql, kind="copy_to", target_file=str(tmp_path / "x.csv"), target_text="x.csv")
    with pytest.raises(ToolError, match="earlier version"):
        stage_export(connection, earlier, None, tmp_path, 1)


_ESCAPE = """
import sys
from pathlib import Path
import duckdb
from datasteward.changes.confinement import allow_confinement
from datasteward.changes.jobs import WriterPlace
from datasteward.changes.measurement import session_settings
from datasteward.changes.session import make_ready, open_session
make_ready()
allow_confinement()
place = WriterPlace.model_validate_json(sys.argv[1])
staging = Path(place.state_folder) / "staging"
with open_session(session_settings(place, "2026-01-01T00:00:00+00:00"), images=None, staging=staging) as session:
    for rows in (1, 3_000_000):
        for name in ("data/kept.csv", "data/new.csv"):
            try:
                session.work.execute(f"COPY (SELECT i, i::VARCHAR FROM range({rows}) r (i)) TO '{place.workspace_root}/{name}'")
                print("written", rows, name)
            except duckdb.IOException as error:
                assert "ermission denied" in str(error), error
    session.work.execute(f"COPY (SELECT i FROM range(1000000) r (i)) TO '{staging}/out.csv'")
    session.work.execute("BEGIN; CREATE TABLE big AS SELECT i, hash(i) AS h FROM range(3000000) r (i); ROLLBACK")
print("done")
"""


@pytest.mark.skipif(landlock_version() is None, reason="this kernel has no Landlock")
def test_the_writer_of_a_preview_cannot_write_into_data_folders_at_all(workspace: ChangesWorkspace) -> None:
    (workspace.root / "data" / "kept.csv").write_text("precious\n")
    done = subprocess.run(
        [sys.executable, "-c", _ESCAPE, workspace.place().model_dump_json()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert os.listdir(workspace.root / "data") == ["kept.csv"]
    assert (workspace.root / "data" / "kept.csv").read_text() == "precious\n"


async def test_a_confined_writer_previews_applies_and_takes_back_an_export(workspace: ChangesWorkspace) -> None:
    service = workspace.service(writer=ProcessWriter(), with_gate=True)
    report = await service.propose("COPY orders TO 'data/out.csv'; DELETE FROM orders WHERE id < 500", requested_by="t")
    assert (await apply(service, report)).status == "applied"
    assert (workspace.root / "data" / "out.csv").is_file()
    assert (await apply(service, await service.propose_undo(report.change, requested_by="t"))).status == "applied"
    assert not (workspace.root / "data" / "out.csv").exists()


async def test_a_database_left_with_a_log_by_a_killed_program_is_previewed_and_changed(
    workspace: ChangesWorkspace,
) -> None:
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(\"SET checkpoint_threshold = '1TB'\");"
        " c.execute('DELETE FROM orders WHERE id > 500'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(workspace.database)], check=False, timeout=30)
    assert Path(f"{workspace.database}.wal").exists()
    service = workspace.service(writer=ProcessWriter(), with_gate=True)
    report = await service.propose("DELETE FROM orders WHERE id > 100", requested_by="t")
    assert report.preview.tables[0].deleted == 400
    assert (await apply(service, report)).status == "applied"


@pytest.mark.parametrize(
    "second", ["data/y.csv", "data/./y.csv", "data//y.csv", "{root}/data/y.csv", "data/link/y.csv"]
)
@pytest.mark.parametrize("is_there", [False, True])
async def test_one_change_writes_a_file_once(workspace: ChangesWorkspace, second: str, is_there: bool) -> None:
    (workspace.root / "data" / "link").symlink_to(workspace.root / "data")
    if is_there:
        (workspace.root / "data" / "y.csv").write_text("a\n1\n")
    again = second.format(root=workspace.root)
    with pytest.raises(ToolError, match="write the same file") as fault:
        await workspace.service(with_gate=True).propose(
            f"COPY orders TO 'data/y.csv'; COPY (SELECT 1 AS a) TO '{again}'", requested_by="t"
        )
    assert fault.value.code == "invalid_arguments"
