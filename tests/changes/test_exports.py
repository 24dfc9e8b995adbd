"""Files that changes write: none before it is approved, each in the place that was approved, all taken back."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.changes_workspace import ChangesWorkspace, InProcessWriter, ProcessWriter

from datasteward.changes.file_effects import redirect, stage_export
from datasteward.changes.host import SubprocessWriter
from datasteward.changes.model import FileEffect, StatementWork
from datasteward.changes.policy import PolicyRule, PolicySettings
from datasteward.changes.publishing import check_publishable
from datasteward.changes.render import render_preview
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
    "COPY (SELECT 1 AS a) TO 'data/p.csv' DELIMITER ';'",
    "COPY orders (id, status) TO 'data/p.csv' WITH (FORMAT csv, HEADER)",
    "COPY (SELECT CASE WHEN true THEN 1 END AS \"to\") TO 'data/p.csv'",
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
from collections.abc import Callable
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
    assert [p.name for p in (workspace.root / "data").iterdir()] == ["kept.csv"]
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


BOTH = "INSERT INTO orders VALUES (7000, 1, 2.5, 'new'); COPY orders TO 'data/out/x.csv'"


class Swapped:
    """A writer that does something to the files when the change is committed and before its files are published."""

    def __init__(self, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
        self.act = act
        self.inner = InProcessWriter()
        monkeypatch.setattr("datasteward.changes.apply.crash_point", self.reach)

    def reach(self, point: str) -> None:
        if point == "apply.before_publish":
            self.act()

    async def run(self, job_json: str, *, timeout_seconds: float) -> str:
        return await self.inner.run(job_json, timeout_seconds=timeout_seconds)


def is_inserted(workspace: ChangesWorkspace) -> bool:
    return workspace.run("SELECT count(*) FROM orders WHERE id = 7000") == [(1,)]


@pytest.mark.parametrize("kind", ["file", "gone", "link", "target_is_folder"])
async def test_a_place_that_cannot_be_written_is_found_before_anything_is_committed(
    workspace: ChangesWorkspace, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    out, outside = workspace.root / "data" / "out", tmp_path_factory.mktemp("outside")
    out.mkdir()
    service = workspace.service()
    report = await service.propose(BOTH, requested_by="t")
    spoil(out, outside, kind)
    if kind == "gone":
        (workspace.root / "data").rename(workspace.root / "elsewhere")
    with pytest.raises(ToolError) as fault:
        await apply(service, report)
    assert "data" in fault.value.message and "hange" in str(fault.value.hint)
    assert not is_inserted(workspace)
    assert not list(outside.iterdir())
    assert (await service.status(report.change)).status == "approved"
    if kind == "gone":
        (workspace.root / "elsewhere").rename(workspace.root / "data")
    mend(out)
    assert (await service.apply(report.change)).status == "applied"
    assert is_inserted(workspace) and (out / "x.csv").is_file()


@pytest.mark.parametrize("sql", [BOTH, BOTH.partition("; ")[2]], ids=["both", "file"])
@pytest.mark.parametrize("kind", ["file", "link", "target_is_folder"])
@pytest.mark.parametrize("ask", ["apply", "status"])
async def test_a_file_that_cannot_be_published_after_the_commit_is_told_and_published_when_asked_again(
    workspace: ChangesWorkspace,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
    kind: str,
    ask: str,
) -> None:
    out, outside = workspace.root / "data" / "out", tmp_path_factory.mktemp("outside")
    out.mkdir()
    writer = Swapped(lambda: spoil(out, outside, kind), monkeypatch)
    service = workspace.service(writer=writer)
    report = await service.propose(sql, requested_by="t")
    with pytest.raises(ToolError, match=r"is committed, but data/out/x.csv is not written yet") as fault:
        await apply(service, report)
    assert "ask for the change's state again" in str(fault.value.hint)
    still = await service.status(report.change, wait_seconds=1)
    assert still.status == "unknown" and "is committed" in still.message
    assert is_inserted(workspace) == (sql == BOTH)
    assert not list(outside.iterdir())
    mend(out)
    if ask == "apply":
        done = await service.apply(report.change)
    else:
        done = await service.status(report.change, wait_seconds=10)
    assert (done.status, done.message) == ("applied", "")
    assert (out / "x.csv").is_file()
    undo = await service.propose_undo(report.change, requested_by="t")
    monkeypatch.undo()
    assert (await apply(service, undo)).status == "applied"
    assert not is_inserted(workspace) and not (out / "x.csv").exists()


def spoil(out: Path, outside: Path, kind: str) -> None:
    """Put something else in the folder's place, or in the file's."""
    if kind == "target_is_folder":
        (out / "x.csv").mkdir()
        return
    out.rmdir()
    if kind == "file":
        out.write_text("in the way")
    elif kind == "link":
        out.symlink_to(outside)


def mend(out: Path) -> None:
    """Make the folder again as it was."""
    if out.is_symlink() or out.is_file():
        out.unlink()
    elif (out / "x.csv").is_dir():
        (out / "x.csv").rmdir()
    out.mkdir(exist_ok=True)


async def test_only_what_stages_files_has_a_staging_folder_and_it_goes_when_the_change_is_closed(
    workspace: ChangesWorkspace,
) -> None:
    clock = time.time()
    service = workspace.service(writer=ProcessWriter(), with_gate=True, clock=lambda: clock)
    staging = workspace.steward / "staging"

    def staged() -> list[str]:
        return [p.name for p in staging.iterdir()]

    rows = await service.propose("DELETE FROM orders WHERE id = 1", requested_by="t")
    assert staged() == []
    await apply(service, rows)
    with pytest.raises(ToolError):
        await service.propose("COPY (SELECT error('no') AS a) TO 'data/x.csv'", requested_by="t")
    assert staged() == []
    export = await service.propose("COPY orders TO 'data/x.csv'", requested_by="t")
    assert len(staged()) == 1
    await apply(service, export)
    assert staged() == []
    await apply(service, await service.propose_undo(export.change, requested_by="t"))
    assert staged() == []
    refused = await service.propose("COPY orders TO 'data/x.csv'", requested_by="t")
    await service.reject(refused.change, by="ada", channel="terminal")
    assert staged() == []
    late = await service.propose("COPY orders TO 'data/x.csv'", requested_by="t")
    clock += 365 * 86400
    assert (await service.status(late.change)).status == "expired"
    assert staged() == []
    denying = workspace.service(
        policy=PolicySettings(rules=(PolicyRule(name="no", verdict="deny"),)), clock=lambda: clock
    )
    assert (await denying.propose("COPY orders TO 'data/x.csv'", requested_by="t")).status == "denied"
    assert staged() == []


@pytest.mark.parametrize("name", ["old.csv", "old.tsv", "old.parquet", "old.json", "old [1].csv", "old.csv.gz"])
async def test_an_export_over_a_data_file_tells_what_the_file_held(workspace: ChangesWorkspace, name: str) -> None:
    old = workspace.root / "data" / name
    workspace.run(f"COPY (SELECT i AS id, 'x' AS note, i AS gone FROM range(40) r (i)) TO '{old}'")
    service = workspace.service(with_gate=name != "old [1].csv")
    report = await service.propose(
        f"COPY (SELECT id, status AS note, 1 AS fresh FROM orders WHERE id < 5) TO 'data/{name}'", requested_by="t"
    )
    file = report.preview.files[0]
    assert (file.rows_before, file.rows, file.columns_removed, file.columns_added) == (40, 5, ("gone",), ("fresh",))
    assert ", 40 -> 5 rows, without gone, with new fresh)" in render_preview(report.preview)


@pytest.mark.parametrize(("name", "text"), [("old.parquet", "no parquet"), ("old.json", "{"), ("old.txt", "a")])
async def test_a_file_that_cannot_be_read_is_replaced_all_the_same(
    workspace: ChangesWorkspace, name: str, text: str
) -> None:
    (workspace.root / "data" / name).write_text(text)
    service = workspace.service(with_gate=True)
    report = await service.propose(
        f"DELETE FROM orders WHERE id = 1; COPY orders TO 'data/{name}' (FORMAT csv)", requested_by="t"
    )
    file = report.preview.files[0]
    assert (file.action, file.rows, file.rows_before) == ("replaced", 999, None)
    assert (await apply(service, report)).status == "applied"


async def test_a_file_outside_the_data_folders_of_now_is_not_published(
    workspace: ChangesWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("once_a_root")
    effect = FileEffect(path=str(outside / "x.csv"), action="created", sha256="", staged="")
    with pytest.raises(ToolError, match="outside the data folders"):
        check_publishable([effect], [workspace.root / "data"])
    check_publishable([effect], [outside])


async def test_an_export_that_moved_is_staged_again_by_a_confined_writer_and_published(
    workspace: ChangesWorkspace,
) -> None:
    service = workspace.service(writer=SubprocessWriter(), with_gate=True)
    report = await service.propose("COPY orders TO 'data/out.csv'", requested_by="t")
    workspace.run("DELETE FROM orders WHERE id = 0")
    moved = await apply(service, report)
    assert moved.status == "moved" and moved.successor is not None
    assert not (workspace.root / "data" / "out.csv").exists()
    assert (await apply(service, await service.status(moved.successor))).status == "applied"
    assert len((workspace.root / "data" / "out.csv").read_text().splitlines()) == 1000
