"""Landlock in a process of its own, for what it takes away does not come back."""

import subprocess
import sys
from pathlib import Path

import pytest

from datasteward.engine import landlock

PROGRAM = """
import json, pathlib, socket, sys
import duckdb
from datasteward.engine.landlock import restrict
from datasteward.engine.lockdown import open_reader
root = pathlib.Path(sys.argv[1])
libraries = [pathlib.Path(p) for p in {sys.prefix, sys.base_prefix, *sys.path} if p]
report = restrict(read=[root / "data", root / "w.duckdb", *libraries, pathlib.Path("/usr"), pathlib.Path("/lib")], write=[root / "spill"])
told = {"active": report.is_active, "tcp": report.restricts_tcp, "reason": report.reason}
def attempt(name, action):
    try:
        action()
        told[name] = "done"
    except Exception as error:
        told[name] = type(error).__name__
attempt("read_inside", lambda: (root / "data/x.csv").read_text())
attempt("read_outside", lambda: (root / "outside.csv").read_text())
attempt("environ", lambda: pathlib.Path("/proc/self/environ").read_bytes())
attempt("write_data", lambda: (root / "data/x.csv").write_text("gone"))
attempt("write_spill", lambda: (root / "spill/x").write_text("ok"))
attempt("connect", lambda: socket.create_connection(("127.0.0.1", 9), timeout=1))
def query():
    c = open_reader(root / "w.duckdb", roots=[root / "data"], results=[], memory_limit_bytes=2**27, threads=2, temp_folder=root / "spill", temp_limit_bytes=2**24)
    assert c.execute("SELECT count(*) FROM t, read_csv('%s/data/x.csv')" % root).fetchall() == [(1,)]
attempt("query", query)
print(json.dumps(told))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    import duckdb

    for folder in ("data", "spill"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data/x.csv").write_text("a\n1\n")
    (tmp_path / "outside.csv").write_text("secret\n")
    connection = duckdb.connect(str(tmp_path / "w.duckdb"))
    connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    connection.close()
    return tmp_path.resolve()


@pytest.mark.skipif(landlock.landlock_version() is None, reason="this kernel has no Landlock")
def test_a_restricted_process_reads_its_data_and_nothing_else(root: Path) -> None:
    import json

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(root)], capture_output=True, text=True, timeout=60, check=False
    )
    told = json.loads(done.stdout or f'{{"stderr": {json.dumps(done.stderr)}}}')
    assert told == {
        "active": True,
        "tcp": told.get("tcp"),
        "reason": None,
        "read_inside": "done",
        "read_outside": "PermissionError",
        "environ": "PermissionError",
        "write_data": "PermissionError",
        "write_spill": "done",
        "connect": "PermissionError" if told.get("tcp") else "ConnectionRefusedError",
        "query": "done",
    }


def test_where_there_is_no_landlock_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock.sys, "platform", "darwin")
    report = landlock.restrict(read=[], write=[])
    assert (report.is_active, report.version) == (False, None)
    assert report.reason
